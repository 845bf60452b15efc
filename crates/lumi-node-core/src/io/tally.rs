//! Counting what strangers can make happen.

use std::mem;
use std::time::{Duration, Instant};

/// Counts what strangers can make happen as often as they like, and says when to tell: once a second at most.
#[derive(Debug, Default)]
pub(super) struct Tally {
    total: u64,
    /// Since it was told last.
    untold: u64,
    told: Option<Instant>,
}

impl Tally {
    /// How many there were since it was told last, if it is time to tell.
    pub(super) fn add(&mut self, now: Instant) -> Option<u64> {
        self.total += 1;
        self.untold += 1;
        if self.told.is_some_and(|told| now < told + TELL_INTERVAL) {
            return None;
        }
        self.told = Some(now);
        Some(mem::take(&mut self.untold))
    }

    /// How many there were in all.
    pub(super) fn total(&self) -> u64 {
        self.total
    }
}

const TELL_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_a_second_how_many_there_were() {
        let start = tokio::time::Instant::now().into_std();
        let mut tally = Tally::default();
        let told: Vec<_> =
            (0..2_500).filter_map(|millis| tally.add(start + Duration::from_millis(millis))).collect();
        assert_eq!(told, [1, 1_000, 1_000]);
        assert_eq!(tally.total(), 2_500);
    }
}
