//! A TCP connection that carries frames, until its conversation begins: greeting and orderly end.
//!
//! Deployed programs read one TCP segment as one frame, end when a connection closes before they saw a
//! nickname, and end on RST (protocol.md §7). So: one write a frame, no delay by the kernel, our nickname before
//! any close, and no close before everything that came was read.

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

/// A connection of frames.
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
        // Or else a cable that is pulled would never be noticed by who only listens.
        let socket = SockRef::from(&stream);
        let probes = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(PROBE_INTERVAL);
        socket.set_tcp_keepalive(&probes)?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        Ok(Self::over(stream, remote, tap))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// A connection whose stream needs nothing more.
    pub(crate) fn over(stream: S, remote: SocketAddr, tap: Option<TrafficTap>) -> Self {
        Self { frames: Framed::new(stream, TappedCodec::new(remote, tap)), remote }
    }

    /// Greets an agent that was called: ours first.
    ///
    /// # Errors
    /// No nickname came in time, or before it was `given_up`, for the reason that it says.
    pub(crate) async fn greet(
        &mut self,
        nickname: &Nickname,
        given_up: impl Future<Output = &'static str>,
    ) -> io::Result<PeerText> {
        self.send(Frame::Nickname(nickname.clone())).await?;
        self.receive_nickname(given_up).await
    }

    /// Greets an agent that called: its nickname comes first. Ours goes out whatever comes.
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

    /// Says a line, `pace` after our nickname.
    pub(crate) async fn say(&mut self, line: Line, pace: Duration) -> io::Result<()> {
        time::sleep(pace).await;
        self.send(Frame::Line(line)).await
    }

    /// Both directions, to be used at the same time.
    pub(crate) fn split(self) -> (Outgoing<WriteHalf<S>>, Incoming<ReadHalf<S>>) {
        let parts = self.frames.into_parts();
        let (reader, writer) = tokio::io::split(parts.io);
        let outgoing = Outgoing::new(writer, parts.codec.clone(), parts.write_buf);
        // What came with the nickname.
        let mut incoming = FramedParts::new::<Frame>(reader, parts.codec);
        incoming.read_buf = parts.read_buf;
        (outgoing, Incoming::new(Framed::from_parts(incoming)))
    }

    /// Ends the connection in order: FIN, then everything the peer still sends is read.
    pub(crate) async fn close(self) {
        let mut frames = self.frames;
        let closed = async {
            frames.get_mut().shutdown().await?;
            while frames.next().await.is_some_and(|received| received.is_ok()) {}
            // Below the frames, which give nothing more once something that is no frame has come.
            let mut stream = frames.into_inner();
            let mut unread = [0; 1024];
            while stream.read(&mut unread).await? > 0 {}
            Ok::<_, io::Error>(())
        };
        // However it went, there is nothing left to do.
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
            // Who has given it is heard.
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

/// Waits for `operation`, but not for ever.
pub(crate) async fn within<T>(limit: Duration, operation: impl Future<Output = T>) -> io::Result<T> {
    let mut operation = pin!(operation);
    // Most are done at once, and need no clock.
    if let Poll::Ready(done) = future::poll_fn(|cx| Poll::Ready(operation.as_mut().poll(cx))).await {
        return Ok(done);
    }
    time::timeout(limit, operation).await.map_err(|_| io::ErrorKind::TimedOut.into())
}

/// The callee's host answers within a round trip, if it is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A nickname is one small frame, sent at once.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// A conversation in which nothing is said for so long is asked whether the other side is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How far apart it is asked. With a [`USER_TIMEOUT`] that is over by then, the kernel takes the first question that
/// is not answered for so long as the end.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// What was sent and is not acknowledged for so long is lost, and the connection with it.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long after our FIN the peer's is waited for.
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

    /// Frames are not gathered, and a peer that is gone is noticed, by the caller and by the callee.
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

    /// Silence, and an agent that ends: the caller sees a nickname all the same.
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
            // More than fits on the way: it is taken only if it is read.
            peer.write_all(&[b'x'; 4096]).await.unwrap();
            peer.shutdown().await.unwrap();
        };
        tokio::join!(connection.close(), writes);
    }
}
