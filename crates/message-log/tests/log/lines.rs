//! The text of a line.

use std::ops::RangeInclusive;

use message_log::{Direction, Entry, MAX_KEPT, received, sent};
use proptest::prelude::*;

use crate::{Writes, log_of, remote, subscriber};

/// The logs of the two nodes and the two agents of a captured session.
const CAPTURED: [&str; 4] = [
    "\
R: 10.100.100.101:UDP:51189, PRu1@PC-c, 9
E: 10.100.100.101:UDP:51189, RR0, 3
R: 10.100.100.101:UDP:51189, PLu1@PC-c:u2@PC-d, 17
E: 10.100.100.104:UDP:3344, PLu1@PC-c:u2@PC-d, 17
R: 10.100.100.104:UDP:3344, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39
E: 10.100.100.101:UDP:51189, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39
R: 10.100.100.101:UDP:51189, PDu1@PC-c, 9
E: 10.100.100.101:UDP:51189, RD0, 3
",
    "\
R: 10.100.100.102:UDP:43545, PRu2@PC-d, 9
E: 10.100.100.102:UDP:43545, RR0, 3
R: 10.100.100.103:UDP:3344, PLu1@PC-c:u2@PC-d, 17
E: 10.100.100.102:UDP:43545, PLu1@PC-c:u2@PC-d, 17
R: 10.100.100.102:UDP:43545, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39
E: 10.100.100.103:UDP:3344, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39
R: 10.100.100.102:UDP:43545, PDu2@PC-d, 9
E: 10.100.100.102:UDP:43545, RD0, 3
",
    "\
E: 10.100.100.103:UDP:3344, PRu1@PC-c, 9
R: 10.100.100.103:UDP:3344, RR0, 3
E: 10.100.100.103:UDP:3344, PLu1@PC-c:u2@PC-d, 17
R: 10.100.100.103:UDP:3344, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39
E: 10.100.100.103:UDP:3344, PDu1@PC-c, 9
R: 10.100.100.103:UDP:3344, RD0, 3
",
    "\
E: 10.100.100.104:UDP:3344, PRu2@PC-d, 9
R: 10.100.100.104:UDP:3344, RR0, 3
R: 10.100.100.104:UDP:3344, PLu1@PC-c:u2@PC-d, 17
E: 10.100.100.104:UDP:3344, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39
E: 10.100.100.104:UDP:3344, PDu2@PC-d, 9
R: 10.100.100.104:UDP:3344, RD0, 3
",
];

#[test]
fn a_captured_session_is_logged_to_the_letter() {
    for captured in CAPTURED {
        let log = log_of(|| {
            for line in captured.lines() {
                let [head, message, _length] = line.split(", ").collect::<Vec<_>>()[..] else { panic!() };
                let (direction, address) = head.split_once(": ").unwrap();
                let remote = address.replace(":UDP:", ":").parse().unwrap();
                match direction {
                    "E" => sent("PC-c", remote, message.as_bytes()),
                    "R" => received("PC-c", remote, message.as_bytes()),
                    _ => panic!("{direction}"),
                }
            }
        });
        assert_eq!(log, captured);
    }
}

#[test]
fn what_is_not_printable_is_escaped_byte_by_byte() {
    let samples: [(&[u8], &str); 20] = [
        (b"", ""),
        (b" a, b: \"c\" ", " a, b: \"c\" "),
        (br"\ \x41", r"\ \x41"),
        ("ñandú €😀 Ωλ 東京".as_bytes(), "ñandú €😀 Ωλ 東京"),
        (b"a\nE: 1.2.3.4:UDP:5, RR0, 3", r"a\x0aE: 1.2.3.4:UDP:5, RR0, 3"),
        (b"\0\t\r\x1b[2J\x7f", r"\x00\x09\x0d\x1b[2J\x7f"),
        ("\u{85}\u{9b}".as_bytes(), r"\xc2\x85\xc2\x9b"),
        (b"\xff\xc3", r"\xff\xc3"),
        (b"a\xe2\x82b", r"a\xe2\x82b"),
        ("\u{61c}".as_bytes(), r"\xd8\x9c"),
        ("\u{200b}\u{200f}".as_bytes(), r"\xe2\x80\x8b\xe2\x80\x8f"),
        ("\u{2028}\u{2029}".as_bytes(), r"\xe2\x80\xa8\xe2\x80\xa9"),
        ("\u{202a}\u{202e}".as_bytes(), r"\xe2\x80\xaa\xe2\x80\xae"),
        ("\u{2060}\u{2069}".as_bytes(), r"\xe2\x81\xa0\xe2\x81\xa9"),
        ("\u{feff}".as_bytes(), r"\xef\xbb\xbf"),
        ("\u{2010}\u{2027}\u{202f}".as_bytes(), "\u{2010}\u{2027}\u{202f}"),
        ("\u{205f}\u{2070}".as_bytes(), "\u{205f}\u{2070}"),
        ("\u{206a}\u{ad}\u{3164}".as_bytes(), r"\xe2\x81\xaa\xc2\xad\xe3\x85\xa4"),
        ("\u{e0041}".as_bytes(), r"\xf3\xa0\x81\x81"),
        (b"RL0u1@PC-c:u2@PC-d:10.0.0.2:43038:T, \xff", r"RL0u1@PC-c:u2@PC-d:10.0.0.2:43038:T, \xff"),
    ];
    for (message, text) in samples {
        let line = Entry::new("bb.com", Direction::Received, remote(), message).to_string();
        assert_eq!(line, format!("R: 84.88.154.3:UDP:4500, {text}, {}", message.len()));
    }
}

#[test]
fn no_character_that_moves_or_hides_others_is_written() {
    for character in UNSEEN.into_iter().flatten() {
        let message = character.to_string();
        let line = Entry::new("bb.com", Direction::Sent, remote(), message.as_bytes()).to_string();
        assert!(line.is_ascii() && line.contains(r", \x"), "{line:?}");
    }
}

/// The controls, what gives a direction, the separators of lines, and all that Unicode has programs ignore
/// (`Default_Ignorable_Code_Point`) but U+FE00 to U+FE0F.
const UNSEEN: [RangeInclusive<char>; 20] = [
    '\0'..='\x1f',
    '\x7f'..='\u{9f}',
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{13430}'..='\u{1343f}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

#[test]
fn of_a_datagram_that_is_too_long_the_beginning_is_logged_with_the_true_length() {
    let whole = "x".repeat(MAX_KEPT);
    for length in [101, 150, 65_507] {
        let log = log_of(|| received("bb.com", remote(), &vec![b'x'; length]));
        assert_eq!(log, format!("R: 84.88.154.3:UDP:4500, {whole}..., {length}\n"));
    }
    let log = log_of(|| received("bb.com", remote(), whole.as_bytes()));
    assert_eq!(log, format!("R: 84.88.154.3:UDP:4500, {whole}, 100\n"));
    let cut = format!("{}é", &whole[1..]);
    let line = Entry::new("bb.com", Direction::Sent, remote(), cut.as_bytes()).to_string();
    assert!(line.ends_with(r"x\xc3..., 101"), "{line}");
}

proptest! {
    #[test]
    fn every_message_is_one_line_in_one_write(
        messages in prop::collection::vec(
            prop_oneof![prop::collection::vec(any::<u8>(), 0..150), any::<String>().prop_map(String::into_bytes)],
            1..20,
        ),
    ) {
        let writes = Writes::default();
        tracing::dispatcher::with_default(&subscriber(writes.clone()), || {
            messages.iter().for_each(|message| sent("bb.com", remote(), message));
        });
        prop_assert_eq!(writes.each().len(), messages.len());
        let log = writes.text();
        prop_assert_eq!(log.lines().count(), messages.len());
        for (line, message) in log.lines().zip(&messages) {
            prop_assert!(!line.contains(char::is_control), "{:?}", line);
            prop_assert_eq!(line, Entry::new("", Direction::Sent, remote(), message).to_string());
        }
    }
}
