//! The number of messages of each kind.

use std::fmt;

use plumi_proto::{DeregisterCode, LocateOutcome, Message, RegisterCode, Verb};

/// The kind by which messages are counted: their two letters, and the code of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageKind {
    /// `PR`.
    Register,
    /// `RR0`.
    Registered,
    /// `RR1`.
    NotRegistered,
    /// `PD`.
    Deregister,
    /// `RD0`.
    Deregistered,
    /// `RD1`.
    NotDeregistered,
    /// `PK`.
    Prove,
    /// `PL`.
    Locate,
    /// `RL0`.
    Found,
    /// `RL1`.
    Busy,
    /// `RL2`.
    NoSuchUser,
    /// `RL3`.
    Offline,
}

impl MessageKind {
    /// All of them, in the order of protocol.md §2.
    pub const ALL: [Self; 12] = [
        Self::Register,
        Self::Registered,
        Self::NotRegistered,
        Self::Deregister,
        Self::Deregistered,
        Self::NotDeregistered,
        Self::Prove,
        Self::Locate,
        Self::Found,
        Self::Busy,
        Self::NoSuchUser,
        Self::Offline,
    ];

    /// That of `message`, if it is of a kind that is counted.
    pub fn of(message: &Message) -> Option<Self> {
        Some(match message {
            Message::Register(_)
            | Message::RequestChallenge { verb: Verb::Register, .. }
            | Message::Enrol { .. } => Self::Register,
            Message::RegisterReply { code: RegisterCode::Registered, .. } => Self::Registered,
            Message::RegisterReply { code: RegisterCode::NoSuchUser, .. } => Self::NotRegistered,
            Message::Deregister(_) | Message::RequestChallenge { verb: Verb::Deregister, .. } => {
                Self::Deregister
            }
            Message::DeregisterReply { code: DeregisterCode::Deregistered, .. } => Self::Deregistered,
            Message::DeregisterReply { code: DeregisterCode::NoSuchUser, .. } => Self::NotDeregistered,
            Message::Prove(_) => Self::Prove,
            Message::Locate(_) => Self::Locate,
            Message::LocateReply { outcome: LocateOutcome::Found(_), .. } => Self::Found,
            Message::LocateReply { outcome: LocateOutcome::Busy, .. } => Self::Busy,
            Message::LocateReply { outcome: LocateOutcome::NoSuchUser, .. } => Self::NoSuchUser,
            Message::LocateReply { outcome: LocateOutcome::Offline, .. } => Self::Offline,
            _ => return None,
        })
    }

    /// Returns the beginning of a message of this kind: `PR`, `RR0`, …
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "PR",
            Self::Registered => "RR0",
            Self::NotRegistered => "RR1",
            Self::Deregister => "PD",
            Self::Deregistered => "RD0",
            Self::NotDeregistered => "RD1",
            Self::Prove => "PK",
            Self::Locate => "PL",
            Self::Found => "RL0",
            Self::Busy => "RL1",
            Self::NoSuchUser => "RL2",
            Self::Offline => "RL3",
        }
    }
}

/// The number of messages of each kind.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageCounts([u64; MessageKind::ALL.len()]);

impl MessageCounts {
    /// Those of one kind.
    pub fn of(&self, kind: MessageKind) -> u64 {
        self.0[kind as usize]
    }

    /// Every kind, with how many there were.
    pub fn iter(&self) -> impl Iterator<Item = (MessageKind, u64)> + '_ {
        MessageKind::ALL.into_iter().map(|kind| (kind, self.of(kind)))
    }

    pub(super) fn count(&mut self, message: &Message) {
        if let Some(kind) = MessageKind::of(message) {
            self.0[kind as usize] += 1;
        }
    }
}

impl fmt::Debug for MessageCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(kind, count)| (kind.name(), count))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_place_of_its_own_and_is_named_as_its_messages_begin() {
        let mut counts = MessageCounts::default();
        let proof = format!("PKRA{}", "A".repeat(94));
        let texts =
            ["PRlaura", "RR0", "RR1", "PDlaura", "RD0", "RD1", &proof, "PLa@b:c@d"].map(str::to_owned);
        let replies = ["RL0a@b:c@d:10.0.0.1:1", "RL1a@b:c@d", "RL2a@b:c@d", "RL3a@b:c@d"].map(str::to_owned);
        for (text, kind) in texts.iter().chain(&replies).zip(MessageKind::ALL) {
            let message = Message::decode(text.as_bytes()).unwrap();
            counts.count(&message);
            assert!(
                MessageKind::of(&message) == Some(kind) && text.starts_with(kind.name()),
                "{text}: {kind:?}"
            );
        }
        assert_eq!(counts.iter().map(|(_, count)| count).collect::<Vec<_>>(), [1; MessageKind::ALL.len()]);
        assert!(format!("{counts:?}").starts_with(r#"{"PR": 1, "RR0": 1, "#));
    }
}
