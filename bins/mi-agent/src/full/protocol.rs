//! The protocol window: every message sent or received, in words and in bytes.

use std::collections::VecDeque;
use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use mi_agent_core::{Content, Direction, FrameKind, Handshake, Passed, PublicKey, safe_text};
use mi_proto::HEADER;
use plumi_proto::{Message, MiAddress};

use super::pane::{Entry, Kind, Pane};
use crate::keys::first_words;

/// The messages, and whether the window is open.
#[derive(Debug, Default)]
pub(crate) struct Protocol {
    pub(crate) is_open: bool,
    pub(crate) pane: Pane,
    missed: u64,
    /// The keys that were met while the window was closed, the latest first: [`MAX_NAMED`] at most. Nobody
    /// waits for their words until it is open.
    unnamed: VecDeque<(MiAddress, PublicKey)>,
    /// The first words of keys that were met lately, the latest first.
    named: VecDeque<(MiAddress, PublicKey, String)>,
    /// The time at which the latest of them was found out.
    named_at: Option<Timestamp>,
}

impl Protocol {
    /// Opens the window, or closes it.
    pub(crate) fn toggle(&mut self, at: Timestamp) {
        self.is_open = !self.is_open;
        self.name(at);
    }

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
            Content::Handshake(handshake) => {
                let key = PublicKey::from_bytes(handshake.key).to_string();
                ("TLS", self.of_handshake(handshake), key)
            }
            _ => return,
        };
        let remote = passed.remote;
        let length = match &passed.content {
            // The key is a part of the message that has it.
            Content::Handshake(_) => String::new(),
            content => format!("{} bytes  ", content.bytes().len()),
        };
        let text = format!("{letter} {arrow} {words}\n    {remote} {transport} {length}{bytes}");
        self.pane.push(Entry { at, kind: Kind::Passed(passed.direction), text });
        self.name(at);
    }

    /// The meaning of a handshake: the key that was proved, by its beginning until it is named, and what was
    /// decided about it.
    fn of_handshake(&mut self, handshake: &Handshake) -> String {
        let key = PublicKey::from_bytes(handshake.key);
        if let Some(user) = handshake.user.as_deref().and_then(|user| user.parse().ok()) {
            self.unnamed.retain(|met| *met != (user, key));
            self.unnamed.truncate(MAX_NAMED - 1);
            self.unnamed.push_front((user, key));
        }
        let user = safe_text(handshake.user.as_deref().unwrap_or("?"));
        let decision =
            handshake.decision.as_ref().map_or_else(String::new, |decision| format!(", {decision}"));
        safe_text(&format!("key as {user}: {}{decision}", beginning(&key))).into_owned()
    }

    /// Names keys by their first two words, if somebody looks.
    fn name(&mut self, at: Timestamp) {
        while self.is_open
            && let Some((user, key)) = self.unnamed.pop_back()
        {
            if let Some(words) = self.first_words(at, user, key) {
                let as_user = safe_text(&format!("key as {user}: ")).into_owned();
                let beginning = beginning(&key);
                self.pane.replace(&format!("{as_user}{beginning}"), &format!("{as_user}`{words}`"));
            }
        }
    }

    /// Returns the first two words of a key, unless so many were met lately that it would take too long.
    fn first_words(&mut self, at: Timestamp, user: MiAddress, key: PublicKey) -> Option<String> {
        if let Some((.., words)) = self.named.iter().find(|(of, named, _)| (of, named) == (&user, &key)) {
            return Some(words.clone());
        }
        let is_early = self.named_at.is_some_and(|named| at.duration_since(named) < WORDS_PAUSE);
        if is_early && self.named.len() >= MAX_NAMED {
            return None;
        }
        self.named_at = Some(at);
        let words = first_words(&user, &key);
        self.named.truncate(MAX_NAMED - 1);
        self.named.push_front((user, key, words.clone()));
        Some(words)
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

/// The beginning of a key that has no name.
fn beginning(key: &PublicKey) -> String {
    key.to_string().chars().take(8).chain(['…']).collect()
}

/// Keys with remembered words: those of as many conversations as there are at most unless the user wants
/// more.
const MAX_NAMED: usize = 8;

/// The least time between computing the words of two keys, once [`MAX_NAMED`] are known. The words of a key
/// take some 9 ms, and callers could bring a new key with each call.
const WORDS_PAUSE: SignedDuration = SignedDuration::from_secs(1);

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
        let mut protocol = Protocol { is_open: true, ..Protocol::default() };
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
            // A long line of a deployed program with a text that does not begin with the third digit.
            (FrameKind::Unframed, long.as_bytes(), "no frame, taken as text", &long),
        ] {
            let length = frame.len();
            assert_eq!(
                shown(Direction::Received, Content::Pmi(kind, frame.into())),
                format!("R ← {words}\n    127.0.0.2:3344 TCP {length} bytes  {bytes}")
            );
        }
    }

    /// The proof of key `n` as one of a hundred users.
    fn proof(n: u8, decision: Option<&str>) -> Content {
        let user = Some(format!("u{n}@cc.com"));
        Content::Handshake(Handshake { key: [n; 32], user, decision: decision.map(str::to_owned) })
    }

    #[test]
    fn a_handshake_is_told_with_the_first_words_of_the_key_and_the_decision() {
        let key = PublicKey::from_bytes([7; 32]);
        let words = first_words(&"u7@cc.com".parse().unwrap(), &key);
        let bytes = format!("    127.0.0.2:3344 TLS {key}");
        assert_eq!(
            shown(Direction::Received, proof(7, Some("known since 2026-11-29"))),
            format!("R ← key as u7@cc.com: `{words}`, known since 2026-11-29\n{bytes}")
        );
        assert_eq!(
            shown(Direction::Sent, proof(7, None)),
            format!("E → key as u7@cc.com: `{words}`\n{bytes}")
        );
        // The user is not known, and words are those of a user's key.
        let unknown = Handshake { key: [7; 32], user: None, decision: Some("new".into()) };
        assert_eq!(
            shown(Direction::Received, Content::Handshake(unknown)),
            format!("R ← key as ?: BwcHBwcH…, new\n{bytes}")
        );
    }

    /// Words take so long that nobody waits for them in vain.
    #[test]
    fn keys_are_named_once_somebody_looks() {
        let mut protocol = Protocol::default();
        let remote = "127.0.0.2:3344".parse().unwrap();
        for n in (0..20).chain([3]) {
            let passed = Passed::new(Direction::Received, remote, proof(n, Some("new")));
            protocol.passed(Timestamp::UNIX_EPOCH, &passed);
        }
        let named = |protocol: &Protocol| -> Vec<u8> {
            let entries = protocol.pane.entries().zip((0..20).chain([3]));
            entries.filter(|(entry, _)| entry.text.contains('`')).map(|(_, n)| n).collect()
        };
        assert_eq!((named(&protocol), protocol.named.len()), (vec![], 0));
        protocol.toggle(Timestamp::UNIX_EPOCH);
        assert_eq!(named(&protocol), [3, 13, 14, 15, 16, 17, 18, 19, 3]);
        let text = &protocol.pane.entries().last().unwrap().text;
        let words = first_words(&"u3@cc.com".parse().unwrap(), &PublicKey::from_bytes([3; 32]));
        assert!(text.starts_with(&format!("R ← key as u3@cc.com: `{words}`, new\n")), "{text}");
    }

    /// Anybody can call with new keys without limit, and each takes 9 ms.
    #[test]
    fn the_words_of_many_new_keys_are_not_found_out() {
        let mut protocol = Protocol { is_open: true, ..Protocol::default() };
        let remote = "127.0.0.2:3344".parse().unwrap();
        let mut named = |seconds: i64, n: u8| {
            let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
            protocol.passed(at, &Passed::new(Direction::Received, remote, proof(n, Some("new"))));
            protocol.pane.entries().last().unwrap().text.contains('`')
        };
        let callers = u8::try_from(MAX_NAMED).unwrap();
        assert!((0..callers).all(|n| named(0, n)));
        assert!((0..callers).all(|n| named(0, n)), "they are remembered");
        assert!(!named(0, callers));
        assert!(named(1, callers));
        assert!(!named(1, callers + 1) && named(1, callers));
        assert_eq!(protocol.named.len(), MAX_NAMED);
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
