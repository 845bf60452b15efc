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
        // If there is a pause, take one line at a time, to notice between two frames that the peer has ended.
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

/// Receives the peer's lines. Ends when the peer ends the conversation, or when its time after our FIN is up.
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

/// The value of [`LINGER`] in a hurry. It is spent up to three times: on our FIN, on the peer's FIN, and on
/// draining what nobody takes. Together that is less than the time a program has when it must end.
const HURRIED_LINGER: Duration = Duration::from_millis(200);

/// The time after which a peer that reads nothing counts as gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
