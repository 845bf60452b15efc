//! The link to the node: a UDP socket that logs and counts every message and reports it to the tap.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use message_log::Direction;
use plumi_proto::{HostIp, MiAddress, NodeAddress, UdpAddress, udp_address};
use tokio::net::UdpSocket;
use tracing::debug;

use crate::traffic::TrafficTap;

/// The link of an agent to its node, and to nobody else.
#[derive(Debug)]
pub(crate) struct NodeLink {
    socket: UdpSocket,
    local: UdpAddress,
    node: NodeAddress,
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
    /// Connects the agent of `party` to `node`.
    pub(crate) async fn connect(
        node: NodeAddress,
        party: MiAddress,
        tap: Option<TrafficTap>,
    ) -> io::Result<Self> {
        let socket = UdpSocket::bind((HostIp::UNSPECIFIED, 0)).await?;
        socket.connect(SocketAddr::from(node)).await?;
        let ends = (udp_address(socket.local_addr()?), udp_address(socket.peer_addr()?));
        let (Some(local), Some(node)) = ends else {
            unreachable!("a socket has addresses of the version for which it was made");
        };
        let party = party.to_string();
        Ok(Self { socket, local, node: node.into(), party, counts: Arc::default(), tap })
    }

    /// Returns the local address.
    pub(crate) fn local(&self) -> UdpAddress {
        self.local
    }

    /// Returns the node's address as the socket sees it, which differs for 0.0.0.0.
    pub(crate) fn node(&self) -> NodeAddress {
        self.node
    }

    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Sends a message. It is logged before it leaves.
    pub(crate) async fn send(&self, message: &[u8]) -> io::Result<()> {
        message_log::sent(&self.party, self.node.into(), message);
        self.counts.sent.fetch_add(1, Ordering::Relaxed);
        if let Some(tap) = &self.tap {
            tap.plumi(Direction::Sent, self.node, message);
        }
        match self.socket.send(message).await {
            // The node's port was closed for an earlier message. The system reports that now, and has not sent this one.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                debug!(node = %self.node, "nobody listens at the node's address");
                self.socket.send(message).await
            }
            sent => sent,
        }
        .map(drop)
    }

    /// Receives the next datagram, whole, into `datagram`, and returns its sender. Cancel safe.
    pub(crate) async fn receive(&self, datagram: &mut Vec<u8>) -> io::Result<NodeAddress> {
        datagram.clear();
        datagram.shrink_to(USUAL_DATAGRAM);
        loop {
            self.socket.readable().await?;
            let from = match self.try_receive(datagram).map(udp_address) {
                Ok(Some(from)) => from,
                Ok(None) => continue,
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

thread_local! {
    /// Any datagram fits. The agents of a thread share it: for most of them, it would be nearly all their memory.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; usize::from(u16::MAX)].into());
}

/// The room that is kept for the next datagram: several times a PLUMI message. Any datagram with the node's address can
/// be longer.
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
        let link = NodeLink::connect(at.into(), "laura@bb.com".parse().unwrap(), None).await.unwrap();
        let mut datagram = Vec::new();
        node.send_to(&[b'x'; 60_000], ("127.0.0.1", link.socket.local_addr().unwrap().port())).await.unwrap();
        link.receive(&mut datagram).await.unwrap();
        assert_eq!(datagram.len(), 60_000);
        assert!(poll!(Box::pin(link.receive(&mut datagram))).is_pending());
        assert!(datagram.capacity() <= 1024, "{}", datagram.capacity());
    }
}
