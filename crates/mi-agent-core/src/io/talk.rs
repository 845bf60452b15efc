//! The task of one conversation.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use mi_proto::{Frame, FrameError, Line, Received};
use plumi_proto::MiAddress;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{self, Instant};
use tracing::debug;

use super::connection::{Connection, LINGER, within};
use super::outgoing::Outgoing;
use super::shutdown::ShutdownWatch;
use crate::conversation::{Conversation, LineReceiver, LineSender, Peer};
use crate::error::ConversationError;
use crate::safe_text::PeerText;
use crate::traffic::TrafficTap;

/// The options that all conversations of an agent share.
#[derive(Clone, Debug)]
pub(crate) struct ConversationOptions {
    /// The shortest time between two frames.
    pub(crate) pace: Duration,
    /// Ends the conversations with their agent.
    pub(crate) shutdown: ShutdownWatch,
    /// Receives every frame that passes.
    pub(crate) tap: Option<TrafficTap>,
}

/// Starts the conversation on `connection`, on which nicknames have been exchanged. It holds `slot` until the
/// connection is closed and the program has taken the end of the conversation, or has dropped the
/// conversation.
pub(crate) fn start<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    connection: Connection<S>,
    nickname: PeerText,
    address: Option<MiAddress>,
    options: ConversationOptions,
    slot: OwnedSemaphorePermit,
) -> Conversation {
    let peer = Peer { nickname, address, remote: connection.remote };
    let (sender, outgoing) = mpsc::channel(MAX_OUTGOING as usize);
    let (incoming, receiver) = mpsc::channel(MAX_INCOMING);
    let slot = Arc::new(slot);
    let receiver = LineReceiver::new(receiver, Arc::clone(&slot));
    let (sink, stream) = connection.split();
    // The shutdown of the agent waits for both directions.
    let shutdown = options.shutdown.clone();
    tokio::spawn(async move {
        let (peer_ended, wait_for_peer) = oneshot::channel();
        let (ended, wait_for_end) = oneshot::channel();
        let (unsent, ()) = tokio::join!(
            write(sink, outgoing, options, wait_for_peer, ended),
            read(stream, &incoming, peer_ended, wait_for_end),
        );
        drop(shutdown);
        if unsent > 0 {
            // An error: the program dropped the conversation, so it does not want to know.
            _ = incoming.send(Err(ConversationError::Unsent(unsent))).await;
        }
        drop(slot);
        // Only after the slot is free: a program that sees the end may call again at once.
        drop(incoming);
    });
    Conversation::new(peer, LineSender(sender), receiver)
}

/// Sends this side's lines until either side ends the conversation, and then a FIN. Returns the number of
/// frames that were not sent.
async fn write(
    mut sink: Outgoing<impl AsyncWrite + Unpin>,
    mut outgoing: mpsc::Receiver<Line>,
    options: ConversationOptions,
    mut peer_ended: oneshot::Receiver<()>,
    ended: oneshot::Sender<Duration>,
) -> usize {
    let ConversationOptions { pace, mut shutdown, .. } = options;
    let mut hurry = shutdown.clone();
    let mut unsent = 0;
    let send_all = async {
        // The timer counts whole milliseconds, so even a pause of zero would wait for the next one.
        let after_pause = || (!pace.is_zero()).then(|| Instant::now() + pace);
        let mut next_frame = after_pause();
        // With a pause, take one line at a time, to notice between two frames that the peer has ended.
        let most = if pace.is_zero() { MAX_OUTGOING as usize } else { 1 };
        let mut lines = Vec::with_capacity(most);
        let mut is_ending = false;
        loop {
            let count = tokio::select! {
                // First: once the conversation ends, no more lines are accepted, however many are waiting.
                biased;
                _ = &mut peer_ended, if !is_ending => { is_ending = true; outgoing.close(); continue }
                () = shutdown.begun(), if !is_ending => { is_ending = true; outgoing.close(); continue }
                count = outgoing.recv_many(&mut lines, most) => count,
            };
            // Lines that were accepted before the end are still sent.
            if count == 0 {
                break;
            }
            let mut taken = lines.drain(..);
            while let Some(line) = taken.next() {
                if let Some(next_frame) = next_frame {
                    time::sleep_until(next_frame).await;
                }
                let sent = within(WRITE_TIMEOUT, sink.send(&Frame::Line(line))).await;
                next_frame = after_pause();
                if let Err(error) = sent.and_then(|sent| sent) {
                    debug!(%error, "cannot send");
                    outgoing.close();
                    unsent = 1 + taken.len() + outgoing.len();
                    return;
                }
            }
        }
    };
    let linger = tokio::select! {
        () = send_all => LINGER,
        () = hurry.hurried() => HURRIED_LINGER,
    };
    // Everything was flushed. A broken connection has nothing to close, and the reader reports how it broke.
    _ = within(linger, sink.close()).await;
    _ = ended.send(linger);
    unsent
}

/// Receives the peer's lines, until the peer ends the conversation or its time after our FIN is up.
async fn read(
    mut stream: impl Stream<Item = Result<Received, FrameError>> + Unpin,
    incoming: &mpsc::Sender<Result<PeerText, ConversationError>>,
    peer_ended: oneshot::Sender<()>,
    ended: oneshot::Receiver<Duration>,
) {
    let received = async {
        let mut peer_ended = Some(peer_ended);
        while let Some(received) = stream.next().await {
            let line = match received {
                // The conversation is lost, but the peer may still be there and has to see a FIN.
                _ if peer_ended.is_none() => continue,
                Ok(line @ (Received::Line(_) | Received::Unframed(_))) => Ok(PeerText::new(line.into_text())),
                // Only the first nickname counts.
                Ok(Received::Nickname(_)) => continue,
                Err(error) => Err(ConversationError::Lost(error.into())),
            };
            if line.is_err() {
                peer_ended.take().map(|peer_ended| peer_ended.send(()));
            }
            // If the program dropped the conversation, go on reading anyway: see below.
            _ = incoming.send(line).await;
        }
        peer_ended.map(|peer_ended| peer_ended.send(()));
    };
    let given_up = async {
        // The writer always sends this.
        let linger = ended.await.unwrap_or(LINGER);
        time::sleep(linger).await;
        linger
    };
    let linger = tokio::select! {
        () = received => return,
        linger = given_up => linger,
    };
    debug!("the peer did not end the conversation, or nobody takes what it said");
    // Unread bytes would turn our FIN into RST.
    let drained = async { while stream.next().await.is_some_and(|received| received.is_ok()) {} };
    _ = time::timeout(linger, drained).await;
}

/// The limit of lines that wait to be sent: 6 KiB. Without a pause that many are taken at once, otherwise
/// one.
pub(crate) const MAX_OUTGOING: u32 = 64;

/// The limit of received lines that the program has not taken. Beyond it, the peer has to wait.
const MAX_INCOMING: usize = 64;

/// [`LINGER`] in a hurry. It is spent up to three times: on our FIN, on the peer's FIN, and on draining what
/// nobody takes. Together that is less than the time a program has when it is told to end.
const HURRIED_LINGER: Duration = Duration::from_millis(200);

/// The time after which a peer that reads nothing counts as gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod deployed_peers;

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll};

    use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::sync::Semaphore;

    use super::super::shutdown::Shutdown;
    use super::super::tapped::TappedCodec;
    use super::*;

    /// Records each write and its time.
    #[derive(Clone)]
    struct Recorder {
        start: Instant,
        writes: Arc<Mutex<Vec<Write>>>,
    }

    type Write = (Duration, Vec<u8>);

    impl Recorder {
        fn keep(&self, bytes: &[u8]) {
            self.writes.lock().unwrap().push((self.start.elapsed(), bytes.to_vec()));
        }
    }

    impl AsyncWrite for Recorder {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.keep(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.keep(b"FIN");
            Poll::Ready(Ok(()))
        }
    }

    /// Deployed programs read one segment as one frame, and lose the rest of the segment.
    #[tokio::test(start_paused = true)]
    async fn every_frame_is_one_write_and_has_its_time() {
        let expected = [(20, "L03one"), (40, "L03two"), (60, "L05three"), (60, "FIN")]
            .map(|(at, bytes)| (Duration::from_millis(at), bytes.as_bytes().to_vec()));
        assert_eq!(writes(Duration::from_millis(20)).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_pause_every_frame_is_one_write_and_none_waits() {
        // Timers count whole milliseconds: between two, even a timer that is due would wait for the next.
        time::advance(Duration::from_micros(500)).await;
        let expected = ["L03one", "L03two", "L05three", "FIN"].map(|bytes| (Duration::ZERO, bytes.into()));
        assert_eq!(writes(Duration::ZERO).await, expected);
    }

    /// Returns the writes for three lines that were sent at once.
    async fn writes(pace: Duration) -> Vec<Write> {
        let recorder = Recorder { start: Instant::now(), writes: Arc::default() };
        let (lines, outgoing) = mpsc::channel(MAX_OUTGOING as usize);
        let shutdown = Shutdown::new();
        let (_peer_ended, wait_for_peer) = oneshot::channel();
        let (ended, wait_for_end) = oneshot::channel();
        for text in ["one", "two", "three"] {
            lines.send(Line::new(text).unwrap()).await.unwrap();
        }
        drop(lines);
        let sink = Outgoing::new(recorder.clone(), TappedCodec::new(REMOTE, None), Default::default());
        let options = ConversationOptions { pace, shutdown: shutdown.watch(), tap: None };
        write(sink, outgoing, options, wait_for_peer, ended).await;
        assert_eq!(wait_for_end.await.unwrap(), LINGER);
        std::mem::take(&mut *recorder.writes.lock().unwrap())
    }

    /// A peer that never closes gets its time and no more.
    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_close_is_waited_for_so_long() {
        let start = Instant::now();
        let (incoming, _lines) = mpsc::channel(MAX_INCOMING);
        let (peer_ended, _wait_for_peer) = oneshot::channel();
        let (ended, wait_for_end) = oneshot::channel();
        ended.send(LINGER).unwrap();
        read(futures_util::stream::pending(), &incoming, peer_ended, wait_for_end).await;
        assert_eq!(start.elapsed(), 2 * LINGER);
    }

    /// The part that came is shown, the conversation is lost, and the peer sees a FIN in time.
    #[tokio::test(start_paused = true)]
    async fn a_line_that_is_begun_and_not_ended_ends_the_conversation() {
        let (ours, mut peer) = tokio::io::duplex(1024);
        let connection = Connection::over(ours, REMOTE, None);
        let shutdown = Shutdown::new();
        let options = ConversationOptions { pace: Duration::ZERO, shutdown: shutdown.watch(), tap: None };
        let slots = Arc::new(Semaphore::new(1));
        let slot = Arc::clone(&slots).try_acquire_owned().unwrap();
        let mut talk = start(connection, PeerText::new("u2"), None, options, slot);
        peer.write_all(b"N02u2L04holaL99ad").await.unwrap();
        assert_eq!(talk.next_line().await.unwrap().unwrap(), "hola");
        assert_eq!(talk.next_line().await.unwrap().unwrap(), "ad");
        let lost = talk.next_line().await.unwrap_err();
        assert_eq!(lost.to_string(), "connection lost: the peer began a line and did not end it");
        assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 0, "FIN");
        // The peer goes on sending, and that is read.
        for _ in 0..100 {
            peer.write_all(&[b'x'; 99]).await.unwrap();
        }
        assert_eq!(talk.next_line().await.unwrap(), None);
        assert_eq!(slots.available_permits(), 1);
    }

    /// Unread bytes turn the FIN of a socket that is closed into an RST.
    #[tokio::test(start_paused = true)]
    async fn what_nobody_takes_is_read_to_the_end_all_the_same() {
        let mut left = 3 * MAX_INCOMING;
        let lines = futures_util::stream::poll_fn(|_| {
            Poll::Ready(left.checked_sub(1).map(|fewer| {
                left = fewer;
                Ok(Received::Line("hola".into()))
            }))
        });
        let (incoming, _untaken) = mpsc::channel(MAX_INCOMING);
        let (peer_ended, _wait_for_peer) = oneshot::channel();
        let (ended, wait_for_end) = oneshot::channel();
        ended.send(LINGER).unwrap();
        read(lines, &incoming, peer_ended, wait_for_end).await;
        assert_eq!(left, 0);
    }

    const REMOTE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 4456);
}
