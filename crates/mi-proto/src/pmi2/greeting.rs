//! The first frame of each side.

use crate::text::{MAX_TEXT, Nickname, TextError};

/// The first frame of each side: its nickname, and what it says of itself.
///
/// ```text
///   nick=Laura
///   addr=laura@bb.com
///   can=receipts,typing
/// ```
///
/// The first line of each key counts, and unknown keys are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Greeting {
    nickname: Nickname,
    address: Option<Box<str>>,
    can: Option<Box<str>>,
}

impl Greeting {
    /// Creates the greeting of a side that says no more than its nickname.
    pub fn new(nickname: Nickname) -> Self {
        Self { nickname, address: None, can: None }
    }

    /// Adds the MI address that this side claims to have.
    ///
    /// # Errors
    /// A [`TextError`], as for a [`Nickname`].
    pub fn with_address(mut self, address: &str) -> Result<Self, TextError> {
        self.address = Some(value(address)?);
        Ok(self)
    }

    /// Adds the words for what this side can do, separated by commas.
    ///
    /// # Errors
    /// A [`TextError`], as for a [`Nickname`].
    pub fn with_abilities(mut self, words: &str) -> Result<Self, TextError> {
        self.can = Some(value(words)?);
        Ok(self)
    }

    /// Returns the nickname.
    pub fn nickname(&self) -> &Nickname {
        &self.nickname
    }

    /// Returns the address that this side claims to have. Nothing proves it.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// Returns whether this side says that it can do what `word` stands for.
    pub fn can(&self, word: &str) -> bool {
        self.can.as_ref().is_some_and(|words| words.split(',').any(|known| known == word))
    }

    /// Returns the payload: less than [`MAX_GREETING`] bytes.
    pub(super) fn payload(&self) -> String {
        let mut lines = format!("{NICKNAME}{}", self.nickname);
        for (key, value) in [(ADDRESS, &self.address), (CAN, &self.can)] {
            if let Some(value) = value {
                lines.push('\n');
                lines.push_str(key);
                lines.push_str(value);
            }
        }
        lines
    }

    /// Reads a payload. An address or abilities that are no value of ours are as good as none.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        if payload.len() > MAX_GREETING {
            return None;
        }
        let lines = str::from_utf8(payload).ok()?;
        let of = |key| lines.split('\n').find_map(|line| line.strip_prefix(key));
        let of_optional = |key| of(key).and_then(|text| value(text).ok());
        let nickname = Nickname::new(of(NICKNAME)?).ok()?;
        Some(Self { nickname, address: of_optional(ADDRESS), can: of_optional(CAN) })
    }
}

/// Checks a value. All of them together fit a greeting.
fn value(text: &str) -> Result<Box<str>, TextError> {
    Nickname::new(text).map(|checked| String::from(checked).into())
}

/// The most bytes of a greeting.
pub const MAX_GREETING: usize = 1_000;

const _: () = assert!(3 * (MAX_TEXT + NICKNAME.len() + 1) <= MAX_GREETING);

const NICKNAME: &str = "nick=";
const ADDRESS: &str = "addr=";
const CAN: &str = "can=";
