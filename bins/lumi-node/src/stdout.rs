//! Output for people and pipes.

use std::io::{self, ErrorKind, Write};

use anyhow::Context;

/// Prints `text` at once. A reader that has seen enough and closed the pipe is not an error.
///
/// # Errors
/// Stdout cannot be written to.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written
        .or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
        .context("cannot write to stdout")
}
