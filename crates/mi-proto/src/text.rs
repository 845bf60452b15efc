//! The texts that frames carry, each checked when it is made.

use std::fmt;
use std::iter;
use std::str::FromStr;

/// The name by which a user is shown in a conversation: 1 to [`MAX_TEXT`] bytes without NUL and line ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Nickname(Box<str>);

impl Nickname {
    /// Checks `nickname` and keeps it.
    ///
    /// # Errors
    /// A [`TextError`] that says what is wrong.
    pub fn new(nickname: &str) -> Result<Self, TextError> {
        if nickname.is_empty() {
            return Err(TextError::Empty);
        }
        check_length(nickname)?;
        check_bytes(nickname)?;
        Ok(Self(nickname.into()))
    }

    /// The nickname as it was given.
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

impl fmt::Display for Nickname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A line of a conversation, or a piece of one, that fits a frame: 0 to [`MAX_TEXT`] bytes without NUL and
/// line ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line(Box<str>);

impl Line {
    /// Checks `line` and keeps it. [`split_line`] is for a line of any length.
    ///
    /// # Errors
    /// A [`TextError`] that says what is wrong.
    pub fn new(line: &str) -> Result<Self, TextError> {
        check_length(line)?;
        check_bytes(line)?;
        Ok(Self(line.into()))
    }

    /// The line as it was given.
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

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Cuts a line of any length into pieces that fit a frame each, as long as they can be, between characters.
///
/// Joined, the pieces are the line. An empty line is one empty piece. A character is one of Unicode: a letter and the
/// accent that combines with it, or an emoji of several parts, may come in two pieces.
///
/// # Errors
/// [`TextError::Forbidden`], before there is a first piece: a line is sent whole or not at all.
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

/// The most bytes, up to [`MAX_TEXT`], that `line` can be cut after.
fn piece_length(line: &str) -> usize {
    let most = line.len().min(MAX_TEXT);
    (0..=most).rev().find(|&at| line.is_char_boundary(at)).expect("0 is between characters")
}

/// Why a text is no nickname, or no line. Reads on from "the nickname" or "the line".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// Not one byte, where there has to be one.
    #[error("is empty")]
    Empty,
    /// More bytes than fit a frame.
    #[error("is {length} bytes long, {limit} are the most")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The most bytes that it may have.
        limit: usize,
    },
    /// A byte that may not stand in a frame: NUL or a line end.
    #[error("has {:?} at byte {at}, which may not stand there", char::from(*byte))]
    Forbidden {
        /// The byte.
        byte: u8,
        /// Its offset in bytes.
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
    // All of them, whatever they are: a processor does that for many bytes at a time.
    if !text.bytes().fold(false, |any, byte| any | is_forbidden(byte)) {
        return Ok(());
    }
    match text.bytes().enumerate().find(|&(_, byte)| is_forbidden(byte)) {
        Some((at, byte)) => Err(TextError::Forbidden { byte, at }),
        None => Ok(()),
    }
}

/// The most bytes of text in a frame: what two digits can count.
pub const MAX_TEXT: usize = 99;
