//! The beginning of an encrypted conversation, which either side can give up in order.
//!
//! ```text
//!   caller  Shaking ─────┬─► into_stream      both sides have proved their keys
//!   callee  Hello ─► Shaking
//!             └───────┴──► poll_end           an alert or close_notify, FIN, and what comes is read
//! ```

use std::future;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use rustls::{Connection, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;

use super::{HandshakeError, Tls, TlsStream, proved};
use crate::key::PublicKey;

/// A handshake of either side. Nothing is ever sent in plain text on its stream.
///
/// tokio-rustls drops the stream when its handshake is given up. Unread bytes would turn its FIN into a
/// reset, and the peer would not learn that this side meant it.
pub(crate) struct Handshake<S> {
    tls: Tls,
    stream: S,
    step: Step,
    /// Our FIN has left.
    is_shut: bool,
}

enum Step {
    /// The callee waits for the first message.
    Hello(Box<Acceptor>),
    Shaking(Box<Connection>),
    /// This is still to be written.
    Failed(Vec<u8>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Handshake<S> {
    pub(super) fn of_callee(tls: Tls, stream: S) -> Self {
        Self { tls, stream, step: Step::Hello(Box::default()), is_shut: false }
    }

    pub(super) fn of_caller(tls: Tls, stream: S, connection: Connection) -> Self {
        Self { tls, stream, step: Step::Shaking(Box::new(connection)), is_shut: false }
    }

    /// Returns the key that the peer has proved to have.
    ///
    /// # Errors
    /// [`HandshakeError`]: end the connection by [`Handshake::end`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn shake(&mut self) -> Result<PublicKey, HandshakeError> {
        future::poll_fn(|cx| self.poll_shaken(cx)).await
    }

    /// [`Handshake::shake`] as a poll.
    pub(crate) fn poll_shaken(&mut self, cx: &mut Context<'_>) -> Poll<Result<PublicKey, HandshakeError>> {
        loop {
            match &mut self.step {
                Step::Hello(acceptor) => {
                    ready!(read(&mut self.stream, cx, |bytes| acceptor.read_tls(bytes)))?;
                    let heard = match acceptor.accept() {
                        Ok(None) => continue,
                        Ok(Some(accepted)) => self.hear(accepted),
                        Err((error, alert)) => Err((HandshakeError::of(error), bytes_of(alert))),
                    };
                    match heard {
                        Ok(connection) => self.step = Step::Shaking(Box::new(connection.into())),
                        Err((error, alert)) => {
                            self.step = Step::Failed(alert);
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                Step::Shaking(connection) => {
                    ready!(write_all(&mut self.stream, cx, connection))?;
                    if !connection.is_handshaking() {
                        return Poll::Ready(proved(connection));
                    }
                    ready!(read(&mut self.stream, cx, |bytes| connection.read_tls(bytes)))?;
                    // It leaves an alert to be written.
                    connection.process_new_packets().map_err(HandshakeError::of)?;
                }
                Step::Failed(_) => {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::BrokenPipe).into()));
                }
            }
        }
    }

    /// Looks at the first message of a caller.
    fn hear(&self, accepted: Accepted) -> Result<ServerConnection, (HandshakeError, Vec<u8>)> {
        let name = accepted.client_hello().server_name().map(str::to_ascii_lowercase);
        if name.is_some_and(|name| name.ends_with(super::NAME_SUFFIX) && name != self.tls.own_name) {
            let error = HandshakeError::NoAgreement(io::Error::other("it calls somebody else"));
            return Err((error, super::UNRECOGNIZED_NAME.to_vec()));
        }
        let connection = accepted.into_connection(Arc::clone(&self.tls.server));
        connection.map_err(|(error, alert)| (HandshakeError::of(error), bytes_of(alert)))
    }

    /// Returns the stream for the conversation. `None` before the key of the peer is known.
    pub(crate) fn into_stream(self) -> Option<TlsStream<S>> {
        let Step::Shaking(connection) = self.step else { return None };
        // Neither has anything left to do, so both are ready at once.
        match *connection {
            Connection::Client(shaken) => {
                let name = super::any_name();
                let connecting =
                    self.tls.connector.connect_with(name, self.stream, |client| *client = shaken);
                connecting.now_or_never()?.ok().map(TlsStream::new)
            }
            Connection::Server(shaken) => {
                let acceptor = TlsAcceptor::from(self.tls.server);
                let accepting = acceptor.accept_with(self.stream, |server| *server = shaken);
                accepting.now_or_never()?.ok().map(TlsStream::new)
            }
        }
    }

    /// Gives the handshake up, or ends it after an error, in order: an alert or close_notify, FIN, and then
    /// everything that comes is read.
    ///
    /// # Errors
    /// The connection breaks.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn end(&mut self) -> io::Result<()> {
        future::poll_fn(|cx| self.poll_end(cx)).await
    }

    /// [`Handshake::end`] as a poll.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Step::Hello(_) = self.step {
            self.step = Step::Failed(CLOSE_NOTIFY.to_vec());
        }
        match &mut self.step {
            Step::Shaking(connection) => {
                // After an alert it does nothing.
                connection.send_close_notify();
                ready!(write_all(&mut self.stream, cx, connection))?;
            }
            Step::Failed(alert) => {
                while !alert.is_empty() {
                    let written = ready!(Pin::new(&mut self.stream).poll_write(cx, alert))?;
                    if written == 0 {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    alert.drain(..written);
                }
            }
            Step::Hello(_) => unreachable!("it was replaced"),
        }
        if !self.is_shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.is_shut = true;
        }
        loop {
            let mut bytes = [0; 1024];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S> Handshake<S> {
    /// Returns the stream below.
    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }

    #[cfg(test)]
    pub(crate) fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }
}

/// Reads some bytes by `take`. The end of the stream is an error.
fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    take: impl FnOnce(&mut dyn Read) -> io::Result<usize>,
) -> Poll<io::Result<()>> {
    match take(&mut Pipe { stream, cx }) {
        Ok(0) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
        Ok(_) => Poll::Ready(Ok(())),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        Err(error) => Poll::Ready(Err(error)),
    }
}

/// Writes everything that `connection` has to say.
fn write_all<S: AsyncWrite + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    connection: &mut Connection,
) -> Poll<io::Result<()>> {
    while connection.wants_write() {
        match connection.write_tls(&mut Pipe { stream, cx }) {
            Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
    Pin::new(stream).poll_flush(cx)
}

/// A stream as rustls wants it: what has to wait fails with [`io::ErrorKind::WouldBlock`].
pub(super) struct Pipe<'a, 'b, S> {
    pub(super) stream: &'a mut S,
    pub(super) cx: &'a mut Context<'b>,
}

impl<S: AsyncRead + Unpin> Read for Pipe<'_, '_, S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(bytes);
        match Pin::new(&mut *self.stream).poll_read(self.cx, &mut buffer) {
            Poll::Ready(read) => read.map(|()| buffer.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<S: AsyncWrite + Unpin> Write for Pipe<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match Pin::new(&mut *self.stream).poll_write(self.cx, bytes) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// The stream is flushed at the end of [`write_all`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the bytes of an alert, or of close_notify if rustls has none.
fn bytes_of(mut alert: AcceptedAlert) -> Vec<u8> {
    let mut bytes = Vec::new();
    alert.write_all(&mut bytes).expect("a Vec takes it");
    if bytes.is_empty() { CLOSE_NOTIFY.to_vec() } else { bytes }
}

/// The alert `close_notify`, not encrypted yet (RFC 8446 §6.1).
const CLOSE_NOTIFY: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x01, 0x00];
