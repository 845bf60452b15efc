//! Callers that gave way to others, and when the program hears of them.

use std::time::{Duration, Instant};

/// Counts callers that gave way. A program that calls and calls must not make an event of each.
#[derive(Debug, Default)]
pub(crate) struct GivenWay {
    /// Those that were not reported yet.
    callers: u64,
    /// The time at which they are due.
    due: Option<Instant>,
    reported: Option<Instant>,
}

impl GivenWay {
    /// Counts a caller that gave way.
    pub(crate) fn add(&mut self, now: Instant) {
        self.callers += 1;
        let earliest = self.reported.map_or(now, |reported| (reported + REPORT_INTERVAL).max(now));
        self.due.get_or_insert(earliest);
    }

    /// Returns the time at which the callers so far are to be reported, if there are any.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Returns the number of callers since the last report, if they are to be reported now.
    pub(crate) fn report(&mut self, now: Instant) -> Option<u64> {
        self.due.take_if(|due| *due <= now)?;
        self.reported = Some(now);
        Some(std::mem::take(&mut self.callers))
    }
}

/// The shortest time between two reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::any_time;

    #[test]
    fn the_first_is_reported_at_once_and_the_others_together_once_a_minute() {
        let now = any_time();
        let second = |second| now + Duration::from_secs(second);
        let mut given_way = GivenWay::default();
        assert_eq!((given_way.poll_timeout(), given_way.report(now)), (None, None));
        given_way.add(now);
        assert_eq!((given_way.poll_timeout(), given_way.report(now)), (Some(now), Some(1)));
        assert_eq!(given_way.poll_timeout(), None);
        for millis in 1..500 {
            given_way.add(now + Duration::from_millis(millis));
        }
        assert_eq!((given_way.poll_timeout(), given_way.report(second(59))), (Some(second(60)), None));
        assert_eq!(given_way.report(second(61)), Some(499));
        assert_eq!(given_way.report(second(500)), None);
        given_way.add(second(500));
        assert_eq!(given_way.report(second(500)), Some(1));
    }
}
