//! The stream of an encrypted conversation.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use rustls::ConnectionCommon;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::handshake::Pipe;

/// An encrypted stream, which says that it ends even if it is dropped: a FIN alone is a loss (RFC 8446 §6.1),
/// and a program that leaves in a hurry drops what is not done.
pub(crate) struct TlsStream<S> {
    stream: tokio_rustls::TlsStream<S>,
    /// Says it as far as this does not have to wait.
    say_end: fn(&mut tokio_rustls::TlsStream<S>),
}

impl<S> TlsStream<S> {
    /// Returns the stream below.
    pub(crate) fn get_ref(&self) -> &S {
        self.stream.get_ref().0
    }

    #[cfg(test)]
    pub(crate) fn get_mut(&mut self) -> &mut S {
        self.stream.get_mut().0
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    pub(super) fn new(stream: impl Into<tokio_rustls::TlsStream<S>>) -> Self {
        Self { stream: stream.into(), say_end: say_end::<S> }
    }
}

fn say_end<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut tokio_rustls::TlsStream<S>) {
    match stream {
        tokio_rustls::TlsStream::Client(stream) => {
            let (stream, connection) = stream.get_mut();
            say(stream, connection);
        }
        tokio_rustls::TlsStream::Server(stream) => {
            let (stream, connection) = stream.get_mut();
            say(stream, connection);
        }
    }
}

fn say<S: AsyncRead + AsyncWrite + Unpin, D>(stream: &mut S, connection: &mut ConnectionCommon<D>) {
    // If it has been said, there is nothing to be written.
    connection.send_close_notify();
    let cx = &mut Context::from_waker(Waker::noop());
    // If it cannot be sent, the peer treats the end as a loss.
    while connection.wants_write()
        && connection.write_tls(&mut Pipe { stream, cx }).is_ok_and(|length| length > 0)
    {}
}

impl<S> Drop for TlsStream<S> {
    fn drop(&mut self) {
        (self.say_end)(&mut self.stream);
    }
}

impl<S> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
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
