//! The peers of an outbox, and the calls to them.

use mi_agent_core::{ItemId, MiAddress, OutboxItem, Security};

/// A user for whom messages wait.
pub(super) struct Peer {
    pub(super) address: MiAddress,
    pub(super) mood: Mood,
    /// The level for which the protection of its conversations is enough.
    pub(super) strength: Security,
}

impl Peer {
    pub(super) fn new(address: &str) -> Self {
        let address = address.parse().expect("an address");
        Self { address, mood: Mood::There, strength: Security::Offer }
    }
}

/// What a question about the peer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    There,
    Offline,
    Busy,
    NoUser,
    Silent,
}

impl Mood {
    pub(super) const ALL: [Self; 5] = [Self::There, Self::Offline, Self::Busy, Self::NoUser, Self::Silent];
}

/// A conversation of which an outbox makes use.
pub(super) struct Call {
    pub(super) strength: Security,
    /// The message that was stored before it is sent, and whether the disk took it.
    pub(super) saved: Option<(ItemId, bool)>,
    /// The message that is to be sent now.
    pub(super) writing: Option<OutboxItem>,
    /// The outbox has nothing more to say.
    pub(super) is_finishing: bool,
}

impl Call {
    pub(super) fn new(strength: Security) -> Self {
        Self { strength, saved: None, writing: None, is_finishing: false }
    }
}
