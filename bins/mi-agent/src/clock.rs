//! The time of day.

use jiff::Timestamp;

/// Returns the current time.
#[expect(clippy::disallowed_methods, reason = "it is shown to people and decides nothing")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Returns the current time in whole seconds, for files and for people.
pub(crate) fn this_second() -> Timestamp {
    let now = now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
