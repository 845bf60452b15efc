//! The time that users who locate somebody wait for the answer.

use std::time::Duration;

use plumi_proto::LocateOutcome;

/// The time from the first `PL` of an asker to the `RL` that was sent there, for one outcome: a histogram.
/// Repetitions of a request that is under way do not begin anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocationTimes {
    within: [u64; Self::BOUNDS.len()],
    count: u64,
    sum: Duration,
}

impl LocationTimes {
    /// The end of each interval, which belongs to it. The last answer comes 5 s after the last repetition at
    /// most.
    pub const BOUNDS: [Duration; 10] = [
        Duration::from_millis(1),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_secs(5),
    ];

    /// Returns how many took as long as each of [`LocationTimes::BOUNDS`] at most, and longer than the one
    /// before it.
    pub fn within(&self) -> [u64; Self::BOUNDS.len()] {
        self.within
    }

    /// Returns the number of locations, those that took longer than the last bound included.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the time that all of them took together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    fn add(&mut self, took: Duration) {
        if let Some(at) = Self::BOUNDS.iter().position(|bound| took <= *bound) {
            self.within[at] += 1;
        }
        self.count += 1;
        self.sum += took;
    }
}

/// [`LocationTimes`] for each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Locations {
    /// `RL0`.
    pub found: LocationTimes,
    /// `RL1`.
    pub busy: LocationTimes,
    /// `RL2`.
    pub no_such_user: LocationTimes,
    /// `RL3`.
    pub offline: LocationTimes,
}

impl Locations {
    pub(super) fn add(&mut self, outcome: &LocateOutcome, took: Duration) {
        let times = match outcome {
            LocateOutcome::Found(_) => &mut self.found,
            LocateOutcome::Busy => &mut self.busy,
            LocateOutcome::NoSuchUser => &mut self.no_such_user,
            LocateOutcome::Offline => &mut self.offline,
        };
        times.add(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_interval_that_does_not_end_before() {
        let mut times = LocationTimes::default();
        for micros in [0, 1_000, 1_001, 5_000_000, 5_000_001] {
            times.add(Duration::from_micros(micros));
        }
        assert_eq!(times.within(), [2, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((times.count(), times.sum()), (5, Duration::from_micros(10_002_002)));
        assert!(LocationTimes::BOUNDS.is_sorted());
    }
}
