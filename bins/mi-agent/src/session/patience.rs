//! The wait for peers while a user wants to leave.

use std::time::Duration;

use tokio::time::{self, Instant};

use crate::signals::{HURRY, LAST_WORDS};

/// A wait that goes on as long as lines leave.
pub(super) struct Patience {
    unwritten: usize,
    /// The time at which the last line left.
    since: Instant,
    next_look: Instant,
}

impl Patience {
    /// Begins to wait, with this number of lines that are still to be sent.
    pub(super) fn new(unwritten: usize) -> Self {
        let now = Instant::now();
        Self { unwritten, since: now, next_look: now + LOOK }
    }

    /// Waits until [`Patience::is_over`] is to be called. Cancel safe.
    pub(super) async fn next_look(&self) {
        time::sleep_until(self.next_look).await;
    }

    /// Takes the number of lines that are still to be sent, and returns whether too long none has left.
    pub(super) fn is_over(&mut self, unwritten: usize) -> bool {
        let now = Instant::now();
        self.next_look = now + LOOK;
        if unwritten < self.unwritten {
            (self.unwritten, self.since) = (unwritten, now);
        }
        now >= self.since + QUIET
    }
}

/// The time within which a user who leaves is gone, unless lines still leave.
const QUIT: Duration = Duration::from_secs(3);

/// The time after which peers are not waited for. The rest is for the deregistration.
const QUIET: Duration = QUIT.saturating_sub(HURRY).saturating_sub(LAST_WORDS);

/// The interval between two looks.
const LOOK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_while_lines_leave() {
        let mut patience = Patience::new(5);
        for unwritten in (0..5).rev() {
            time::advance(QUIET - LOOK).await;
            assert!(!patience.is_over(unwritten));
        }
        time::advance(QUIET - LOOK).await;
        assert!(!patience.is_over(0));
        time::advance(LOOK).await;
        assert!(patience.is_over(0));
    }
}
