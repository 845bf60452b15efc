//! Text of strangers, as it is shown.

use std::borrow::Cow;

use message_log::is_visible;
use mi_agent_core::PeerText;

/// Whatever the bytes: what is shown can be seen, says all that came, and is shown the same again.
///
/// # Panics
/// If it is not.
pub fn safe_text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let shown = mi_agent_core::safe_text(&text);
    let wrong = shown.char_indices().find(|&(at, character)| {
        let is_wrong = !is_visible(character) || acts_on_a_terminal(character);
        is_wrong && !is_text_as_joiner(&shown, at)
    });
    assert_eq!(wrong, None, "{shown:?}");
    assert_eq!(mi_agent_core::safe_text(&shown), shown, "made safe again");
    assert_eq!(matches!(shown, Cow::Borrowed(_)), shown == text, "copied only if changed");
    assert_eq!(came_as(&shown, &text), Ok(""), "of {text:?}");

    let of_peer = PeerText::new(&*text);
    assert_eq!(of_peer.to_string(), shown);
    assert_eq!(of_peer.raw(), text);
    assert!(!format!("{of_peer:?}").contains(char::is_control), "{of_peer:?}");
}

/// Reads `shown` as what `text` became, character by character. Returns what is left of it.
fn came_as<'a>(shown: &'a str, text: &str) -> Result<&'a str, char> {
    text.char_indices().try_fold(shown, |shown, (at, character)| {
        let form = if is_visible(character) || is_text_as_joiner(text, at) {
            character.to_string()
        } else {
            match character {
                '\t' => "    ".to_owned(),
                '\n' => r"\n".to_owned(),
                '\r' => r"\r".to_owned(),
                '\0'..='\x7f' => format!(r"\x{:02x}", u32::from(character)),
                _ => format!(r"\u{{{:x}}}", u32::from(character)),
            }
        };
        shown.strip_prefix(&form).or_else(|| shown.strip_prefix(&escaped_joiner(character)?)).ok_or(character)
    })
}

/// The escape of a joiner, which one that might be text may have as well.
fn escaped_joiner(character: char) -> Option<String> {
    matches!(character, '\u{200c}' | '\u{200d}').then(|| character.escape_unicode().to_string())
}

/// Returns whether the character of `text` at `at` is a joiner that may be text: neither neighbour is
/// missing, a blank, a sign of ASCII or an odd character. Less strict than the text itself, so that this does
/// not lean on its tables.
fn is_text_as_joiner(text: &str, at: usize) -> bool {
    let (before, rest) = text.split_at(at);
    let mut rest = rest.chars();
    let joins = |character: Option<char>| {
        character.is_some_and(|character| {
            is_visible(character)
                && !character.is_whitespace()
                && (character.is_alphabetic() || !character.is_ascii())
        })
    };
    matches!(rest.next(), Some('\u{200c}' | '\u{200d}'))
        && joins(before.chars().next_back())
        && joins(rest.next())
}

/// The least that has to be escaped, told apart from [`is_visible`] so that this does not lean on it:
/// controls, and what turns the direction of text.
fn acts_on_a_terminal(character: char) -> bool {
    matches!(
        character,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}
