//! The two parts of an MI address, each checked when it is made.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

use crate::inline::InlineText;
use crate::text::impl_text;

/// The name of a user within a domain: the part of an MI address before the `@`.
///
/// 1 to [`MAX_NAME`] bytes of printable ASCII (0x21–0x7E) except `:` and `@`, and of letters and digits of
/// any script. Case matters.
#[derive(Clone, Copy)]
pub struct UserName(InlineText<MAX_NAME>);

impl UserName {
    /// Checks `name` and keeps it.
    ///
    /// # Errors
    /// A [`NameError`] that says what is wrong, and at which byte.
    pub fn new(name: &str) -> Result<Self, NameError> {
        Self::check(name)?;
        Ok(Self::checked(name.as_bytes()))
    }

    /// Checks `name` like [`UserName::new`], without keeping it.
    pub(crate) fn check(name: &str) -> Result<(), NameError> {
        check_length(name)?;
        if all(name, |byte| byte.is_ascii() && is_user_character(char::from(byte))) {
            return Ok(());
        }
        match name.char_indices().find(|&(_, character)| !is_user_character(character)) {
            Some((at, '\u{300}'..='\u{36f}')) if at > 0 => Err(NameError::Decomposed { at }),
            Some((at, character)) => Err(NameError::Forbidden { character, at }),
            None => Ok(()),
        }
    }

    /// Keeps the bytes of a name that has been checked.
    pub(crate) fn checked(name: &[u8]) -> Self {
        Self(InlineText::new(name).expect("the length was checked"))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Returns the name as it was given.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for UserName {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes() == other.0.as_bytes()
    }
}

impl Eq for UserName {}

impl Hash for UserName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_bytes().hash(state);
    }
}

impl Ord for UserName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_bytes().cmp(other.0.as_bytes())
    }
}

impl PartialOrd for UserName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for UserName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl_text!(UserName);

/// The domain of a node: the part of an MI address after the `@`.
///
/// A DNS name of at most [`MAX_NAME`] bytes (a longer one leaves no room for a user before it): ASCII
/// letters, digits, `-`, `_` and `.`, labels of 1 to 63 bytes, optionally a trailing dot. A single label and
/// an IPv4 literal are in use. Case and a trailing dot do not matter for equality. A domain keeps the form in
/// which it was given, because it is forwarded in that form.
#[derive(Clone, Copy)]
pub struct Domain(InlineText<MAX_NAME>);

impl Domain {
    /// Checks `name` and keeps it.
    ///
    /// # Errors
    /// A [`NameError`] that says what is wrong, and at which byte.
    pub fn new(name: &str) -> Result<Self, NameError> {
        Self::check(name)?;
        Ok(Self::checked(name.as_bytes()))
    }

    /// Checks `name` like [`Domain::new`], without keeping it.
    pub(crate) fn check(name: &str) -> Result<(), NameError> {
        check_length(name)?;
        if !all(name, |byte| is_domain_character(char::from(byte)))
            && let Some((at, character)) = name.char_indices().find(|&(_, c)| !is_domain_character(c))
        {
            return Err(NameError::Forbidden { character, at });
        }
        let mut at = 0;
        for label in significant(name.as_bytes()).split(|&byte| byte == b'.') {
            if !(1..=MAX_LABEL).contains(&label.len()) {
                return Err(NameError::Label { at });
            }
            at += label.len() + 1;
        }
        Ok(())
    }

    /// Keeps the bytes of a domain that has been checked.
    pub(crate) fn checked(name: &[u8]) -> Self {
        Self(InlineText::new(name).expect("the length was checked"))
    }

    /// Returns the domain as it was given.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Returns whether the domains with these bytes are equal.
    pub(crate) fn are_equal(one: &[u8], other: &[u8]) -> bool {
        significant(one).eq_ignore_ascii_case(significant(other))
    }

    /// Returns the order of the domains with these bytes.
    pub(crate) fn order(one: &[u8], other: &[u8]) -> Ordering {
        let lower = |domain| significant(domain).iter().map(u8::to_ascii_lowercase);
        lower(one).cmp(lower(other))
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        Self::are_equal(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl Eq for Domain {}

impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let significant = significant(self.0.as_bytes());
        let mut lower = [0; MAX_NAME];
        let lower = &mut lower[..significant.len()];
        lower.copy_from_slice(significant);
        lower.make_ascii_lowercase();
        lower.hash(state);
    }
}

/// Orders by the bytes in lower case, without a trailing dot, as equality requires.
impl Ord for Domain {
    fn cmp(&self, other: &Self) -> Ordering {
        Self::order(self.as_bytes(), other.as_bytes())
    }
}

impl PartialOrd for Domain {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Domain {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl_text!(Domain);

/// The reason why a text is not a user name, or not a domain. Its `Display` continues "the user name" or "the
/// domain", and counts bytes from 1, as people count lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// It has more than [`MAX_NAME`] bytes.
    #[error("is {length} bytes long, {MAX_NAME} are the most")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// It has a character that is not allowed.
    #[error("has {character:?} at byte {}, which may not stand there", at + 1)]
    Forbidden {
        /// The character.
        character: char,
        /// Its offset in bytes, from 0.
        at: usize,
    },
    /// A letter of a user name and its accent are two characters, as some systems write them.
    #[error(
        "has a letter whose accent is a character of its own at byte {}; write both as one, composed",
        at + 1
    )]
    Decomposed {
        /// The offset of the accent in bytes, from 0.
        at: usize,
    },
    /// A label is empty, or has more than 63 bytes.
    #[error(fmt = fmt_label)]
    Label {
        /// The offset in bytes at which the label begins, from 0.
        at: usize,
    },
}

/// Words a label that is empty, as no domain has room for one that is too long. The dot before it is at the
/// byte `at`, from 1.
fn fmt_label(at: &usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match at {
        0 => f.write_str("begins with a dot"),
        _ => write!(f, "has two dots in a row at byte {at}"),
    }
}

fn check_length(name: &str) -> Result<(), NameError> {
    match name.len() {
        0 => Err(NameError::Empty),
        1..=MAX_NAME => Ok(()),
        length => Err(NameError::TooLong { length }),
    }
}

/// Returns whether all bytes are such. Without an early return, the processor checks many bytes at a time.
fn all(name: &str, is_such: impl Fn(u8) -> bool) -> bool {
    name.bytes().fold(true, |all, byte| all & is_such(byte))
}

/// Returns the part of a domain that equal domains share, except for the case of letters.
fn significant(domain: &[u8]) -> &[u8] {
    domain.strip_suffix(b".").unwrap_or(domain)
}

fn is_user_character(character: char) -> bool {
    match character {
        ':' | '@' => false,
        '\x21'..='\x7e' => true,
        _ => !character.is_ascii() && character.is_alphanumeric(),
    }
}

fn is_domain_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
}

/// The greatest length of an MI address in bytes, with its `@`.
pub const MAX_ADDRESS: usize = 36;

/// The greatest length of a user name or a domain in bytes: an MI address without its `@` and one byte.
pub const MAX_NAME: usize = MAX_ADDRESS - 2;

/// The greatest length of a label (RFC 1035 §2.3.4). It takes effect only if [`MAX_NAME`] grows beyond it.
const MAX_LABEL: usize = 63;

const _: () = assert!(MAX_NAME <= MAX_LABEL, "a label can be too long, and the words for that are missing");
