//! The phases of a conversation, and what its two directions are doing.

use std::time::Instant;

/// A phase of a conversation. They come in this order; some are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Greeting,
    /// A caller is not admitted yet.
    Deciding,
    Talking,
    /// Lines that were handed over are still sent.
    Ending,
    /// The FIN is being sent.
    Closing,
    /// The peer may still talk, and has to end the conversation.
    Lingering,
    /// The peer's bytes are read and dropped. Unread bytes would turn our FIN into RST.
    Draining,
    Over,
}

/// A write that has not been confirmed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writing {
    pub(super) what: Written,
    /// The frame of a line: the number of frames that follow, and whether the line was promised.
    pub(super) frame: Option<(usize, bool)>,
    /// The limit of the write; `None` for a FIN, which has the limit of its phase.
    pub(super) until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Nickname,
    Line,
    /// The empty line before our FIN.
    Farewell,
    Fin,
}

/// The peer's direction of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Frames,
    /// Bytes that are dropped.
    Dropped,
    Ended,
}
