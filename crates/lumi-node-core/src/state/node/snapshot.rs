//! Snapshots of a node.

use std::fmt::Display;

use plumi_proto::{UdpAddress, UserName};

use super::Node;
use crate::state::admin::UserStatus;
use crate::state::bindings::{BindingCounts, Bindings};
use crate::state::dropped::Dropped;
use crate::state::status::NodeStatus;
#[cfg(not(feature = "proof"))]
use crate::state::status::ProofCounts;

impl Node {
    /// Returns a snapshot of the node and its counters.
    pub fn status(&self) -> NodeStatus {
        NodeStatus {
            domain: self.domain,
            users: self.users.len(),
            online: self.users.online(),
            moves: self.users.moves(),
            pendings: self.location.pending(),
            unanswered: self.location.unanswered(),
            displaced: self.location.displaced(),
            #[cfg(feature = "proof")]
            proofs: self.credentials.counts(),
            #[cfg(not(feature = "proof"))]
            proofs: ProofCounts::default(),
            received: self.received,
            sent: self.sent,
            dropped: self.dropped,
            bindings: self.binding_counts(),
            locations: self.location.times(),
            lookups: self.location.lookup_status(),
        }
    }

    /// Returns every user of the domain and where the user is online, in no order.
    /// [`UserStatus::moved_repeatedly`] is as of the last move, or the last
    /// [`AdminCommand::List`](crate::AdminCommand::List).
    pub fn users(&self) -> impl Iterator<Item = UserStatus> {
        self.users.statuses(0)
    }

    /// Returns the UDP address of the user's agent, if the user is online.
    pub fn address_of(&self, user: &UserName) -> Option<UdpAddress> {
        self.users.party(user).map(|party| party.address)
    }

    /// Returns the number of location requests that were forwarded and have no answer yet.
    pub fn pending_count(&self) -> usize {
        self.location.pending()
    }

    /// Returns the number of look-ups that [`Output::Resolve`](crate::Output::Resolve) asked for and whose
    /// result has not come yet.
    pub fn lookups_in_flight(&self) -> usize {
        self.location.lookups_in_flight()
    }

    /// Returns the counts of dropped datagrams.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Returns the state of the bindings on their way to the store, if there is one.
    pub(crate) fn binding_counts(&self) -> Option<BindingCounts> {
        self.bindings.as_deref().map(Bindings::counts)
    }

    /// Returns the numbers of location requests and of look-ups that gave way to others.
    pub(crate) fn displaced(&self) -> [u64; 2] {
        [self.location.displaced(), self.location.displaced_lookups()]
    }

    /// Returns the one that has the most location requests pending, and the one that has the most look-ups.
    pub(crate) fn greediest(&self) -> [Option<impl Display + use<>>; 2] {
        self.location.greediest()
    }
}
