//! Text of peers, escaped before a person sees it.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write;

use message_log::is_visible;

/// Escapes every character of `text` that a terminal would act on or that is invisible: `\n`, `\x1b`,
/// `\u{202e}`. Returns `text` itself if there is none. Escaping the result again changes nothing.
///
/// Use it for everything that a peer sent: nicknames, lines, addresses. [`is_visible`] decides which
/// characters are escaped. Combining marks and variants of emoji are not.
///
/// ```
/// use mi_agent_core::safe_text;
///
/// assert_eq!(safe_text("hola, què tal?"), "hola, què tal?");
/// assert_eq!(safe_text("\x1b[2Jgone\u{202e}"), r"\x1b[2Jgone\u{202e}");
/// ```
pub fn safe_text(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_visible) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_visible(character) {
            safe.push(character);
        } else if character.is_ascii_control() && !matches!(character, '\t' | '\n' | '\r') {
            _ = write!(safe, "\\x{:02x}", u32::from(character));
        } else {
            safe.extend(character.escape_default());
        }
    }
    Cow::Owned(safe)
}

/// Text from the other side of a conversation. It is kept as it came, and its `Display` escapes it like
/// [`safe_text`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PeerText {
    text: String,
    continues: bool,
}

impl PeerText {
    /// Wraps `text`. Agents wrap what they receive; a program can wrap its own text to show it in the same
    /// way.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), continues: false }
    }

    /// Returns the same text as the next piece of a line. A program needs that for tests.
    #[must_use]
    pub fn continuing(self) -> Self {
        Self { continues: true, ..self }
    }

    /// Returns whether this most likely is the next piece of the line before it, which a frame was too short for.
    ///
    /// Nothing in PMI says so. It holds for a frame that follows within 100 ms one of 90 bytes and more that may have been
    /// cut: it ends with a blank, has none, or has 96 bytes and more. A line has at most 100 pieces.
    pub fn continues(&self) -> bool {
        self.continues
    }

    /// Returns the text as it came, with U+FFFD for bytes that were not UTF-8. Do not print it to a terminal.
    ///
    /// It may have bytes that no line of ours may have, and be up to three times as long as the frame was.
    pub fn raw(&self) -> &str {
        &self.text
    }
}

/// The text as it came, see [`PeerText::raw`].
impl From<PeerText> for String {
    fn from(text: PeerText) -> Self {
        text.text
    }
}

/// Serializes the text as it came, see [`PeerText::raw`]. Nothing deserializes it, because it is no text of a peer then.
#[cfg(feature = "serde")]
impl serde::Serialize for PeerText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl fmt::Display for PeerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&safe_text(&self.text))
    }
}

impl fmt::Debug for PeerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl PartialEq<str> for PeerText {
    fn eq(&self, other: &str) -> bool {
        self.text == other
    }
}

impl PartialEq<&str> for PeerText {
    fn eq(&self, other: &&str) -> bool {
        self.text == *other
    }
}
