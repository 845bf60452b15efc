//! What is sent, what is received, and the header that both begin with.

use std::borrow::Cow;

use bytes::Bytes;

use crate::text::{Line, MAX_TEXT, Nickname};

/// One frame to be sent. Its text was checked when it was made, so that any frame can be written.
///
/// ```text
///   ┌──────┬───────────┬───────────┬─ … ─┐
///   │ type │ length/10 │ length%10 │ text│      N 0 2 u 1
///   └──────┴───────────┴───────────┴─ … ─┘
///    N or L   ASCII digits           length bytes
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Frame {
    /// `N`: who speaks. The first frame of each side, and sent once.
    Nickname(Nickname),
    /// `L`: a line of the conversation, or a piece of one.
    Line(Line),
}

impl From<Nickname> for Frame {
    fn from(nickname: Nickname) -> Self {
        Self::Nickname(nickname)
    }
}

impl From<Line> for Frame {
    fn from(line: Line) -> Self {
        Self::Line(line)
    }
}

/// What a peer sent. Its bytes may be anything; [`Received::text`] is what to show, once it is made safe for
/// where it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Received {
    /// The text of an `N` frame, at most [`MAX_TEXT`] bytes.
    Nickname(Bytes),
    /// The text of an `L` frame, at most [`MAX_TEXT`] bytes.
    Line(Bytes),
    /// Bytes that are no frame, but that someone typed: as many as came with one read, never none.
    Unframed(Bytes),
}

impl Received {
    /// The bytes, as they came.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Nickname(bytes) | Self::Line(bytes) | Self::Unframed(bytes) => bytes,
        }
    }

    /// The bytes as text; what is not UTF-8 is U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes())
    }

    /// [`Received::text`], to be kept: without a copy, if it is UTF-8.
    pub fn into_text(self) -> String {
        let (Self::Nickname(bytes) | Self::Line(bytes) | Self::Unframed(bytes)) = self;
        String::from_utf8(bytes.into())
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

/// What the first bytes of a buffer say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// There are fewer than [`HEADER`] bytes, perhaps none, and no header begins otherwise.
    Begun,
    /// A frame of this type, whose text has so many bytes.
    Whole { kind: u8, length: usize },
    /// No frame begins like this.
    Illegal,
}

impl Header {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        match *bytes {
            [] | [NICKNAME | LINE] | [NICKNAME | LINE, b'0'..=b'9'] => Self::Begun,
            [kind @ (NICKNAME | LINE), tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] => {
                Self::Whole { kind, length: digit(tens) * 10 + digit(ones) }
            }
            _ => Self::Illegal,
        }
    }
}

/// The value of an ASCII digit.
pub(crate) fn digit(ascii: u8) -> usize {
    usize::from(ascii - b'0')
}

/// The type of a frame that carries a nickname.
pub(crate) const NICKNAME: u8 = b'N';

/// The type of a frame that carries a line.
pub(crate) const LINE: u8 = b'L';

/// The bytes before the text.
pub(crate) const HEADER: usize = 3;

/// The most bytes of a frame.
pub const MAX_FRAME: usize = HEADER + MAX_TEXT;
