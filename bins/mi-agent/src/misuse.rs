//! Command lines that clap accepts, but which make no sense.

use std::error::Error;
use std::fmt;

use clap::error::ErrorKind;

/// An error in the command line. `lib.rs` reports it the way clap reports its own errors.
#[derive(Debug)]
pub(crate) struct Misuse {
    /// The subcommand to show the usage of; `None` for a chat.
    pub(crate) subcommand: Option<&'static str>,
    pub(crate) kind: ErrorKind,
    pub(crate) reason: String,
}

impl Misuse {
    /// Reports an argument of `subcommand` that makes no sense.
    pub(crate) fn of(subcommand: &'static str, reason: impl Into<String>) -> Self {
        Self { subcommand: Some(subcommand), kind: ErrorKind::ValueValidation, reason: reason.into() }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for Misuse {}
