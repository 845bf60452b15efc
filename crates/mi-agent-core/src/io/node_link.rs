//! The link to the node: a UDP socket that logs and counts every message and reports it to the tap.
//!
//! The socket is not connected. A connected one keeps the address that this host had, and the node's, for as
//! long as it lives, while hosts move. The kernel chooses the address anew for each datagram.

use std::cell::RefCell;
use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use message_log::Direction;
use plumi_proto::{HostIp, MiAddress, NodeAddress, udp_address};
use tokio::net::UdpSocket;
use tokio::task;

use crate::traffic::TrafficTap;

/// The link of an agent to its node, and to nobody else.
#[derive(Debug)]
pub(crate) struct NodeLink {
    socket: UdpSocket,
    party: String,
    counts: Arc<Counts>,
    tap: Option<TrafficTap>,
}

/// The number of PLUMI messages that an agent has sent and received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageCounts {
    /// `E`: messages to its node. A repeated message counts again.
    pub sent: u64,
    /// `R`: everything that was received, even if it was dropped.
    pub received: u64,
}

impl MessageCounts {
    /// Creates counts. A program needs that for tests.
    pub fn new(sent: u64, received: u64) -> Self {
        Self { sent, received }
    }
}

/// The counters of a socket, shared with its driver's handles.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
}

impl NodeLink {
    /// Opens the link of the agent of `party`.
    pub(crate) async fn open(party: MiAddress, tap: Option<TrafficTap>) -> io::Result<Self> {
        let socket = UdpSocket::bind((HostIp::UNSPECIFIED, 0)).await?;
        Ok(Self { socket, party: party.to_string(), counts: Arc::default(), tap })
    }

    /// Returns the port of the socket.
    #[cfg(feature = "secure")]
    pub(crate) fn port(&self) -> io::Result<u16> {
        self.socket.local_addr().map(|address| address.port())
    }

    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Sends a message to `node`. It is logged before it leaves.
    pub(crate) async fn send(&self, node: NodeAddress, message: &[u8]) -> io::Result<()> {
        message_log::sent(&self.party, node.into(), message);
        self.counts.sent.fetch_add(1, Ordering::Relaxed);
        if let Some(tap) = &self.tap {
            tap.plumi(Direction::Sent, node, message);
        }
        self.socket.send_to(message, SocketAddr::from(node)).await.map(drop)
    }

    /// Receives the next datagram of the node, whole, into `datagram`, and returns its sender. Drops what
    /// comes from others. Cancel safe.
    pub(crate) async fn receive(
        &self,
        datagram: &mut Vec<u8>,
        is_node: impl Fn(NodeAddress) -> bool,
    ) -> io::Result<NodeAddress> {
        datagram.clear();
        datagram.shrink_to(USUAL_DATAGRAM);
        loop {
            self.socket.readable().await?;
            let from = match self.try_receive(datagram).map(udp_address) {
                Ok(Some(from)) if is_node(from.into()) => from,
                Ok(_) => {
                    // Many datagrams of strangers do not hold up the other tasks.
                    task::consume_budget().await;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            message_log::received(&self.party, from, datagram);
            self.counts.received.fetch_add(1, Ordering::Relaxed);
            if let Some(tap) = &self.tap {
                tap.plumi(Direction::Received, from, datagram);
            }
            return Ok(from.into());
        }
    }

    fn try_receive(&self, datagram: &mut Vec<u8>) -> io::Result<SocketAddr> {
        BUFFER.with_borrow_mut(|buffer| {
            let (length, from) = self.socket.try_recv_from(buffer)?;
            datagram.clear();
            datagram.extend_from_slice(&buffer[..length]);
            Ok(from)
        })
    }
}

/// Returns the address from which this host reaches `node` now, and the node's address as the kernel sees it.
///
/// The kernel takes 0.0.0.0 for this host. Nothing is sent.
pub(crate) fn route_to(node: NodeAddress) -> io::Result<(HostIp, NodeAddress)> {
    let socket = net::UdpSocket::bind((HostIp::UNSPECIFIED, 0))?;
    socket.connect(SocketAddr::from(node))?;
    let ends = (udp_address(socket.local_addr()?), udp_address(socket.peer_addr()?));
    let (Some(local), Some(node)) = ends else {
        unreachable!("a socket has addresses of the version for which it was made");
    };
    Ok((*local.ip(), node.into()))
}

thread_local! {
    /// Any datagram fits. The agents of a thread share it: for most of them, it would be nearly all their
    /// memory.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; usize::from(u16::MAX)].into());
}

/// The room that is kept for the next datagram: several times a PLUMI message. Any datagram with the node's
/// address can be longer.
const USUAL_DATAGRAM: usize = 512;

impl Counts {
    pub(crate) fn now(&self) -> MessageCounts {
        MessageCounts {
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn a_datagram_that_was_long_takes_no_memory() {
        let node = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = udp_address(node.local_addr().unwrap()).unwrap();
        let link = NodeLink::open("laura@bb.com".parse().unwrap(), None).await.unwrap();
        let is_node = |from| from == at.into();
        let mut datagram = Vec::new();
        let to = ("127.0.0.1", link.socket.local_addr().unwrap().port());
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        stranger.send_to(b"RR0", to).await.unwrap();
        node.send_to(&[b'x'; 60_000], to).await.unwrap();
        link.receive(&mut datagram, is_node).await.unwrap();
        assert_eq!(datagram.len(), 60_000);
        assert_eq!(link.counts.now(), MessageCounts::new(0, 1), "the stranger's is none");
        assert!(poll!(Box::pin(link.receive(&mut datagram, is_node))).is_pending());
        assert!(datagram.capacity() <= 1024, "{}", datagram.capacity());
    }
}
