//! Datagrams that a node does not answer.

use plumi_proto::DecodeError;

/// The reason for dropping a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DropReason {
    /// It is not exactly one message.
    #[error(transparent)]
    Malformed(DecodeError),
    /// An `RR` or `RD`, which answer nothing that a node ever asks.
    #[error("a node never asks for this answer")]
    Unexpected,
    /// An `RL` that answers no pending request, or comes from elsewhere than the request went.
    #[error("it answers no request that is pending, or comes from elsewhere than the request went")]
    Unasked,
    /// A `PL` in the name of a user of this domain who is online elsewhere, or of a user of a named peer that
    /// is elsewhere, or from an asker who does not count by [`NodeSettings::ask`](crate::NodeSettings::ask).
    /// Or one for another domain that does not come from an online user of this one, or whose asker was no
    /// longer one when that domain had been looked up.
    #[error("it asks in the name of a user who is not online there, or is a stranger's for another domain")]
    Foreign,
    /// A table has no room for the `PL`, because everybody else has fewer under way. Or too many answers wait
    /// for the store, and that to this `PR` or `PD` would overtake another one.
    #[error("too many requests are under way")]
    NoRoom,
    /// A `PL` that repeats one that was sent on a moment ago.
    #[error("it repeats a request that was sent on a moment ago")]
    Repeated,
    /// A `PL` for a user whose registration or deregistration is being saved, so that the agent waits for its
    /// answer.
    #[error("its user's registration or deregistration is being saved")]
    BeingSaved,
    /// A `PR` or `PL` that the policy ignores.
    #[error("the policy of this node ignores it")]
    Ignored,
    /// A proof of nobody who has a key.
    #[error("it proves the registration of nobody who has a key here")]
    UnknownProof,
    /// A proof, when there are more than are verified.
    #[error("there are more proofs than are verified")]
    TooManyProofs,
    /// A `PL` for a user of whom this member of a domain does not know yet where the user is; anything while
    /// the member's lease is lost or overdue. See [`Node::share_domain`](crate::Node::share_domain).
    #[error("this node does not know yet where the user is, or has lost its lease")]
    NotJoined,
    /// A `PR` or `PD` from the port of nodes; anything from port 0 or from this node's own address.
    #[error("no agent or node can have sent this from there")]
    Spoofed,
}

/// The number of datagrams that a node dropped, for each reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// [`DropReason::Malformed`].
    pub malformed: u64,
    /// [`DropReason::Unexpected`].
    pub unexpected: u64,
    /// [`DropReason::Unasked`].
    pub unasked: u64,
    /// [`DropReason::Foreign`].
    pub foreign: u64,
    /// [`DropReason::NoRoom`].
    pub no_room: u64,
    /// [`DropReason::Repeated`].
    pub repeated: u64,
    /// [`DropReason::BeingSaved`].
    pub being_saved: u64,
    /// [`DropReason::Ignored`].
    pub ignored: u64,
    /// [`DropReason::UnknownProof`].
    pub unknown_proof: u64,
    /// [`DropReason::TooManyProofs`].
    pub too_many_proofs: u64,
    /// [`DropReason::NotJoined`].
    pub not_joined: u64,
    /// [`DropReason::Spoofed`].
    pub spoofed: u64,
    /// Kept out by [`Node::admit`](crate::Node::admit).
    pub too_many: u64,
}

impl Dropped {
    /// Every reason by its name, a word or two with a `-` between them, with how many there were.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let Self { malformed, unexpected, unasked, foreign, no_room, repeated, ignored, .. } = *self;
        let Self { unknown_proof, too_many_proofs, spoofed, too_many, being_saved, not_joined, .. } = *self;
        // Only a node with a policy has the first of these reasons, only one with a store the second, and only
        // one of several nodes of a domain the third.
        let ignored = (ignored > 0).then_some(("ignored", ignored));
        let being_saved = (being_saved > 0).then_some(("being-saved", being_saved));
        let not_joined = (not_joined > 0).then_some(("not-joined", not_joined));
        [
            ("malformed", malformed),
            ("unexpected", unexpected),
            ("unasked", unasked),
            ("foreign", foreign),
            ("no-room", no_room),
            ("repeated", repeated),
            ("unknown-proof", unknown_proof),
            ("too-many-proofs", too_many_proofs),
            ("spoofed", spoofed),
            ("too-many", too_many),
        ]
        .into_iter()
        .chain(ignored)
        .chain(being_saved)
        .chain(not_joined)
    }

    pub(super) fn count(&mut self, reason: &DropReason) {
        *match reason {
            DropReason::Malformed(_) => &mut self.malformed,
            DropReason::Unexpected => &mut self.unexpected,
            DropReason::Unasked => &mut self.unasked,
            DropReason::Foreign => &mut self.foreign,
            DropReason::NoRoom => &mut self.no_room,
            DropReason::Repeated => &mut self.repeated,
            DropReason::BeingSaved => &mut self.being_saved,
            DropReason::Ignored => &mut self.ignored,
            DropReason::UnknownProof => &mut self.unknown_proof,
            DropReason::TooManyProofs => &mut self.too_many_proofs,
            DropReason::NotJoined => &mut self.not_joined,
            DropReason::Spoofed => &mut self.spoofed,
        } += 1;
    }
}
