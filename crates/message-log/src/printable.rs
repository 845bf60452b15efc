//! What of a message can stand in a line as it is.

use std::fmt::{self, Write};

use crate::planted;
use crate::visible::is_visible;

/// Bytes as text: printable characters as they are, every byte of anything else as `\xNN`.
#[derive(Debug)]
pub(crate) struct Printable<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                let is_let_pass = character == '\n' && planted::has("a line end stands in the log");
                if is_visible(character) || is_let_pass {
                    f.write_char(character)?;
                } else {
                    write_escaped(f, character.encode_utf8(&mut [0; 4]).as_bytes())?;
                }
            }
            write_escaped(f, chunk.invalid())?;
        }
        Ok(())
    }
}

fn write_escaped(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))
}
