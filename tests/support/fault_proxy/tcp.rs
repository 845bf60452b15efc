//! The proxy of streams.

use std::future;
use std::io;
use std::net::SocketAddrV4;
use std::num::NonZeroUsize;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time;

/// A proxy of TCP connections. It stops, and its connections with it, when dropped.
#[derive(Debug)]
pub struct TcpProxy {
    task: JoinHandle<()>,
}

/// The faults of the bytes that go one way; by default there are none.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamFaults {
    /// The most bytes of a segment.
    pub segment: Option<NonZeroUsize>,
    /// The time by which each segment is kept back.
    pub delay: Duration,
    /// The number of bytes after which both sides are reset: RST, no FIN.
    pub reset_after: Option<usize>,
    /// The number of bytes after which nothing more passes, not even the end; the connection stays.
    pub stall_after: Option<usize>,
}

impl TcpProxy {
    /// Starts at `address`, before `target`. An agent that listens on one loopback address and publishes
    /// another has its proxy there, at the same port. [`MAX_CONNECTIONS`] are served at a time.
    ///
    /// # Panics
    /// If `address` is taken.
    pub async fn start(
        address: SocketAddrV4,
        target: SocketAddrV4,
        to_target: StreamFaults,
        to_client: StreamFaults,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("the address is free");
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                        let (client, _) = accepted.expect("a connection");
                        connections.spawn(relay(client, target, to_target, to_client));
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Self { task }
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves one connection. What breaks on one side breaks on the other.
async fn relay(
    mut client: TcpStream,
    target: SocketAddrV4,
    to_target: StreamFaults,
    to_client: StreamFaults,
) {
    let Ok(mut target) = TcpStream::connect(target).await else { return reset(&client) };
    for stream in [&client, &target] {
        stream.set_nodelay(true).expect("a socket option");
    }
    let (from_client, into_client) = client.split();
    let (from_target, into_target) = target.split();
    let passed = tokio::try_join!(
        pass(from_client, into_target, to_target),
        pass(from_target, into_client, to_client)
    );
    if passed.is_err() {
        reset(&client);
        reset(&target);
    }
}

/// Passes bytes on until their end.
///
/// # Errors
/// The connection is to be reset.
async fn pass(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, faults: StreamFaults) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let largest = faults.segment.map_or(buffer.len(), NonZeroUsize::get).min(buffer.len());
    let mut passed = 0;
    loop {
        let left = |end: Option<usize>| end.map_or(usize::MAX, |end| end.saturating_sub(passed));
        if left(faults.stall_after) == 0 {
            future::pending::<()>().await;
        }
        if left(faults.reset_after) == 0 {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let most = largest.min(left(faults.stall_after)).min(left(faults.reset_after));
        let length = from.read(&mut buffer[..most]).await?;
        time::sleep(faults.delay).await;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
        passed += length;
    }
}

/// Has `stream` end by RST when it is dropped.
fn reset(stream: &TcpStream) {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).expect("a socket option");
}

/// Connections at a time: more than a test makes.
pub const MAX_CONNECTIONS: usize = 64;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::programs::DEADLINE;

    /// A connection through a proxy: the client's end and the target's.
    async fn connection(
        to_target: StreamFaults,
        to_client: StreamFaults,
    ) -> (TcpStream, TcpStream, TcpProxy) {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let SocketAddr::V4(address) = target.local_addr().unwrap() else { panic!("it is an IPv4 one") };
        let at = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 2), address.port());
        let proxy = TcpProxy::start(at, address, to_target, to_client).await;
        let client = TcpStream::connect(at).await.unwrap();
        let (accepted, _) = time::timeout(DEADLINE, target.accept()).await.unwrap().unwrap();
        (client, accepted, proxy)
    }

    /// Returns the pieces that are read at once until the end, and the result at the end.
    async fn pieces(stream: &mut TcpStream) -> (Vec<Vec<u8>>, io::Result<()>) {
        let mut pieces = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match time::timeout(DEADLINE, stream.read(&mut buffer)).await.unwrap() {
                Ok(0) => return (pieces, Ok(())),
                Ok(length) => pieces.push(buffer[..length].to_vec()),
                Err(error) => return (pieces, Err(error)),
            }
        }
    }

    #[tokio::test]
    async fn without_faults_both_directions_pass_and_each_ends_by_itself() {
        let (mut client, mut target, _proxy) =
            connection(StreamFaults::default(), StreamFaults::default()).await;
        client.write_all(b"hola").await.unwrap();
        client.shutdown().await.unwrap();
        let (said, end) = pieces(&mut target).await;
        assert!(said.concat() == b"hola" && end.is_ok(), "{said:?} {end:?}");
        target.write_all(b"adeu").await.unwrap();
        drop(target);
        let (said, end) = pieces(&mut client).await;
        assert!(said.concat() == b"adeu" && end.is_ok(), "{said:?} {end:?}");
    }

    #[tokio::test]
    async fn one_write_becomes_segments_of_a_byte() {
        let faults = StreamFaults {
            segment: NonZeroUsize::new(1),
            delay: Duration::from_millis(1),
            ..StreamFaults::default()
        };
        let (mut client, mut target, _proxy) = connection(faults, StreamFaults::default()).await;
        let sent = [b'x'; 100];
        client.write_all(&sent).await.unwrap();
        drop(client);
        let (said, end) = pieces(&mut target).await;
        assert!(said.concat() == sent && end.is_ok());
        // A reader that is slow for a moment finds several.
        let single = said.iter().filter(|piece| piece.len() == 1).count();
        assert!(single > 10, "{single} of 100 bytes came alone");
    }

    #[tokio::test]
    async fn after_so_many_bytes_both_sides_are_reset() {
        for offset in [0, 1, 4, 7] {
            let faults = StreamFaults { reset_after: Some(offset), ..StreamFaults::default() };
            let (mut client, mut target, _proxy) = connection(faults, StreamFaults::default()).await;
            // Before anything has passed, the connection may be gone already.
            _ = client.write_all(b"L04hola").await;
            for (stream, expected) in [(&mut target, offset), (&mut client, 0)] {
                let (said, end) = pieces(stream).await;
                assert_eq!(said.concat(), b"L04hola"[..expected]);
                assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
            }
        }
    }

    #[tokio::test]
    async fn after_so_many_bytes_nothing_more_comes_one_way() {
        let faults = StreamFaults { stall_after: Some(3), ..StreamFaults::default() };
        let (mut client, mut target, _proxy) = connection(faults, StreamFaults::default()).await;
        client.write_all(b"L04hola").await.unwrap();
        client.shutdown().await.unwrap();
        let mut said = [0; 3];
        target.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"L04");
        target.write_all(b"adeu").await.unwrap();
        let mut answer = [0; 4];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"adeu");
        let more = time::timeout(Duration::from_millis(50), target.read(&mut said)).await;
        assert!(more.is_err(), "{more:?}");
    }
}
