//! Messages and their receipts.

use std::fmt;
use std::str::FromStr;

use crate::text::TextError;

/// The identity of a message: 64 random bits, drawn by its sender, who keeps them if it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(u64);

impl MessageId {
    /// Creates the identity of these bits.
    pub const fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the bits.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// Writes 16 lower-case hexadecimal digits.
impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:016x}", self.0))
    }
}

/// Reads what `Display` writes. Upper-case digits are read, too.
impl FromStr for MessageId {
    type Err = MessageIdError;

    fn from_str(text: &str) -> Result<Self, MessageIdError> {
        // `from_str_radix` also reads a sign.
        if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(MessageIdError);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| MessageIdError)
    }
}

/// The error of a text that is not a [`MessageId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a message has 16 hexadecimal digits")]
pub struct MessageIdError;

/// Serializes the text. Its parser deserializes it.
#[cfg(feature = "serde")]
impl serde::Serialize for MessageId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for MessageId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A message of one line or several: at most [`MAX_MESSAGE`] bytes.
///
/// Its text may have any characters, line ends and NUL included. A program that shows it has to make it
/// safe for its screen first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    id: MessageId,
    sent_at: u64,
    text: Box<str>,
}

impl Message {
    /// Checks the length of `text` and keeps it. `sent_at` counts milliseconds since 1970 in UTC.
    ///
    /// # Errors
    /// [`TextError::TooLong`].
    pub fn new(id: MessageId, sent_at: u64, text: &str) -> Result<Self, TextError> {
        match text.len() {
            0..=MAX_MESSAGE => Ok(Self { id, sent_at, text: text.into() }),
            length => Err(TextError::TooLong { length, limit: MAX_MESSAGE }),
        }
    }

    /// Returns its identity.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// Returns the time of sending in milliseconds since 1970 in UTC. Its sender claims it.
    pub fn sent_at(&self) -> u64 {
        self.sent_at
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the text to be kept.
    pub fn into_text(self) -> String {
        self.text.into()
    }

    /// Returns the beginning of its payload, which the text follows.
    pub(super) fn head(&self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..ID].copy_from_slice(&self.id.0.to_be_bytes());
        head[ID..].copy_from_slice(&self.sent_at.to_be_bytes());
        head
    }

    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let (id, rest) = payload.split_first_chunk()?;
        let (sent_at, text) = rest.split_first_chunk()?;
        let id = MessageId(u64::from_be_bytes(*id));
        Self::new(id, u64::from_be_bytes(*sent_at), str::from_utf8(text).ok()?).ok()
    }
}

/// The fate of a message at its receiver, who reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// The message.
    pub id: MessageId,
    /// What became of it.
    pub kind: ReceiptKind,
}

/// What a [`Receipt`] says of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReceiptKind {
    /// The receiver has it on its disk.
    Stored,
    /// A person has seen it.
    Shown,
    /// The receiver does not want it.
    Refused,
}

impl ReceiptKind {
    /// Returns the word in the frame.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Shown => "shown",
            Self::Refused => "refused",
        }
    }
}

impl Receipt {
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let (id, word) = payload.split_first_chunk()?;
        let kinds = [ReceiptKind::Stored, ReceiptKind::Shown, ReceiptKind::Refused];
        let kind = kinds.into_iter().find(|kind| kind.word().as_bytes() == word)?;
        Some(Self { id: MessageId(u64::from_be_bytes(*id)), kind })
    }
}

/// The most bytes of a message's text.
pub const MAX_MESSAGE: usize = 8_000;

/// The bytes of an id.
const ID: usize = 8;

/// The bytes of a message before its text.
const HEAD: usize = ID + 8;
