//! The messages and what they carry.

use core::fmt;
use core::num::NonZeroU16;
use core::str::FromStr;

use crate::address::MiAddress;
use crate::extension::{Extension, MAX_EXTENSION};
use crate::host::{HostIp, TcpAddress};
use crate::name::{MAX_ADDRESS, UserName};
use crate::proof::{Challenge, KEY_TEXT, KeyAndMac, MAC_TEXT, PROOF_TEXT, Proof, Verb};

/// One PLUMI message, which is one datagram of at most [`MAX_MESSAGE`] bytes.
///
/// ```text
///   PR laura@bb.com                                           P…: a request
///   RR 0                                                      R…: its answer
///   PL laura@bb.com : joya@cc.com
///   RL 0 laura@bb.com : joya@cc.com : 84.88.154.3 : 4456      (no blanks on the wire)
/// ```
///
/// An answer can have an [`Extension`], and a request one that has a meaning. A message with one is written
/// with it if both fit in [`MAX_MESSAGE`] bytes, and otherwise without it: part of an extension could mean
/// something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Message {
    /// `PR`, agent to its node: this user is online, at the address this datagram comes from.
    Register(Registrant),
    /// `RR`, node to agent: the answer to [`Message::Register`].
    RegisterReply {
        /// The outcome: registered, or no such user.
        code: RegisterCode,
        /// The text after the code.
        extension: Extension,
    },
    /// `PD`, agent to its node: this user is offline.
    Deregister(Registrant),
    /// `RD`, node to agent: the answer to [`Message::Deregister`].
    DeregisterReply {
        /// The outcome: deregistered, or no such user.
        code: DeregisterCode,
        /// The text after the code.
        extension: Extension,
    },
    /// `PL`, agent to its node, to the node of the other domain, to the other agent.
    Locate(Locate),
    /// `RL`, the same way back.
    LocateReply {
        /// The request that is answered.
        locate: Locate,
        /// The location of the user, or the reason why it is not given.
        outcome: LocateOutcome,
        /// The text after the last field.
        extension: Extension,
    },
    /// `PR` or `PD` with `:A`, agent to its node: the same request, which asks for a [`Challenge`].
    RequestChallenge {
        /// The request that the proof is for: to register or to deregister.
        verb: Verb,
        /// The user.
        address: MiAddress,
    },
    /// `PK`, agent to its node: the answer to a challenge.
    Prove(Proof),
    /// `PR` with `:E`, agent to its node: this is a key of the user, by an invitation. It registers nobody.
    Enrol {
        /// The user.
        address: MiAddress,
        /// The user's public key, and the proof that the sender knows the invitation.
        key: KeyAndMac,
    },
}

impl Message {
    /// Returns the message without its extension, for a program that compares messages and understands none.
    pub fn without_extension(mut self) -> Self {
        match &mut self {
            Self::RegisterReply { extension, .. }
            | Self::DeregisterReply { extension, .. }
            | Self::LocateReply { extension, .. } => *extension = Extension::NONE,
            Self::RequestChallenge { verb: Verb::Register, address } | Self::Enrol { address, .. } => {
                return Self::Register(Registrant::Address(*address));
            }
            Self::RequestChallenge { verb: Verb::Deregister, address } => {
                return Self::Deregister(Registrant::Address(*address));
            }
            Self::Register(_) | Self::Deregister(_) | Self::Locate(_) | Self::Prove(_) => {}
        }
        self
    }

    /// Returns the challenge that this `RR1` or `RD1` carries.
    pub fn challenge(&self) -> Option<(Verb, Challenge)> {
        match self {
            Self::RegisterReply { code: RegisterCode::NoSuchUser, extension } => {
                Some((Verb::Register, Challenge::of(extension)?))
            }
            Self::DeregisterReply { code: DeregisterCode::NoSuchUser, extension } => {
                Some((Verb::Deregister, Challenge::of(extension)?))
            }
            _ => None,
        }
    }

    /// Returns the answer to an enrolment that this `RR0` carries.
    pub fn enrolled(&self) -> Option<KeyAndMac> {
        match self {
            Self::RegisterReply { code: RegisterCode::Registered, extension } => KeyAndMac::of(extension),
            _ => None,
        }
    }
}

/// The user that registers or deregisters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Registrant {
    /// The full form, `user@domain`.
    Address(MiAddress),
    /// The bare form that some deployed agents send: a user of the domain of the node that receives it.
    User(UserName),
}

/// The question of a location request, by which its answer is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Locate {
    /// The user that asks.
    pub from: MiAddress,
    /// The user that is looked for.
    pub to: MiAddress,
}

/// The code of an `RR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegisterCode {
    /// `0`: registered.
    Registered,
    /// `1`: not registered, the node has no such user.
    NoSuchUser,
}

/// The code of an `RD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeregisterCode {
    /// `0`: deregistered.
    Deregistered,
    /// `1`: not deregistered, the node has no such user.
    NoSuchUser,
}

/// The code of an `RL`, with the address that code `0` carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LocateOutcome {
    /// `0`: talk to this TCP socket.
    Found(MiSocketAddress),
    /// `1`: the user is in a conversation.
    Busy,
    /// `2`: there is no such user, or no such domain.
    NoSuchUser,
    /// `3`: the user is offline.
    Offline,
}

/// The address at which an agent listens for conversations: an IPv4 address and a TCP port that is not 0.
///
/// Its text is `ip:port`. Addresses are ordered by IP, then by port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MiSocketAddress {
    /// The address. `0.0.0.0` occurs on the wire: some agents do not know their own.
    pub ip: HostIp,
    /// The TCP port.
    pub port: NonZeroU16,
}

impl MiSocketAddress {
    /// `None` if the port is 0.
    pub fn new(address: TcpAddress) -> Option<Self> {
        Some(Self { ip: *address.ip(), port: NonZeroU16::new(address.port())? })
    }
}

impl From<MiSocketAddress> for TcpAddress {
    fn from(address: MiSocketAddress) -> Self {
        Self::new(address.ip, address.port.get())
    }
}

impl FromStr for MiSocketAddress {
    type Err = MiSocketAddressError;

    fn from_str(address: &str) -> Result<Self, MiSocketAddressError> {
        address.parse().ok().and_then(Self::new).ok_or(MiSocketAddressError)
    }
}

impl fmt::Display for MiSocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ip, self.port)
    }
}

/// The error for a text that is not an MI socket address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not ip:port, with an IPv4 address and a port of 1 to 65535")]
pub struct MiSocketAddressError;

/// The most bytes of a message. The longest without an extension, an `RL0`, has 98.
pub const MAX_MESSAGE: usize = 100;

const _: () = assert!("RR0:".len() + MAX_EXTENSION == MAX_MESSAGE);
const _: () = assert!("PR".len() + MAX_ADDRESS + ":E".len() + KEY_TEXT + ":".len() + MAC_TEXT <= MAX_MESSAGE);
const _: () = assert!("PK".len() + PROOF_TEXT <= MAX_MESSAGE);

/// The UDP port on which nodes listen, and from which they talk to each other.
pub const NODE_PORT: u16 = 3344;
