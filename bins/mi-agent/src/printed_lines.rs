//! The lines that line mode prints. Scripts read them: each is one line, flushed.

use std::fmt::Arguments;
use std::io;
use std::time::Duration;

use mi_agent_core::{PeerText, safe_text};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{self, Instant};

/// Prints lines, and waits for as long as nobody takes them: a terminal can be held, a pipe can be full.
#[derive(Debug)]
pub(crate) struct PrintedLines<W> {
    output: W,
    /// Until when lines are waited for, if not for ever.
    deadline: Option<Instant>,
}

impl<W: AsyncWrite + Unpin> PrintedLines<W> {
    pub(crate) fn new(output: W) -> Self {
        Self { output, deadline: None }
    }

    /// From now on, all lines together are waited for no longer than `patience`; a line that nobody takes is lost.
    pub(crate) fn hurry(&mut self, patience: Duration) {
        self.deadline = Some(Instant::now() + patience);
    }

    /// `* …`: something happened.
    pub(crate) async fn news(&mut self, text: Arguments<'_>) -> io::Result<()> {
        self.line(&format!("* {}", safe_text(&text.to_string()))).await
    }

    /// `! …`: something failed, and why.
    pub(crate) async fn failure(&mut self, text: Arguments<'_>) -> io::Result<()> {
        self.line(&format!("! {}", safe_text(&text.to_string()))).await
    }

    /// `<nickname> …`: what the peer says.
    pub(crate) async fn said(&mut self, nickname: &PeerText, text: &PeerText) -> io::Result<()> {
        self.line(&format!("<{nickname}> {text}")).await
    }

    /// A line that is safe as it is, without its end.
    pub(crate) async fn line(&mut self, line: &str) -> io::Result<()> {
        let line = format!("{line}\n");
        let write = async {
            self.output.write_all(line.as_bytes()).await?;
            self.output.flush().await
        };
        match self.deadline {
            // However it went, there is nobody to tell.
            Some(deadline) => drop(time::timeout_at(deadline, write).await),
            None => write.await?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_is_one_line() {
        let mut screen = PrintedLines::new(Vec::new());
        screen.failure(format_args!("cannot reach {}: {}", "a\nb", "\x1b[31mred")).await.unwrap();
        assert_eq!(screen.output, b"! cannot reach a\\nb: \\x1b[31mred\n");
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_hurry_nobody_is_waited_for_long() {
        let (output, _unread) = tokio::io::duplex(8);
        let mut screen = PrintedLines::new(output);
        let start = Instant::now();
        screen.hurry(Duration::from_millis(100));
        for _ in 0..10 {
            screen.news(format_args!("more than eight bytes")).await.unwrap();
        }
        assert_eq!(start.elapsed(), Duration::from_millis(100));
    }
}
