//! The node's UDP socket: each datagram comes with the address of this host that it was sent to, and leaves from
//! the one that is asked for. The one file that names quinn-udp.

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::iter;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// What a node needs of a socket. There is [`NodeSocket`], and in tests one that fails as it is told to.
pub(super) trait DatagramSocket {
    /// Waits for datagrams. Cancel safe.
    fn receive(&mut self, buffer: &mut [u8]) -> impl Future<Output = io::Result<Received>> + Send;

    /// Receives datagrams that have come already.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there are none.
    fn try_receive(&mut self, buffer: &mut [u8]) -> io::Result<Received>;

    /// Sends a datagram to `to`, from the address `source` of this host or from the one that the kernel chooses.
    /// Never waits.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the kernel has no room for it now.
    fn send(&self, to: SocketAddrV4, source: Option<Ipv4Addr>, datagram: &[u8]) -> io::Result<()>;
}

/// What lies in the buffer: one datagram, or several of the same sender, which some kernels and network cards hand
/// over together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub(super) from: SocketAddrV4,
    /// Which address of this host it was sent to, if that is not the only one that the socket is bound to.
    pub(super) to: Option<Ipv4Addr>,
    /// Of all together.
    pub(super) length: usize,
    /// Of each but the last, which may be shorter.
    pub(super) stride: usize,
}

impl Received {
    /// One by one, at least one.
    pub(super) fn datagrams<'b>(&self, buffer: &'b [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let stride = self.stride.max(1);
        // There is a first one even if it is empty.
        let (first, others) = buffer[..self.length].split_at(self.length.min(stride));
        iter::once(first).chain(others.chunks(stride))
    }
}

/// The socket of a node.
#[derive(Debug)]
pub(super) struct NodeSocket {
    socket: UdpSocket,
    options: UdpSocketState,
    is_wildcard: bool,
}

impl NodeSocket {
    /// Prepares `socket`, which is bound to `local`.
    pub(super) fn new(socket: UdpSocket, local: SocketAddrV4) -> io::Result<Self> {
        // Forbids fragments, too, without harm: nothing a node sends has more than 100 bytes.
        let options = UdpSocketState::new(UdpSockRef::from(&socket))?;
        if options.recv_buffer_size(UdpSockRef::from(&socket))? < RECEIVE_BUFFER {
            // The kernel gives as much of it as the system's settings let it.
            options.set_recv_buffer_size(UdpSockRef::from(&socket), RECEIVE_BUFFER)?;
        }
        Ok(Self { socket, options, is_wildcard: local.ip().is_unspecified() })
    }

    fn receive_now(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut metadata = [RecvMeta::default()];
        self.options.recv(UdpSockRef::from(&self.socket), &mut [IoSliceMut::new(buffer)], &mut metadata)?;
        let [RecvMeta { addr, len, stride, dst_ip, .. }] = metadata;
        let SocketAddr::V4(from) = addr else { return Err(io::ErrorKind::AddrNotAvailable.into()) };
        let to = match dst_ip {
            Some(IpAddr::V4(ip)) if self.is_wildcard => Some(ip),
            _ => None,
        };
        Ok(Received { from, to, length: len, stride })
    }

    fn send_from(&self, to: SocketAddrV4, source: Option<Ipv4Addr>, contents: &[u8]) -> io::Result<()> {
        let src_ip = source.map(IpAddr::V4);
        let datagram =
            Transmit { destination: SocketAddr::V4(to), ecn: None, contents, segment_size: None, src_ip };
        // Of the kernel and not of tokio, which would first have to hear that there is room again.
        self.options.try_send(UdpSockRef::from(&self.socket), &datagram)
    }
}

impl DatagramSocket for NodeSocket {
    async fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        self.socket.async_io(Interest::READABLE, || self.receive_now(buffer)).await
    }

    fn try_receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        self.receive_now(buffer)
    }

    fn send(&self, to: SocketAddrV4, source: Option<Ipv4Addr>, datagram: &[u8]) -> io::Result<()> {
        match self.send_from(to, source, datagram) {
            // Nothing can be sent from it: a broadcast address, or one that this host has no more.
            Err(error) if source.is_some() && is_about_addresses(&error) => {
                self.send_from(to, None, datagram)
            }
            sent => sent,
        }
    }
}

/// Whether it is the addresses that do not go together.
fn is_about_addresses(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, InvalidInput, NetworkUnreachable};

    matches!(error.kind(), AddrNotAvailable | InvalidInput | NetworkUnreachable)
}

/// What a buffer to receive in has to hold: the longest datagram, and more than several come to together. With one
/// byte less, the log would not tell the true length of one that is too long.
pub(super) const BUFFER: usize = 65_535;

/// What the kernel is asked to keep for the node while that is at something else: 1,000 datagrams or more, each with
/// what the kernel needs for itself, which is 10 ms of 100,000 a second.
const RECEIVE_BUFFER: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_is_handed_over_together_is_several_datagrams() {
        let (mut node, at) = node_socket("0.0.0.0").await;
        let sender = std::net::UdpSocket::bind("127.0.0.9:0").unwrap();
        let options = UdpSocketState::new(UdpSockRef::from(&sender)).unwrap();
        let together = Transmit {
            destination: SocketAddr::V4(at),
            ecn: None,
            contents: b"PRlauraPRpere..PRjoan",
            segment_size: Some(7),
            src_ip: None,
        };
        options.try_send(UdpSockRef::from(&sender), &together).unwrap();
        let mut buffer = vec![0; BUFFER];
        let mut seen = Vec::new();
        // One receive or several, as the kernel likes.
        while seen.len() < 3 {
            let received =
                timeout(DEADLINE, node.receive(&mut buffer)).await.expect("there is more").unwrap();
            assert_eq!(SocketAddr::V4(received.from), sender.local_addr().unwrap());
            assert_eq!(received.to, Some(*at.ip()));
            seen.extend(received.datagrams(&buffer).map(|datagram| datagram.escape_ascii().to_string()));
        }
        assert_eq!(seen, ["PRlaura", "PRpere.", ".PRjoan"]);
    }

    #[tokio::test]
    async fn a_datagram_is_one_and_whole_whatever_its_length() {
        let (mut node, at) = node_socket("127.0.0.5").await;
        let sender = std::net::UdpSocket::bind("127.0.0.9:0").unwrap();
        let mut buffer = vec![0; BUFFER];
        for length in [0, 1, 100, 101, 1_473, 65_507] {
            sender.send_to(&vec![b'x'; length], at).unwrap();
            let received = timeout(DEADLINE, node.receive(&mut buffer)).await.expect("it comes").unwrap();
            let lengths: Vec<_> = received.datagrams(&buffer).map(<[u8]>::len).collect();
            assert_eq!(lengths, [length]);
            assert_eq!(received.to, None, "there is only one address it can have come to");
        }
        assert_eq!(node.try_receive(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_buffer_is_split_at_its_strides() {
        let split = |length, stride| {
            let from = "127.0.0.9:1".parse().unwrap();
            let received = Received { from, to: None, length, stride };
            received.datagrams(&[0; 100]).map(<[u8]>::len).collect::<Vec<_>>()
        };
        assert_eq!(split(0, 0), [0]);
        assert_eq!(split(0, 5), [0]);
        assert_eq!(split(5, 5), [5]);
        assert_eq!(split(3, 5), [3]);
        assert_eq!(split(10, 5), [5, 5]);
        assert_eq!(split(11, 5), [5, 5, 1]);
        assert_eq!(split(2, 0), [1, 1], "a stride that no kernel tells ends as well");
    }

    #[tokio::test]
    async fn a_datagram_leaves_from_where_it_is_told_to_if_it_can() {
        let (node, at) = node_socket("0.0.0.0").await;
        let hearer = UdpSocket::bind("127.0.0.9:0").await.unwrap();
        let SocketAddr::V4(hearer_at) = hearer.local_addr().unwrap() else { panic!("IPv4 was bound") };
        for (source, seen) in [
            (Some([127, 0, 0, 5]), [127, 0, 0, 5]),
            (Some([127, 0, 0, 6]), [127, 0, 0, 6]),
            (None, [127, 0, 0, 1]),
            // None of this host, broadcast, multicast: what came there is answered all the same.
            (Some([203, 0, 113, 1]), [127, 0, 0, 1]),
            (Some([127, 255, 255, 255]), [127, 0, 0, 1]),
            (Some([255, 255, 255, 255]), [127, 0, 0, 1]),
            (Some([224, 0, 0, 1]), [127, 0, 0, 1]),
        ] {
            node.send(hearer_at, source.map(Ipv4Addr::from), b"RR0").unwrap();
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
        let error = node.send(port_0, Some(Ipv4Addr::LOCALHOST), b"RR0").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let (length, at) = (65_508, "127.0.0.1:9".parse().unwrap());
        let error = node.send(at, None, &vec![0; length]).unwrap_err();
        assert!(quinn_udp::is_msg_size_err(&error), "{error}");
    }

    #[tokio::test]
    async fn the_kernel_keeps_more_than_by_default() {
        let plain = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (node, _) = node_socket("127.0.0.1").await;
        let size = |socket| node.options.recv_buffer_size(UdpSockRef::from(socket)).unwrap();
        assert!(size(&node.socket) > size(&plain), "{} is no more", size(&node.socket));
    }

    async fn node_socket(ip: &str) -> (NodeSocket, SocketAddrV4) {
        let socket = UdpSocket::bind((ip, 0)).await.unwrap();
        let SocketAddr::V4(local) = socket.local_addr().unwrap() else { panic!("IPv4 was bound") };
        // Of all addresses it is bound to, the one to talk to.
        let at = if local.ip().is_unspecified() {
            SocketAddrV4::new([127, 0, 0, 5].into(), local.port())
        } else {
            local
        };
        (NodeSocket::new(socket, local).unwrap(), at)
    }
    /// Many times what a slow machine needs.
    const DEADLINE: Duration = Duration::from_secs(20);
}
