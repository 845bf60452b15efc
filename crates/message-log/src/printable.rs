//! The text of a message in a line of the log.

use std::fmt::{self, Write};

use crate::visible::is_visible;

/// Returns a `Display` of `message` as it is written to the log: printable characters as they are, every
/// other byte as `\xNN`.
pub fn printable(message: &[u8]) -> Printable<'_> {
    Printable(message)
}

/// Bytes as they are written to the log, see [`printable`].
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(&'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_printable(self.0, f)
    }
}

/// Writes bytes as text: printable characters as they are, every other byte as `\xNN`.
pub(crate) fn write_printable(bytes: &[u8], line: &mut impl Write) -> fmt::Result {
    // Nearly every message is printable ASCII. Without an early return, the check takes several bytes at a
    // time.
    let is_ascii = bytes.iter().fold(true, |is, byte| is & matches!(byte, b' '..=b'~'));
    match str::from_utf8(bytes) {
        Ok(text) if is_ascii => line.write_str(text),
        _ => write_any(bytes, line),
    }
}

fn write_any(bytes: &[u8], line: &mut impl Write) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        write_visible(chunk.valid(), line)?;
        write_escaped(chunk.invalid(), line)?;
    }
    Ok(())
}

fn write_visible(text: &str, line: &mut impl Write) -> fmt::Result {
    for character in text.chars() {
        if is_visible(character) {
            line.write_char(character)?;
        } else {
            write_escaped(character.encode_utf8(&mut [0; 4]).as_bytes(), line)?;
        }
    }
    Ok(())
}

fn write_escaped(bytes: &[u8], line: &mut impl Write) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(line, "\\x{byte:02x}"))
}
