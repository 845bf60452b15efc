//! The effects of an outbox, and their results.

use plumi_proto::MiAddress;

use super::item::OutboxItem;

/// An effect that an outbox asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutboxOutput {
    /// Ask once where this user is, and call if there is an answer. Then call [`OutboxState::handle_failed`](crate::OutboxState::handle_failed) or
    /// [`OutboxState::handle_begun`](crate::OutboxState::handle_begun).
    Try(MiAddress),
    /// Store the message as it is now, durably, and then call [`OutboxState::handle_saved`](crate::OutboxState::handle_saved).
    Save(OutboxItem),
    /// Send the message, and call [`OutboxState::handle_written`](crate::OutboxState::handle_written) once it is written. There is no other one
    /// for this user before that.
    Write(OutboxItem),
    /// End the conversation with this user once nobody has anything to say, and call
    /// [`OutboxState::handle_finished`](crate::OutboxState::handle_finished) when it is over.
    Finish(MiAddress),
    /// Tell the user what has become of the message.
    Report(OutboxItem),
}

/// How a conversation ended in which messages were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finished {
    /// Everything was sent, and the peer has ended its side in order.
    Answered,
    /// The peer has refused the call, and shows nothing of what was said.
    Refused,
    /// The connection broke, or the peer did not answer the end.
    Broken,
}

/// How much of a message was written to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Written {
    /// All of it.
    All,
    /// Some of it, or perhaps all: the connection failed meanwhile.
    Part,
    /// Nothing: the conversation had ended before.
    Nothing,
}
