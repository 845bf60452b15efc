//! How a node is.

use std::net::SocketAddrV4;
use std::time::Duration;

use plumi_proto::Domain;

use super::dropped::Dropped;
use super::location_times::Locations;
use super::lookups::LookupStatus;
use super::message_counts::MessageCounts;

/// How a node is, and what has happened since it was made. What counts up begins at 0 and wraps never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStatus {
    /// The domain.
    pub domain: Domain,
    /// How many users belong to it.
    pub users: usize,
    /// How many of them are online.
    pub online: usize,
    /// How many location requests were sent on and wait for their answer.
    pub pendings: usize,
    /// How many were sent on, and no answer came in time.
    pub unanswered: u64,
    /// What was received that is a message, whatever became of it, but for what can only be forged: from port 0, or
    /// from this node's own address.
    pub received: MessageCounts,
    /// What was sent.
    pub sent: MessageCounts,
    /// What was dropped, of that which was received and of what is no message.
    pub dropped: Dropped,
    /// How long locations took.
    pub locations: Locations,
    /// What DNS was asked.
    pub lookups: LookupStatus,
}

/// How a [`Server`](crate::Server) is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// Its node.
    pub node: NodeStatus,
    /// The address that it serves on.
    pub local: SocketAddrV4,
    /// How long it has been serving.
    pub uptime: Duration,
    /// How often it could not receive: errors of the socket, which strangers can cause.
    pub unreceived: u64,
    /// How many messages it could not send; they count as sent, and their lines are in the message log.
    pub unsent: u64,
}
