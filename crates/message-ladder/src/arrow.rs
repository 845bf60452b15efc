//! The parts of a ladder: parties, arrows, and their changes.

use std::time::SystemTime;

use plumi_proto::{MiAddress, UdpAddress};

/// The number of a party; no other party of a ladder ever has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PartyId(pub(crate) u32);

impl PartyId {
    /// The owner of the log.
    pub const THIS: Self = Self(0);

    /// No party.
    pub(crate) const NONE: Self = Self(u32::MAX);

    /// Returns the number.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// A user or a node, with all its sockets: a column of the ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub struct Party {
    /// Its number.
    pub id: PartyId,
    /// Its role.
    pub role: Role,
    /// The address of the user or the domain of the node, escaped; the socket if it has given neither.
    pub name: String,
    /// The latest of its sockets; `None` for the owner of the log, and for [`Role::Others`] and
    /// [`Role::Check`].
    ///
    /// A message that only claims to be from a user or node changes nothing here, once the owner of the log
    /// has accepted another socket of that party.
    pub address: Option<UdpAddress>,
    /// The number of its sockets: those of arrows that are kept, and the latest one. 0 without an address.
    pub addresses: usize,
}

/// The role of a party, by the messages that it sends and is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Role {
    /// An agent, or a stranger.
    Agent,
    /// All those together that have no column of their own, of which there are only so many.
    Others,
    /// The questions of `lumi-node check` and their answers. They have no column.
    Check,
    /// The owner of the log.
    This,
    /// Another node.
    Node,
}

/// One message from a party to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub struct Arrow {
    /// Counts messages, from 1.
    pub number: u64,
    /// The time at which it passed, if that is known; as JSON, in milliseconds since 1970 in UTC.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialized::milliseconds"))]
    pub at: Option<SystemTime>,
    /// The sender.
    pub from: PartyId,
    /// The receiver.
    pub to: PartyId,
    /// The other side's socket, whichever way the message went.
    pub remote: UdpAddress,
    /// Set if the owner of the log sent it.
    pub sent: bool,
    /// Its letters and its code, `PR` or `RL0`; [`MALFORMED`] if it is no PLUMI message.
    pub kind: String,
    /// The message as the log has it: escaped, and of a long one the beginning.
    pub message: String,
    /// The length of all of it, in bytes.
    pub length: usize,
    /// Its meaning in words, or the reason why it is no message; escaped.
    pub words: String,
    /// The addresses of the users that it is about.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialized::addresses"))]
    pub users: Vec<MiAddress>,
    /// An observation about it, in words; escaped.
    pub note: Option<String>,
}

impl Arrow {
    /// Returns whether it is about `user`: a name alone, or an address with its domain in any case.
    pub fn concerns(&self, user: &str) -> bool {
        if user.contains('@') {
            user.parse::<MiAddress>().is_ok_and(|address| self.users.contains(&address))
        } else {
            self.users.iter().any(|address| address.user().as_str() == user)
        }
    }
}

/// A change that comes with a message. Changes are to be taken over in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Change {
    /// There is this party, or it has another name or role than before.
    Party(Party),
    /// This party is there no more; no arrow that is kept has it.
    Gone(PartyId),
    /// This has passed.
    Arrow(Arrow),
    /// The number of messages that have passed and are no longer kept.
    Missed(u64),
}

#[cfg(feature = "serde")]
mod serialized {
    use std::time::{SystemTime, UNIX_EPOCH};

    use plumi_proto::MiAddress;
    use serde::Serializer;

    pub(super) fn milliseconds<S: Serializer>(
        at: &Option<SystemTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let since = at.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        match since.and_then(|since| u64::try_from(since.as_millis()).ok()) {
            Some(milliseconds) => serializer.serialize_some(&milliseconds),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn addresses<S: Serializer>(users: &[MiAddress], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(users.iter().map(|user| crate::text::shown(user.as_str())))
    }
}

/// The kind of what is no PLUMI message.
pub const MALFORMED: &str = "?";

/// The user that `lumi-node check` asks about, and under which it asks. No person has this name.
pub const CHECK_USER: &str = "lumi-node-check";

/// The name instead of [`CHECK_USER`] for a domain that is too long for that one.
pub const SHORT_CHECK_USER: &str = "_";
