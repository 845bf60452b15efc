//! A counter whose reports are limited to one a second.

use std::mem;
use std::time::{Duration, Instant};

/// Counts events that a remote host can cause at will, and limits their log lines to one a second.
#[derive(Debug, Default)]
pub(super) struct RateLimitedCounter {
    total: u64,
    /// The events since the last report.
    unreported: u64,
    reported: Option<Instant>,
}

impl RateLimitedCounter {
    /// Counts an event. If a report is due, returns the number of events since the last one.
    pub(super) fn add(&mut self, now: Instant) -> Option<u64> {
        self.total += 1;
        self.unreported += 1;
        if self.reported.is_some_and(|reported| now < reported + REPORT_INTERVAL) {
            return None;
        }
        self.reported = Some(now);
        Some(mem::take(&mut self.unreported))
    }

    /// Returns the number of all events.
    pub(super) fn total(&self) -> u64 {
        self.total
    }
}

const REPORT_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_reported_once_a_second() {
        let start = tokio::time::Instant::now().into_std();
        let mut counter = RateLimitedCounter::default();
        let reports: Vec<_> =
            (0..2_500).filter_map(|millis| counter.add(start + Duration::from_millis(millis))).collect();
        assert_eq!(reports, [1, 1_000, 1_000]);
        assert_eq!(counter.total(), 2_500);
    }
}
