//! The unit that limits count by.

use plumi_proto::{HostIp, UdpAddress};

/// The source of datagrams, as limits see it: an IPv4 address.
///
/// An agent or a node has one or two. A program can use any number of ports, so these do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source(HostIp);

impl Source {
    /// Returns the address.
    pub(super) fn ip(self) -> HostIp {
        self.0
    }
}

impl From<HostIp> for Source {
    fn from(ip: HostIp) -> Self {
        Self(ip)
    }
}

impl From<UdpAddress> for Source {
    fn from(address: UdpAddress) -> Self {
        Self(*address.ip())
    }
}
