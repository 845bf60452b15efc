//! Reading is total, and what is read is written again as the same bytes: tried on everything that is nearly
//! a message.

#[path = "samples/messages.rs"]
mod messages;

use plumi_proto::{DecodeReason, MAX_MESSAGE, Message, Registrant};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use messages::MESSAGES;

#[test]
fn every_beginning_of_a_message_is_a_message_or_an_error() {
    for message in MESSAGES {
        for end in 0..message.len() {
            check(&message[..end]);
        }
        assert!(check(message), "{}", message.escape_ascii());
    }
}

#[test]
fn every_change_of_one_byte_is_read_as_what_it_is_or_not_at_all() {
    let mut read = 0;
    for message in MESSAGES {
        for at in 0..=message.len() {
            for byte in 0..=255 {
                let mut inserted = message.to_vec();
                inserted.insert(at, byte);
                read += u32::from(check(&inserted));
                if at < message.len() {
                    let mut replaced = message.to_vec();
                    replaced[at] = byte;
                    read += u32::from(check(&replaced));
                }
            }
            if at < message.len() {
                let mut deleted = message.to_vec();
                deleted.remove(at);
                read += u32::from(check(&deleted));
            }
        }
    }
    // Most changes within a name make another name.
    assert!(read > 50_000, "only {read} of them are messages: the table is no longer one of messages");
}

#[test]
fn no_length_is_a_surprise() {
    for length in 0..=200 {
        for fill in 0..=255 {
            check(&vec![fill; length]);
        }
        for message in MESSAGES {
            let repeated: Vec<_> = message.iter().copied().cycle().take(length).collect();
            check(&repeated);
            let mut filled = message.to_vec();
            filled.resize(length, b'x');
            check(&filled);
        }
    }
}

#[test]
fn a_million_datagrams_that_are_nearly_messages_are_read_or_refused() {
    let mut random = Random(TestRng::deterministic_rng(RngAlgorithm::XorShift));
    let mut datagram = Vec::new();
    let read = (0..1_000_000)
        .filter(|_| {
            random.datagram(&mut datagram);
            check(&datagram)
        })
        .count();
    assert!(
        (100_000..900_000).contains(&read),
        "{read} of them are messages: too few or too many to show much"
    );
}

/// Returns whether `bytes` are a message. If so, they are what is written of it, to the byte: names in the
/// form and the case in which they came, the bare form of a registration, a trailing dot, an extension. Only
/// a request loses an extension without a meaning.
fn check(bytes: &[u8]) -> bool {
    let message = match Message::decode(bytes) {
        Ok(message) => message,
        Err(error) => {
            assert!(error.at <= bytes.len().min(MAX_MESSAGE), "{error}: {}", bytes.escape_ascii());
            let too_long = matches!(error.reason, DecodeReason::TooLong { length } if length == bytes.len());
            assert_eq!(too_long, bytes.len() > MAX_MESSAGE, "{error}: {}", bytes.escape_ascii());
            return false;
        }
    };
    assert!(bytes.len() <= MAX_MESSAGE, "{}", bytes.escape_ascii());
    let written = message.encode();
    let same = match message {
        Message::Register(Registrant::Address(_)) | Message::Deregister(Registrant::Address(_)) => {
            bytes.strip_prefix(&*written).is_some_and(|more| more.first().is_none_or(|byte| *byte == b':'))
        }
        _ => *written == *bytes,
    };
    assert!(same, "{} was written as {written:?}", bytes.escape_ascii());
    true
}

struct Random(TestRng);

impl Random {
    /// A message of the table, or a new one of pieces of them, and then a few bytes changed.
    fn datagram(&mut self, datagram: &mut Vec<u8>) {
        datagram.clear();
        if self.below(2) == 0 {
            datagram.extend_from_slice(MESSAGES[self.below(MESSAGES.len())]);
        } else {
            for _ in 0..self.below(9) {
                datagram.extend_from_slice(PIECES[self.below(PIECES.len())]);
            }
        }
        for _ in 0..self.below(4).saturating_sub(1) {
            let [byte, other, ..] = self.0.next_u32().to_le_bytes();
            // One that means something, or any.
            let byte = if other < 128 { MEANT[usize::from(byte) % MEANT.len()] } else { byte };
            let at = self.below(datagram.len() + 1);
            match self.below(4) {
                0 => datagram.insert(at, byte),
                1 => datagram.truncate(at),
                2 if at < datagram.len() => drop(datagram.remove(at)),
                _ if at < datagram.len() => datagram[at] = byte,
                _ => datagram.push(byte),
            }
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.0.next_u32()).expect("32 bits fit") % limit
    }
}

const PIECES: [&[u8]; 23] = [
    b"PR",
    b"PD",
    b"PL",
    b"RR0",
    b"RD1",
    b"RL0",
    b"RL1",
    b"RL3",
    b"laura@bb.com",
    b"joya@CC.com.",
    "ñandú@PC-c".as_bytes(),
    b":",
    b":",
    b":",
    b":84.88.154.3",
    b":0.0.0.0",
    b":4456",
    b"0",
    b"PK",
    b":A",
    b":E",
    b"................",
    b"AAECAwQFBgcICQoL",
];

const MEANT: &[u8] = b"PRDLKAE_=0123459:@.+- \0\n\xc3\xff";
