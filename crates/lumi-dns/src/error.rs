//! The reasons why there is no directory, or no node.

use plumi_proto::{Domain, HostIp, NodeAddress};

/// The reason why a domain has no node that can be reached. Continues "domain bb.com".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// No such name, or a name without any address. Final: another try now gives the same.
    #[error("not found")]
    NotFound,
    /// The name has IPv6 addresses only, and PLUMI needs an IPv4 address. Final.
    #[error("has no IPv4 address")]
    NoIpv4Address,
    /// No name server said yes or no: silent until the deadline, refusing, failing, unreachable, or there is
    /// none.
    #[error("cannot be resolved: the name servers give no answer")]
    NoAnswer,
    /// No other source knows the name, and DNS is not there to be asked: the feature `dns` is off. Final.
    #[error("cannot be resolved: this program is built without DNS")]
    WithoutDns,
    /// It has addresses, of which this is the first, and a node can be at none of them
    /// ([`is_reachable`](plumi_proto::is_reachable)), or none that the asker may send to
    /// ([`bound_to`](crate::NodeDirectoryBuilder::bound_to)).
    #[error("resolves to {0}, where no node can be")]
    Unusable(HostIp),
}

/// The reason why a directory cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// A peer's port is 0, or its IP is one of those in [`LookupError::Unusable`].
    #[error("the node of domain {domain} cannot be at {address}")]
    UnusablePeer {
        /// The peer's domain.
        domain: Domain,
        /// The address given for it.
        address: NodeAddress,
    },
    /// The DNS client cannot be set up.
    #[error("the DNS client cannot be set up")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}
