//! The IP addresses and sockets of hosts.
//!
//! The crates use these names instead of the standard library's for one version of IP, so that another version
//! is added here. `message-log`, which knows no protocol, has one of its own for the address in a line.

use core::net::{Ipv4Addr, SocketAddrV4};

/// The IP address of a host.
pub type HostIp = Ipv4Addr;

/// The UDP socket of an agent or a node, as it shows in a datagram.
pub type UdpAddress = SocketAddrV4;

/// A TCP socket.
///
/// [`MiSocketAddress`](crate::MiSocketAddress) is one at which an agent can be called.
pub type TcpAddress = SocketAddrV4;
