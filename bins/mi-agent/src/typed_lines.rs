//! The lines of stdin.

use std::io::{self, BufRead, IsTerminal, Read};
use std::sync::{Arc, OnceLock};
use std::thread;

use standard_streams::{Stdin, stdin};
use tokio::sync::mpsc;

/// The lines of stdin, read by a separate thread: a blocked read must not keep the program from ending.
#[derive(Debug)]
pub(crate) struct TypedLines<T = String> {
    lines: mpsc::Receiver<T>,
    failure: Arc<OnceLock<io::Error>>,
}

impl TypedLines {
    /// Starts reading. Lines come without their ends.
    pub(crate) fn start() -> Self {
        Self::read_by(read_line)
    }
}

impl<T: Send + 'static> TypedLines<T> {
    /// Starts reading with `read`, until that returns `None` or fails.
    pub(crate) fn read_by(
        mut read: impl FnMut(&mut Stdin) -> io::Result<Option<T>> + Send + 'static,
    ) -> Self {
        let (sender, lines) = mpsc::channel(MAX_LINES);
        let failure = Arc::<OnceLock<_>>::default();
        let failed = Arc::clone(&failure);
        // A terminal that closes has an error in place of an end.
        let is_terminal = io::stdin().is_terminal();
        thread::spawn(move || {
            let mut stdin = stdin();
            let mut next = || {
                read(&mut stdin).unwrap_or_else(|error| {
                    if !is_terminal {
                        // Nothing else sets it.
                        _ = failed.set(error);
                    }
                    None
                })
            };
            while let Some(line) = next() {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        Self { lines, failure }
    }

    /// Returns the next line; `None` at the end of input. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<T> {
        self.lines.recv().await
    }

    /// Returns the reason why there are no more lines, if it is not the end of input.
    pub(crate) fn failure(&self) -> Option<&io::Error> {
        self.failure.get()
    }
}

/// Reads a line. One of more than [`MAX_LINE`] bytes comes in pieces, and bytes that are no UTF-8 are
/// replaced.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(Some(String::from_utf8_lossy(line).into_owned()))
}

/// The most lines that are read and not carried out.
const MAX_LINES: usize = 16;

/// The most bytes of a line. Nobody types that many, but a piped file may have no line ends.
const MAX_LINE: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_whatever_their_ends_and_bytes() {
        let long = "x".repeat(64 * 1024 + 3);
        let text = [b"hola\r\nbon dia\n\n\xff!\n".as_slice(), long.as_bytes()].concat();
        let mut input = text.as_slice();
        let lines: Vec<_> = std::iter::from_fn(|| read_line(&mut input).unwrap()).collect();
        assert_eq!(lines[..4], ["hola", "bon dia", "", "\u{fffd}!"]);
        assert_eq!(lines[4..].iter().map(String::len).collect::<Vec<_>>(), [64 * 1024, 3]);
    }
}
