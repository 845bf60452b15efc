//! A TCP connection that carries frames, before its conversation begins: the greeting and an orderly end.
//!
//! Deployed programs read one TCP segment as one frame. They end when a connection closes before they saw a
//! nickname, and when they receive an RST (protocol.md §7). Therefore each frame is one write, the kernel
//! does not delay it, our nickname precedes any close, and everything received is read before the close.

use std::future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use mi_proto::{Frame, Line, Nickname, Received};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time;
use tokio_util::codec::{Framed, FramedParts};

use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::tapped::TappedCodec;
use crate::safe_text::PeerText;
use crate::traffic::TrafficTap;

/// A connection that carries frames.
pub(crate) struct Connection<S = TcpStream> {
    pub(crate) frames: Framed<S, TappedCodec>,
    pub(crate) remote: SocketAddr,
}

impl Connection {
    /// Connects to an agent.
    pub(crate) async fn open(remote: SocketAddr, tap: Option<TrafficTap>) -> io::Result<Self> {
        Self::new(within(CONNECT_TIMEOUT, TcpStream::connect(remote)).await??, remote, tap)
    }

    pub(crate) fn new(stream: TcpStream, remote: SocketAddr, tap: Option<TrafficTap>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        // Without keepalive, an idle receiver never notices a pulled cable.
        let socket = SockRef::from(&stream);
        let probes = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(PROBE_INTERVAL);
        socket.set_tcp_keepalive(&probes)?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        Ok(Self::over(stream, remote, tap))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Wraps a stream that needs no socket options.
    pub(crate) fn over(stream: S, remote: SocketAddr, tap: Option<TrafficTap>) -> Self {
        Self { frames: Framed::new(stream, TappedCodec::new(remote, tap)), remote }
    }

    /// Greets an agent that we called: our nickname goes first.
    ///
    /// # Errors
    /// No nickname came in time, or before `given_up` returned its reason.
    pub(crate) async fn greet(
        &mut self,
        nickname: &Nickname,
        given_up: impl Future<Output = &'static str>,
    ) -> io::Result<PeerText> {
        self.send(Frame::Nickname(nickname.clone())).await?;
        self.receive_nickname(given_up).await
    }

    /// Greets an agent that called us: its nickname comes first. Ours is sent whatever comes.
    ///
    /// # Errors
    /// As [`Connection::greet`].
    pub(crate) async fn answer(
        &mut self,
        nickname: &Nickname,
        given_up: impl Future<Output = &'static str>,
    ) -> io::Result<PeerText> {
        let peer = self.receive_nickname(given_up).await;
        self.send(Frame::Nickname(nickname.clone())).await?;
        peer
    }

    /// Sends a line, `pace` after our nickname.
    pub(crate) async fn say(&mut self, line: Line, pace: Duration) -> io::Result<()> {
        time::sleep(pace).await;
        self.send(Frame::Line(line)).await
    }

    /// Splits the connection into its two directions, which can be used at the same time.
    pub(crate) fn split(self) -> (Outgoing<WriteHalf<S>>, Incoming<ReadHalf<S>>) {
        let parts = self.frames.into_parts();
        let (reader, writer) = tokio::io::split(parts.io);
        let outgoing = Outgoing::new(writer, parts.codec.clone(), parts.write_buf);
        // It may have come together with the nickname.
        let mut incoming = FramedParts::new::<Frame>(reader, parts.codec);
        incoming.read_buf = parts.read_buf;
        (outgoing, Incoming::new(Framed::from_parts(incoming)))
    }

    /// Ends the connection in order: sends FIN, then reads everything that the peer still sends.
    pub(crate) async fn close(self) {
        let mut frames = self.frames;
        let closed = async {
            frames.get_mut().shutdown().await?;
            while frames.next().await.is_some_and(|received| received.is_ok()) {}
            // Without the codec, which stops at the first bytes that are not a frame.
            let mut stream = frames.into_inner();
            let mut unread = [0; 1024];
            while stream.read(&mut unread).await? > 0 {}
            Ok::<_, io::Error>(())
        };
        // There is nothing left to do, even after an error.
        _ = time::timeout(LINGER, closed).await;
    }

    async fn send(&mut self, frame: Frame) -> io::Result<()> {
        Ok(within(GREETING_TIMEOUT, self.frames.send(frame)).await??)
    }

    async fn receive_nickname(
        &mut self,
        given_up: impl Future<Output = &'static str>,
    ) -> io::Result<PeerText> {
        let received = tokio::select! {
            // A nickname that has come is accepted even if the time is up.
            biased;
            received = within(GREETING_TIMEOUT, self.frames.next()) => received?,
            reason = given_up => return Err(io::Error::other(reason)),
        };
        match received.transpose()? {
            Some(nickname @ Received::Nickname(_)) => {
                let text = nickname.text();
                Ok(PeerText::new(if text.is_empty() { "?".into() } else { text }))
            }
            Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "it began without a nickname")),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Waits for `operation`, for `limit` at most.
pub(crate) async fn within<T>(limit: Duration, operation: impl Future<Output = T>) -> io::Result<T> {
    let mut operation = pin!(operation);
    // Most operations finish at once and need no timer.
    if let Poll::Ready(done) = future::poll_fn(|cx| Poll::Ready(operation.as_mut().poll(cx))).await {
        return Ok(done);
    }
    time::timeout(limit, operation).await.map_err(|_| io::ErrorKind::TimedOut.into())
}

/// The limit for connecting: a host that is up answers within a round trip.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The limit for each half of the greeting: a nickname is one small frame, sent at once.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// The silence after which the kernel probes whether the peer is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// The interval between probes. As [`USER_TIMEOUT`] has passed by then, the kernel ends the connection at the
/// first probe that has no answer for this long.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// The time without an acknowledgement after which the kernel ends the connection.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// The time that the peer has for its FIN after ours.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::io::DuplexStream;
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;

    fn pair() -> (Connection<DuplexStream>, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(1024);
        let remote = "127.0.0.1:4456".parse().unwrap();
        (Connection::over(ours, remote, None), theirs)
    }

    /// The kernel does not join frames, and both sides notice a peer that is gone.
    #[tokio::test]
    async fn the_kernel_is_told_what_a_conversation_needs() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let caller = Connection::open(listener.local_addr().unwrap(), None).await.unwrap();
        let (stream, remote) = listener.accept().await.unwrap();
        let callee = Connection::new(stream, remote, None).unwrap();
        for connection in [caller, callee] {
            let socket = SockRef::from(connection.frames.get_ref());
            assert!(socket.tcp_nodelay().unwrap());
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), PROBE_INTERVAL);
            #[cfg(target_os = "linux")]
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(30)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_keeps_its_distance_from_the_nickname() {
        let (mut connection, mut peer) = pair();
        let start = Instant::now();
        let ours = async {
            peer.write_all(b"N02u2").await.unwrap();
            connection.answer(&Nickname::new("u1").unwrap(), pending()).await.unwrap();
            connection.say(Line::new("busy").unwrap(), Duration::from_millis(20)).await.unwrap();
        };
        ours.await;
        assert_eq!(start.elapsed(), Duration::from_millis(20));
        let mut bytes = [0; 12];
        peer.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"N02u1L04busy");
    }

    /// The caller sees a nickname even if it is silent or the agent ends.
    #[tokio::test(start_paused = true)]
    async fn a_caller_is_greeted_whatever_happens() {
        for ends in [false, true] {
            let (mut connection, mut peer) = pair();
            let start = Instant::now();
            let given_up = async {
                if !ends {
                    pending::<()>().await;
                }
                "the agent ends"
            };
            connection.answer(&Nickname::new("u1").unwrap(), given_up).await.unwrap_err();
            assert_eq!(start.elapsed(), if ends { Duration::ZERO } else { GREETING_TIMEOUT });
            let mut bytes = [0; 5];
            peer.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, b"N02u1");
        }
    }

    #[tokio::test]
    async fn the_end_reads_what_is_no_frame_too() {
        let (mut connection, mut peer) = pair();
        peer.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        connection.answer(&Nickname::new("u1").unwrap(), pending()).await.unwrap_err();
        let writes = async {
            // More than the stream buffers, so the write ends only if it is read.
            peer.write_all(&[b'x'; 4096]).await.unwrap();
            peer.shutdown().await.unwrap();
        };
        tokio::join!(connection.close(), writes);
    }
}
