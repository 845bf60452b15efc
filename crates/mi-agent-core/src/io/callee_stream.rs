//! The stream of a caller, which is encrypted if the caller begins so.
//!
//! ```text
//!             ┌─ 0x16 ─► Handshake ─► Tls
//!   Undecided ┤                └────► Broken     nothing is ever sent in plain text after 0x16
//!             └─ other ─► Plain
//! ```

use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tls::{CalleeStream as TlsStream, HandshakeError, Tls};
use crate::key::PublicKey;

/// A caller's stream. The first byte decides about it, and the handshake takes place while it is read.
pub(crate) struct CalleeStream<S> {
    state: State<S>,
    tls: Option<Tls>,
    begins: Option<Box<dyn FnOnce() + Send>>,
    met: Arc<OnceLock<PublicKey>>,
}

enum State<S> {
    Undecided(S),
    Plain(FirstByte<S>),
    Handshake(Handshake<S>),
    Tls(Box<TlsStream<FirstByte<S>>>),
    /// The handshake came to nothing, and the stream has ended.
    Broken,
}

type Handshake<S> =
    Pin<Box<dyn Future<Output = Result<(TlsStream<FirstByte<S>>, PublicKey), HandshakeError>> + Send>>;

impl<S> CalleeStream<S> {
    /// Creates the stream of a caller of whom nothing has been read. Without `tls` it is plain. `begins` is called when the
    /// caller begins to encrypt.
    pub(crate) fn new(stream: S, tls: Option<Tls>, begins: impl FnOnce() + Send + 'static) -> Self {
        let state = State::Undecided(stream);
        Self { state, tls, begins: Some(Box::new(begins)), met: Arc::default() }
    }

    /// Returns where the key of the caller will be, once it has proved that it has one.
    pub(crate) fn met(&self) -> Arc<OnceLock<PublicKey>> {
        Arc::clone(&self.met)
    }
}

impl<S> CalleeStream<S> {
    /// Returns the stream below, unless the handshake has it.
    pub(crate) fn get_ref(&self) -> Option<&S> {
        match &self.state {
            State::Undecided(stream) => Some(stream),
            State::Plain(stream) => Some(&stream.stream),
            State::Tls(stream) => Some(&stream.get_ref().0.stream),
            State::Handshake(_) | State::Broken => None,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> CalleeStream<S> {
    /// Looks at the first byte, or goes on with the handshake, until the stream can be used.
    fn poll_decided(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.state {
                State::Undecided(stream) => {
                    let mut byte = [0];
                    let mut buffer = ReadBuf::new(&mut byte);
                    ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
                    let first = buffer.filled().first().copied();
                    let State::Undecided(stream) = mem::replace(&mut self.state, State::Broken) else {
                        unreachable!("it is undecided")
                    };
                    let stream = FirstByte { stream, first };
                    let Some(tls) = self.tls.take().filter(|_| first == Some(HANDSHAKE)) else {
                        self.state = State::Plain(stream);
                        continue;
                    };
                    self.state = State::Handshake(Box::pin(async move { tls.accept(stream).await }));
                    if let Some(begins) = self.begins.take() {
                        begins();
                    }
                }
                State::Handshake(handshake) => {
                    let shaken = ready!(handshake.as_mut().poll(cx));
                    self.state = State::Broken;
                    let (stream, key) = shaken.map_err(io::Error::from)?;
                    self.state = State::Tls(Box::new(stream));
                    // It is set once.
                    _ = self.met.set(key);
                }
                State::Plain(_) | State::Tls(_) | State::Broken => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> AsyncRead for CalleeStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_decided(cx))?;
        match &mut self.state {
            State::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            State::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
            State::Undecided(_) | State::Handshake(_) | State::Broken => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> AsyncWrite for CalleeStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.state {
            // Who has sent nothing is answered as deployed programs need it.
            State::Undecided(stream) => Pin::new(stream).poll_write(cx, bytes),
            State::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            State::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
            State::Handshake(_) | State::Broken => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Undecided(stream) => Pin::new(stream).poll_flush(cx),
            State::Plain(stream) => Pin::new(stream).poll_flush(cx),
            State::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
            State::Handshake(_) | State::Broken => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Undecided(stream) => Pin::new(stream).poll_shutdown(cx),
            State::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            State::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            // Dropping it closes the connection.
            State::Handshake(_) => {
                self.state = State::Broken;
                Poll::Ready(Ok(()))
            }
            State::Broken => Poll::Ready(Ok(())),
        }
    }
}

impl<S> fmt::Debug for CalleeStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CalleeStream").field("met", &self.met).finish_non_exhaustive()
    }
}

/// A stream whose first byte is read again.
#[derive(Debug)]
pub(crate) struct FirstByte<S> {
    stream: S,
    first: Option<u8>,
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstByte<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buffer.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstByte<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The first byte of a TLS handshake (RFC 8446 §5.1). No frame begins with it.
const HANDSHAKE: u8 = 0x16;

#[cfg(test)]
mod tests {
    use plumi_proto::MiAddress;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::super::tls::SecretKey;
    use super::*;

    fn joya() -> MiAddress {
        "joya@cc.com".parse().unwrap()
    }

    fn tls(address: &str) -> (Tls, PublicKey) {
        let key = SecretKey::generate().unwrap();
        (Tls::new(&key, &address.parse().unwrap(), None), key.public_key())
    }

    fn callee() -> (CalleeStream<DuplexStream>, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(4096);
        (CalleeStream::new(ours, Some(tls("joya@cc.com").0), || ()), theirs)
    }

    #[tokio::test]
    async fn a_plain_caller_is_read_from_its_first_byte() {
        let (mut callee, mut caller) = callee();
        caller.write_all(b"N04pere").await.unwrap();
        let mut read = [0; 7];
        callee.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"N04pere");
        callee.write_all(b"N04joya").await.unwrap();
        caller.read_exact(&mut read).await.unwrap();
        assert_eq!((&read, callee.met().get()), (b"N04joya", None));
        caller.shutdown().await.unwrap();
        assert_eq!(callee.read(&mut read).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn who_says_nothing_is_answered_in_plain_text() {
        let (mut callee, mut caller) = callee();
        callee.write_all(b"N04joya").await.unwrap();
        callee.shutdown().await.unwrap();
        let mut heard = Vec::new();
        caller.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"N04joya");
    }

    #[tokio::test]
    async fn an_encrypted_caller_is_met_while_it_is_read() {
        let (mut callee, caller) = callee();
        let (laura, of_laura) = tls("laura@bb.com");
        let met = callee.met();
        let hears = async {
            let mut read = [0; 8];
            callee.read_exact(&mut read).await.unwrap();
            callee.write_all(&read).await.unwrap();
            callee.flush().await.unwrap();
            read
        };
        let joya = joya();
        let says = async {
            let (mut caller, _) = laura.connect(&joya, caller).await.unwrap();
            caller.write_all(b"N05laura").await.unwrap();
            caller.flush().await.unwrap();
            let mut echo = [0; 8];
            caller.read_exact(&mut echo).await.unwrap();
            echo
        };
        let (heard, echo) = tokio::join!(hears, says);
        assert_eq!((&heard, &echo, met.get()), (b"N05laura", b"N05laura", Some(&of_laura)));
    }

    /// Neither what is wrong nor what is missing is answered in plain text.
    #[tokio::test]
    async fn nothing_is_plain_after_the_first_byte_of_a_handshake() {
        for said in [&b"\x16"[..], b"\x16\x03\x01\x00\x05hello", b"\x16N04pere"] {
            let (mut callee, mut caller) = callee();
            caller.write_all(said).await.unwrap();
            let mut read = [0; 8];
            // The rest of the handshake may never come.
            let reading = tokio::time::timeout(std::time::Duration::from_millis(1), callee.read(&mut read));
            if let Ok(read) = reading.await {
                read.unwrap_err();
            }
            callee.write_all(b"N04joya").await.unwrap_err();
            callee.shutdown().await.unwrap();
            drop(callee);
            let mut heard = Vec::new();
            caller.read_to_end(&mut heard).await.unwrap();
            assert!(heard.is_empty() || heard[0] == 0x15, "an alert, or nothing: {heard:?}");
        }
    }
}
