//! Emulators of L and S, the two deployed programs that speak these protocols, as protocol.md §7 has them:
//! what they send, what they expect, and what ends them.
//!
//! They are synchronous: what happened, and when, is told to them; what they do, they say. They have no
//! socket and no clock, and they write and read their bytes themselves, since what used our codec would share
//! its mistakes. One that has ended stays so: it no longer does or says anything.

mod domain;
mod l_agent;
mod l_node;
mod pmi;
#[cfg(test)]
mod proofs;
mod request;
mod s_agent;
mod s_node;
pub mod sockets;
#[cfg(test)]
mod testing;
mod text;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddrV4;
use std::time::Instant;

pub use l_agent::LAgent;
pub use l_node::LNode;
pub use pmi::{Side, Talk, TalkEffect};
pub use request::{Failure, Request};
pub use s_agent::SAgent;
pub use s_node::SNode;

/// One of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Program {
    /// Ends on whatever it does not know.
    L,
    /// Speaks the older form, quickly, and bears more.
    S,
}

/// The interface that agents and nodes have in common. Carry out every [`Effect`] after each call of the
/// others.
pub trait Emulator: fmt::Debug + Send {
    /// A datagram came.
    fn datagram(&mut self, now: Instant, from: SocketAddrV4, bytes: &[u8]);

    /// A datagram that it sent was refused: ICMP said that the port is closed.
    fn icmp_refused(&mut self) {}

    /// The time that [`Emulator::poll_timeout`] named has come.
    fn timeout(&mut self, _now: Instant) {}

    /// Returns the time at which [`Emulator::timeout`] is due, if ever.
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Returns its next effect; `None` when that is all.
    fn poll_output(&mut self) -> Option<Effect>;

    /// Returns the death that ended it, if anything has.
    fn death(&self) -> Option<&Death>;
}

/// An agent. It carries out one request at a time, as its user sits and waits for it.
pub trait AgentEmulator: Emulator {
    /// It is started: registers.
    ///
    /// # Panics
    /// If it is waiting for an answer; so for the other requests.
    fn start(&mut self, now: Instant);

    /// Its user calls `to`: asks where that is.
    fn locate(&mut self, now: Instant, to: &str);

    /// Its user leaves: deregisters.
    fn deregister(&mut self, now: Instant);

    /// Returns whether it waits for an answer.
    fn is_waiting(&self) -> bool;

    /// Sets whether it is in a conversation from now on.
    fn set_busy(&mut self, busy: bool);

    /// Returns the address of its node.
    fn node(&self) -> SocketAddrV4;
}

/// A node. It finds other nodes in a table instead of DNS.
pub trait NodeEmulator: Emulator {
    /// Returns the address at which the user is online, if so.
    fn address_of(&self, user: &str) -> Option<SocketAddrV4>;

    /// Makes it find the node of `domain` at `node` from now on.
    fn add_peer(&mut self, domain: &str, node: SocketAddrV4);

    /// Its administrator removes a user.
    fn remove_user(&mut self, user: &str);

    /// Its program is started again: everybody is offline.
    fn restart(&mut self);
}

/// An effect of an emulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Sends this datagram.
    Send(SocketAddrV4, Vec<u8>),
    /// Tells its user: registered.
    Registered,
    /// Tells its user: deregistered.
    Deregistered,
    /// Has found the callee, and dials.
    Located {
        /// The user.
        to: String,
        /// The address, as it was published.
        at: SocketAddrV4,
    },
    /// Tells its user what went wrong.
    Failed(Request, Failure),
    /// Took this datagram for something that it is not, or passed it over. It lives; whether anybody should
    /// have sent it that is for the test to say.
    Odd(Vec<u8>),
    /// Has ended.
    Died(Death),
}

/// The cause that ends a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Death {
    /// A node was sent a datagram of no bytes.
    Empty,
    /// A node was sent a datagram of a type that is no question to a node, nor an `RL`.
    UnknownType(Vec<u8>),
    /// A node was sent a message of a known type that is not well-formed.
    Malformed(Vec<u8>),
    /// A node was sent more than 100 bytes.
    TooLong(usize),
    /// A node was sent an `RL` for a user that it does not know.
    UnknownUser(Vec<u8>),
    /// A node was sent `PRuser` or `PDuser`.
    BareUser(Vec<u8>),
    /// An agent sent to a port that is closed.
    PortUnreachable,
    /// A segment had more in it than its first frame.
    Coalesced(Vec<u8>),
    /// A segment had less in it than a frame.
    Split(Vec<u8>),
    /// A frame of a type that is not known, or has no place there.
    UnexpectedFrame(Vec<u8>),
    /// The connection was reset.
    Reset,
    /// The connection was closed before the peer's nickname had come.
    ClosedBeforeNickname,
    /// The connection was closed before a line had come.
    ClosedBeforeLine,
}

impl Death {
    /// The row of protocol.md §7 that it is a case of.
    pub fn row(&self) -> u8 {
        match self {
            Self::BareUser(_) => 2,
            Self::Empty
            | Self::UnknownType(_)
            | Self::Malformed(_)
            | Self::TooLong(_)
            | Self::UnknownUser(_) => 6,
            Self::PortUnreachable => 9,
            Self::Coalesced(_) => 10,
            Self::Split(_) => 11,
            Self::UnexpectedFrame(_) | Self::Reset | Self::ClosedBeforeNickname => 12,
            Self::ClosedBeforeLine => 21,
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "an empty datagram"),
            Self::UnknownType(bytes) => write!(f, "no question: {}", bytes.escape_ascii()),
            Self::Malformed(bytes) => write!(f, "not well-formed: {}", bytes.escape_ascii()),
            Self::TooLong(length) => write!(f, "a datagram of {length} bytes"),
            Self::UnknownUser(bytes) => write!(f, "RL for an unknown user: {}", bytes.escape_ascii()),
            Self::BareUser(bytes) => write!(f, "no domain: {}", bytes.escape_ascii()),
            Self::PortUnreachable => write!(f, "ICMP port unreachable"),
            Self::Coalesced(bytes) => write!(f, "several frames in one segment: {}", bytes.escape_ascii()),
            Self::Split(bytes) => write!(f, "less than a frame in one segment: {}", bytes.escape_ascii()),
            Self::UnexpectedFrame(bytes) => write!(f, "an unexpected frame: {}", bytes.escape_ascii()),
            Self::Reset => write!(f, "RST"),
            Self::ClosedBeforeNickname => write!(f, "closed before N"),
            Self::ClosedBeforeLine => write!(f, "closed before L"),
        }?;
        write!(f, " (protocol.md §7, row {})", self.row())
    }
}

/// Effects that wait to be carried out; nothing comes after the end.
#[derive(Clone, Debug, Default)]
struct Outbox {
    effects: VecDeque<Effect>,
    death: Option<Death>,
}

impl Outbox {
    fn push(&mut self, effect: Effect) {
        if self.death.is_none() {
            self.effects.push_back(effect);
        }
    }

    fn die(&mut self, death: Death) {
        self.push(Effect::Died(death.clone()));
        self.death.get_or_insert(death);
    }

    fn is_dead(&self) -> bool {
        self.death.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_does_nothing_more() {
        let mut outbox = Outbox::default();
        outbox.push(Effect::Registered);
        outbox.die(Death::Empty);
        outbox.push(Effect::Deregistered);
        outbox.die(Death::Reset);
        assert_eq!(outbox.effects, [Effect::Registered, Effect::Died(Death::Empty)]);
        assert_eq!(outbox.death, Some(Death::Empty));
    }

    #[test]
    fn a_death_names_its_row() {
        assert_eq!(Death::BareUser(b"PRu1".to_vec()).to_string(), "no domain: PRu1 (protocol.md §7, row 2)");
        assert_eq!(Death::Reset.to_string(), "RST (protocol.md §7, row 12)");
    }
}
