//! The addresses that may ask in the name of a user (protocol.md §9).

use plumi_proto::{MiAddress, NodeAddress, UdpAddress};

use super::Node;
use crate::state::settings::Ask;

impl Node {
    /// Returns whether a location request in the name of `user` may come from `address`.
    pub(super) fn may_ask(&self, user: &MiAddress, address: UdpAddress) -> bool {
        if self.is_sibling(address) {
            // That node has made sure of its own users, and of the nodes of others.
            return user.domain() != self.domain || self.address_of(&user.user()).is_none();
        }
        if user.domain() == self.domain {
            // A user with a key is online where that was proved, and asks from nowhere else.
            let is_unbound_enough = || self.settings.ask == Ask::Any && !self.users.has_key(&user.user());
            return self.address_of(&user.user()).map_or_else(is_unbound_enough, |bound| bound == address);
        }
        let asker = NodeAddress::from(address);
        match (self.settings.peers.get(&user.domain()), self.settings.ask) {
            (Some(peer), Ask::Nodes) => peer.contains(&asker),
            (Some(peer), Ask::Any | Ask::Bound) => peer.iter().any(|node| node.ip() == asker.ip()),
            (None, Ask::Nodes) => self.location.has_found(&user.domain(), asker),
            (None, Ask::Any | Ask::Bound) => true,
        }
    }

    /// Returns whether `address` is that of a node that the administrator names as a peer, and `user` one of
    /// its users.
    pub(super) fn is_of_peer(&self, user: &MiAddress, address: UdpAddress) -> bool {
        let peer = self.settings.peers.get(&user.domain());
        peer.is_some_and(|peer| peer.contains(&NodeAddress::from(address)))
    }
}
