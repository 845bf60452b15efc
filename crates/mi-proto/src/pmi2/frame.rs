//! Frames, and items that are received.

use bytes::{Buf, Bytes, BytesMut};

use super::greeting::Greeting;
use super::message::{Message, Receipt};
use crate::text::TextError;

/// One frame. Its contents were checked when they were made, so that any frame can be written.
///
/// ```text
///   ┌──────┬────────────────────┬─ … ─────┐
///   │ kind │ length, big-endian │ payload │      p 00 00 00
///   └──────┴────────────────────┴─ … ─────┘
///    letter   3 bytes            length bytes
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Frame {
    /// `N`: the first frame of each side, and sent once.
    Greeting(Greeting),
    /// `M`: a message.
    Message(Message),
    /// `r`: the fate of a message of the peer.
    Receipt(Receipt),
    /// `t`: whether somebody types now.
    Typing(bool),
    /// `p`: a question whether the peer is there, or the answer.
    Ping,
    /// `E`: the reason why this side ends the conversation.
    Failure(Failure),
}

impl Frame {
    /// Returns its kind, and the two parts of its payload.
    pub(super) fn with_parts<R>(&self, write: impl FnOnce(u8, &[u8], &[u8]) -> R) -> R {
        match self {
            Self::Greeting(greeting) => write(GREETING, greeting.payload().as_bytes(), &[]),
            Self::Message(message) => write(MESSAGE, &message.head(), message.text().as_bytes()),
            Self::Receipt(Receipt { id, kind }) => {
                write(RECEIPT, &id.bits().to_be_bytes(), kind.word().as_bytes())
            }
            Self::Typing(is_typing) => write(TYPING, if *is_typing { b"1" } else { b"0" }, &[]),
            Self::Ping => write(PING, &[], &[]),
            Self::Failure(failure) => write(FAILURE, failure.0.as_bytes(), &[]),
        }
    }

    /// Reads the payload of a frame. `None` if the kind is unknown, or the payload is none of this kind.
    fn read(kind: u8, payload: &[u8]) -> Option<Self> {
        match (kind, payload) {
            (GREETING, payload) => Greeting::read(payload).map(Self::Greeting),
            (MESSAGE, payload) => Message::read(payload).map(Self::Message),
            (RECEIPT, payload) => Receipt::read(payload).map(Self::Receipt),
            (TYPING, b"1") => Some(Self::Typing(true)),
            (TYPING, b"0") => Some(Self::Typing(false)),
            (PING, b"") => Some(Self::Ping),
            (FAILURE, payload) => Failure::read(payload).map(Self::Failure),
            _ => None,
        }
    }
}

impl From<Greeting> for Frame {
    fn from(greeting: Greeting) -> Self {
        Self::Greeting(greeting)
    }
}

impl From<Message> for Frame {
    fn from(message: Message) -> Self {
        Self::Message(message)
    }
}

impl From<Receipt> for Frame {
    fn from(receipt: Receipt) -> Self {
        Self::Receipt(receipt)
    }
}

/// The reason why a side ends the conversation: a word for programs, and a text for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Failure(Box<str>);

impl Failure {
    /// Creates the reason of this word and text.
    ///
    /// # Errors
    /// A [`TextError`]: the word is empty or has a space, or both together have more than [`MAX_FAILURE`]
    /// bytes.
    pub fn new(word: &str, text: &str) -> Result<Self, TextError> {
        if word.is_empty() {
            return Err(TextError::Empty);
        }
        if let Some(at) = word.find(' ') {
            return Err(TextError::Forbidden { byte: b' ', at });
        }
        let both = if text.is_empty() { word.to_owned() } else { format!("{word} {text}") };
        match both.len() {
            0..=MAX_FAILURE => Ok(Self(both.into())),
            length => Err(TextError::TooLong { length, limit: MAX_FAILURE }),
        }
    }

    /// Returns the word, which may be any of a peer.
    pub fn word(&self) -> &str {
        self.0.split_once(' ').map_or(&*self.0, |(word, _)| word)
    }

    /// Returns the text, which may be empty.
    pub fn text(&self) -> &str {
        self.0.split_once(' ').map_or("", |(_, text)| text)
    }

    fn read(payload: &[u8]) -> Option<Self> {
        let both = str::from_utf8(payload).ok()?;
        (both.len() <= MAX_FAILURE).then(|| Self(both.into()))
    }
}

/// A frame of the peer, as it came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Received {
    raw: Bytes,
    item: Item,
}

/// The meaning of a [`Received`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Item {
    /// A frame that is understood.
    Frame(Frame),
    /// A frame of an unknown lower-case kind, or of a known one with another payload. It means nothing.
    Ignored,
    /// A frame of an unknown upper-case kind, or of a known one with another payload. Its receiver has to
    /// send a [`Frame::Failure`] and to end the conversation.
    NotUnderstood,
}

impl Received {
    /// Takes the first `length` bytes, a whole frame, out of `buffer`.
    pub(super) fn take(buffer: &mut BytesMut, length: usize) -> Self {
        // A slice would keep the whole read buffer alive while the item waits.
        let raw = Bytes::copy_from_slice(&buffer[..length]);
        buffer.advance(length);
        let unknown = if raw[0].is_ascii_uppercase() { Item::NotUnderstood } else { Item::Ignored };
        let item = Frame::read(raw[0], &raw[HEADER..]).map_or(unknown, Item::Frame);
        Self { raw, item }
    }

    /// Returns the letter of its kind.
    pub fn kind(&self) -> u8 {
        self.raw[0]
    }

    /// Returns its meaning.
    pub fn item(&self) -> &Item {
        &self.item
    }

    /// Returns its meaning to be kept.
    pub fn into_item(self) -> Item {
        self.item
    }

    /// Returns the bytes as they came, with the header.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Returns the bytes behind the header.
    pub fn payload(&self) -> &[u8] {
        &self.raw[HEADER..]
    }
}

/// The kinds of frames.
pub(super) const GREETING: u8 = b'N';
const MESSAGE: u8 = b'M';
const RECEIPT: u8 = b'r';
const TYPING: u8 = b't';
const PING: u8 = b'p';
const FAILURE: u8 = b'E';

/// The bytes of a frame before its payload.
pub const HEADER: usize = 4;

/// The most bytes of a payload: room for kinds to come, and little for a program with many conversations.
pub const MAX_PAYLOAD: usize = 16_000;

/// The most bytes of a [`Failure`]: a word and a sentence.
pub const MAX_FAILURE: usize = 1_000;
