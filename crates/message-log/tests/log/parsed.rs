//! Lines read back.

use message_log::{Content, Direction, Entry, FrameKind, MAX_KEPT, ParseError, traffic};
use proptest::prelude::*;

use crate::remote;

fn round_trip(message: &[u8]) -> Entry {
    let entry = Entry::new("bb.com", Direction::Sent, remote(), message);
    let read = Entry::parse("bb.com", &entry.to_string()).expect("it is a line of a log");
    assert_eq!(read.to_string(), entry.to_string());
    assert_eq!((read.length(), read.direction(), read.remote()), (message.len(), Direction::Sent, remote()));
    read
}

#[test]
fn a_line_is_read_back_as_its_entry() {
    let long = [b"x\xff".repeat(80), vec![0; 65_507], "é".repeat(51).into_bytes()];
    let short = [
        &b""[..],
        b"PRmaria@bb.com",
        b"a, b, 3",
        b"RL0u1@PC-c:u2@PC-d:10.0.0.2:43038:T, 3",
        b"x...",
        b"\xff\n\xc3",
        "ñ\u{200b}".as_bytes(),
        br"\x0a",
        br"\xc3\xb1",
    ];
    for message in long.iter().map(Vec::as_slice).chain(short) {
        let entry = Entry::new("bb.com", Direction::Sent, remote(), message);
        assert_eq!(round_trip(message), entry);
    }
    // The other way round cannot be known.
    assert_eq!(round_trip(b"\\x0a\x0a").message(), b"\x0a\\x0a");
    // An escape that would be a letter is text.
    assert_eq!(round_trip(b"\\xc3\\xb1\xff").message(), b"\xc3\\xb1\\xff");
    assert_eq!(round_trip(b"\\xc3\xb1\xff").message(), b"\xc3\\xb1\xff");
}

#[test]
fn what_is_wrong_with_a_line_is_told() {
    for (line, error) in [
        ("", ParseError::Direction),
        ("X: 1.2.3.4:UDP:5, RR0, 3", ParseError::Direction),
        ("E:1.2.3.4:UDP:5, RR0, 3", ParseError::Direction),
        ("E: 1.2.3:UDP:5, RR0, 3", ParseError::Address),
        ("E: 1.2.3.4:TCP:5, RR0, 3", ParseError::Address),
        ("E: 1.2.3.4:UDP:65536, RR0, 3", ParseError::Address),
        ("E: 1.2.3.4:UDP:+5, RR0, 3", ParseError::Address),
        ("E: 1.2.3.4:UDP:5", ParseError::Address),
        ("E: 1.2.3.4:UDP:5, RR0", ParseError::Length),
        ("E: 1.2.3.4:UDP:5, RR0, ", ParseError::Length),
        ("E: 1.2.3.4:UDP:5, RR0, 03", ParseError::Length),
        ("E: 1.2.3.4:UDP:5, RR0, 4", ParseError::WrongLength { length: 4 }),
        ("E: 1.2.3.4:UDP:5, RR0..., 101", ParseError::WrongLength { length: 101 }),
        ("E: 1.2.3.4:UDP:5, RR0, 101", ParseError::WrongLength { length: 101 }),
        (r"E: 1.2.3.4:UDP:5, \x41, 1", ParseError::WrongLength { length: 1 }),
        (r"E: 1.2.3.4:UDP:5, \x0A, 1", ParseError::WrongLength { length: 1 }),
        ("E: 1.2.3.4:UDP:5, \u{1b}, 1", ParseError::Unseen),
    ] {
        assert_eq!(Entry::parse("bb.com", line).unwrap_err(), error, "{line}");
    }
}

/// Bytes with many escapes, and texts that look like them.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        any::<u8>().prop_map(|byte| format!("\\x{byte:02x}").into_bytes()),
        any::<char>().prop_map(|character| character.to_string().into_bytes()),
        Just(br"\xc3\xb1".to_vec()),
        Just(b", 3".to_vec()),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_entry_comes_back_from_its_line(message in message()) {
        let read = round_trip(&message);
        let kept = &message[..message.len().min(MAX_KEPT)];
        if !kept.windows(2).any(|pair| pair == b"\\x") {
            prop_assert_eq!(read.message(), kept);
        }
    }

    #[test]
    fn any_text_is_a_line_or_an_error(text in "[ER]: 1.2.3.4:UDP:[0-9]{1,5}, .{0,40}, [0-9]{1,3}|.*") {
        if let Ok(entry) = Entry::parse("bb.com", &text) {
            prop_assert_eq!(entry.to_string(), text);
        }
    }
}

#[test]
fn a_log_of_a_program_that_writes_s_for_sent_is_read_too() {
    let line = "10.100.100.104:UDP:3344, PLu1@PC-c:u2@PC-d, 17";
    let [ours, theirs] = ["E", "S"].map(|letter| Entry::parse("PC-c", &format!("{letter}: {line}")));
    assert_eq!(ours.unwrap(), theirs.unwrap());
}

#[test]
fn an_entry_can_be_made_of_what_a_tap_captures() {
    let (tap, mut traffic) = traffic();
    tap.plumi(Direction::Received, remote(), b"PRlaura");
    tap.plumi(Direction::Sent, ([0_u16; 8], 3344), b"RR0");
    tap.pmi(Direction::Sent, remote().into(), FrameKind::Line, b"L04hola");
    let passed: Vec<_> = std::iter::from_fn(|| traffic.try_next()).collect();
    let entries: Vec<_> = passed.iter().filter_map(|passed| Entry::of("bb.com", passed)).collect();
    assert_eq!(entries, [Entry::new("bb.com", Direction::Received, remote(), b"PRlaura")]);
    assert_eq!(passed[2].content, Content::Pmi(FrameKind::Line, b"L04hola"[..].into()));
}
