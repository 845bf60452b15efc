//! Frames that are sent, items that are received, and the header that both begin with.

use std::borrow::Cow;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

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
    /// `N`: the speaker's name. The first frame of each side, and sent once.
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

/// An item of the stream that a peer sent.
///
/// Its text may have any bytes. A program that shows it has to make it safe for its screen first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Received {
    kind: ReceivedKind,
    /// The bytes of the item as they came, of which the text is the end.
    raw: Bytes,
    text_at: usize,
}

/// The kind of a [`Received`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReceivedKind {
    /// An `N` frame. Its text has at most [`MAX_TEXT`] bytes.
    Nickname,
    /// An `L` frame. Its text has at most [`MAX_TEXT`] bytes.
    Line,
    /// Bytes that are not a frame, but that someone typed: as many as came with one read, at most
    /// [`MAX_UNFRAMED`](crate::MAX_UNFRAMED), never none.
    Unframed,
}

impl Received {
    /// Takes the bytes up to the end of `text` out of `buffer`.
    pub(crate) fn take(kind: ReceivedKind, buffer: &mut BytesMut, text: Range<usize>) -> Self {
        // A slice would keep the whole read buffer alive while the item waits.
        let raw = Bytes::copy_from_slice(&buffer[..text.end]);
        buffer.advance(text.end);
        Self { kind, raw, text_at: text.start }
    }

    /// Returns what it is.
    pub fn kind(&self) -> ReceivedKind {
        self.kind
    }

    /// Returns the bytes as they came, with the header if there was one.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Returns the bytes of the text, as they came.
    pub fn bytes(&self) -> &[u8] {
        &self.raw[self.text_at..]
    }

    /// Returns the text. Bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes())
    }

    /// Returns [`Received::text`] to be kept. UTF-8 is not copied to a new place.
    pub fn into_text(self) -> String {
        let mut bytes = Vec::from(self.raw);
        bytes.drain(..self.text_at);
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

/// The header at the beginning of a buffer, as far as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// There are fewer than [`HEADER`] bytes, perhaps none, and no header begins otherwise.
    Begun,
    /// A frame of this type with so many bytes of text.
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

/// The bytes of a frame before its text.
pub const HEADER: usize = 3;

/// The most bytes of a frame.
pub const MAX_FRAME: usize = HEADER + MAX_TEXT;
