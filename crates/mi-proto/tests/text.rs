//! The texts that may stand in a frame, and the places where a longer line is cut.

use mi_proto::{Line, MAX_TEXT, Nickname, TextError, split_line};
use proptest::prelude::*;

fn pieces(line: &str) -> Vec<Line> {
    split_line(line).expect("no forbidden bytes").collect()
}

#[test]
fn lengths_count_bytes() {
    assert_eq!(Nickname::new(""), Err(TextError::Empty));
    assert_eq!(Line::new("").unwrap().as_str(), "");
    for length in [1, 20, MAX_TEXT] {
        let text = "n".repeat(length);
        assert_eq!(Nickname::new(&text).unwrap().as_str(), text);
        assert_eq!(Line::new(&text).unwrap().as_str(), text);
    }
    let text = "é".repeat(50);
    assert_eq!(Nickname::new(&text), Err(TextError::TooLong { length: 100, limit: 99 }));
    assert_eq!(Line::new(&text), Err(TextError::TooLong { length: 100, limit: 99 }));
}

#[test]
fn nul_and_line_ends_may_not_stand_in_a_frame() {
    for byte in [0, b'\n', b'\r'] {
        let text = format!("é{}b", char::from(byte));
        let error = TextError::Forbidden { byte, at: 2 };
        assert_eq!(Nickname::new(&text), Err(error));
        assert_eq!(Line::new(&text), Err(error));
        assert_eq!(split_line(&text).err(), Some(error));
    }
    assert_eq!(Line::new("\t\u{1b}").unwrap().as_str(), "\t\u{1b}");
}

#[test]
fn errors_read_on_from_what_they_are_about() {
    let error = "é".repeat(50).parse::<Nickname>().unwrap_err();
    assert_eq!(format!("the nickname {error}"), "the nickname is 100 bytes long, 99 are the most");
    let error = "a\n".parse::<Line>().unwrap_err();
    assert_eq!(format!("the line {error}"), r"the line has '\n' at byte 2, which may not stand there");
}

#[test]
fn lines_are_cut_between_characters() {
    assert_eq!(pieces(""), [Line::new("").unwrap()]);
    assert_eq!(pieces(&"a".repeat(99)).len(), 1);
    assert_eq!(pieces(&"a".repeat(100)).len(), 2);
    assert_eq!(pieces(&"a".repeat(198)).len(), 2);
    for (character, most) in [("é", 98), ("€", 99), ("😀", 96)] {
        let lengths: Vec<_> =
            pieces(&character.repeat(99)).iter().map(|piece| piece.as_str().len()).collect();
        let (last, whole) = lengths.split_last().unwrap();
        assert!(whole.iter().all(|&length| length == most) && *last <= most, "{character}: {lengths:?}");
    }
}

#[test]
fn lines_are_cut_behind_the_last_blank() {
    let word = "x".repeat(60);
    let line = format!("{word} {word} {word}");
    assert_eq!(
        pieces(&line).iter().map(Line::as_str).collect::<Vec<_>>(),
        [format!("{word} "), format!("{word} "), word]
    );
    // The blank is the last byte that fits, or the first that does not.
    let line = format!("{} b", "a".repeat(98));
    assert_eq!(pieces(&line).iter().map(|piece| piece.as_str().len()).collect::<Vec<_>>(), [99, 1]);
    let line = format!("a {} b", "a".repeat(97));
    assert_eq!(pieces(&line).iter().map(|piece| piece.as_str().len()).collect::<Vec<_>>(), [2, 99]);
    assert_eq!(pieces(&format!("{}b", " ".repeat(99)))[0].as_str().len(), 99);
}

proptest! {
    #[test]
    fn pieces_are_the_line_and_no_shorter_than_they_must_be(line in "[^\0\r\n]{0,400}") {
        let pieces = pieces(&line);
        prop_assert_eq!(pieces.iter().map(Line::as_str).collect::<String>(), line);
        for (index, piece) in pieces.iter().enumerate() {
            prop_assert!(piece.as_str().len() <= MAX_TEXT);
            prop_assert_eq!(&Line::new(piece.as_str()).unwrap(), piece);
            if let Some(next) = pieces.get(index + 1) {
                let first = next.as_str().chars().next().expect("only an empty line has an empty piece");
                // The text up to the next blank did not fit.
                let is_full = piece.as_str().len() + first.len_utf8() > MAX_TEXT;
                let rest: String = pieces[index + 1..].iter().map(Line::as_str).collect();
                let word = rest.split_inclusive(' ').next().expect("it is not empty");
                let ends_a_word = piece.as_str().ends_with(' ') && piece.as_str().len() + word.len() > MAX_TEXT;
                prop_assert!(is_full || ends_a_word);
            }
        }
    }
}

#[test]
fn texts_convert_into_values_and_back() {
    let nickname = Nickname::try_from("u1").expect("a nickname");
    assert_eq!((nickname.as_ref() as &str, String::from(nickname.clone())), ("u1", "u1".to_owned()));
    assert_eq!(Nickname::try_from(String::new()), Err(TextError::Empty));
    assert_eq!(Line::try_from("a\n".to_owned()), Err(TextError::Forbidden { byte: b'\n', at: 1 }));
    assert!(Line::try_from("a").ok() < Line::try_from("b").ok());
}

#[test]
fn texts_are_serialized_as_they_are_and_checked_when_read() {
    let values: (Nickname, Line) = serde_json::from_str(r#"["u\"1",""]"#).expect("values");
    assert_eq!(serde_json::to_string(&values).expect("texts"), r#"["u\"1",""]"#);
    let error = serde_json::from_str::<Nickname>(r#""""#).expect_err("empty").to_string();
    assert!(error.contains("is empty"), "{error}");
    assert!(serde_json::from_str::<Line>(r#""a\n""#).is_err());
}
