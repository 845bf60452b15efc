//! Failures of a log, and how often they are reported.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::output::Unwritten;

/// A failure of a log. Its `Display` is one line.
#[derive(Debug)]
#[non_exhaustive]
pub enum LogFailure {
    /// A line could not be written.
    Lost {
        /// The reason.
        error: io::Error,
        /// The number of lines lost so far.
        lines: u64,
    },
    /// The file has reached its size and could not be put aside. Lines are still written to it.
    Grows {
        /// The reason.
        error: io::Error,
    },
}

impl fmt::Display for LogFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { error, lines } => {
                write!(f, "lines of the message log are lost, {lines} so far: {error}")
            }
            Self::Grows { error } => {
                write!(f, "the message log grows beyond its size, as it cannot be put aside: {error}")
            }
        }
    }
}

/// Everything that went wrong while lines were written.
#[derive(Default)]
pub(crate) struct Troubles {
    pub(crate) unwritten: Option<Unwritten>,
    /// The reason why a full file could not be put aside.
    pub(crate) grows: Option<io::Error>,
}

/// The lines that a log has lost, and how it reports them.
pub(crate) struct Losses {
    lines: u64,
    reported: Option<Instant>,
    pub(crate) on_failure: Box<OnFailure>,
}

pub(crate) type OnFailure = dyn FnMut(LogFailure) + Send;

impl Losses {
    /// None so far, and nobody to report them to.
    pub(crate) fn none() -> Self {
        Self { lines: 0, reported: None, on_failure: Box::new(|_| {}) }
    }

    /// Counts lines that are lost, and reports them if nothing was reported in the last [`REPORT_INTERVAL`].
    pub(crate) fn add(losses: &Mutex<Self>, unwritten: Unwritten) {
        Self::lock(losses).add_at(unwritten, now());
    }

    /// Counts and reports everything that went wrong in a write.
    pub(crate) fn report(losses: &Mutex<Self>, Troubles { unwritten, grows }: Troubles) {
        if let Some(error) = grows {
            (Self::lock(losses).on_failure)(LogFailure::Grows { error });
        }
        if let Some(unwritten) = unwritten {
            Self::add(losses, unwritten);
        }
    }

    /// Locks `losses`. A report that panicked has counted its lines before.
    pub(crate) fn lock(losses: &Mutex<Self>) -> MutexGuard<'_, Self> {
        losses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of lines lost so far.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    fn add_at(&mut self, Unwritten { lines, error }: Unwritten, now: Instant) {
        self.lines += lines;
        if self.reported.is_none_or(|reported| now.duration_since(reported) >= REPORT_INTERVAL) {
            self.reported = Some(now);
            (self.on_failure)(LogFailure::Lost { error, lines: self.lines });
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "writing a log is IO, and only how often it complains depends on it"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time after a reported failure in which a [`LineWriter`](crate::LineWriter) reports no more of them.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn failures_are_reported_at_once_and_then_once_a_minute() {
        let (report, reports) = mpsc::channel();
        let mut losses = Losses::none();
        losses.on_failure = Box::new(move |failure| {
            let LogFailure::Lost { lines, .. } = failure else { panic!("{failure}") };
            report.send(lines).unwrap();
        });
        let start = now();
        for second in [0, 1, 59, 60, 61, 119, 120, 500, 501] {
            let unwritten = Unwritten { lines: 1, error: io::ErrorKind::StorageFull.into() };
            losses.add_at(unwritten, start + Duration::from_secs(second));
        }
        assert_eq!(reports.try_iter().collect::<Vec<_>>(), [1, 4, 7, 8]);
    }
}
