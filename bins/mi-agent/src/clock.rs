//! The time of day.

use jiff::Timestamp;

/// Now, in whole seconds.
#[expect(clippy::disallowed_methods, reason = "it is shown to people and decides nothing")]
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
