//! The lines that the program prints. Scripts read them, so each is one line and flushed.

use std::collections::VecDeque;
use std::fmt::Arguments;
use std::io;
use std::time::Duration;

use mi_agent_core::{PeerText, safe_text};
use standard_streams::{BackgroundWriter, Stderr, Stdout, stderr, stdout};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{self, Instant};

/// Prints lines, and waits while nobody reads them. A terminal can be held, and a pipe can be full.
#[derive(Debug)]
pub(crate) struct PrintedLines<W> {
    output: W,
    /// Lines that have not been printed, with their ends.
    waiting: VecDeque<String>,
    /// The number of bytes of the first of them that were written.
    written: usize,
    /// The time after which no line is waited for, if there is one.
    deadline: Option<Instant>,
}

impl PrintedLines<BackgroundWriter<Stdout>> {
    pub(crate) fn on_stdout() -> Self {
        Self::new(BackgroundWriter::new(stdout()))
    }
}

impl PrintedLines<BackgroundWriter<Stderr>> {
    pub(crate) fn on_stderr() -> Self {
        Self::new(BackgroundWriter::new(stderr()))
    }
}

impl<W: AsyncWrite + Unpin> PrintedLines<W> {
    pub(crate) fn new(output: W) -> Self {
        Self { output, waiting: VecDeque::new(), written: 0, deadline: None }
    }

    /// Limits the wait for all lines together to `patience` from now on. Lines not read by then are lost.
    pub(crate) fn hurry(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        self.deadline = Some(self.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
    }

    /// Prints `! …`: a failure and its reason.
    pub(crate) async fn failure(&mut self, text: Arguments<'_>) -> io::Result<()> {
        self.push(&format!("! {}", safe_text(&text.to_string())));
        self.print().await
    }

    /// Prints `<nickname> …`: a line of the peer.
    pub(crate) async fn said(&mut self, nickname: &PeerText, text: &PeerText) -> io::Result<()> {
        self.push(&format!("<{nickname}> {text}"));
        self.print().await
    }

    /// Adds a line for [`PrintedLines::print`]: safe to show, and without its end.
    pub(crate) fn push(&mut self, line: &str) {
        self.waiting.push_back(format!("{line}\n"));
    }

    /// Returns whether there is anything to print.
    pub(crate) fn has_to_print(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Prints every line that waits. Cancel safe.
    ///
    /// # Errors
    /// Those of the operating system. With a deadline there are none: nobody is left to report them to.
    pub(crate) async fn print(&mut self) -> io::Result<()> {
        let done = match self.deadline {
            None => self.print_all().await,
            Some(deadline) => {
                _ = time::timeout_at(deadline, self.print_all()).await;
                Ok(())
            }
        };
        // Lines that cannot be printed must not pile up.
        (self.waiting, self.written) = Default::default();
        done
    }

    async fn print_all(&mut self) -> io::Result<()> {
        while let Some(line) = self.waiting.front() {
            while let Some(rest @ [_, ..]) = line.as_bytes().get(self.written..) {
                match self.output.write(rest).await? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    length => self.written += length,
                }
            }
            self.output.flush().await?;
            self.waiting.pop_front();
            self.written = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_line_is_one_line() {
        let mut printed = PrintedLines::new(Vec::new());
        printed.failure(format_args!("cannot reach {}: {}", "a\nb", "\x1b[31mred")).await.unwrap();
        assert_eq!(printed.output, b"! cannot reach a\\nb: \\x1b[31mred\n");
    }

    /// Each line is printed once, whole and in its turn, after any interruption.
    #[tokio::test]
    async fn printing_can_be_interrupted() {
        let (output, mut read) = tokio::io::duplex(4);
        let mut printed = PrintedLines::new(output);
        for line in ["one", "three", "four"] {
            printed.push(line);
        }
        let mut text = Vec::new();
        while printed.has_to_print() {
            if let Some(done) = printed.print().now_or_never() {
                done.unwrap();
            }
            let mut some = [0; 3];
            let length = read.read(&mut some).await.unwrap();
            text.extend_from_slice(&some[..length]);
        }
        drop(printed);
        read.read_to_end(&mut text).await.unwrap();
        assert_eq!(text, b"one\nthree\nfour\n");
    }

    #[tokio::test]
    async fn lines_that_cannot_be_printed_do_not_pile_up() {
        let (output, read) = tokio::io::duplex(8);
        drop(read);
        let mut printed = PrintedLines::new(output);
        printed.push("one");
        printed.failure(format_args!("two")).await.unwrap_err();
        assert!(!printed.has_to_print());
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_hurry_nobody_is_waited_for_long() {
        let (output, _unread) = tokio::io::duplex(8);
        let mut printed = PrintedLines::new(output);
        let start = Instant::now();
        printed.hurry(Duration::from_millis(100));
        for _ in 0..10 {
            printed.failure(format_args!("more than eight bytes")).await.unwrap();
        }
        assert_eq!(start.elapsed(), Duration::from_millis(100));
    }
}
