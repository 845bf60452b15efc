//! The capture of an agent's traffic, see [`AgentBuilder::traffic`](crate::AgentBuilder::traffic).

pub(crate) use message_log::WeakTap;
pub use message_log::{
    Content, FrameKind, Handshake, MAX_TRAFFIC, MAX_TRAFFIC_BYTES, Passed, Traffic, TrafficTap, traffic,
};

use mi_proto::{Frame, ReceivedKind};

/// Returns the kind of a frame that is sent.
pub(crate) fn kind_of_sent(frame: &Frame) -> FrameKind {
    match frame {
        Frame::Nickname(_) => FrameKind::Nickname,
        Frame::Line(_) => FrameKind::Line,
    }
}

/// Returns the kind of what the codec has read.
pub(crate) fn kind_of_received(kind: ReceivedKind) -> FrameKind {
    match kind {
        ReceivedKind::Nickname => FrameKind::Nickname,
        ReceivedKind::Line => FrameKind::Line,
        _ => FrameKind::Unframed,
    }
}
