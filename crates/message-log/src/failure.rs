//! Failures of a log, and how often they are reported.

use std::fmt;
use std::io;
use std::time::Duration;

/// What went wrong with a log; its `Display` says it in one line.
#[derive(Debug)]
#[non_exhaustive]
pub enum LogFailure {
    /// A line could not be written.
    Lost {
        /// Why not.
        error: io::Error,
        /// How many lines were lost so far.
        lines: u64,
    },
    /// The file has reached its size and could not be put aside. Lines go on into it.
    Grows {
        /// Why not.
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

/// How long a [`LineWriter`](crate::LineWriter) that has reported a failure is silent about more of them.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(60);
