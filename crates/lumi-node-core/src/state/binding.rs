//! Registrations that outlive a node.

use std::time::Duration;

use plumi_proto::UserName;

use super::party::Party;

/// A user's registration, as another node can take it over: after a restart, the user is found without
/// registering anew. See [`Node::bindings`](crate::Node::bindings) and
/// [`Node::restore`](crate::Node::restore).
///
/// It has an age and not a time, because the clock of the other node may be another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Binding {
    /// The user.
    pub user: UserName,
    /// The user's agent.
    pub party: Party,
    /// The time since the user came online there. `None` if the agent left too many location requests without
    /// an answer: the user is offline, and is back as soon as the agent is heard.
    pub online_for: Option<Duration>,
    /// The first 8 bytes of SHA-256 of the key that proved the registration. `None` of a user without a key.
    pub proved_by: Option<[u8; 8]>,
}

impl Binding {
    /// A binding of `user`, whose agent is `party`.
    pub fn new(user: UserName, party: impl Into<Party>, online_for: Option<Duration>) -> Self {
        Self { user, party: party.into(), online_for, proved_by: None }
    }

    /// Sets [`Binding::proved_by`].
    #[must_use]
    pub fn proved_by(self, proved_by: Option<[u8; 8]>) -> Self {
        Self { proved_by, ..self }
    }
}
