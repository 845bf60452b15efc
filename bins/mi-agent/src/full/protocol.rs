//! The protocol window: every message sent or received, in words and in bytes.

use std::fmt::Write;

use jiff::Timestamp;
use mi_agent_core::{Content, Direction, FrameKind, Passed, safe_text};
use mi_proto::HEADER;
use plumi_proto::Message;

use super::pane::{Entry, Kind, Pane};

/// The messages, and whether the window is open.
#[derive(Debug, Default)]
pub(crate) struct Protocol {
    pub(crate) is_open: bool,
    pub(crate) pane: Pane,
    missed: u64,
}

impl Protocol {
    /// A message was sent or received.
    pub(crate) fn passed(&mut self, at: Timestamp, passed: &Passed) {
        let (letter, arrow) = match passed.direction {
            Direction::Sent => ('E', '→'),
            Direction::Received => ('R', '←'),
        };
        let (transport, words, bytes) = match &passed.content {
            Content::Plumi(datagram) => ("UDP", of_plumi(datagram), raw(datagram)),
            Content::Pmi(kind, frame) => {
                let (words, bytes) = of_pmi(*kind, frame);
                ("TCP", words, bytes)
            }
            _ => return,
        };
        let (remote, length) = (passed.remote, passed.content.bytes().len());
        let text = format!("{letter} {arrow} {words}\n    {remote} {transport} {length} bytes  {bytes}");
        self.pane.push(Entry { at, kind: Kind::Passed(passed.direction), text });
    }

    /// Reports messages that are not shown; `count` is their total.
    pub(crate) fn missed(&mut self, at: Timestamp, count: u64) {
        let more = count.saturating_sub(self.missed);
        if more > 0 {
            self.missed = count;
            let text = format!("{more} messages passed too fast to be shown");
            self.pane.push(Entry { at, kind: Kind::Failure, text });
        }
    }
}

/// The meaning of a PLUMI message, in words.
fn of_plumi(datagram: &[u8]) -> String {
    let words = match Message::decode(datagram) {
        Ok(message) => message.in_words().to_string(),
        Err(error) => format!("no PLUMI message: {error}"),
    };
    safe_text(&words).into_owned()
}

/// The meaning of a PMI frame, and the bytes that it does not say: of a frame, its head.
fn of_pmi(kind: FrameKind, bytes: &[u8]) -> (String, String) {
    match (kind, bytes.split_at_checked(HEADER)) {
        (FrameKind::Nickname, Some((head, text))) => {
            (format!("nickname: {}", raw(text)), format!("head {}", raw(head)))
        }
        (FrameKind::Line, Some((head, text))) => {
            (format!("says: {}", raw(text)), format!("head {}", raw(head)))
        }
        _ => ("no frame, taken as text".into(), raw(bytes)),
    }
}

/// The bytes as text that is safe to show; those that are no UTF-8 become `\xNN`.
fn raw(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&safe_text(chunk.valid()));
        chunk.invalid().iter().for_each(|byte| write!(text, "\\x{byte:02x}").expect("a String takes all"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(direction: Direction, content: Content) -> String {
        let mut protocol = Protocol::default();
        let remote = "127.0.0.2:3344".parse().unwrap();
        protocol.passed(Timestamp::UNIX_EPOCH, &Passed::new(direction, remote, content));
        protocol.pane.entries().map(|entry| entry.text.clone()).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn plumi_is_told_in_words() {
        let message = "PLu1@PC-c:u2@PC-d";
        assert_eq!(
            shown(Direction::Sent, Content::Plumi(message.as_bytes().into())),
            format!("E → u1@PC-c asks where u2@PC-d is\n    127.0.0.2:3344 UDP 17 bytes  {message}")
        );
        let garbage = shown(Direction::Received, Content::Plumi(b"\x1b[2J\xff"[..].into()));
        assert!(
            garbage.starts_with("R ← no PLUMI message: ")
                && garbage.ends_with("\n    127.0.0.2:3344 UDP 5 bytes  \\x1b[2J\\xff"),
            "{garbage}"
        );
    }

    #[test]
    fn the_text_of_a_frame_is_shown_once_and_its_head_apart() {
        let long = format!("L150{}", "x".repeat(149));
        for (kind, frame, words, bytes) in [
            (FrameKind::Nickname, &b"N02u1"[..], "nickname: u1", "head N02"),
            (FrameKind::Line, "L06qu\u{e8}!".as_bytes(), "says: qu\u{e8}!", "head L06"),
            (FrameKind::Unframed, b"\x07L150", "no frame, taken as text", r"\x07L150"),
            // A long line of a deployed program, whose text does not begin with the third digit.
            (FrameKind::Unframed, long.as_bytes(), "no frame, taken as text", &long),
        ] {
            let length = frame.len();
            assert_eq!(
                shown(Direction::Received, Content::Pmi(kind, frame.into())),
                format!("R ← {words}\n    127.0.0.2:3344 TCP {length} bytes  {bytes}")
            );
        }
    }

    #[test]
    fn what_was_missed_is_told_once() {
        let mut protocol = Protocol::default();
        for count in [0, 3, 3, 5] {
            protocol.missed(Timestamp::UNIX_EPOCH, count);
        }
        let told: Vec<_> = protocol.pane.entries().map(|entry| entry.text.as_str()).collect();
        assert_eq!(
            told,
            ["3 messages passed too fast to be shown", "2 messages passed too fast to be shown"]
        );
    }
}
