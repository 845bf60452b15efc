//! Proxies that do to datagrams and streams what networks do to them, as they are told: on loopback, with
//! bounded queues, and the same again for the same seed.
//!
//! A proxy stands between its clients and one target: an agent and its node, a node and another node, an
//! agent and another agent.

mod faults;
mod tcp;
mod udp;

pub use faults::{Arrival, Lateness, RandomFaults};
pub use tcp::{MAX_CONNECTIONS, StreamFaults, TcpProxy};
pub use udp::{MAX_CLIENTS, MAX_WAITING, UdpProxy};

/// The direction of a datagram or of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// A client sends to the target.
    ToTarget,
    /// The target sends to a client.
    ToClient,
}
