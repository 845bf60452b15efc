//! The inputs and outputs of a [`ConversationState`].
//!
//! [`ConversationState`]: super::conversation::ConversationState

use mi_proto::Frame;

use crate::safe_text::PeerText;

/// The side of a conversation, which decides about the order of the nicknames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It connected, and its nickname is first.
    Caller,
    /// It was called.
    Callee,
}

/// The peer's direction can be read no more, or not as frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The connection failed.
    Connection,
    /// The peer did not send frames, or not in time. It may still be there, and has to see our FIN.
    Frames,
}

/// The input that a conversation wants from its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedInput {
    /// Nothing now. TCP makes the peer wait.
    Nothing,
    /// Frames for `handle_received`.
    Frames,
    /// Bytes, which nobody looks at.
    Bytes,
}

/// The reason why a conversation did not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GreetingFailure {
    /// The peer did not give its nickname in time, or did not read ours.
    TimedOut,
    /// The peer ended the connection.
    Ended,
    /// The first frame was a line.
    NoNickname,
    /// The connection broke, or the peer does not speak PMI.
    Broken,
    /// This side gave up: see `handle_given_up`.
    GivenUp,
}

/// An effect that a conversation asks for.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConversationOutput {
    /// Write this frame with one write, then call `handle_written`. There is no other write before that.
    Write(Frame),
    /// A frame of a promised line is written. So many frames of the line follow.
    Sent {
        /// The number of frames.
        left: usize,
    },
    /// The last frame of a line that was not promised is written.
    LineSent,
    /// Send FIN, then call `handle_written`.
    CloseWrite,
    /// The nicknames are exchanged. A caller's conversation has begun. A callee waits for `handle_admitted`,
    /// or for [`ConversationOutput::Undecided`] or [`ConversationOutput::CallerLeft`].
    Greeted(PeerText),
    /// Nobody decided in time about this caller: refuse it.
    Undecided,
    /// The caller has left before anybody decided, and has said nothing. The connection still has to end in
    /// order.
    CallerLeft,
    /// There will be no conversation. The connection still has to end in order.
    Failed(GreetingFailure),
    /// The peer said this. Nothing else is read until `handle_taken`.
    Deliver(PeerText),
    /// The callee refused this caller with a line, and has ended the conversation. A delivery, too.
    Refused(PeerText),
    /// The connection broke. A delivery, too.
    Lost,
    /// The oldest line that waited is handed over.
    HandedOver,
    /// Nothing more can be said: the conversation ends.
    Ending,
    /// Everything of this side has left, its FIN included, and the peer may still talk.
    Left,
    /// The connection can be closed. This is the last output.
    Ended {
        /// The number of frames that were handed over and not sent, without those that were dropped in a
        /// hurry.
        unsent: usize,
        /// The number of lines that waited and were not handed over.
        unsaid: usize,
        /// Set if everything was sent and both directions ended in order. A peer that closes before it has read
        /// everything sends an RST instead, so it has read all that came before its FIN.
        is_answered: bool,
    },
}
