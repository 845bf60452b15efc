//! The lines that line mode prints. Scripts read them: each is one line, flushed.

use std::fmt::{Arguments, Display};
use std::io::{self, Write};

use mi_agent_core::{PeerText, safe_text};

/// Prints lines.
#[derive(Debug)]
pub(crate) struct Screen<W>(pub(crate) W);

impl<W: Write> Screen<W> {
    /// `* …`: something happened.
    pub(crate) fn news(&mut self, text: Arguments<'_>) -> io::Result<()> {
        self.line('*', text)
    }

    /// `! …`: something failed, and why.
    pub(crate) fn failure(&mut self, text: Arguments<'_>) -> io::Result<()> {
        self.line('!', text)
    }

    /// `<nickname> …`: what the peer says.
    pub(crate) fn said(&mut self, nickname: &PeerText, text: &PeerText) -> io::Result<()> {
        writeln!(self.0, "<{nickname}> {text}")?;
        self.0.flush()
    }

    /// Whatever is in `text`, it is one line and nothing that a terminal acts on.
    fn line(&mut self, mark: char, text: impl Display) -> io::Result<()> {
        writeln!(self.0, "{mark} {}", safe_text(&text.to_string()))?;
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line() {
        let mut screen = Screen(Vec::new());
        screen.failure(format_args!("cannot reach {}: {}", "a\nb", "\x1b[31mred")).unwrap();
        assert_eq!(screen.0, b"! cannot reach a\\nb: \\x1b[31mred\n");
    }
}
