//! The end of a log: where lines are written, and whether the last one is whole.

use std::io::{self, Write};

/// A writer, and what is known about its end.
pub(crate) struct Output<W> {
    pub(crate) writer: W,
    /// Set if the last byte written is not a line end.
    pub(crate) torn: bool,
    /// The size in bytes, including what was there at the start.
    pub(crate) size: u64,
}

/// Lines that could not be written, and the reason.
#[derive(Debug)]
pub(crate) struct Unwritten {
    pub(crate) lines: u64,
    pub(crate) error: io::Error,
}

impl<W> Output<W> {
    /// An output on `writer`, which is at the start of a line and of an empty file.
    pub(crate) fn new(writer: W) -> Self {
        Self { writer, torn: false, size: 0 }
    }
}

impl<W: Write> Output<W> {
    /// Writes whole `lines`, which start a new line even if part of a lost one was written.
    ///
    /// # Errors
    /// The lines that were not written to their ends.
    pub(crate) fn write_lines(&mut self, lines: &[u8]) -> Result<(), Unwritten> {
        let mut written = 0;
        let result = self.end_torn_line().and_then(|()| self.write(lines, &mut written));
        result.map_err(|error| Unwritten { lines: count_lines(&lines[written..]), error })
    }

    /// Ends a torn line, so that the next bytes start a new one.
    pub(crate) fn end_torn_line(&mut self) -> io::Result<()> {
        if self.torn { self.write(b"\n", &mut 0) } else { Ok(()) }
    }

    /// Writes `bytes`, and adds the number of bytes written to `written`.
    fn write(&mut self, mut bytes: &[u8], written: &mut usize) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.writer.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    let (done, rest) = bytes.split_at(count);
                    self.torn = !done.ends_with(b"\n");
                    self.size += count as u64;
                    *written += count;
                    bytes = rest;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Returns the number of line ends in `lines`.
pub(crate) fn count_lines(lines: &[u8]) -> u64 {
    lines.iter().filter(|&&byte| byte == b'\n').count() as u64
}
