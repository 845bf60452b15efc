//! The event, as tracing carries it.

use std::mem;
use std::net::SocketAddrV4;

use tracing::{Level, Metadata};

/// Says that `party` sends `message` to `remote`.
///
/// `party` is the owner of the log: the domain of a node (`bb.com`) or the address of an agent
/// (`laura@bb.com`). `message` is the whole datagram, whatever its length. The sink has taken it when this
/// returns, and a log that is not in the background has its line. It is called before the datagram leaves, so
/// no one sees a reply that such a log lacks.
pub fn sent(party: &str, remote: RemoteAddress, message: &[u8]) {
    emit(Direction::Sent, party, remote, message, message.len(), false);
}

/// Says that `party` received `message` from `remote`. As [`sent`].
pub fn received(party: &str, remote: RemoteAddress, message: &[u8]) {
    emit(Direction::Received, party, remote, message, message.len(), false);
}

/// Messages of one party with lines that are written together, in the order in which they were told: a party
/// that handles many at once pays for one call of the system.
///
/// Lines wait for [`Batch::write`], which comes before any of what was sent leaves. They may be written
/// sooner, and are when the batch is dropped. All of it is for the subscriber that is the current one then.
#[derive(Debug)]
pub struct Batch {
    party: String,
    has_lines: bool,
}

impl Batch {
    /// Creates an empty batch for messages of `party`, see [`sent`].
    pub fn new(party: impl Into<String>) -> Self {
        Self { party: party.into(), has_lines: false }
    }

    /// Logs like [`sent`], but the line may wait.
    pub fn sent(&mut self, remote: RemoteAddress, message: &[u8]) {
        self.has_lines = true;
        emit(Direction::Sent, &self.party, remote, message, message.len(), true);
    }

    /// Logs like [`received`], but the line may wait.
    pub fn received(&mut self, remote: RemoteAddress, message: &[u8]) {
        self.has_lines = true;
        emit(Direction::Received, &self.party, remote, message, message.len(), true);
    }

    /// Logs in one line, in the `words` of a [`LeftOut`](crate::LeftOut), that messages from `remote` have no
    /// lines of their own. The line may wait.
    pub fn left_out(&mut self, remote: RemoteAddress, words: &str) {
        self.has_lines = true;
        // No message has text and the length 0, so none can pass for it.
        emit(Direction::Received, &self.party, remote, words.as_bytes(), 0, true);
    }

    /// Writes the lines that wait. They are in a log that is not in the background when this returns.
    pub fn write(&mut self) {
        if mem::take(&mut self.has_lines) {
            tracing::event!(target: TARGET, Level::TRACE, party = self.party, write = true);
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.write();
    }
}

fn emit(
    direction: Direction,
    party: &str,
    remote: RemoteAddress,
    message: &[u8],
    length: usize,
    waits: bool,
) {
    // All of it is values that tracing hands on as they are: nothing is formatted, nothing allocated.
    tracing::event!(
        target: TARGET,
        Level::TRACE,
        party,
        sent = direction == Direction::Sent,
        ip = u32::from(*remote.ip()),
        port = remote.port(),
        message = &message[..message.len().min(MAX_KEPT)],
        length,
        waits,
    );
}

/// Returns whether an event is of this crate: what the filter of a layer of messages lets pass.
pub fn is_message(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET
}

/// The UDP socket of the other side.
pub type RemoteAddress = SocketAddrV4;

/// The direction of a message.
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

/// The target of the events of this crate, at level TRACE: a subscriber of diagnostics shows none of them
/// unless it is asked to. Those that carry a message have the fields `party`, `sent`, `ip`, `port`,
/// `message`, `length` and `waits`, which says that the line may wait; the one that ends the wait has `party`
/// and `write`.
pub const TARGET: &str = "plumi::message";

/// The most bytes of a datagram that an entry keeps: a longer one is no PLUMI message.
pub const MAX_KEPT: usize = 100;
