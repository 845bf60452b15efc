//! The messages for one user.

use std::collections::VecDeque;

use super::item::{ItemId, ItemState, OutboxItem};
use super::schedule::{Schedule, Tried};
use crate::security::Security;

/// The messages for one user, and what is done about them.
#[derive(Debug, Default)]
pub(super) struct PeerItems {
    pub(super) items: VecDeque<OutboxItem>,
    pub(super) schedule: Schedule,
    pub(super) phase: Phase,
    /// The reason why the conversation ends before everything is sent.
    pub(super) trouble: Option<Tried>,
    /// What another program has made of the message that is about to be sent, before that was on the disk.
    pub(super) overruled: Option<OutboxItem>,
    /// The message for which the last conversation had too little protection.
    pub(super) weak_for: Option<ItemId>,
}

/// The progress with the messages for a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Idle,
    /// It is asked where the user is, or the user is called.
    Trying,
    /// There is a conversation with this protection.
    Talking { strength: Security, writing: Option<ItemId> },
    /// Everything is written, and the end is waited for.
    Finishing,
}

impl PeerItems {
    pub(super) fn has_queued(&self) -> bool {
        self.items.iter().any(|item| item.state == ItemState::Queued)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.phase == Phase::Idle && self.has_queued()
    }
}
