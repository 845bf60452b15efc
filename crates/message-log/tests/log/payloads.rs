//! The line of any datagram is one line, and says what was in it.

use std::fmt::Write;
use std::fs;

use message_log::{Direction, Entry, LineWriter, MAX_KEPT, MessageLayer, is_visible, received};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use tracing_subscriber::layer::SubscriberExt;

use crate::remote;

#[test]
fn a_million_payloads_are_a_million_lines_that_say_what_they_were() {
    let mut payloads = Payloads::new();
    let mut payload = Vec::new();
    let mut line = String::new();
    for _ in 0..1_000_000 {
        payloads.next(&mut payload);
        line.clear();
        writeln!(line, "{}", Entry::new("bb.com", Direction::Received, remote(), &payload)).unwrap();
        check(line.as_bytes(), &payload);
    }
}

#[test]
fn payloads_are_as_many_lines_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let layer = MessageLayer::new(LineWriter::open(&path).unwrap());
    let mut payloads = Payloads::new();
    let payloads: Vec<_> = (0..20_000)
        .map(|_| {
            let mut payload = Vec::new();
            payloads.next(&mut payload);
            payload
        })
        .collect();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        payloads.iter().for_each(|payload| received("bb.com", remote(), payload));
    });
    let log = fs::read(&path).unwrap();
    let lines: Vec<_> = log.split_inclusive(|&byte| byte == b'\n').collect();
    assert_eq!(lines.len(), payloads.len());
    lines.iter().zip(&payloads).for_each(|(line, payload)| check(line, payload));
}

/// That `line` follows the grammar (protocol.md §6), and that `payload` can be read in it.
fn check(line: &[u8], payload: &[u8]) {
    let wrong = || format!("{} for {}", line.escape_ascii(), payload.escape_ascii());
    let text = str::from_utf8(line).unwrap_or_else(|_| panic!("no text: {}", wrong()));
    let text = text.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {}", wrong()));
    // This is one line, whichever characters count as visible.
    assert!(text.bytes().all(|byte| byte >= b' '), "{}", wrong());
    assert!(text.chars().all(is_visible), "{}", wrong());
    let body = text.strip_prefix("R: 84.88.154.3:UDP:4500, ").unwrap_or_else(|| panic!("{}", wrong()));
    let (message, length) = body.rsplit_once(", ").unwrap_or_else(|| panic!("{}", wrong()));
    assert_eq!(length, payload.len().to_string(), "{}", wrong());
    let (message, kept) = match payload.get(..MAX_KEPT) {
        Some(kept) if payload.len() > MAX_KEPT => (message.strip_suffix("..."), kept),
        _ => (Some(message), payload),
    };
    let message = message.unwrap_or_else(|| panic!("no dots: {}", wrong()));
    // A backslash stands for itself: what somebody typed as an escape is read as one.
    assert_eq!(unescape(message.as_bytes()), unescape(kept), "{}", wrong());
    if str::from_utf8(kept).is_ok_and(|kept| kept.chars().all(is_visible)) {
        assert_eq!(message.as_bytes(), kept, "{}", wrong());
    }
}

/// `text` with each `\xNN` replaced by its byte.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        if let [b'\\', b'x', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (hexadecimal(*high), hexadecimal(*low))
        {
            bytes.push(high * 16 + low);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The same ones in every run: random bytes, between pieces that could be mistaken for something else.
struct Payloads(TestRng);

impl Payloads {
    fn new() -> Self {
        Self(TestRng::deterministic_rng(RngAlgorithm::XorShift))
    }

    fn next(&mut self, payload: &mut Vec<u8>) {
        payload.clear();
        // Mostly few of them, and now and then more than are kept.
        let pieces = if self.below(16) == 0 { self.below(40) } else { self.below(6) };
        for _ in 0..pieces {
            let random = self.0.next_u64().to_le_bytes();
            match self.below(4) {
                0 => payload.extend_from_slice(&random[..self.below(9)]),
                1 => payload.push(random[0]),
                _ => {
                    let piece = PIECES[self.below(PIECES.len())];
                    // Sometimes cut, within a character or an escape.
                    let cut = if self.below(4) == 0 { self.below(piece.len()) } else { piece.len() };
                    payload.extend_from_slice(&piece[..cut]);
                }
            }
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.0.next_u32()).expect("32 bits fit") % limit
    }
}

const PIECES: [&[u8]; 32] = [
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b"\t",
    b"\x0b\x0c",
    b"\x1b[2J",
    b"\x1b]0;title\x07",
    b"\x7f",
    b"\\",
    b"\\x",
    b"\\x0a",
    b"\\x1b[2J",
    b"\\\\x41",
    b"...",
    b", ",
    b", 14",
    b"E: 1.2.3.4:UDP:5, RR0, 3\n",
    b"PLlaura@bb.com:joya@cc.com",
    b"RL0laura@bb.com:joya@cc.com:84.88.154.3:4456",
    "ñandú".as_bytes(),
    "€".as_bytes(),
    "😀".as_bytes(),
    "\u{85}".as_bytes(),
    "\u{9b}31m".as_bytes(),
    "\u{2028}\u{2029}".as_bytes(),
    "\u{202e}".as_bytes(),
    "\u{2066}a\u{2069}".as_bytes(),
    "\u{feff}\u{200b}".as_bytes(),
    "\u{e0041}".as_bytes(),
    // These are not UTF-8: a surrogate, and an overlong slash.
    b"\xed\xa0\x80",
    b"\xc0\xaf",
];
