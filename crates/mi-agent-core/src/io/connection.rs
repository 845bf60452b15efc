//! A TCP connection on which two agents talk: what its [`ConversationState`] decides is done here.

use std::future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
#[cfg(feature = "secure")]
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use message_log::Direction;
use mi_proto::{Frame, FrameCodec, FrameError, Nickname};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{self, Instant, Sleep};
use tokio_util::bytes::{Buf, BytesMut};
use tokio_util::codec::Encoder;

#[cfg(feature = "secure")]
use super::callee_stream::Encryption;
#[cfg(target_os = "linux")]
use super::send_queue::{self, USER_TIMEOUT};
use super::shutdown::ShutdownWatch;
#[cfg(feature = "secure")]
use crate::key::PublicKey;
use crate::state::conversation::ConversationState;
use crate::state::conversation_events::{Broken, ConversationOutput, GreetingFailure, Side, WantedInput};
use crate::state::frames::IncomingFrames;
use crate::traffic::{self, FrameKind, TrafficTap};

/// Connects to an agent.
///
/// # Cancel safety
/// If this is dropped, the agent may have seen a connection without a nickname. Some programs end on that.
pub(crate) async fn open(remote: SocketAddr) -> io::Result<TcpStream> {
    let opened = time::timeout(CONNECT_TIMEOUT, TcpStream::connect(remote)).await;
    let stream = opened.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    prepare(&stream)?;
    Ok(stream)
}

/// Sets what a conversation needs of its socket.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // An idle receiver never notices a pulled cable without keepalive.
    let socket = SockRef::from(stream);
    let probes = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(PROBE_INTERVAL);
    socket.set_tcp_keepalive(&probes)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

/// Takes the first byte that has come, if one has. The runtime may not know of it yet.
#[cfg(feature = "secure")]
pub(crate) fn take_first(stream: &TcpStream) -> Option<u8> {
    let mut byte = [0];
    let read = io::Read::read(&mut &*SockRef::from(stream), &mut byte);
    read.is_ok_and(|length| length == 1).then_some(byte[0])
}

/// Looks at the send queue of a stream. Returns the number of bytes that the peer has not acknowledged.
pub(crate) type Tend<S> = fn(&S) -> io::Result<u32>;

/// The way to look at the send queue of a TCP connection, if this system has one.
pub(crate) const TEND_TCP: Option<Tend<TcpStream>> = {
    #[cfg(target_os = "linux")]
    let tend: Option<Tend<TcpStream>> = Some(send_queue::tend);
    #[cfg(not(target_os = "linux"))]
    let tend = None;
    tend
};

/// A stream, and one side of the conversation on it.
pub(crate) struct Connection<S = TcpStream> {
    stream: S,
    pub(crate) remote: SocketAddr,
    pub(crate) state: ConversationState,
    frames: IncomingFrames,
    codec: FrameCodec,
    /// The rest of the frames that are being written: one, or several in an encrypted conversation.
    unwritten: BytesMut,
    output: Output,
    /// Fires at the latest when the state has to know the time.
    timer: Option<Pin<Box<Sleep>>>,
    tap: Option<TrafficTap>,
    /// The failure of the peer's direction.
    failure: Option<FrameError>,
    tend: Option<Tend<S>>,
    /// The time of the next look at the send queue, while something may be in it.
    tend_at: Option<Instant>,
    /// The bytes that were not acknowledged at the last one.
    unacknowledged: u32,
    /// The encryption that the stream may begin while it is read.
    #[cfg(feature = "secure")]
    encryption: Option<Arc<Encryption>>,
}

/// The write that the state waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    Nothing,
    Frame,
    Fin,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Begins a conversation on a stream on which nothing has been sent or received.
    pub(crate) fn new(
        stream: S,
        remote: SocketAddr,
        side: Side,
        nickname: Nickname,
        pace: Duration,
        tap: Option<TrafficTap>,
    ) -> Self {
        Self {
            stream,
            remote,
            state: ConversationState::new(now(), side, nickname, pace),
            frames: IncomingFrames::new(),
            codec: FrameCodec::new(),
            unwritten: BytesMut::new(),
            output: Output::Nothing,
            timer: None,
            tap,
            failure: None,
            tend: None,
            tend_at: None,
            unacknowledged: 0,
            #[cfg(feature = "secure")]
            encryption: None,
        }
    }

    /// Goes by what is known of the encryption of the stream.
    #[cfg(feature = "secure")]
    pub(crate) fn encrypted(mut self, encryption: Option<Arc<Encryption>>) -> Self {
        self.encryption = encryption;
        self
    }

    /// Returns the key of the peer, once it has proved that it has one.
    #[cfg(feature = "secure")]
    pub(crate) fn key(&self) -> Option<PublicKey> {
        self.encryption.as_ref()?.key()
    }

    /// Has the send queue looked at while there is something in it.
    pub(crate) fn tended(mut self, tend: Option<Tend<S>>) -> Self {
        self.tend = tend;
        self
    }

    /// Returns the next output that is not a write. Call it until [`ConversationOutput::Ended`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn next(&mut self) -> ConversationOutput {
        future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Returns the next output as [`Connection::next`] does, but no [`ConversationOutput::Sent`]: calls
    /// `sent` with what is left of the line instead, and goes on, so that many frames in a row cost their
    /// caller one turn.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn next_but_sent(&mut self, mut sent: impl FnMut(usize)) -> ConversationOutput {
        future::poll_fn(|cx| {
            loop {
                match std::task::ready!(self.poll_next(cx)) {
                    ConversationOutput::Sent { left } => sent(left),
                    output => return Poll::Ready(output),
                }
            }
        })
        .await
    }

    /// Gives the greeting up, and returns the next output, which comes soon once the shutdown is hurried.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn give_up(&mut self, shutdown: &mut ShutdownWatch) -> ConversationOutput {
        self.state.handle_given_up(now());
        tokio::select! {
            biased;
            () = shutdown.hurried() => self.state.handle_shutdown(now(), true),
            output = self.next() => return output,
        }
        self.next().await
    }

    /// Carries on until the connection can be closed, and ignores what happens.
    pub(crate) async fn finish(&mut self, mut shutdown: ShutdownWatch) {
        let mut is_hurried = false;
        loop {
            tokio::select! {
                output = self.next() => match output {
                    ConversationOutput::Ended { .. } => return,
                    _ => self.state.handle_taken(),
                },
                () = shutdown.hurried(), if !is_hurried => {
                    is_hurried = true;
                    self.state.handle_shutdown(now(), true);
                }
            }
        }
    }

    /// Returns the reason why the conversation did not begin.
    pub(crate) fn greeting_error(&mut self, failure: GreetingFailure, given_up: &'static str) -> io::Error {
        match (failure, self.failure.take()) {
            (_, Some(error)) => error.into(),
            (GreetingFailure::TimedOut, None) => io::ErrorKind::TimedOut.into(),
            (GreetingFailure::NoNickname, None) => {
                io::Error::new(io::ErrorKind::InvalidData, "it began without a nickname")
            }
            (GreetingFailure::GivenUp, None) => io::Error::other(given_up),
            (_, None) => io::ErrorKind::UnexpectedEof.into(),
        }
    }

    /// Returns the reason why the connection is lost.
    pub(crate) fn loss(&mut self) -> io::Error {
        self.failure.take().map_or_else(|| io::ErrorKind::UnexpectedEof.into(), io::Error::from)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<ConversationOutput> {
        loop {
            match self.state.poll_output(now()) {
                Some(ConversationOutput::Write(frame)) => {
                    self.begin_frame(&frame);
                    if self.unwritten.len() < BATCH && self.state.may_join_next() {
                        self.output = Output::Nothing;
                        self.state.handle_written(now(), true);
                        continue;
                    }
                }
                Some(ConversationOutput::CloseWrite) => self.output = Output::Fin,
                Some(output) => return Poll::Ready(output),
                None => {}
            }
            // Everything that has come is read before the time counts.
            if self.poll_write(cx).is_pending()
                && self.poll_read(cx).is_pending()
                && self.poll_timer(cx).is_pending()
            {
                return Poll::Pending;
            }
        }
    }

    fn begin_frame(&mut self, frame: &Frame) {
        let before = self.unwritten.len();
        self.codec.encode(frame, &mut self.unwritten).expect("any frame can be written");
        if let Some(tap) = &self.tap {
            tap.pmi(Direction::Sent, self.remote, traffic::kind_of_sent(frame), &self.unwritten[before..]);
        }
        self.output = Output::Frame;
        if self.tend.is_some() {
            self.tend_at.get_or_insert_with(|| Instant::now() + TEND_INTERVAL);
        }
    }

    /// Goes on with the write that is out. Pending if there is none.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let written = match self.output {
            Output::Nothing => return Poll::Pending,
            _ if !self.unwritten.is_empty() => {
                match std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unwritten)) {
                    Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                    Ok(length) => {
                        self.unwritten.advance(length);
                        if !self.unwritten.is_empty() || self.output == Output::Fin {
                            self.state.handle_progress(now());
                            return Poll::Ready(());
                        }
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
            Output::Frame => std::task::ready!(Pin::new(&mut self.stream).poll_flush(cx)),
            Output::Fin => std::task::ready!(Pin::new(&mut self.stream).poll_shutdown(cx)),
        };
        if let Err(error) = &written {
            tracing::debug!(remote = %self.remote, %error, "cannot send");
            self.unwritten.clear();
        }
        self.output = Output::Nothing;
        self.state.handle_written(now(), written.is_ok());
        Poll::Ready(())
    }

    /// Reads what the state wants. Pending if it wants nothing.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let wanted = self.state.wants_input();
        if wanted == WantedInput::Nothing {
            return Poll::Pending;
        }
        if wanted == WantedInput::Frames && self.poll_frame() {
            return Poll::Ready(());
        }
        let buffer = self.frames.read_buffer();
        if wanted == WantedInput::Bytes && !buffer.is_empty() {
            if let Some(tap) = &self.tap {
                tap.pmi(Direction::Received, self.remote, FrameKind::Unframed, buffer);
            }
            buffer.clear();
        }
        let read = pin!(self.stream.read_buf(buffer)).poll(cx);
        #[cfg(feature = "secure")]
        if self.encryption.as_ref().is_some_and(|encryption| encryption.has_begun()) {
            self.state.set_encrypted();
        }
        match std::task::ready!(read) {
            Ok(0) if wanted == WantedInput::Frames => self.frames.handle_end(),
            Ok(0) => self.peer_ended(now()),
            Ok(_) => {}
            Err(error) => {
                self.failure = Some(in_words(error).into());
                self.state.handle_broken(now(), Broken::Connection);
            }
        }
        Poll::Ready(())
    }

    /// Handles the next frame that has been read. Returns whether there was one, or the end.
    fn poll_frame(&mut self) -> bool {
        let now = now();
        match self.frames.next(now) {
            Some(Ok((received, read_at))) => {
                if let Some(tap) = &self.tap {
                    let kind = traffic::kind_of_received(received.kind());
                    tap.pmi(Direction::Received, self.remote, kind, received.raw());
                }
                self.state.handle_received(now, received, read_at);
            }
            Some(Err(error)) => {
                self.tap_rest();
                self.failure = Some(error);
                self.state.handle_broken(now, Broken::Frames);
            }
            None if self.frames.is_at_end() => {
                self.tap_rest();
                self.peer_ended(now);
            }
            None => return false,
        }
        true
    }

    fn tap_rest(&mut self) {
        let rest = self.frames.take_rest();
        if let Some(tap) = self.tap.as_ref().filter(|_| !rest.is_empty()) {
            tap.pmi(Direction::Received, self.remote, FrameKind::Unframed, &rest);
        }
    }

    /// Passes the time on, if the state has to know it.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let frames = self.frames.poll_timeout().filter(|_| self.state.wants_input() == WantedInput::Frames);
        let at = [self.state.poll_timeout(), frames].into_iter().flatten().min().map(Instant::from_std);
        let Some(at) = at.into_iter().chain(self.tend_at).min() else { return Poll::Pending };
        let now = now();
        // A peer that never stops would use up the budget in which a timer may fire.
        if Instant::from_std(now) >= at {
            // The peer may have taken something in time.
            self.tend_queue(now);
            self.frames.handle_timeout(now);
            self.state.handle_timeout(now);
            return Poll::Ready(());
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(time::sleep_until(at)));
        // One that fires too early costs less than one for each write.
        if at < timer.deadline() || timer.is_elapsed() {
            timer.as_mut().reset(at);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        timer.as_mut().reset(at);
        timer.as_mut().poll(cx)
    }
}

impl<S> Connection<S> {
    /// Handles the peer's FIN, with what the peer has acknowledged by then.
    fn peer_ended(&mut self, now: std::time::Instant) {
        // A system that does not say has lost nothing in all likelihood.
        if let Some(Ok(unacknowledged)) = self.tend.map(|tend| tend(&self.stream)) {
            self.state.handle_unacknowledged(unacknowledged);
        }
        self.state.handle_peer_end(now);
    }

    /// Looks at the send queue, if it is time to.
    fn tend_queue(&mut self, now: std::time::Instant) {
        let now_of_timer = Instant::from_std(now);
        let Some(tend) = self.tend.filter(|_| self.tend_at.is_some_and(|at| at <= now_of_timer)) else {
            return;
        };
        self.tend_at = None;
        let unacknowledged = match tend(&self.stream) {
            Ok(unacknowledged) => unacknowledged,
            // The next write has it tried again.
            Err(error) => {
                return tracing::debug!(remote = %self.remote, %error, "cannot look at the send queue");
            }
        };
        if unacknowledged < self.unacknowledged {
            self.state.handle_progress(now);
        }
        self.unacknowledged = unacknowledged;
        self.tend_at = (unacknowledged > 0).then(|| now_of_timer + TEND_INTERVAL);
    }
}

/// Returns the error of a read in words for people: those of encryption are for programmers.
fn in_words(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            io::Error::new(io::ErrorKind::UnexpectedEof, "it was cut off before the peer ended it")
        }
        _ => error,
    }
}

/// Reads the clock of the state: tokio's, which tests can pause.
pub(crate) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Frames that are written together take this many bytes or one frame more: a record of TLS has room for four
/// times as much.
const BATCH: usize = 4_096;

/// The limit for connecting: a host that is up answers within a round trip.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The silence after which the kernel probes whether the peer is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// The interval between probes. As [`USER_TIMEOUT`] has passed by then, the kernel ends the connection at the
/// first probe that has no answer for this long.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// The time between two looks at the send queue: often enough for a window that closes to be noticed before
/// [`USER_TIMEOUT`] has passed.
const TEND_INTERVAL: Duration = Duration::from_secs(10);
