//! The stream of a caller, which is encrypted if the caller begins so.
//!
//! ```text
//!             ┌─ 0x16 ─► Handshake ─► Tls
//!   Undecided ┤                └────► Ending     nothing is ever sent in plain text after 0x16
//!             └─ other ─► Plain
//! ```

use std::fmt;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use plumi_proto::MiAddress;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tls::{Handshake, Tls, TlsStream};
use crate::identity::Identity;
use crate::key::PublicKey;

/// The stream of a caller, which is encrypted if the caller begins so.
///
/// The first byte decides, and the handshake takes place while the stream is read. After a first byte of TLS
/// nothing is ever sent in plain text. An [`Agent`](crate::Agent) has such a stream for each caller; this is
/// for programs with connections of their own, such as tests. Shutting it down gives a handshake up, and
/// waits for the end of the peer then.
///
/// ```
/// use mi_agent_core::{CalleeStream, Identity};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (callee, mut caller) = tokio::io::duplex(1024);
/// let mut callee = CalleeStream::with_identity(callee, &Identity::generate()?, &"joya@cc.com".parse()?);
/// caller.write_all(b"N05laura").await?;
/// let mut nickname = [0; 8];
/// callee.read_exact(&mut nickname).await?;
/// assert_eq!((&nickname, callee.key()), (b"N05laura", None));
/// # Ok(())
/// # }
/// ```
pub struct CalleeStream<S> {
    state: State<S>,
    tls: Option<Tls>,
    take_first: TakeFirst<S>,
    begins: Option<Box<dyn FnOnce() + Send>>,
    encryption: Arc<Encryption>,
}

enum State<S> {
    Undecided(S),
    Plain(FirstByte<S>),
    Handshake(Box<Handshake<FirstByte<S>>>),
    Tls(Box<TlsStream<FirstByte<S>>>),
    /// The handshake came to nothing. What the peer sends is read and dropped while the stream is shut down.
    Ending(Box<Handshake<FirstByte<S>>>),
    /// The stream cannot be used.
    Broken,
}

/// Takes the first byte of a stream, if it has come, without waiting.
pub(crate) type TakeFirst<S> = fn(&S) -> Option<u8>;

/// The part of an encryption that is known outside of its stream.
#[derive(Debug, Default)]
pub(crate) struct Encryption {
    has_begun: AtomicBool,
    key: OnceLock<PublicKey>,
}

impl Encryption {
    /// Returns whether the caller has begun to encrypt.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    /// Returns the key of the caller, once it has proved that it has one.
    pub(crate) fn key(&self) -> Option<PublicKey> {
        self.key.get().copied()
    }
}

impl<S> CalleeStream<S> {
    /// Creates the stream of a caller before anything has been read. Without `tls` it is plain. `begins` is
    /// called when the caller begins to encrypt.
    pub(crate) fn new(
        stream: S,
        tls: Option<Tls>,
        take_first: TakeFirst<S>,
        begins: impl FnOnce() + Send + 'static,
    ) -> Self {
        let state = State::Undecided(stream);
        Self { state, tls, take_first, begins: Some(Box::new(begins)), encryption: Arc::default() }
    }

    /// Creates the stream of a caller before anything has been read. The caller may encrypt its call to
    /// `own`.
    pub fn with_identity(stream: S, identity: &Identity, own: &MiAddress) -> Self {
        Self::new(stream, Some(Tls::new(identity.secret(), own, None)), |_| None, || ())
    }

    /// Returns the key of the caller, once it has proved that it has one.
    pub fn key(&self) -> Option<PublicKey> {
        self.encryption.key()
    }

    /// Returns where the encryption will be known.
    pub(crate) fn encryption(&self) -> Arc<Encryption> {
        Arc::clone(&self.encryption)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> CalleeStream<S> {
    /// Returns the stream below, unless it is broken.
    pub(crate) fn get_ref(&self) -> Option<&S> {
        match &self.state {
            State::Undecided(stream) => Some(stream),
            State::Plain(stream) => Some(&stream.stream),
            State::Handshake(handshake) | State::Ending(handshake) => Some(&handshake.get_ref().stream),
            State::Tls(stream) => Some(&stream.get_ref().stream),
            State::Broken => None,
        }
    }

    /// Looks at the first byte, or goes on with the handshake, until the stream can be used.
    fn poll_decided(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.state {
                State::Undecided(stream) => {
                    let mut byte = [0];
                    let mut buffer = ReadBuf::new(&mut byte);
                    ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
                    let first = buffer.filled().first().copied();
                    self.decide(first);
                }
                State::Handshake(handshake) => {
                    let shaken = ready!(handshake.poll_shaken(cx));
                    self.end_handshake(shaken.is_ok());
                    let key = shaken.map_err(io::Error::from)?;
                    // It is set once.
                    _ = self.encryption.key.set(key);
                }
                State::Plain(_) | State::Tls(_) | State::Ending(_) | State::Broken => {
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    fn decide(&mut self, first: Option<u8>) {
        let State::Undecided(stream) = mem::replace(&mut self.state, State::Broken) else {
            unreachable!("it is undecided")
        };
        let stream = FirstByte { stream, first, failed: None };
        let Some(tls) = self.tls.take().filter(|_| first == Some(HANDSHAKE)) else {
            self.state = State::Plain(stream);
            return;
        };
        self.state = State::Handshake(Box::new(tls.accept(stream)));
        self.encryption.has_begun.store(true, Ordering::Relaxed);
        if let Some(begins) = self.begins.take() {
            begins();
        }
    }

    /// Goes on with the stream of a handshake, or with its end.
    fn end_handshake(&mut self, is_shaken: bool) {
        self.state = match mem::replace(&mut self.state, State::Broken) {
            State::Handshake(handshake) if is_shaken => {
                handshake.into_stream().map_or(State::Broken, |stream| State::Tls(Box::new(stream)))
            }
            State::Handshake(handshake) => State::Ending(handshake),
            other => other,
        };
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for CalleeStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_decided(cx))?;
        match &mut self.state {
            State::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            State::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
            State::Ending(_) => Poll::Ready(Ok(())),
            State::Undecided(_) | State::Handshake(_) | State::Broken => {
                Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for CalleeStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // A caller that is given up may have begun to encrypt, and its first byte was not looked at.
        if let State::Undecided(stream) = &self.state
            && let Some(first) = (self.take_first)(stream)
        {
            self.decide(Some(first));
        }
        match &mut self.state {
            // A caller that has sent nothing is answered as deployed programs need it.
            State::Undecided(stream) => Pin::new(stream).poll_write(cx, bytes),
            State::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            State::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
            State::Handshake(_) | State::Ending(_) | State::Broken => {
                Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Undecided(stream) => Pin::new(stream).poll_flush(cx),
            State::Plain(stream) => Pin::new(stream).poll_flush(cx),
            State::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
            State::Handshake(_) | State::Ending(_) | State::Broken => Poll::Ready(Ok(())),
        }
    }

    /// Ends the stream. A handshake that is under way is given up; the end of the peer is waited for then.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end_handshake(false);
        match &mut self.state {
            State::Undecided(stream) => Pin::new(stream).poll_shutdown(cx),
            State::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            State::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            State::Ending(handshake) => handshake.poll_end(cx),
            State::Handshake(_) | State::Broken => Poll::Ready(Ok(())),
        }
    }
}

impl<S> fmt::Debug for CalleeStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CalleeStream").field("encryption", &self.encryption).finish_non_exhaustive()
    }
}

/// A stream that returns its first byte once more.
#[derive(Debug)]
pub(crate) struct FirstByte<S> {
    stream: S,
    first: Option<u8>,
    /// The error of a read that had the first byte to return.
    failed: Option<io::Error>,
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
            // The bytes that have come with it belong to it.
            if let Poll::Ready(Err(error)) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
                self.failed = Some(error);
            }
            return Poll::Ready(Ok(()));
        }
        match self.failed.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.stream).poll_read(cx, buffer),
        }
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
    use futures_util::FutureExt;
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
        (CalleeStream::new(ours, Some(tls("joya@cc.com").0), |_| None, || ()), theirs)
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
        assert_eq!((&read, callee.encryption().has_begun()), (b"N04joya", false));
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
        let encryption = callee.encryption();
        let hears = async {
            let mut read = [0; 8];
            callee.read_exact(&mut read).await.unwrap();
            callee.write_all(&read).await.unwrap();
            callee.flush().await.unwrap();
            read
        };
        let joya = joya();
        let says = async {
            let mut handshake = laura.connect(&joya, caller).unwrap();
            handshake.shake().await.unwrap();
            let mut caller = handshake.into_stream().unwrap();
            caller.write_all(b"N05laura").await.unwrap();
            caller.flush().await.unwrap();
            let mut echo = [0; 8];
            caller.read_exact(&mut echo).await.unwrap();
            echo
        };
        let (heard, echo) = tokio::join!(hears, says);
        assert_eq!((&heard, &echo, encryption.key()), (b"N05laura", b"N05laura", Some(of_laura)));
    }

    /// Each of these is the beginning of a call, and how many bytes follow that nobody waits for.
    #[tokio::test]
    async fn a_handshake_that_is_given_up_ends_in_order() {
        for (said, more) in [
            (&b"\x16"[..], 0),
            (b"\x16\x03\x01", 3_000),
            (b"\x16\x03\x01\x00\x05hello", 3_000),
            (b"\x16N04pere", 0),
        ] {
            let (mut callee, mut caller) = callee();
            caller.write_all(said).await.unwrap();
            let mut read = [0; 8];
            // The rest of the handshake may never come.
            if let Some(read) = callee.read(&mut read).now_or_never() {
                read.unwrap_err();
            }
            callee.write_all(b"N04joya").await.unwrap_err();
            let says = async {
                caller.write_all(&vec![0x16; more]).await.unwrap();
                caller.shutdown().await.unwrap();
                let mut heard = Vec::new();
                caller.read_to_end(&mut heard).await.unwrap();
                heard
            };
            // The end waits for that of the caller.
            assert!(callee.shutdown().now_or_never().is_none());
            let (ended, heard) = tokio::join!(callee.shutdown(), says);
            ended.unwrap();
            assert_eq!((heard.len(), heard[0]), (7, 0x15), "an alert and nothing else: {heard:?}");
            assert_eq!(callee.read(&mut read).await.unwrap(), 0);
        }
    }

    /// The caller has the callee's part of the handshake and does not go on.
    #[tokio::test]
    async fn a_caller_learns_that_its_handshake_is_given_up() {
        let (mut callee, caller) = callee();
        let (laura, _) = tls("laura@bb.com");
        let mut handshake = laura.connect(&joya(), Halting { stream: caller, left: 1 }).unwrap();
        assert!(handshake.shake().now_or_never().is_none());
        assert!(callee.read(&mut [0; 8]).now_or_never().is_none());
        assert!(callee.shutdown().now_or_never().is_none());
        handshake.get_mut().left = usize::MAX;
        // The callee's part is complete, and the alert after it is encrypted. It is no loss.
        handshake.shake().await.unwrap();
        let mut caller = handshake.into_stream().unwrap();
        assert_eq!(caller.read(&mut [0; 8]).await.unwrap(), 0);
        let (ended, left) = tokio::join!(callee.shutdown(), caller.shutdown());
        ended.unwrap();
        left.unwrap();
    }

    /// A stream on which only so many writes go on.
    struct Halting {
        stream: DuplexStream,
        left: usize,
    }

    impl AsyncRead for Halting {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Halting {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            if self.left == 0 {
                return Poll::Pending;
            }
            self.left -= 1;
            Pin::new(&mut self.stream).poll_write(cx, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_shutdown(cx)
        }
    }
}
