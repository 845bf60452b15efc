//! One message sent or received, and its line.

use std::fmt::{self, Write};
use std::net::SocketAddr;

use crate::event::{Direction, MAX_KEPT, RemoteAddress};
use crate::printable::write_printable;
use crate::traffic::{Content, Passed};

/// A PLUMI message that was sent or received.
///
/// Its `Display` is its line in the log, without a line end, and has no line end in it:
///
/// ```text
///   E: 84.88.154.3:UDP:4500, PRmaria@bb.com, 14
///   │  └ remote         │    └ message       └ its length in bytes
///   └ direction         └ remote port
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    pub(crate) party: String,
    pub(crate) direction: Direction,
    pub(crate) remote: RemoteAddress,
    message: Vec<u8>,
    pub(crate) length: usize,
}

impl Entry {
    /// The entry of `message`, of any length, that `party` sent to `remote` or received from there.
    pub fn new(party: &str, direction: Direction, remote: RemoteAddress, message: &[u8]) -> Self {
        let mut entry = Self {
            party: party.to_owned(),
            direction,
            remote,
            message: Vec::with_capacity(MAX_KEPT),
            length: message.len(),
        };
        entry.keep(message);
        entry
    }

    /// The entry of a message that a tap of `party` captured. `None` if it is a frame and no message, or not
    /// over IPv4.
    pub fn of(party: &str, passed: &Passed) -> Option<Self> {
        match (passed.remote, &passed.content) {
            (SocketAddr::V4(remote), Content::Plumi(message)) => {
                Some(Self::new(party, passed.direction, remote, message))
            }
            _ => None,
        }
    }

    /// Returns the party that logs: the domain of a node or the address of an agent.
    pub fn party(&self) -> &str {
        &self.party
    }

    /// Returns whether the message was sent or received.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Returns the address of the other side.
    pub fn remote(&self) -> RemoteAddress {
        self.remote
    }

    /// The message; of one that is longer than [`MAX_KEPT`] bytes, the first of them.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The length of the whole message, in bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Returns whether it stands for messages that have no entries of their own, see
    /// [`LineLimit`](crate::LineLimit). [`Entry::message`] is then the number of them in words, and the
    /// length is 0.
    pub fn is_left_out(&self) -> bool {
        self.length == 0 && !self.message.is_empty()
    }

    pub(crate) fn keep(&mut self, message: &[u8]) {
        self.message.clear();
        self.message.extend_from_slice(&message[..message.len().min(MAX_KEPT)]);
    }
}

impl Entry {
    /// Its line, without a line end.
    pub(crate) fn write_line(&self, line: &mut impl Write) -> fmt::Result {
        let mut number = itoa::Buffer::new();
        line.write_char(self.direction.letter())?;
        line.write_str(": ")?;
        let [first, others @ ..] = self.remote.ip().octets();
        line.write_str(number.format(first))?;
        for octet in others {
            line.write_char('.')?;
            line.write_str(number.format(octet))?;
        }
        line.write_str(":UDP:")?;
        line.write_str(number.format(self.remote.port()))?;
        line.write_str(", ")?;
        write_printable(&self.message, line)?;
        line.write_str(if self.length > self.message.len() { "..., " } else { ", " })?;
        line.write_str(number.format(self.length))
    }
}

impl Clone for Entry {
    fn clone(&self) -> Self {
        let mut entry = Self::new(&self.party, self.direction, self.remote, &self.message);
        entry.length = self.length;
        entry
    }

    /// Reuses the memory that it has.
    fn clone_from(&mut self, other: &Self) {
        let Self { party, direction, remote, message, length } = self;
        party.clone_from(&other.party);
        (*direction, *remote, *length) = (other.direction, other.remote, other.length);
        message.clone_from(&other.message);
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_line(f)
    }
}
