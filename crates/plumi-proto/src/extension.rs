//! The extension of a message: text after its last field.

use core::fmt;
use core::hash::{Hash, Hasher};

use crate::inline::InlineText;

/// The text after the last field of an answer: a colon and any bytes.
///
/// ```text
///   RL0 laura@bb.com : joya@cc.com : 84.88.154.3 : 4456 : T
///                                                       └─┴─ the extension, of text "T"
/// ```
///
/// A program ignores an extension that it does not understand, and a node passes it on byte for byte
/// (protocol.md §2). In an answer with code 1 to a `PR` or `PD`, its last byte must be `1`. In one with code
/// 0, its last byte must not be `1`. Deployed agents take that byte for the code (protocol.md §7, row 18).
#[derive(Clone, Copy)]
pub struct Extension(InlineText<{ MAX_EXTENSION + 1 }>);

impl Extension {
    /// No extension.
    pub const NONE: Self = Self(InlineText::EMPTY);

    /// Returns the extension of this text, or `None` if it is longer than [`MAX_EXTENSION`] bytes.
    ///
    /// The text does not include the colon before it, and may be empty.
    pub fn new(text: &[u8]) -> Option<Self> {
        InlineText::new(b":")?.and(text).map(Self)
    }

    /// Returns the text after the colon, or `None` if there is no extension.
    pub fn text(&self) -> Option<&[u8]> {
        self.as_bytes().split_first().map(|(_, text)| text)
    }

    /// Returns the colon and the text, as they are sent. Empty if there is no extension.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Default for Extension {
    fn default() -> Self {
        Self::NONE
    }
}

impl PartialEq for Extension {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Extension {}

impl Hash for Extension {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

/// Prints the bytes as they are sent, with every byte that is not printable ASCII escaped.
impl fmt::Debug for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

/// The greatest length of an extension's text in bytes: what the letters, the code and the colon of an `RR`
/// leave.
pub const MAX_EXTENSION: usize = 96;
