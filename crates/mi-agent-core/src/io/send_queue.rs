//! The send queue of a connection to a peer that reads nothing, as sock_diag(7) reports it.
//!
//! A request and its answer are one message each, in the byte order of the host, except ports and addresses:
//!
//! ```text
//!  nlmsghdr          length:4 type:2 flags:2 sequence:4 port:4
//!  inet_diag_sockid  local port:2 remote port:2 local address:16 remote address:16 interface:4 cookie:8
//!
//!  request           nlmsghdr  family:1 protocol:1 extensions:1 0:1 states:4 sockid
//!  answer            nlmsghdr  family:1 state:1 timer:1 retransmissions:1 sockid expires:4 received:4
//!                    to-send:4 …
//! ```

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use plumi_proto::{TcpAddress, udp_address};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpStream;

use crate::state::conversation_times::PATIENCE;

/// Looks at what the peer has not acknowledged, and sets the time after which the kernel ends the connection:
/// the peer's host has to answer soon, but while its window is closed, its program may take its time.
///
/// Returns the number of bytes that are not acknowledged.
///
/// # Errors
/// Those of the operating system. The kernel may have no such diagnostics; the time stays as it is then.
pub(super) fn tend(stream: &TcpStream) -> io::Result<u32> {
    let SendQueue { unacknowledged, is_window_closed } = look(stream)?;
    let timeout = if is_window_closed { PATIENCE } else { USER_TIMEOUT };
    SockRef::from(stream).set_tcp_user_timeout(Some(timeout))?;
    Ok(unacknowledged)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SendQueue {
    unacknowledged: u32,
    /// The kernel only asks now and then whether the peer has room again.
    is_window_closed: bool,
}

fn look(stream: &TcpStream) -> io::Result<SendQueue> {
    let (local, remote) = (address(stream.local_addr()?)?, address(stream.peer_addr()?)?);
    let mut diagnostics =
        Socket::new(Domain::from(AF_NETLINK), Type::DGRAM, Some(Protocol::from(SOCK_DIAG)))?;
    // The answer is there when the request has been sent.
    diagnostics.set_nonblocking(true)?;
    diagnostics.write_all(&request(local, remote))?;
    let mut answer = [0; 1024];
    let length = diagnostics.read(&mut answer)?;
    parse(&answer[..length]).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn request(local: TcpAddress, remote: TcpAddress) -> Vec<u8> {
    let length = HEADER + 8 + SOCKET_ID;
    let mut request = Vec::with_capacity(length);
    request.extend(u32::try_from(length).unwrap_or(0).to_ne_bytes());
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    // The sequence number and the port of the kernel.
    request.extend([0; 8]);
    request.extend([AF_INET, IPPROTO_TCP, 0, 0]);
    request.extend(u32::MAX.to_ne_bytes());
    request.extend(local.port().to_be_bytes());
    request.extend(remote.port().to_be_bytes());
    for address in [local, remote] {
        request.extend(address.ip().octets());
        request.extend([0; 12]);
    }
    // Any interface, and no cookie.
    request.extend([0; 4]);
    request.extend([u8::MAX; 8]);
    request
}

/// Returns `None` for the report of an error, or for something else.
fn parse(answer: &[u8]) -> Option<SendQueue> {
    let kind = answer.get(4..6)?;
    if kind != SOCK_DIAG_BY_FAMILY.to_ne_bytes() {
        return None;
    }
    let message = answer.get(HEADER..)?;
    let timer = *message.get(2)?;
    let to_send = message.get(4 + SOCKET_ID + 8..)?.first_chunk()?;
    Some(SendQueue { unacknowledged: u32::from_ne_bytes(*to_send), is_window_closed: timer == WINDOW_PROBE })
}

fn address(address: SocketAddr) -> io::Result<TcpAddress> {
    udp_address(address).ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// The time without an acknowledgement after which the kernel ends the connection, unless the window is
/// closed.
pub(super) const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Constants of Linux: `sys/socket.h`, `linux/netlink.h`, `linux/sock_diag.h`.
const AF_INET: u8 = 2;
const AF_NETLINK: i32 = 16;
const SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const IPPROTO_TCP: u8 = 6;

/// The timer of a socket that asks whether the window has opened (`idiag_timer`).
const WINDOW_PROBE: u8 = 4;

/// The bytes of a header, and of the identity of a socket.
const HEADER: usize = 16;
const SOCKET_ID: usize = 48;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time;

    use super::*;

    fn timeout(stream: &TcpStream) -> Option<Duration> {
        SockRef::from(stream).tcp_user_timeout().unwrap()
    }

    /// The peer reads nothing for a while.
    #[tokio::test]
    async fn the_kernel_is_patient_only_while_the_window_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut theirs, _) = listener.accept().await.unwrap();
        match tend(&ours) {
            Ok(unacknowledged) => assert_eq!(unacknowledged, 0),
            Err(error) => return eprintln!("SKIPPED: this kernel has no diagnostics of sockets: {error}"),
        }
        assert_eq!(timeout(&ours), Some(USER_TIMEOUT));
        // The kernel takes no more after this.
        let full = async { while ours.write(&[b'#'; 1 << 16]).await.is_ok() {} };
        time::timeout(Duration::from_millis(300), full).await.unwrap_err();
        while !look(&ours).unwrap().is_window_closed {
            tokio::task::yield_now().await;
        }
        let unacknowledged = tend(&ours).unwrap();
        assert!(unacknowledged > 0);
        assert_eq!(timeout(&ours), Some(PATIENCE));
        // The peer has read everything.
        let mut buffer = vec![0; 1 << 20];
        while look(&ours).unwrap().unacknowledged > 0 {
            _ = time::timeout(Duration::from_millis(10), theirs.read(&mut buffer)).await;
        }
        assert_eq!(tend(&ours).unwrap(), 0);
        assert_eq!(timeout(&ours), Some(USER_TIMEOUT));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let mut answer = [0; HEADER + 4 + SOCKET_ID + 20];
        answer[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        answer[HEADER + 2] = WINDOW_PROBE;
        answer[HEADER + 4 + SOCKET_ID + 8..][..4].copy_from_slice(&1_234_u32.to_ne_bytes());
        let expected = SendQueue { unacknowledged: 1_234, is_window_closed: true };
        assert_eq!(parse(&answer), Some(expected));
        for length in 0..HEADER + 4 + SOCKET_ID + 12 {
            assert_eq!(parse(&answer[..length]), None, "{length}");
        }
        // An error.
        answer[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        assert_eq!(parse(&answer), None);
    }
}
