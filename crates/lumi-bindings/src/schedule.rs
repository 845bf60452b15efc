//! The times at which the thread has something to do although nothing came. Its clock is an argument.

use std::time::{Duration, Instant};

/// The times of heartbeats, of commits that survive a power failure, and of attempts after a failure.
#[derive(Debug)]
pub(crate) struct Schedule {
    heartbeat_interval: Duration,
    heartbeat_at: Instant,
    /// The time at which the commits so far are to survive a power failure, if there were any.
    sync_at: Option<Instant>,
    /// The time of the next attempt, after one that failed.
    retry_at: Option<Instant>,
}

/// A commit without changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// One that makes those before it survive a power failure.
    Sync,
    Heartbeat,
}

impl Schedule {
    /// Begins with a heartbeat that is due.
    pub(crate) fn new(now: Instant, restore_within: Duration) -> Self {
        // A node that is killed was not away for much longer than it seems.
        let heartbeat_interval = (restore_within / 4).clamp(MIN_HEARTBEAT_INTERVAL, MAX_HEARTBEAT_INTERVAL);
        Self { heartbeat_interval, heartbeat_at: now, sync_at: None, retry_at: None }
    }

    /// Returns the next time at which something is due.
    pub(crate) fn next(&self) -> Instant {
        self.retry_at
            .unwrap_or_else(|| self.sync_at.map_or(self.heartbeat_at, |at| at.min(self.heartbeat_at)))
    }

    /// Returns whether the latest commit failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.retry_at.is_some()
    }

    /// Returns whether the next attempt has to wait.
    pub(crate) fn is_resting(&self, now: Instant) -> bool {
        self.retry_at.is_some_and(|at| now < at)
    }

    pub(crate) fn is_heartbeat_due(&self, now: Instant) -> bool {
        now >= self.heartbeat_at
    }

    pub(crate) fn is_sync_due(&self, now: Instant) -> bool {
        self.sync_at.is_some_and(|at| now >= at)
    }

    /// Returns what is due while no changes wait. An attempt after a failure is a heartbeat.
    pub(crate) fn due(&self, now: Instant) -> Option<Due> {
        if self.is_sync_due(now) {
            return Some(Due::Sync);
        }
        (self.is_heartbeat_due(now) || self.is_failing()).then_some(Due::Heartbeat)
    }

    /// Notes a commit.
    pub(crate) fn committed(&mut self, now: Instant, with_heartbeat: bool) {
        self.retry_at = None;
        if with_heartbeat {
            self.heartbeat_at = now + self.heartbeat_interval;
        }
    }

    /// Notes that the latest commit survives the process, and no power failure yet.
    pub(crate) fn needs_sync(&mut self, now: Instant) {
        self.sync_at.get_or_insert(now + FULL_SYNC_INTERVAL);
    }

    /// Notes that everything survives a power failure.
    pub(crate) fn synced(&mut self) {
        self.sync_at = None;
    }

    /// Notes that a commit failed.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.retry_at = Some(now + RETRY_INTERVAL);
    }
}

/// The time after which what is committed survives a power failure, too.
pub const FULL_SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// The time between two attempts to commit after one that failed. Nobody waits for them.
pub const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The longest time between two heartbeats. It is a quarter of [`OpenOptions::restore_within`] if that is
/// less.
///
/// [`OpenOptions::restore_within`]: crate::OpenOptions::restore_within
pub const MAX_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// The shortest time between two heartbeats, however soon bindings are too old.
const MIN_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// A schedule whose first heartbeat was written at the time that is returned.
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn begun(restore_within: Duration) -> (Instant, Schedule) {
        let now = Instant::now();
        let mut schedule = Schedule::new(now, restore_within);
        assert_eq!(schedule.due(now), Some(Due::Heartbeat));
        schedule.committed(now, true);
        (now, schedule)
    }

    #[test]
    fn heartbeats_come_four_times_before_bindings_are_too_old() {
        for (restore_within, interval) in [(15 * 60, 15), (40, 10), (4, 1), (1, 1)] {
            let (now, schedule) = begun(Duration::from_secs(restore_within));
            let next = now + Duration::from_secs(interval);
            assert_eq!(schedule.next(), next, "{restore_within} s");
            assert_eq!(schedule.due(next - Duration::from_millis(1)), None, "{restore_within} s");
            assert_eq!(schedule.due(next), Some(Due::Heartbeat), "{restore_within} s");
        }
    }

    #[test]
    fn commits_survive_a_power_failure_a_second_after_the_first_of_them() {
        let (now, mut schedule) = begun(Duration::from_secs(15 * 60));
        schedule.needs_sync(now);
        schedule.needs_sync(now + FULL_SYNC_INTERVAL / 2);
        assert_eq!(schedule.next(), now + FULL_SYNC_INTERVAL);
        assert_eq!(schedule.due(now + FULL_SYNC_INTERVAL / 2), None);
        assert_eq!(schedule.due(now + FULL_SYNC_INTERVAL), Some(Due::Sync));
        schedule.committed(now + FULL_SYNC_INTERVAL, true);
        schedule.synced();
        assert_eq!(schedule.next(), now + FULL_SYNC_INTERVAL + MAX_HEARTBEAT_INTERVAL);
    }

    #[test]
    fn after_a_failure_nothing_is_tried_for_a_second() {
        let (now, mut schedule) = begun(Duration::from_secs(15 * 60));
        schedule.failed(now);
        assert_eq!(schedule.next(), now + RETRY_INTERVAL);
        assert!(schedule.is_failing() && schedule.is_resting(now));
        assert!(!schedule.is_resting(now + RETRY_INTERVAL));
        assert_eq!(schedule.due(now + RETRY_INTERVAL), Some(Due::Heartbeat));
        schedule.committed(now + RETRY_INTERVAL, true);
        assert!(!schedule.is_failing());
    }
}
