//! The reaction of a node to one datagram, and what may be said of any.

use std::net::SocketAddrV4;
use std::time::Duration;

use lumi_node_core::{DropReason, Output};
use plumi_proto::{LocateOutcome, MAX_MESSAGE, Message};

use super::{Law, Violation, ensure};

/// The reaction of a node to one datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    pub(super) now: Duration,
    pub(super) from: SocketAddrV4,
    pub(super) handled: &'a Result<(), DropReason>,
    pub(super) outputs: &'a [Output],
}

impl Step<'_> {
    /// The datagram was dropped.
    pub(super) fn is_silent(self) -> Result<(), Violation> {
        ensure!(self.outputs.is_empty(), Silence, "something from {} led to {:?}", self.from, self.outputs);
        ensure!(self.handled.is_err(), Silence, "something from {} was not dropped", self.from);
        Ok(())
    }

    /// The datagram was dropped because everybody else has less in a full table.
    pub(super) fn has_no_room(self) -> Result<(), Violation> {
        self.is_dropped(DropReason::NoRoom, true)
    }

    /// The datagram was dropped because it repeats another one at once.
    pub(super) fn is_too_soon(self, is_repeated: bool) -> Result<(), Violation> {
        self.is_dropped(DropReason::Repeated, is_repeated)
    }

    pub(super) fn is_dropped(self, reason: DropReason, is_right: bool) -> Result<(), Violation> {
        let is_dropped = self.outputs.is_empty() && *self.handled == Err(reason);
        ensure!(
            is_dropped && is_right,
            RepliesPass,
            "a request of {} led to {:?}, {:?}",
            self.from,
            self.outputs,
            self.handled
        );
        Ok(())
    }

    /// The datagram led to exactly this message, byte for byte.
    pub(super) fn sends(self, law: Law, to: SocketAddrV4, message: Message) -> Result<(), Violation> {
        let is_sent = match self.outputs {
            [Output::Transmit { to: receiver, message: sent, .. }] => {
                *receiver == to && *sent.encode() == *message.encode()
            }
            _ => false,
        };
        if is_sent && self.handled.is_ok() {
            return Ok(());
        }
        let Self { from, outputs, handled, .. } = self;
        let what = format!("for {from}: {outputs:?} ({handled:?}) instead of {:?} to {to}", message.encode());
        Err(Violation { law, what })
    }

    pub(super) fn is_not_amplified(self, length: usize) -> Result<(), Violation> {
        let Some(Output::Transmit { message, .. }) = self.outputs.first() else { return Ok(()) };
        let sent = message.encode().len();
        ensure!(sent <= MAX_MESSAGE, ShortMessages, "{sent} bytes: {message:?}");
        let is_found = matches!(message, Message::LocateReply { outcome: LocateOutcome::Found(_), .. });
        // An address that replaces 0.0.0.0 may be 8 bytes longer.
        let most = if is_found { length + 8 } else { length * 112 / 100 };
        ensure!(sent <= most, NoAmplification, "{sent} bytes for {length}: {message:?}");
        Ok(())
    }
}
