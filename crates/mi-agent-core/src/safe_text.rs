//! Text of strangers, made safe before a person sees it.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write;

use message_log::is_visible;

/// `text` with every character that a terminal would act on, or that cannot be seen, written as a visible
/// escape: `\n`, `\x1b`, `\u{202e}`. Borrowed when there is none. The result is safe, so making it safe again
/// changes nothing.
///
/// Use it for whatever came from the other side: nicknames, lines, addresses. Which characters those are,
/// [`is_visible`] says; combining marks and the variants of emoji are let pass.
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

/// Text that came from the other side of a conversation. It is shown safe, as by [`safe_text`], and kept as it
/// came.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerText(String);

impl PeerText {
    /// Text that came as `text`. Agents make it of what they receive; a program makes it to show its own.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as it came, bytes that were not UTF-8 replaced by U+FFFD. Not for a terminal.
    pub fn raw(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PeerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&safe_text(&self.0))
    }
}

impl fmt::Debug for PeerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl PartialEq<str> for PeerText {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for PeerText {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}
