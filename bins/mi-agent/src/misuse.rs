//! Arguments that clap takes and that make no sense all the same.

use std::error::Error;
use std::fmt;

use clap::error::ErrorKind;

/// The command line cannot be carried out. `lib.rs` reports it the way clap reports its own errors.
#[derive(Debug)]
pub(crate) struct Misuse {
    /// The subcommand whose usage is shown; `None` is a chat.
    pub(crate) subcommand: Option<&'static str>,
    pub(crate) kind: ErrorKind,
    pub(crate) reason: String,
}

impl Misuse {
    /// An argument of `subcommand` that makes no sense, and why.
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
