//! Failures of a log, and how often they are reported.

use std::fmt;
use std::io;
use std::time::Duration;

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

/// The time after a reported failure in which a [`LineWriter`](crate::LineWriter) reports no more of them.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(60);
