//! A TCP connection that carries frames, until its conversation begins: greeting and orderly end.
//!
//! Deployed programs read one TCP segment as one frame, end when a connection closes before they saw a
//! nickname, and end on RST (protocol.md §7). So: one write a frame, no delay by the kernel, our nickname before
//! any close, and no close before everything that came was read.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use mi_proto::{Frame, FrameCodec, FrameError, Nickname, Received};
use tokio::net::TcpStream;
use tokio::time;
use tokio_util::codec::Framed;

use crate::safe_text::PeerText;

/// A connection of frames.
pub(crate) struct Connection {
    pub(crate) frames: Framed<TcpStream, FrameCodec>,
    pub(crate) remote: SocketAddr,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, remote: SocketAddr) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { frames: Framed::new(stream, FrameCodec::new()), remote })
    }

    /// Connects to an agent and exchanges nicknames with it, the caller's first.
    pub(crate) async fn call(remote: SocketAddr, nickname: &Nickname) -> io::Result<(Self, PeerText)> {
        let stream = within(CONNECT_TIMEOUT, TcpStream::connect(remote)).await??;
        let mut connection = Self::new(stream, remote)?;
        connection.send_nickname(nickname).await?;
        match connection.receive_nickname().await {
            Ok(peer) => Ok((connection, peer)),
            Err(error) => {
                connection.close().await;
                Err(error)
            }
        }
    }

    /// Exchanges nicknames with an agent that called. Ours goes out whatever comes.
    pub(crate) async fn answer(&mut self, nickname: &Nickname) -> io::Result<PeerText> {
        let peer = self.receive_nickname().await;
        self.send_nickname(nickname).await?;
        peer
    }

    async fn send_nickname(&mut self, nickname: &Nickname) -> io::Result<()> {
        let sent = self.frames.send(Frame::Nickname(nickname.clone()));
        within(GREETING_TIMEOUT, sent).await?.map_err(into_io)
    }

    async fn receive_nickname(&mut self) -> io::Result<PeerText> {
        let received = within(GREETING_TIMEOUT, self.frames.next()).await?;
        match received.transpose().map_err(into_io)? {
            Some(nickname @ Received::Nickname(_)) => {
                let text = nickname.text();
                Ok(PeerText::new(if text.is_empty() { "?".into() } else { text }))
            }
            Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "it began without a nickname")),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Ends the connection in order: FIN, then everything the peer still sends is read.
    pub(crate) async fn close(mut self) {
        let closed = async {
            SinkExt::<Frame>::close(&mut self.frames).await?;
            while self.frames.next().await.is_some_and(|received| received.is_ok()) {}
            Ok::<_, FrameError>(())
        };
        // However it went, there is nothing left to do.
        _ = time::timeout(LINGER, closed).await;
    }
}

/// Waits for `operation`, but not for ever.
pub(crate) async fn within<T>(limit: Duration, operation: impl Future<Output = T>) -> io::Result<T> {
    time::timeout(limit, operation).await.map_err(|_| io::ErrorKind::TimedOut.into())
}

pub(crate) fn into_io(error: FrameError) -> io::Error {
    match error {
        FrameError::Io(error) => error,
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}

/// The callee's host answers within a round trip, if it is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A nickname is one small frame, sent at once.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// How long after our FIN the peer's is waited for.
pub(crate) const LINGER: Duration = Duration::from_secs(2);
