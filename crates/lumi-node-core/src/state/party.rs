//! The agents and nodes that a node talks to.

use lumi_dns::AddressOfNode;
use plumi_proto::{HostIp, NodeAddress, UdpAddress};

/// An agent or another node, as it is seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Party {
    /// The socket that it sends from and receives on.
    pub address: UdpAddress,
    /// The address of this host to which it sent, if that is known and there are several. Messages to it
    /// leave from there, because a party whose socket is connected receives nothing from another address.
    pub heard_at: Option<HostIp>,
}

impl From<UdpAddress> for Party {
    /// A party that sent to the only address that there is.
    fn from(address: UdpAddress) -> Self {
        Self { address, heard_at: None }
    }
}

impl From<NodeAddress> for Party {
    /// A node that has not sent anything.
    fn from(node: NodeAddress) -> Self {
        UdpAddress::from(node).into()
    }
}

/// Returns whether the node whose socket is bound to `local` is at `found`.
///
/// A socket that is bound to 0.0.0.0 is reached at every address of its host.
pub fn leads_to(found: &AddressOfNode, local: NodeAddress) -> bool {
    let is_everywhere = local.ip().is_unspecified();
    let is_reached = is_everywhere && found.is_this_host && found.address.port() == local.port();
    found.address == local || is_reached
}
