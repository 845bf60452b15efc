//! Text of peers, escaped before a person sees it.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write;

use message_log::is_visible;

/// Escapes every character of `text` that a terminal would act on or that is invisible: `\n`, `\x1b`,
/// `\u{202e}`. A tab becomes blanks. Returns `text` itself if there is nothing to change. Escaping the result
/// again changes nothing.
///
/// Use it for everything that a peer sent: nicknames, lines, addresses. [`is_visible`] decides which
/// characters are escaped. Combining marks and variants of emoji are not, and neither is a joiner or
/// non-joiner (U+200D, U+200C) between two letters or emoji: Persian and Hindi are written with them, and so
/// are many emoji.
///
/// ```
/// use mi_agent_core::safe_text;
///
/// assert_eq!(safe_text("hola, què tal?"), "hola, què tal?");
/// assert_eq!(safe_text("👩\u{200d}💻"), "👩\u{200d}💻");
/// assert_eq!(safe_text("\x1b[2Jgone\u{202e}"), r"\x1b[2Jgone\u{202e}");
/// ```
pub fn safe_text(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_visible) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    let mut rest = text.chars();
    // Set if a letter or an emoji, with its marks, is just before.
    let mut joins = false;
    while let Some(character) = rest.next() {
        let is_between = joins && rest.clone().next().is_some_and(is_joined);
        match character {
            '\t' => safe.push_str(TAB),
            _ if is_visible(character) || (is_joiner(character) && is_between) => safe.push(character),
            '\n' | '\r' => safe.extend(character.escape_default()),
            '\0'..='\x7f' => _ = write!(safe, "\\x{:02x}", u32::from(character)),
            _ => safe.extend(character.escape_default()),
        }
        joins = is_joined(character) || (joins && is_mark(character));
    }
    if safe == text { Cow::Borrowed(text) } else { Cow::Owned(safe) }
}

/// Returns whether `character` joins the character before it with the one after it, or keeps them apart.
fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}')
}

/// Returns whether a joiner may stand beside `character`: a letter or an emoji.
fn is_joined(character: char) -> bool {
    is_visible(character) && (character.is_alphabetic() || is_emoji(character))
}

/// Returns whether `character` is an emoji, or a symbol that U+FE0F makes one (Unicode,
/// `Extended_Pictographic`, in whole blocks).
fn is_emoji(character: char) -> bool {
    matches!(
        character,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2194}'..='\u{21aa}'
            | '\u{231a}'..='\u{23ff}' | '\u{24c2}' | '\u{25aa}'..='\u{27bf}' | '\u{2934}' | '\u{2935}'
            | '\u{2b05}'..='\u{2b55}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
            | '\u{1f000}'..='\u{1faff}'
    )
}

/// Returns whether `character` is a mark that belongs to the letter or emoji before it, and is no letter
/// itself: an accent, a variant, a keycap, or a sign without vowel, after which Indic scripts have their
/// joiners (RFC 5892, A.1).
fn is_mark(character: char) -> bool {
    matches!(
        character,
        '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' | '\u{20e3}'
            // Nuktas.
            | '\u{93c}' | '\u{9bc}' | '\u{a3c}' | '\u{abc}' | '\u{b3c}' | '\u{cbc}'
            // Viramas.
            | '\u{94d}' | '\u{9cd}' | '\u{a4d}' | '\u{acd}' | '\u{b4d}' | '\u{bcd}' | '\u{c4d}' | '\u{ccd}'
            | '\u{d3b}' | '\u{d3c}' | '\u{d4d}' | '\u{dca}' | '\u{e3a}' | '\u{eba}' | '\u{f84}'
            | '\u{1039}' | '\u{103a}' | '\u{1714}' | '\u{1715}' | '\u{1734}' | '\u{17d2}' | '\u{1a60}'
            | '\u{1b44}' | '\u{1baa}' | '\u{1bab}' | '\u{1bf2}' | '\u{1bf3}' | '\u{2d7f}' | '\u{a806}'
            | '\u{a82c}' | '\u{a8c4}' | '\u{a953}' | '\u{a9c0}' | '\u{aaf6}' | '\u{abed}'
            | '\u{11046}' | '\u{1107f}' | '\u{110b9}' | '\u{11133}' | '\u{111c0}' | '\u{1134d}'
    )
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

    /// Returns whether this most likely is the next piece of the line before it, which a frame was too short
    /// for.
    ///
    /// Nothing in PMI says so. It holds for a frame that follows within 100 ms one of 90 bytes and more that
    /// had no room for more: for its first word if the frame before ends with a blank, and otherwise for its
    /// first character. A line of exactly 99 bytes looks the same. A line has at most 100 pieces.
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

/// Serializes the text as it came, see [`PeerText::raw`]. Nothing deserializes it, because it is no text of a
/// peer then.
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

/// The blanks for a tab. Their number is fixed, because only the screen knows columns.
const TAB: &str = "    ";
