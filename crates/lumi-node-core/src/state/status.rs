//! Snapshots of a node and of the server around it.

use std::sync::Arc;
use std::time::Duration;

use plumi_proto::{Domain, NodeAddress};

use super::bindings::BindingCounts;
use super::dropped::Dropped;
use super::location_times::Locations;
use super::lookups::LookupStatus;
use super::message_counts::MessageCounts;
use super::users::Moves;

/// A snapshot of a node and its counters. Counters start at 0 when the node is made, and never wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStatus {
    /// The node's domain.
    pub domain: Domain,
    /// The number of users in the domain.
    pub users: usize,
    /// The number of users who are online.
    pub online: usize,
    /// Registrations that moved a user who was online.
    pub moves: Moves,
    /// The number of location requests that were forwarded and have no answer yet.
    pub pendings: usize,
    /// The number of forwarded requests that got no answer in time.
    pub unanswered: u64,
    /// The number of requests that were forwarded, or waited for a look-up, and gave way to those of others.
    pub displaced: u64,
    /// Messages received, including those that were then dropped. A message that can only be forged is not
    /// counted: one from port 0 or from this node's own address.
    pub received: MessageCounts,
    /// Messages sent.
    pub sent: MessageCounts,
    /// Proofs of users who have a key.
    pub proofs: ProofCounts,
    /// Datagrams dropped: messages, and datagrams that are not messages.
    pub dropped: Dropped,
    /// The bindings on their way to the store. `None` of a node without one.
    pub bindings: Option<BindingCounts>,
    /// The time that locations took.
    pub locations: Locations,
    /// DNS look-ups and their results.
    pub lookups: LookupStatus,
}

/// The numbers of challenges, proofs and enrolments (protocol.md §12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProofCounts {
    /// Challenges that were sent.
    pub challenges: u64,
    /// Proofs that were accepted, without repetitions.
    pub accepted: u64,
    /// Proofs of users with a key that were refused.
    pub failed: u64,
    /// Proofs that came again, and were answered again.
    pub repeated: u64,
    /// Enrolments that were saved.
    pub enrolled: u64,
}

/// A snapshot of a [`Server`](crate::Server) and its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// The status of its node.
    pub node: NodeStatus,
    /// The address on which it listens.
    pub local: NodeAddress,
    /// The time since it began to serve.
    pub uptime: Duration,
    /// Failed receives: socket errors, some of which any remote host can cause.
    pub unreceived: u64,
    /// Lines about messages that were dropped or refused, which are not logged one by one: there were too
    /// many in their second.
    pub lines_left_out: u64,
    /// Answers to registrations that left before their lines were in the message log, as that took longer
    /// than 250 ms.
    pub early_answers: u64,
    /// The reason why the latest failed commit of bindings failed, in words. `None` if none has.
    pub bindings_failure: Option<Arc<str>>,
    /// Messages that could not be sent. They are also counted as sent, and are in the message log.
    pub unsent: u64,
}
