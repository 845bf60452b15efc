//! The attempts of `mi-agent send --wait`.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::str::FromStr;
use std::time::Duration;

use tokio::time::{self, Instant};

use crate::options::values;

/// A duration as it is typed: `90s`, `10m`, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait(pub(super) Duration);

impl FromStr for Wait {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "it is a number and s, m or h, such as 90s, 10m or 2h, and a year at most";
        values::duration(text).map(Self).ok_or(wrong)
    }
}

/// The time for which a message is kept, as it is typed: `72h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keep(pub(super) Duration);

impl FromStr for Keep {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        values::keep(text).map(Self).ok_or("it is a number and m, h or d, such as 72h, and from 1h to 30d")
    }
}

/// The pauses between attempts, until a time at which there are no more.
#[derive(Debug)]
pub(super) struct Attempts {
    until: Instant,
    pause: Duration,
}

impl Attempts {
    /// Begins with the first attempt. Without a wait there is no other one.
    pub(super) fn within(wait: Option<Wait>) -> Self {
        let Wait(wait) = wait.unwrap_or(Wait(Duration::ZERO));
        Self { until: Instant::now() + wait, pause: FIRST_PAUSE }
    }

    /// Waits until the next attempt. Returns `false` at once if the time is up. Cancel safe.
    pub(super) async fn next(&mut self) -> bool {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        // The last attempt is at the very end.
        time::sleep(spread(self.pause, RandomState::new().build_hasher().finish()).min(left)).await;
        self.pause = PAUSE;
        true
    }
}

/// Returns `pause`, 20 % more or less, so that the scripts of many hosts do not call at the same moment.
fn spread(pause: Duration, random: u64) -> Duration {
    let percent = 80 + u32::try_from(random % 41).expect("a small number");
    pause * percent / 100
}

const FIRST_PAUSE: Duration = Duration::from_secs(5);

const PAUSE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_has_a_unit_and_a_limit() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7_200), ("0s", 0), ("8760h", 31_536_000)] {
            assert_eq!(text.parse(), Ok(Wait(Duration::from_secs(seconds))), "{text}");
        }
        for wrong in ["", "90", "s", "-1s", "1.5h", "2 h", "2d", "8761h", "99999999999999999999h"] {
            wrong.parse::<Wait>().unwrap_err();
        }
    }

    #[test]
    fn a_message_is_kept_from_an_hour_to_thirty_days() {
        for (text, hours) in [("1h", 1), ("60m", 1), ("72h", 72), ("30d", 720)] {
            assert_eq!(text.parse(), Ok(Keep(Duration::from_secs(hours * 3_600))), "{text}");
        }
        for wrong in ["", "72", "59m", "31d", "1.5d", "d"] {
            wrong.parse::<Keep>().unwrap_err();
        }
    }

    #[test]
    fn pauses_are_spread() {
        for (random, millis) in [(0, 8_000), (20, 10_000), (40, 12_000), (41, 8_000)] {
            assert_eq!(spread(PAUSE, random), Duration::from_millis(millis));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_attempt_is_at_the_end() {
        let start = Instant::now();
        let mut attempts = Attempts::within(Some(Wait(Duration::from_secs(60))));
        let mut times = Vec::new();
        while attempts.next().await {
            times.push(start.elapsed().as_secs_f64());
        }
        assert!((4.0..=6.01).contains(&times[0]), "{times:?}");
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 12.01), "{times:?}");
        assert!((60.0..60.1).contains(times.last().unwrap()), "{times:?}");
        assert!(!Attempts::within(None).next().await);
    }
}
