//! The clock of an outbox.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use crate::state::outbox::OutboxTime;

/// A clock that counts the sleep of the host, and that nobody can set while the program runs.
///
/// It begins with the time by the clock on the wall. A clock on the wall that was set back between two programs is
/// not believed: the second program begins no earlier than the last time that the first one stored.
#[derive(Clone, Copy, Debug)]
pub struct OutboxClock {
    start: OutboxTime,
    since: Duration,
}

impl OutboxClock {
    /// Starts a clock, at `stored` or later.
    pub fn starting_at(stored: OutboxTime) -> Self {
        Self { start: stored.max(wall_time()), since: since_boot() }
    }

    /// Returns the time.
    pub fn now(&self) -> OutboxTime {
        self.start + since_boot().saturating_sub(self.since)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a stored time has to mean something after a restart of the host"
)]
fn wall_time() -> OutboxTime {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    OutboxTime(0) + since_1970.unwrap_or_default()
}

fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_begins_before_what_is_stored_and_goes_on() {
        let stored = wall_time() + Duration::from_secs(1_000);
        let clock = OutboxClock::starting_at(stored);
        let first = clock.now();
        assert!(first >= stored && first < stored + Duration::from_secs(500));
        assert!(clock.now() >= first);
        let clock = OutboxClock::starting_at(OutboxTime(5));
        assert!(clock.now() + Duration::from_secs(1_000) >= stored);
    }
}
