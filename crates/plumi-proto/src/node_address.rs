//! The location of a node.

use core::fmt;
use core::net::{AddrParseError, SocketAddr};
use core::str::FromStr;

use crate::host::{HostIp, UdpAddress};

/// The UDP socket at which a node is reached: an IPv4 address and a port, usually [`NODE_PORT`].
///
/// Its text is `ip:port`, for example `84.88.154.3:3344`. Addresses are ordered by IP, then by port.
///
/// Any IP and any port make such an address, 0 included. [`is_reachable`] decides whether a node can be
/// there.
///
/// [`NODE_PORT`]: crate::NODE_PORT
/// [`is_reachable`]: crate::is_reachable
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeAddress(UdpAddress);

impl NodeAddress {
    /// Returns the address of the UDP socket with this IP and port.
    pub const fn new(ip: HostIp, port: u16) -> Self {
        Self(UdpAddress::new(ip, port))
    }

    /// Returns the IP address.
    pub const fn ip(&self) -> HostIp {
        *self.0.ip()
    }

    /// Returns the UDP port.
    pub const fn port(&self) -> u16 {
        self.0.port()
    }
}

impl From<UdpAddress> for NodeAddress {
    fn from(address: UdpAddress) -> Self {
        Self(address)
    }
}

impl From<NodeAddress> for UdpAddress {
    fn from(address: NodeAddress) -> Self {
        address.0
    }
}

impl From<NodeAddress> for SocketAddr {
    fn from(address: NodeAddress) -> Self {
        address.0.into()
    }
}

impl FromStr for NodeAddress {
    type Err = AddrParseError;

    fn from_str(address: &str) -> Result<Self, AddrParseError> {
        address.parse().map(Self)
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Prints the same text as `Display`, as the addresses of the standard library do.
impl fmt::Debug for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn its_text_is_ip_and_port() {
        let address = NodeAddress::new([84, 88, 154, 3].into(), 3344);
        assert_eq!(address.to_string(), "84.88.154.3:3344");
        assert_eq!(format!("{address:?} {address:>18}|"), "84.88.154.3:3344   84.88.154.3:3344|");
        assert_eq!("84.88.154.3:3344".parse(), Ok(address));
        for wrong in ["", "84.88.154.3", "84.88.154:3344", "[::1]:3344", "bb.com:3344", "84.88.154.3:65536"] {
            assert!(wrong.parse::<NodeAddress>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn it_converts_to_socket_addresses_and_back() {
        let address = NodeAddress::new([84, 88, 154, 3].into(), 3344);
        assert_eq!((address.ip(), address.port()), ([84, 88, 154, 3].into(), 3344));
        assert_eq!(NodeAddress::from(UdpAddress::from(address)), address);
        assert_eq!(SocketAddr::from(address).to_string(), "84.88.154.3:3344");
    }

    #[test]
    fn it_is_ordered_by_ip_and_then_by_port() {
        let ordered = ["9.0.0.1:80", "9.0.0.1:3344", "10.0.0.1:80"].map(|text| text.parse().unwrap());
        assert!(ordered.is_sorted_by(|one: &NodeAddress, next| one < next));
    }
}
