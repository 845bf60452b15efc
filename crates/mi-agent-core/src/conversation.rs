//! A conversation, as the embedding program sees it.

mod sink;
mod waiting;

use std::fmt;
use std::future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use mi_proto::{Line, TextError, split_line};
use plumi_proto::MiAddress;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, watch};

use crate::error::{ConversationError, SayError, SendError};
use crate::io::slot::Slot;
use crate::peer_security::PeerSecurity;
use crate::safe_text::PeerText;
use crate::state::outgoing_lines::MAX_HANDED_OVER;

pub(crate) use waiting::Waiting;

/// A conversation with one other user.
///
/// Either side can end it. This side does so with [`Conversation::hang_up`], or by dropping it.
#[derive(Debug)]
pub struct Conversation {
    peer: Peer,
    sender: LineSender,
    receiver: LineReceiver,
}

/// The other side of a conversation. Only [`Peer::security`] is proved: the rest of PLUMI and PMI has no
/// secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The nickname that the peer gave; `?` if it gave an empty one.
    pub nickname: PeerText,
    /// The address that was called. For a caller, the address that asked for this user just before, if one
    /// did.
    pub address: Option<MiAddress>,
    /// The addresses of which one is the caller's, if several asked for this user within 10 s: from 2 to 8,
    /// and otherwise none.
    pub candidates: Vec<MiAddress>,
    /// The TCP address of the peer's end of the conversation.
    pub remote: SocketAddr,
    /// The protection of the conversation.
    pub security: PeerSecurity,
}

impl Peer {
    /// Creates a peer of this nickname and TCP address, without a known MI address, for tests of a program.
    pub fn new(nickname: PeerText, remote: SocketAddr) -> Self {
        let security = PeerSecurity::Plain { lacks_key: false };
        Self { nickname, address: None, candidates: Vec::new(), remote, security }
    }
}

impl Conversation {
    pub(crate) fn new(peer: Peer, sender: LineSender, receiver: LineReceiver) -> Self {
        Self { peer, sender, receiver }
    }

    /// Returns the other side.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Sends `text`, see [`LineSender::send`].
    ///
    /// # Errors
    /// [`SendError`].
    ///
    /// # Cancel safety
    /// Cancel safe: the whole line is handed over, or nothing.
    pub async fn send(&self, text: &str) -> Result<(), SendError> {
        self.sender.send(text).await
    }

    /// Returns the next line of the peer, see [`LineReceiver::next_line`].
    ///
    /// # Errors
    /// [`ConversationError`].
    ///
    /// # Cancel safety
    /// Cancel safe: no line is lost.
    pub async fn next_line(&mut self) -> Result<Option<PeerText>, ConversationError> {
        self.receiver.next_line().await
    }

    /// Ends the conversation. Lines that were sent before still go out.
    ///
    /// The returned receiver gives the peer's lines until the peer has ended it too, or for 2 s after the
    /// last line of this side has left. The conversation is over once that receiver returns `None`. Keep
    /// reading: the rest of what a slow reader has not read is dropped after these 2 s.
    pub fn hang_up(self) -> LineReceiver {
        self.sender.hang_up();
        self.receiver
    }

    #[cfg(feature = "outbox")]
    pub(crate) fn sender(&self) -> LineSender {
        self.sender.clone()
    }

    #[cfg(feature = "outbox")]
    pub(crate) fn ending(&self) -> Ending {
        Ending(self.sender.progress.subscribe())
    }

    /// Splits into both directions, to be used at the same time.
    pub fn split(self) -> (Peer, LineSender, LineReceiver) {
        (self.peer, self.sender, self.receiver)
    }
}

/// The direction from this side to the peer. Clones send to the same peer.
///
/// [`LineSender::hang_up`] ends the conversation for all clones. So does dropping the last one.
///
/// The sender is a [`Sink`](futures_util::Sink), which is ready when one frame has room, takes whole lines,
/// and hangs up when it is closed.
pub struct LineSender {
    said: mpsc::UnboundedSender<Said>,
    /// The room for frames that are handed over. Closed when nothing more can be sent.
    room: Arc<Semaphore>,
    waiting: Arc<Waiting>,
    /// Shared with the task, and notified of room that a clone gives back.
    progress: watch::Sender<Progress>,
    /// The number of frames that were promised on all clones, which [`LineSender::flush`] waits for.
    promised: Arc<AtomicU64>,
    /// The value of `promised` after the latest line of this clone, which its sink waits for.
    promised_here: AtomicU64,
    outstanding: Arc<AtomicUsize>,
    /// The wait of the sink.
    sink_wait: Option<SinkWait>,
}

/// A wait of a sink for the next change of the progress, whatever it is polled for. It takes no room, so
/// nothing is held if it is never polled again.
type SinkWait = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// The progress of a conversation's task with the frames of promised lines.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) written: u64,
    /// No more will be written.
    pub(crate) is_over: bool,
    /// Everything was written, and both sides have ended the conversation in order.
    pub(crate) is_answered: bool,
}

impl Progress {
    /// Returns whether so many frames of promised lines are written; `None` as long as they may still be.
    fn flushed(self, promised: u64) -> Option<Result<(), SendError>> {
        if self.written >= promised {
            return Some(Ok(()));
        }
        self.is_over.then_some(Err(SendError::Ended))
    }
}

/// The end of a conversation, whoever has the conversation by then.
#[cfg(feature = "outbox")]
#[derive(Debug)]
pub(crate) struct Ending(watch::Receiver<Progress>);

#[cfg(feature = "outbox")]
impl Ending {
    /// Waits for the end. Returns whether everything was sent, and the peer has ended its side in order.
    pub(crate) async fn answered(mut self) -> bool {
        // An error: nobody changes it any more.
        _ = self.0.wait_for(|progress| progress.is_over).await;
        self.0.borrow().is_answered
    }
}

/// Wakes the sinks of a conversation when it is dropped, to look for room. `None`: no room came back.
struct GivenUp<'a>(Option<&'a watch::Sender<Progress>>);

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if let Some(progress) = self.0 {
            progress.send_modify(|_| {});
        }
    }
}

/// A message of the program to the task of the conversation.
#[derive(Debug)]
pub(crate) enum Said {
    /// A line in its frames. A promised line is handed over, and has its room unless the room was taken
    /// meanwhile. Any other line waits.
    Line { frames: Vec<Line>, is_promised: bool, room: Option<OwnedSemaphorePermit> },
    /// The last thing that is sent.
    HangUp,
}

impl LineSender {
    pub(crate) fn new(
        said: mpsc::UnboundedSender<Said>,
        room: Arc<Semaphore>,
        waiting: Arc<Waiting>,
        progress: watch::Sender<Progress>,
        outstanding: Arc<AtomicUsize>,
    ) -> Self {
        let (promised, promised_here) = Default::default();
        Self { said, room, waiting, progress, promised, promised_here, outstanding, sink_wait: None }
    }

    /// Hands `text` over to be sent as one line. A long line becomes several frames, and no other line comes
    /// between them.
    ///
    /// Waits while too many frames are queued before it. Frames leave as fast as the peer reads, and with a
    /// pause between them (see [`AgentBuilder::pace`](crate::AgentBuilder::pace)).
    ///
    /// # Errors
    /// [`SendError`]. Nothing of the line is sent.
    ///
    /// # Cancel safety
    /// Cancel safe: the whole line is handed over, or nothing.
    pub async fn send(&self, text: &str) -> Result<(), SendError> {
        let frames = frames(text)?;
        let needed = room_for(frames.len());
        // Dropped after the wait, which gives back the room that it had so far.
        let mut given_up = GivenUp(Some(&self.progress));
        let room = Arc::clone(&self.room).acquire_many_owned(needed).await.map_err(|_| SendError::Ended)?;
        given_up.0 = None;
        self.promise(frames, Some(room))
    }

    /// Hands `text` over as [`LineSender::send`] does, but does not wait.
    ///
    /// # Errors
    /// [`SayError`]. Nothing of the line is sent. [`SayError::Full`] if `send` would wait.
    pub fn try_send(&self, text: &str) -> Result<(), SayError> {
        let frames = frames(text).map_err(SayError::from)?;
        let needed = room_for(frames.len());
        let room = Arc::clone(&self.room).try_acquire_many_owned(needed).map_err(|error| match error {
            TryAcquireError::NoPermits => SayError::Full,
            TryAcquireError::Closed => SayError::Ended,
        })?;
        self.promise(frames, Some(room)).map_err(SayError::from)
    }

    /// Waits until every line that was sent before has been written to the connection.
    ///
    /// The peer may not have read them: TCP does not say.
    ///
    /// # Errors
    /// [`SendError::Ended`]: the conversation ended before that.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn flush(&self) -> Result<(), SendError> {
        let promised = self.promised.load(Ordering::Relaxed);
        let mut progress = self.progress.subscribe();
        let flushed = progress.wait_for(|progress| progress.flushed(promised).is_some()).await;
        flushed.ok().and_then(|progress| progress.flushed(promised)).unwrap_or(Err(SendError::Ended))
    }

    /// Ends the conversation, for all clones. Lines that were sent before still go out.
    pub fn hang_up(&self) {
        self.room.close();
        // An error: it has ended.
        _ = self.said.send(Said::HangUp);
    }

    /// Returns whether nothing more can be sent: this side hung up, or the conversation has ended.
    pub fn is_closed(&self) -> bool {
        self.room.is_closed()
    }

    /// Waits until nothing more can be sent.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn closed(&self) {
        self.said.closed().await;
    }

    fn promise(&self, frames: Vec<Line>, room: Option<OwnedSemaphorePermit>) -> Result<(), SendError> {
        let count = frames.len();
        let before = self.promised.fetch_add(count as u64, Ordering::Relaxed);
        self.outstanding.fetch_add(count, Ordering::Relaxed);
        self.said.send(Said::Line { frames, is_promised: true, room }).map_err(|_| {
            self.promised.fetch_sub(count as u64, Ordering::Relaxed);
            self.outstanding.fetch_sub(count, Ordering::Relaxed);
            SendError::Ended
        })?;
        self.promised_here.fetch_max(before + count as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Queues a line that waits for its turn, without waiting.
    pub(crate) fn say(&self, text: &str) -> Result<(), SayError> {
        let frames = frames(text).map_err(SayError::from)?;
        if self.is_closed() {
            return Err(SayError::Ended);
        }
        if self.waiting.lines() >= MAX_WAITING_LINES {
            return Err(SayError::Full);
        }
        self.waiting.line_said();
        self.said.send(Said::Line { frames, is_promised: false, room: None }).map_err(|_| {
            self.waiting.hand_over();
            self.waiting.line_sent();
            SayError::Ended
        })
    }

    pub(crate) fn waiting(&self) -> &Arc<Waiting> {
        &self.waiting
    }
}

impl Clone for LineSender {
    fn clone(&self) -> Self {
        Self {
            said: self.said.clone(),
            room: Arc::clone(&self.room),
            waiting: Arc::clone(&self.waiting),
            progress: self.progress.clone(),
            promised: Arc::clone(&self.promised),
            promised_here: AtomicU64::default(),
            outstanding: Arc::clone(&self.outstanding),
            sink_wait: None,
        }
    }
}

impl fmt::Debug for LineSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineSender").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}

/// Cuts a line into its frames, of which there is at least one.
fn frames(text: &str) -> Result<Vec<Line>, SendError> {
    if text.len() > MAX_LINE {
        return Err(SendError::Text(TextError::TooLong { length: text.len(), limit: MAX_LINE }));
    }
    Ok(split_line(text)?.collect())
}

/// Returns the room that a line of so many frames needs. A longer line needs all, and gives it back as its
/// last frames are written.
fn room_for(frames: usize) -> u32 {
    u32::try_from(frames.min(MAX_HANDED_OVER)).expect("a small number")
}

/// A delivery of the task of the conversation.
pub(crate) type Delivered = Result<PeerText, ConversationError>;

/// The direction from the peer to this side.
#[derive(Debug)]
pub struct LineReceiver {
    lines: mpsc::Receiver<Delivered>,
    /// Keeps the agent busy until the end has been returned; `None` from then on.
    slot: Option<Slot>,
}

impl LineReceiver {
    pub(crate) fn new(lines: mpsc::Receiver<Delivered>, slot: Slot) -> Self {
        Self { lines, slot: Some(slot) }
    }

    /// Returns the next line, or `None` when the conversation has ended.
    ///
    /// A line of more than 99 bytes comes in several pieces. The agent has room for another conversation once
    /// this has returned `None`, or once both directions are dropped.
    ///
    /// # Errors
    /// [`ConversationError`]. The next call returns `None`.
    ///
    /// # Cancel safety
    /// Cancel safe: no line is lost.
    pub async fn next_line(&mut self) -> Result<Option<PeerText>, ConversationError> {
        future::poll_fn(|cx| self.poll_line(cx)).await.transpose()
    }

    /// Returns a line that has come, without waiting; `None` if there is none now, or if the conversation has
    /// ended, see [`LineReceiver::has_ended`].
    ///
    /// # Errors
    /// [`ConversationError`].
    pub fn try_next_line(&mut self) -> Result<Option<PeerText>, ConversationError> {
        match self.lines.try_recv() {
            Ok(line) => line.map(Some),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => {
                self.slot = None;
                Ok(None)
            }
        }
    }

    /// Returns whether the latest `None` was the end of the conversation. The agent has room for another one
    /// then.
    pub fn has_ended(&self) -> bool {
        self.slot.is_none()
    }

    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivered>> {
        let line = ready!(self.poll_line_in_slot(cx));
        if line.is_none() {
            self.slot = None;
        }
        Poll::Ready(line)
    }

    /// Gives the slot to the next conversation before the connection is closed.
    pub(crate) fn free_slot(&mut self) {
        if let Some(slot) = self.slot.take() {
            slot.free();
        }
    }

    /// Does the same as [`LineReceiver::next_line`], but after the end the agent has no more room until this
    /// is dropped.
    pub(crate) fn poll_line_in_slot(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivered>> {
        self.lines.poll_recv(cx)
    }
}

/// The lines of the peer, until the conversation has ended.
impl Stream for LineReceiver {
    type Item = Result<PeerText, ConversationError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_line(cx)
    }
}

/// The longest line, in bytes.
pub const MAX_LINE: usize = 1024 * 1024;

/// The limit of lines of one conversation that may wait, regardless of their length.
///
/// These are many screens, and a person soon notices. A program that has more to say waits for room.
pub const MAX_WAITING_LINES: usize = 256;
