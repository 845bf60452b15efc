//! The node's UDP socket, which keeps track of the local address of each datagram.
//!
//! A received datagram comes with the address of this host that it was sent to. A reply can be sent from that
//! address. No other file names quinn-udp.

use std::future::Future;
use std::io;

use plumi_proto::{HostIp, UdpAddress, host_ip, udp_address};
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rustix::net::{self, RecvFlags, SendFlags, sockopt};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::datagrams::{BUFFERS, Datagrams, Received};

/// The socket operations of a node. [`NodeSocket`] implements them, and so does a scripted socket in tests.
pub(super) trait DatagramSocket {
    /// Waits for datagrams, and takes as many as have come and fit. Cancel safe.
    fn receive(&mut self, datagrams: &mut Datagrams) -> impl Future<Output = io::Result<()>> + Send;

    /// Receives datagrams that have come already.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there are none.
    fn try_receive(&mut self, datagrams: &mut Datagrams) -> io::Result<()>;

    /// Sends a datagram to `to` without waiting.
    ///
    /// It leaves from the address `source` of this host, or from the one that the kernel chooses.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the kernel has no room for it now.
    fn send(&self, to: UdpAddress, source: Option<HostIp>, datagram: &[u8]) -> io::Result<()>;
}

/// The socket of a node.
#[derive(Debug)]
pub(super) struct NodeSocket {
    socket: UdpSocket,
    /// `Some` if the socket is bound to all addresses of this host.
    wildcard: Option<Wildcard>,
    /// An error that followed datagrams, which have to be served first.
    failed: Option<io::Error>,
}

/// The extra state that reports a datagram's local address, and sends from it.
///
/// This has a cost, so a socket that is bound to one address does without it.
#[derive(Debug)]
struct Wildcard {
    options: UdpSocketState,
    /// The metadata of the last receive. It is reused, because creating it costs more than filling it.
    metadata: [RecvMeta; BUFFERS],
}

impl NodeSocket {
    /// Prepares `socket`, which is bound to `local`.
    pub(super) fn new(socket: UdpSocket, local: UdpAddress) -> io::Result<Self> {
        if sockopt::socket_recv_buffer_size(&socket)? < RECEIVE_BUFFER {
            // The kernel grants as much of it as the system's settings allow.
            sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER)?;
        }
        let wildcard = if local.ip().is_unspecified() { Some(Wildcard::new(&socket)?) } else { None };
        Ok(Self { socket, wildcard, failed: None })
    }
}

impl DatagramSocket for NodeSocket {
    async fn receive(&mut self, datagrams: &mut Datagrams) -> io::Result<()> {
        let Self { socket, wildcard, failed } = self;
        socket.async_io(Interest::READABLE, || receive(socket, wildcard, failed, datagrams)).await
    }

    fn try_receive(&mut self, datagrams: &mut Datagrams) -> io::Result<()> {
        receive(&self.socket, &mut self.wildcard, &mut self.failed, datagrams)
    }

    fn send(&self, to: UdpAddress, source: Option<HostIp>, datagram: &[u8]) -> io::Result<()> {
        let socket = &self.socket;
        let sent = match (&self.wildcard, source) {
            (Some(wildcard), Some(source)) => wildcard.send(socket, to, source, datagram),
            _ => return send_plainly(socket, to, datagram),
        };
        match sent {
            // Nothing can be sent from that address: it is a broadcast address, or this host has lost it.
            Err(error) if is_about_addresses(&error) => send_plainly(socket, to, datagram),
            sent => sent,
        }
    }
}

impl Wildcard {
    fn new(socket: &UdpSocket) -> io::Result<Self> {
        // This also forbids fragments. That does no harm: a node sends at most 100 bytes.
        let options = UdpSocketState::new(UdpSockRef::from(socket))?;
        // quinn-udp asks for congestion marks. They are of no use here, and the kernel would write them with
        // each datagram.
        sockopt::set_ip_recvtos(socket, false)?;
        Ok(Self { options, metadata: [RecvMeta::default(); BUFFERS] })
    }

    fn receive(&mut self, socket: &UdpSocket, datagrams: &mut Datagrams) -> io::Result<()> {
        let received = self.options.recv(socket.into(), &mut datagrams.slices(), &mut self.metadata)?;
        for RecvMeta { addr, len, stride, dst_ip, .. } in &self.metadata[..received] {
            let to = dst_ip.and_then(host_ip);
            let from = udp_address(*addr).ok_or(io::ErrorKind::AddrNotAvailable)?;
            datagrams.add(Received { from, to, length: *len, stride: *stride });
        }
        Ok(())
    }

    fn send(&self, socket: &UdpSocket, to: UdpAddress, source: HostIp, contents: &[u8]) -> io::Result<()> {
        let (destination, src_ip) = (to.into(), Some(source.into()));
        let datagram = Transmit { destination, ecn: None, contents, segment_size: None, src_ip };
        self.options.try_send(socket.into(), &datagram)
    }
}

/// Receives the datagrams that have come.
///
/// A socket that is bound to one address takes one datagram per call. Taking several would cost as much:
/// describing each one to the kernel costs as much as a call.
fn receive(
    socket: &UdpSocket,
    wildcard: &mut Option<Wildcard>,
    failed: &mut Option<io::Error>,
    datagrams: &mut Datagrams,
) -> io::Result<()> {
    if let Some(error) = failed.take() {
        return Err(error);
    }
    if let Some(wildcard) = wildcard {
        return wildcard.receive(socket, datagrams);
    }
    let received = datagrams.fill(|buffer| {
        // This asks the kernel and not tokio, which first has to hear that there is a datagram.
        let (length, _, from) = net::recvfrom(socket, buffer, RecvFlags::DONTWAIT)?;
        let from = from.and_then(|from| from.try_into().ok()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Received { from, to: None, length, stride: length })
    });
    match received {
        Err(error) if datagrams.is_empty() => Err(error),
        Err(error) => {
            *failed = Some(error).filter(|error| error.kind() != io::ErrorKind::WouldBlock);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Sends from the address that the kernel chooses, which needs a simpler call.
fn send_plainly(socket: &UdpSocket, to: UdpAddress, datagram: &[u8]) -> io::Result<()> {
    // This asks the kernel and not tokio, which would first have to hear that there is room again.
    net::sendto(socket, datagram, SendFlags::DONTWAIT, &to)?;
    Ok(())
}

/// Returns whether the error means that the two addresses do not go together.
fn is_about_addresses(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, InvalidInput, NetworkUnreachable};

    matches!(error.kind(), AddrNotAvailable | InvalidInput | NetworkUnreachable)
}

/// The size in bytes of the kernel's buffer for datagrams while the node is busy.
///
/// It holds 1,000 datagrams or more, including the kernel's own overhead. That is 10 ms of 100,000 a second.
const RECEIVE_BUFFER: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_is_handed_over_together_is_several_datagrams() {
        let (mut node, at) = node_socket("0.0.0.0").await;
        let sender = std::net::UdpSocket::bind("127.0.0.9:0").unwrap();
        let options = UdpSocketState::new(UdpSockRef::from(&sender)).unwrap();
        let together = Transmit {
            destination: at.into(),
            ecn: None,
            contents: b"PRlauraPRpere..PRjoan",
            segment_size: Some(7),
            src_ip: None,
        };
        options.try_send(UdpSockRef::from(&sender), &together).unwrap();
        let mut datagrams = Datagrams::new();
        let mut seen = Vec::new();
        // The kernel may deliver them in one receive or in several.
        while seen.len() < 3 {
            timeout(DEADLINE, node.receive(&mut datagrams)).await.expect("there is more").unwrap();
            for (received, datagram) in datagrams.iter() {
                assert_eq!(Some(received.from), udp_address(sender.local_addr().unwrap()));
                assert_eq!(received.to, Some(*at.ip()));
                seen.push(datagram.escape_ascii().to_string());
            }
        }
        assert_eq!(seen, ["PRlaura", "PRpere.", ".PRjoan"]);
    }

    #[tokio::test]
    async fn a_datagram_is_one_and_whole_whatever_its_length() {
        let (mut node, at) = node_socket("127.0.0.5").await;
        let sender = std::net::UdpSocket::bind("127.0.0.9:0").unwrap();
        let mut datagrams = Datagrams::new();
        for length in [0, 1, 100, 101, 1_473, 65_507] {
            sender.send_to(&vec![b'x'; length], at).unwrap();
            timeout(DEADLINE, node.receive(&mut datagrams)).await.expect("it comes").unwrap();
            let seen: Vec<_> =
                datagrams.iter().map(|(received, datagram)| (received.to, datagram.len())).collect();
            assert_eq!(seen, [(None, length)], "there is only one address it can have come to");
        }
        assert_eq!(node.try_receive(&mut datagrams).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn those_that_wait_are_received_together_and_in_order() {
        for ip in ["127.0.0.5", "0.0.0.0"] {
            receive_those_that_wait(ip).await;
        }
    }

    async fn receive_those_that_wait(ip: &str) {
        let (mut node, at) = node_socket(ip).await;
        let senders = [(); 2].map(|()| std::net::UdpSocket::bind("127.0.0.9:0").unwrap());
        for (sender, number) in senders.iter().cycle().zip(0..40_u8) {
            sender.send_to(&[number], at).unwrap();
        }
        let ports = senders.map(|sender| sender.local_addr().unwrap().port());
        let mut datagrams = Datagrams::new();
        let mut seen = Vec::new();
        for count in [BUFFERS, 40 - BUFFERS] {
            timeout(DEADLINE, node.receive(&mut datagrams)).await.expect("there is more").unwrap();
            seen.extend(datagrams.iter().map(|(received, datagram)| (received.from.port(), datagram[0])));
            assert_eq!(datagrams.iter().count(), count);
        }
        let expected: Vec<_> = ports.into_iter().cycle().zip(0..40).collect();
        assert_eq!(seen, expected);
        assert_eq!(node.try_receive(&mut datagrams).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(datagrams.iter().count(), 0);
    }

    #[tokio::test]
    async fn a_datagram_leaves_from_where_it_is_told_to_if_it_can() {
        let (node, at) = node_socket("0.0.0.0").await;
        let hearer = UdpSocket::bind("127.0.0.9:0").await.unwrap();
        let hearer_at = udp_address(hearer.local_addr().unwrap()).unwrap();
        for (source, seen) in [
            (Some([127, 0, 0, 5]), [127, 0, 0, 5]),
            (Some([127, 0, 0, 6]), [127, 0, 0, 6]),
            (None, [127, 0, 0, 1]),
            // These are not addresses of this host: foreign, broadcast, multicast. A datagram sent there is
            // answered all the same.
            (Some([203, 0, 113, 1]), [127, 0, 0, 1]),
            (Some([127, 255, 255, 255]), [127, 0, 0, 1]),
            (Some([255, 255, 255, 255]), [127, 0, 0, 1]),
            (Some([224, 0, 0, 1]), [127, 0, 0, 1]),
        ] {
            node.send(hearer_at, source.map(HostIp::from), b"RR0").unwrap();
            let heard = timeout(DEADLINE, hearer.recv_from(&mut [0; 100])).await;
            let (length, from) = heard.expect("it comes").unwrap();
            assert_eq!((length, from), (3, SocketAddr::from((seen, at.port()))), "{source:?}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_sent_is_told() {
        let (node, _) = node_socket("0.0.0.0").await;
        let broadcast = "255.255.255.255:3344".parse().unwrap();
        let error = node.send(broadcast, None, b"RR0").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let port_0 = "127.0.0.1:0".parse().unwrap();
        let error = node.send(port_0, Some(HostIp::LOCALHOST), b"RR0").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let (length, at) = (65_508, "127.0.0.1:9".parse().unwrap());
        let error = node.send(at, None, &vec![0; length]).unwrap_err();
        assert!(quinn_udp::is_msg_size_err(&error), "{error}");
    }

    #[tokio::test]
    async fn the_kernel_keeps_more_than_by_default() {
        let plain = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (node, _) = node_socket("127.0.0.1").await;
        let size = |socket: &UdpSocket| sockopt::socket_recv_buffer_size(socket).unwrap();
        let (ours, plain) = (size(&node.socket), size(&plain));
        assert!(ours > plain, "{ours} is no more than {plain}");
    }

    async fn node_socket(ip: &str) -> (NodeSocket, UdpAddress) {
        let socket = UdpSocket::bind((ip, 0)).await.unwrap();
        let local = udp_address(socket.local_addr().unwrap()).unwrap();
        // The socket may be bound to all addresses, so the test needs one to talk to.
        let at = if local.ip().is_unspecified() {
            UdpAddress::new([127, 0, 0, 5].into(), local.port())
        } else {
            local
        };
        (NodeSocket::new(socket, local).unwrap(), at)
    }
    /// A deadline that even a busy machine meets many times over.
    const DEADLINE: Duration = Duration::from_secs(60);
}
