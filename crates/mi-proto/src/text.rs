//! The texts in frames, each checked when it is made.

use std::iter;
use std::str::FromStr;

/// Implements the traits that the text of a type decides.
macro_rules! impl_text {
    ($name:ident) => {
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl TryFrom<&str> for $name {
            type Error = TextError;

            fn try_from(text: &str) -> Result<Self, TextError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0.into()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        /// Serializes the text. Its parser deserializes it.
        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

/// The name by which a user is shown in a conversation: 1 to [`MAX_TEXT`] bytes without NUL and line ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nickname(Box<str>);

impl Nickname {
    /// Checks `nickname` and keeps it.
    ///
    /// # Errors
    /// A [`TextError`] with the reason.
    pub fn new(nickname: &str) -> Result<Self, TextError> {
        if nickname.is_empty() {
            return Err(TextError::Empty);
        }
        check_length(nickname)?;
        check_bytes(nickname)?;
        Ok(Self(nickname.into()))
    }

    /// Returns the nickname as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Nickname {
    type Err = TextError;

    fn from_str(nickname: &str) -> Result<Self, TextError> {
        Self::new(nickname)
    }
}

impl_text!(Nickname);

/// A line of a conversation, or a piece of a line, that fits a frame: 0 to [`MAX_TEXT`] bytes without NUL and
/// line ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line(Box<str>);

impl Line {
    /// Checks `line` and keeps it. For a line of any length, see [`split_line`].
    ///
    /// # Errors
    /// A [`TextError`] with the reason.
    pub fn new(line: &str) -> Result<Self, TextError> {
        check_length(line)?;
        check_bytes(line)?;
        Ok(Self(line.into()))
    }

    /// Returns the line as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Line {
    type Err = TextError;

    fn from_str(line: &str) -> Result<Self, TextError> {
        Self::new(line)
    }
}

impl_text!(Line);

/// Cuts a line of any length into pieces that each fit a frame: behind the last blank that fits, or between
/// characters.
///
/// The pieces joined are the line. An empty line is one empty piece. Without a blank, a piece is as long as
/// possible, and a letter and its combining accent, or an emoji of several parts, may come in two pieces.
///
/// # Errors
/// [`TextError::Forbidden`], before the first piece: a line is sent whole or not at all.
pub fn split_line(line: &str) -> Result<impl Iterator<Item = Line>, TextError> {
    check_bytes(line)?;
    let mut rest = Some(line);
    Ok(iter::from_fn(move || {
        let line = rest?;
        let (piece, after) = line.split_at(piece_length(line));
        rest = Some(after).filter(|after| !after.is_empty());
        Some(Line(piece.into()))
    }))
}

/// Returns the length of the first piece of `line`.
fn piece_length(line: &str) -> usize {
    if line.len() <= MAX_TEXT {
        return line.len();
    }
    let most = (0..=MAX_TEXT).rev().find(|&at| line.is_char_boundary(at)).expect("0 is between characters");
    line[..most].rfind(' ').map_or(most, |blank| blank + 1)
}

/// The reason why a text is not a nickname, or not a line. Its `Display` continues "the nickname" or "the
/// line", and counts bytes from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The text is empty, but must not be.
    #[error("is empty")]
    Empty,
    /// The text does not fit a frame.
    #[error("is {length} bytes long, {limit} are the most")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The greatest length that is allowed.
        limit: usize,
    },
    /// The text has a byte that is not allowed in a frame: NUL or a line end.
    #[error("has {:?} at byte {}, which may not stand there", char::from(*byte), at + 1)]
    Forbidden {
        /// The byte.
        byte: u8,
        /// Its offset in bytes, from 0.
        at: usize,
    },
}

fn check_length(text: &str) -> Result<(), TextError> {
    match text.len() {
        0..=MAX_TEXT => Ok(()),
        length => Err(TextError::TooLong { length, limit: MAX_TEXT }),
    }
}

fn check_bytes(text: &str) -> Result<(), TextError> {
    let is_forbidden = |byte| matches!(byte, 0 | b'\n' | b'\r');
    // The processor checks many bytes at a time, because there is no early return.
    if !text.bytes().fold(false, |any, byte| any | is_forbidden(byte)) {
        return Ok(());
    }
    match text.bytes().enumerate().find(|&(_, byte)| is_forbidden(byte)) {
        Some((at, byte)) => Err(TextError::Forbidden { byte, at }),
        None => Ok(()),
    }
}

/// The greatest length of a frame's text in bytes: the largest number of two digits.
pub const MAX_TEXT: usize = 99;
