//! The event, as tracing carries it.

use std::net::SocketAddrV4;

use tracing::Level;

/// Says that `party` sends `message` to `remote`.
///
/// `party` is who logs: the domain of a node (`bb.com`) or the address of an agent (`laura@bb.com`). `message`
/// is the whole datagram, whatever its length. The line is written when this returns, so it is called before
/// the datagram leaves: no one sees a reply that the log lacks.
pub fn sent(party: &str, remote: SocketAddrV4, message: &[u8]) {
    emit(Direction::Sent, party, remote, message);
}

/// Says that `party` received `message` from `remote`. As [`sent`].
pub fn received(party: &str, remote: SocketAddrV4, message: &[u8]) {
    emit(Direction::Received, party, remote, message);
}

fn emit(direction: Direction, party: &str, remote: SocketAddrV4, message: &[u8]) {
    // All of it is values that tracing hands on as they are: nothing is formatted, nothing allocated.
    tracing::event!(
        target: TARGET,
        Level::INFO,
        party,
        sent = direction == Direction::Sent,
        ip = u32::from(*remote.ip()),
        port = remote.port(),
        message = &message[..message.len().min(MAX_KEPT)],
        length = message.len(),
    );
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `E`: from the party that logs to the remote side.
    Sent,
    /// `R`: from the remote side to the party that logs.
    Received,
}

impl Direction {
    /// The letter that stands for it in the log.
    pub fn letter(self) -> char {
        match self {
            Self::Sent => 'E',
            Self::Received => 'R',
        }
    }
}

/// The target of the events of this crate, whose level is INFO.
pub const TARGET: &str = "plumi::message";

/// The most bytes of a datagram that an entry keeps: a longer one is no PLUMI message.
pub const MAX_KEPT: usize = 100;
