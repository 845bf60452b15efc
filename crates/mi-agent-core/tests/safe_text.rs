//! Nothing that a stranger writes reaches a terminal as more than text.

use std::borrow::Cow;

use mi_agent_core::safe_text;
use proptest::prelude::*;

#[test]
fn what_a_terminal_would_act_on_is_shown() {
    for (text, safe) in [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\u{7}\u{7f}\0", r"\x07\x7f\x00"),
        ("\u{9b}31m", r"\u{9b}31m"),
        ("\u{202e}abc\u{2066}", r"\u{202e}abc\u{2066}"),
        ("a\u{200b}b\u{feff}", r"a\u{200b}b\u{feff}"),
        ("\u{2028}", r"\u{2028}"),
        ("\u{e0041}", r"\u{e0041}"),
        ("laura\u{3164}", r"laura\u{3164}"),
    ] {
        assert_eq!(safe_text(text), safe);
    }
}

#[test]
fn what_a_person_reads_stays_as_it_is() {
    for text in ["", "hola, què tal?", "Ψυχή 名前 😀", r"a \x1b that was typed", "e\u{301}"] {
        assert!(matches!(safe_text(text), Cow::Borrowed(safe) if safe == text), "{text}");
    }
}

proptest! {
    #[test]
    fn safe_text_is_safe_and_stays_so(text in "(\\PC|[\u{0}-\u{9f}]|[\u{200b}-\u{202e}]|[\u{2066}-\u{2069}]){0,40}") {
        let safe = safe_text(&text);
        let acts = |c: char| {
            c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        prop_assert_eq!(safe.chars().find(|&c| acts(c)), None);
        prop_assert_eq!(&safe_text(&safe), &safe);
    }
}
