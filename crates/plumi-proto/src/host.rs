//! The IP addresses and sockets of hosts.
//!
//! All crates use these types, and none of the standard library for one version of IP.

use core::net::{Ipv4Addr, SocketAddrV4};

/// The IP address of a host.
pub type HostIp = Ipv4Addr;

/// The UDP socket of an agent or a node, as it shows in a datagram.
pub type UdpAddress = SocketAddrV4;

/// A TCP socket.
///
/// [`MiSocketAddress`](crate::MiSocketAddress) is one at which an agent can be called.
pub type TcpAddress = SocketAddrV4;
