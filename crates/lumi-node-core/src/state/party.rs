//! Who the node talks to.

use std::net::{Ipv4Addr, SocketAddrV4};

/// An agent or another node, as it is seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Where it sends from, and hears.
    pub address: SocketAddrV4,
    /// At which address of this host it was heard, if that is known and there is a choice. What is sent to it leaves
    /// from there, since a party whose socket is connected hears nothing that comes from another address.
    pub heard_at: Option<Ipv4Addr>,
}

impl From<SocketAddrV4> for Party {
    /// A party that is heard at the only address that there is.
    fn from(address: SocketAddrV4) -> Self {
        Self { address, heard_at: None }
    }
}
