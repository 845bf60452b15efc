//! Output for people and pipes.

use std::io::{ErrorKind, Write};

use anyhow::Context;

/// Prints `text` at once. A reader that has seen enough and closed the pipe is not an error.
///
/// # Errors
/// Stdout cannot be written to.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let written = standard_streams::stdout().write_all(text.as_bytes());
    written
        .or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
        .context("cannot write to stdout")
}
