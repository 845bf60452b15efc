//! The IP addresses and sockets of hosts.
//!
//! The crates use these names instead of the standard library's for one version of IP, so that another
//! version is added here. `message-log`, which knows no protocol, has one of its own for the address in a
//! line.

use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

/// The IP address of a host.
pub type HostIp = Ipv4Addr;

/// The UDP socket of an agent or a node, as it shows in a datagram.
pub type UdpAddress = SocketAddrV4;

/// A TCP socket.
///
/// [`MiSocketAddress`](crate::MiSocketAddress) is one at which an agent can be called.
pub type TcpAddress = SocketAddrV4;

/// Returns `address` as an address of the protocols, or `None` if they have none of its version of IP.
pub const fn udp_address(address: SocketAddr) -> Option<UdpAddress> {
    match address {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    }
}

/// Returns `ip` as an address of the protocols, or `None` if they have none of its version of IP.
pub const fn host_ip(ip: IpAddr) -> Option<HostIp> {
    match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ipv4_is_an_address_of_the_protocols() {
        let at = UdpAddress::new(HostIp::new(84, 88, 154, 3), 3344);
        assert_eq!(udp_address(at.into()), Some(at));
        assert_eq!(host_ip(IpAddr::from(*at.ip())), Some(*at.ip()));
        assert_eq!(udp_address("[::1]:3344".parse().unwrap()), None);
        assert_eq!(host_ip("::1".parse().unwrap()), None);
    }
}
