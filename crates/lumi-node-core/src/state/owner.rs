//! The owner that a request counts for in tables that make room when they are full (protocol.md §9).

use std::fmt;

use fair_table::Share;
use plumi_proto::{HostIp, MiAddress, UdpAddress, UserName};

/// The one that a pending request counts for.
pub(super) type Owner = fair_table::Owner<RequestSource, Asker>;

/// The source of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum RequestSource {
    /// A host, with everybody behind its address.
    Host(HostIp),
    /// One of the users for whom a host asks that may speak for any number.
    SpokenFor(MiAddress),
}

impl fmt::Display for RequestSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(ip) => ip.fmt(f),
            Self::SpokenFor(user) => user.fmt(f),
        }
    }
}

/// The asker within a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asker {
    /// A user of this domain who is online at the address that asks.
    User(UserName),
    /// A user of another domain, in whose name that address asks. Nothing proves the name, but a node asks
    /// for all users of its domain from one socket.
    Foreign(UdpAddress, MiAddress),
    /// Anybody else at that address.
    Socket(UdpAddress),
}

/// Returns the owner of a request in the name of `from`, from a host that may speak for any number, and its
/// share.
pub(super) fn spoken_for(from: MiAddress, asker: UdpAddress) -> (Owner, Share) {
    (Owner::new(RequestSource::SpokenFor(from), Asker::Socket(asker)), Share::ALL)
}

/// Returns the owner of a request of `asker` at `host`, and its share. Those of whom nothing is known give
/// way before users who share their address.
pub(super) fn at(host: HostIp, asker: Asker) -> (Owner, Share) {
    let gives_way_first = !matches!(asker, Asker::User(_));
    let owner = Owner { source: RequestSource::Host(host), asker, gives_way_first };
    (owner, Share { of_source: MAX_OF_SOURCE, of_asker: MAX_OF_ASKER })
}

/// The limit of pending requests of one host: what it can send at its rate limit in 2 s.
const MAX_OF_SOURCE: usize = 1_024;

/// The limit of one asker: more than a user asks for at a time.
const MAX_OF_ASKER: usize = 8;
