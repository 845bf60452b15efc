//! Nothing that a stranger writes reaches a terminal as more than text.

use std::borrow::Cow;

use mi_agent_core::safe_text;
use mi_proto::{Line, split_line};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};

#[test]
fn what_a_terminal_would_act_on_is_shown() {
    for (text, safe) in [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\rc", r"a\nb\rc"),
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

/// Each of the 1,112,064 characters there are.
#[test]
fn no_character_acts_on_a_terminal() {
    for character in '\0'..=char::MAX {
        for shown in safe_text(character.encode_utf8(&mut [0; 4])).chars() {
            let acts = shown.is_control()
                || matches!(shown, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
                || matches!(shown, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
            assert!(!acts, "{character:?} is shown as {shown:?}");
        }
    }
}

#[test]
fn what_a_person_reads_stays_as_it_is() {
    for text in ["", "hola, què tal?", "Ψυχή 名前 😀", r"a \x1b that was typed", "e\u{301}"] {
        assert!(matches!(safe_text(text), Cow::Borrowed(safe) if safe == text), "{text}");
    }
}

#[test]
fn combining_marks_and_variants_stay_with_their_character() {
    let flood = format!("e{}", "\u{301}\u{338}".repeat(49));
    for text in ["❤\u{fe0f}", "1\u{fe0f}\u{20e3}", &flood] {
        assert!(matches!(safe_text(text), Cow::Borrowed(safe) if safe == text), "{text}");
    }
    // A mark that is not to be seen is none of them.
    assert_eq!(safe_text("a\u{34f}\u{e0100}"), r"a\u{34f}\u{e0100}");
}

/// A joiner is text where people write one. Anywhere else it could only hide something.
#[test]
fn joiners_between_letters_and_emoji_are_text() {
    for text in [
        "👩\u{200d}💻",
        "👩🏽\u{200d}💻",
        "👩\u{200d}❤\u{fe0f}\u{200d}👩",
        "🏳\u{fe0f}\u{200d}🌈",
        "🙂\u{200d}↔\u{fe0f}",
        // Persian, Hindi, Bengali, Malayalam, German.
        "می\u{200c}خواهم",
        "क\u{94d}\u{200d}ष",
        "र\u{9cd}\u{200d}য",
        "ന\u{d4d}\u{200c}മ",
        "Auf\u{200c}lage",
        "e\u{301}\u{200c}b",
    ] {
        assert!(matches!(safe_text(text), Cow::Borrowed(safe) if safe == text), "{text}");
    }
    for (text, safe) in [
        ("\u{200d}a", r"\u{200d}a"),
        ("a\u{200d}", r"a\u{200d}"),
        ("a\u{200c} b", r"a\u{200c} b"),
        ("a \u{200c}b", r"a \u{200c}b"),
        ("1\u{200d}2", r"1\u{200d}2"),
        ("👩\u{200d}\u{200d}💻", r"👩\u{200d}\u{200d}💻"),
        ("a\u{200d}\x1b", r"a\u{200d}\x1b"),
        ("\x1b\u{200d}a", r"\x1b\u{200d}a"),
        ("a\u{200d}\u{3164}", r"a\u{200d}\u{3164}"),
        ("a\u{200b}b", r"a\u{200b}b"),
        ("می\u{200c}خواهم\u{202e}", "می\u{200c}خواهم\\u{202e}"),
    ] {
        assert_eq!(safe_text(text), safe);
        assert!(matches!(safe_text(safe), Cow::Borrowed(again) if again == safe), "{safe}");
    }
}

#[test]
fn a_tab_is_shown_as_blanks() {
    assert_eq!(safe_text("\tlet a\t= 1;"), "    let a    = 1;");
}

#[test]
fn every_character_is_itself_or_a_visible_escape() {
    for character in '\0'..=char::MAX {
        let text = character.to_string();
        let safe = safe_text(&text);
        assert_eq!(safe == text, !acts_or_hides(character), "{character:?} is shown as {safe}");
        let is_visible = safe.bytes().all(|byte| byte.is_ascii_graphic());
        assert!(safe == text || is_visible || character == '\t', "{safe:?}");
    }
}

#[test]
fn of_a_million_lines_none_acts_or_hides_anything() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::XorShift);
    let mut below = |limit: usize| usize::try_from(random.next_u32()).expect("32 bits fit") % limit;
    let mut shown_as_they_are = 0;
    for _ in 0..1_000_000 {
        let mut line = Vec::new();
        for _ in 0..below(8) {
            let piece =
                if below(3) == 0 { ODD[below(ODD.len())] } else { PLAIN[below(PLAIN.len())] }.as_bytes();
            // Some are cut within a character.
            let cut = if below(8) == 0 { below(piece.len()) } else { piece.len() };
            line.extend_from_slice(&piece[..cut]);
            if below(4) == 0 {
                line.push(below(256).to_le_bytes()[0]);
            }
        }
        let text = String::from_utf8_lossy(&line);
        let safe = safe_text(&text);
        assert_eq!(wrong(&safe), None, "{text:?} is shown as {safe:?}");
        assert!(matches!(safe_text(&safe), Cow::Borrowed(_)), "{safe:?} is not shown as it is");
        shown_as_they_are += u32::from(matches!(safe, Cow::Borrowed(_)));
    }
    assert!((100_000..900_000).contains(&shown_as_they_are), "{shown_as_they_are} lines show too little");
}

proptest! {
    #[test]
    fn each_character_is_made_safe_by_itself_and_then_not_changed_again(text: String, odd in "[\0-\u{ff}]{0,9}") {
        // Except joiners, of which their neighbours decide.
        let text = (text + &odd).replace(['\u{200c}', '\u{200d}'], "");
        let safe = safe_text(&text);
        let each: String = text.chars().map(|character| safe_text(&character.to_string()).into_owned()).collect();
        prop_assert_eq!(&safe, &each);
        prop_assert_eq!(wrong(&safe), None);
        prop_assert_eq!(&safe_text(&safe), &safe);
    }

    #[test]
    fn joiners_change_nothing_but_themselves(text in "[aé 1ی👩🏽❤\u{94d}\u{fe0f}\u{200c}\u{200d}\t\u{202e}]{0,12}") {
        let safe = safe_text(&text);
        prop_assert_eq!(wrong(&safe), None, "{:?}", safe);
        prop_assert_eq!(&safe_text(&safe), &safe);
        let without = |text: &str| {
            text.replace(['\u{200c}', '\u{200d}'], "").replace(r"\u{200c}", "").replace(r"\u{200d}", "")
        };
        prop_assert_eq!(without(&safe), safe_text(&without(&text)).into_owned());
    }

    #[test]
    fn a_line_of_any_text_is_sent_whole_in_pieces_of_99_bytes_or_not_at_all(
        text in "([a-z]|[\u{80}-\u{7ff}]|[\u{800}-\u{ffff}]|[\u{10000}-\u{10ffff}]|\\PC){0,400}|[\0-\u{ff}]{0,8}",
    ) {
        let Ok(pieces) = split_line(&text) else {
            prop_assert!(text.contains(['\0', '\r', '\n']));
            return Ok(());
        };
        prop_assert!(!text.contains(['\0', '\r', '\n']));
        let pieces: Vec<_> = pieces.collect();
        // Pieces are `str`: what is cut between bytes of a character could not be one.
        prop_assert!(pieces.iter().all(|piece| piece.as_str().len() <= 99));
        prop_assert_eq!(pieces.iter().map(Line::as_str).collect::<String>(), text);
    }
}

/// Returns the first character that a person must not be shown, and its place. Between two letters or emoji
/// with their marks, a joiner is text; anything but a blank, a sign of ASCII or an odd character counts as
/// one.
fn wrong(shown: &str) -> Option<(usize, char)> {
    let characters: Vec<_> = shown.chars().collect();
    let joins = |at: Option<usize>| {
        at.and_then(|at| characters.get(at)).is_some_and(|&character| {
            let is_word = character.is_alphabetic() || !character.is_ascii();
            is_word && !character.is_whitespace() && !acts_or_hides(character)
        })
    };
    characters.iter().copied().enumerate().find(|&(at, character)| {
        let is_text =
            matches!(character, '\u{200c}' | '\u{200d}') && joins(at.checked_sub(1)) && joins(Some(at + 1));
        acts_or_hides(character) && !is_text
    })
}

/// Returns whether a person must not see a character as it is. The list is a second one, so that a gap in the
/// other one shows.
fn acts_or_hides(character: char) -> bool {
    matches!(
        character,
        // Controls: terminals act on them.
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        // Separators of lines and paragraphs; marks, embeddings, overrides and isolates of direction.
        | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}'
        // No width: joiners, spaces, fillers, byte order marks.
        | '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}'
        | '\u{feff}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}'
        // Tags, and variants but U+FE00 to U+FE0F.
        | '\u{e0000}'..='\u{e0fff}' | '\u{180b}'..='\u{180f}'
        // Formats of annotations, hieroglyphs, shorthand and music.
        | '\u{fff0}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
    )
}

const PLAIN: [&str; 9] = [
    "a",
    "hola, què tal?",
    "Ψυχή 名前",
    "😀",
    "❤\u{fe0f}",
    "👩\u{200d}🚀",
    "e\u{301}",
    r"\x1b[2J",
    r"\u{202e}",
];

const ODD: [&str; 24] = [
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\n",
    "\r",
    "\t",
    "\0",
    "\x08",
    "\x7f",
    "\u{9b}31m",
    "\u{85}",
    "\u{202e}abc",
    "\u{2066}abc\u{2069}",
    "\u{200f}",
    "\u{61c}",
    "\u{2028}",
    "\u{200b}",
    "\u{feff}",
    "\u{2060}",
    "\u{ad}",
    "\u{3164}",
    "\u{34f}",
    "\u{e0041}",
    "\u{e0100}",
    "\u{1d173}",
];
