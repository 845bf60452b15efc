//! What of a message can stand in a line as it is.

use std::fmt::{self, Write};

/// Bytes as text: printable characters as they are, every byte of anything else as `\xNN`.
#[derive(Debug)]
pub(crate) struct Printable<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if is_printable(character) {
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

/// Whether a reader of a line sees `character`, and sees it where it stands: it is no control, no mark, embedding,
/// override or isolate of bidirectional text, no line or paragraph separator, and not of zero width.
pub(crate) fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{061c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
        )
}
