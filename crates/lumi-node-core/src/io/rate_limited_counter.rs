//! A counter whose reports are limited, to one a second for example.

use std::mem;
use std::time::{Duration, Instant};

/// Counts events that a remote host can cause at will, and limits their log lines: to one a second by
/// default.
#[derive(Debug)]
pub(super) struct RateLimitedCounter {
    interval: Duration,
    total: u64,
    /// The events since the last report.
    unreported: u64,
    reported: Option<Instant>,
}

impl Default for RateLimitedCounter {
    fn default() -> Self {
        Self::every(REPORT_INTERVAL)
    }
}

impl RateLimitedCounter {
    /// Creates a counter with at most one report in each `interval`.
    pub(super) fn every(interval: Duration) -> Self {
        Self { interval, total: 0, unreported: 0, reported: None }
    }

    /// Counts an event. If a report is due, returns the number of events since the last one.
    pub(super) fn add(&mut self, now: Instant) -> Option<u64> {
        self.reach(now, self.total + 1)
    }

    /// Counts the events that make up `total` with those before. As [`RateLimitedCounter::add`].
    pub(super) fn reach(&mut self, now: Instant, total: u64) -> Option<u64> {
        let new = total.saturating_sub(self.total);
        self.total += new;
        self.unreported += new;
        if new == 0 || self.reported.is_some_and(|reported| now < reported + self.interval) {
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

        let mut counter = RateLimitedCounter::every(Duration::from_secs(60));
        let totals = [(0, 0), (1, 7), (2, 7), (60, 9), (61, 9), (62, 10), (200, 10)];
        let reports = totals.map(|(second, total)| counter.reach(start + Duration::from_secs(second), total));
        assert_eq!(reports, [None, Some(7), None, None, None, Some(3), None]);
    }
}
