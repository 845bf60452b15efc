//! Several conversations at once, for a program that must not wait for any of them.

use std::fmt;
use std::future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use futures_util::task::AtomicWaker;
use mi_proto::{Line, TextError, split_line};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinHandle;

use crate::conversation::{Conversation, LineReceiver, LineSender, Peer};
use crate::error::ConversationError;
use crate::safe_text::PeerText;

/// Several conversations side by side.
///
/// The lines of all peers come one by one from [`Conversations::next`]. Lines for a peer are queued, so a
/// peer that reads slowly, or not at all, delays nobody but itself.
///
/// Queued lines are sent whether or not [`Conversations::next`] is called. Received lines wait for that call:
/// a peer with too many waiting lines has to wait, too, as in [`Conversation`]. Dropping this hangs up all
/// conversations.
///
/// An agent that is shut down sends the lines that were handed over to its conversations, but not the lines
/// that are queued here. To have everything sent, hang up and wait for each [`Heard::Ended`] first.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use mi_agent_core::{Agent, Conversations, Event, Heard};
///
/// let three = std::num::NonZeroUsize::new(3).ok_or("0")?;
/// let (agent, mut events) = Agent::builder("laura@bb.com".parse()?).conversations(three).start().await?;
/// let mut talks = Conversations::new();
/// loop {
///     tokio::select! {
///         Some(event) = events.next() => if let Event::Incoming(talk) = event {
///             println!("{} calls", talk.peer().nickname);
///             let id = talks.add(talk);
///             talks.say(id, "hola")?;
///         },
///         (id, heard) = talks.next() => match heard {
///             Heard::Line(line) => println!("{id} <{}> {line}", talks.peer(id).ok_or("ended")?.nickname),
///             Heard::Trouble(error) => println!("{id} {error}"),
///             Heard::Ended { unsaid } => println!("{id} ended, and {unsaid} lines were not sent"),
///             _ => {}
///         },
///         _ = tokio::signal::ctrl_c() => break,
///     }
/// }
/// // Everything that was said still goes out.
/// for id in talks.ids().collect::<Vec<_>>() {
///     talks.hang_up(id);
/// }
/// while !talks.is_empty() {
///     talks.next().await;
/// }
/// agent.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Conversations {
    /// The conversations in the order in which they began, which is also the order of their ids.
    talks: Vec<Talk>,
    begun: u64,
    /// The index of the conversation that is polled first, for fairness.
    turn: usize,
    returns_handed_over: bool,
}

/// Identifies one conversation of a [`Conversations`]: 1, 2, 3 and so on. Numbers are not reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationId(u64);

/// Converts a number that a program received, for example from a user. There may be no such conversation.
impl From<u64> for ConversationId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

/// An event of one conversation, from [`Conversations::next`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Heard {
    /// The peer said this. A line of more than 99 bytes comes in several pieces.
    Line(PeerText),
    /// Something went wrong. The end follows.
    Trouble(ConversationError),
    /// No line waits any more: each one is handed over, or the conversation takes no more.
    ///
    /// Returned once after [`Conversations::say`], when [`Conversations::waiting`] falls to 0 or the peer
    /// ends the conversation. It is returned only with [`Conversations::with_handed_over`]. A program that
    /// says one line at a time may say the next one now.
    HandedOver,
    /// The conversation has ended. Its id is invalid from now on, and the agent has room for another one.
    Ended {
        /// The number of lines that were queued and not handed over, or only in part.
        ///
        /// Lines that were handed over and not sent are reported before, by [`ConversationError::Unsent`].
        unsaid: usize,
    },
}

#[derive(Debug)]
struct Talk {
    id: ConversationId,
    peer: Peer,
    receiver: LineReceiver,
    has_ended: bool,
    /// `None` once this side has hung up.
    queue: Option<mpsc::Sender<Vec<Line>>>,
    waiting: Arc<Waiting>,
    /// Set if [`Heard::HandedOver`] is still to be returned for the latest lines.
    is_handing_over: bool,
    /// The task that hands lines over. It returns the number of lines that it could not hand over.
    speaker: JoinHandle<usize>,
}

/// The number of lines that wait in a conversation, and the waker for when it falls to 0.
#[derive(Debug, Default)]
struct Waiting {
    /// The lines in the queue, and the one that is being handed over.
    lines: AtomicUsize,
    waker: AtomicWaker,
}

impl Conversations {
    /// Creates an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes [`Conversations::next`] return [`Heard::HandedOver`], too.
    #[must_use]
    pub fn with_handed_over(mut self) -> Self {
        self.returns_handed_over = true;
        self
    }

    /// Adds `talk`. Its peer's lines now come from [`Conversations::next`].
    ///
    /// # Panics
    /// If this is called outside of a tokio runtime.
    pub fn add(&mut self, talk: Conversation) -> ConversationId {
        self.begun += 1;
        let id = ConversationId(self.begun);
        let (peer, sender, receiver) = talk.split();
        let (queue, lines) = mpsc::channel(MAX_WAITING_LINES);
        let waiting = Arc::default();
        let speaker = tokio::spawn(speak(sender, lines, Arc::clone(&waiting)));
        let (has_ended, is_handing_over) = (false, false);
        let queue = Some(queue);
        self.talks.push(Talk { id, peer, receiver, has_ended, queue, waiting, is_handing_over, speaker });
        id
    }

    /// Returns the peer of a conversation, until its end has been returned.
    pub fn peer(&self, id: ConversationId) -> Option<&Peer> {
        self.talk(id).map(|talk| &talk.peer)
    }

    /// Returns the ids of conversations without a returned end, in the order in which they began.
    pub fn ids(&self) -> impl Iterator<Item = ConversationId> {
        self.talks.iter().map(|talk| talk.id)
    }

    /// Returns their number.
    pub fn len(&self) -> usize {
        self.talks.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.talks.is_empty()
    }

    /// Queues `text` as one line, without waiting. A long line becomes several frames.
    ///
    /// It leaves as fast as the peer reads and the agent's pace allows.
    ///
    /// # Errors
    /// [`SayError`]; nothing of the text is sent.
    pub fn say(&mut self, id: ConversationId, text: &str) -> Result<(), SayError> {
        let line = split_line(text)?.collect();
        let talk = self.talks.iter_mut().find(|talk| talk.id == id).ok_or(SayError::Ended)?;
        let queue = talk.queue.as_ref().ok_or(SayError::Ended)?;
        // The line that is being handed over has left the queue, but still counts as waiting.
        if talk.waiting() >= MAX_WAITING_LINES && !queue.is_closed() {
            return Err(SayError::Full);
        }
        talk.waiting.lines.fetch_add(1, Ordering::Relaxed);
        queue.try_send(line).map_err(|error| {
            talk.waiting.lines.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => SayError::Full,
                TrySendError::Closed(_) => SayError::Ended,
            }
        })?;
        talk.is_handing_over = self.returns_handed_over;
        Ok(())
    }

    /// Returns the number of queued lines that are not handed over yet.
    ///
    /// It is at most [`MAX_WAITING_LINES`].
    pub fn waiting(&self, id: ConversationId) -> usize {
        self.talk(id).map_or(0, Talk::waiting)
    }

    /// Ends a conversation. Returns `false` if there is none, or if it was hung up before.
    ///
    /// Lines that were said before still go out. The peer's lines still come until the peer has ended it too.
    pub fn hang_up(&mut self, id: ConversationId) -> bool {
        let talk = self.talks.iter_mut().find(|talk| talk.id == id);
        talk.is_some_and(|talk| talk.queue.take().is_some())
    }

    /// Returns the next event of any conversation. Each of them has its turn. Cancel safe.
    ///
    /// Waits without end while there is no conversation.
    pub async fn next(&mut self) -> (ConversationId, Heard) {
        future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(ConversationId, Heard)> {
        for _ in 0..self.talks.len() {
            let at = self.turn % self.talks.len();
            self.turn = at + 1;
            let talk = &mut self.talks[at];
            let Poll::Ready(heard) = talk.poll(cx) else { continue };
            let id = talk.id;
            if let Heard::Ended { .. } = heard {
                self.talks.remove(at);
                self.turn = at;
            }
            return Poll::Ready((id, heard));
        }
        Poll::Pending
    }

    fn talk(&self, id: ConversationId) -> Option<&Talk> {
        self.talks.iter().find(|talk| talk.id == id)
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<ConversationId> for u64 {
    fn from(id: ConversationId) -> Self {
        id.0
    }
}

impl Talk {
    fn waiting(&self) -> usize {
        self.waiting.lines.load(Ordering::Relaxed)
    }

    /// Returns whether every line is handed over, or cannot be any more.
    fn is_handed_over(&self) -> bool {
        self.waiting() == 0 || self.queue.as_ref().is_some_and(mpsc::Sender::is_closed)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        if self.is_handing_over {
            self.waiting.waker.register(cx.waker());
            if self.is_handed_over() {
                self.is_handing_over = false;
                return Poll::Ready(Heard::HandedOver);
            }
        }
        if !self.has_ended {
            // The slot becomes free when the end is returned, and not before: the next conversation
            // begins after it.
            match ready!(self.receiver.poll_line_in_slot(cx)) {
                Ok(Some(line)) => return Poll::Ready(Heard::Line(line)),
                Err(error) => return Poll::Ready(Heard::Trouble(error)),
                Ok(None) => self.has_ended = true,
            }
        }
        // The speaker ends with the conversation, and only then knows the number. Only a runtime that shuts
        // down ends it earlier.
        let unsaid = ready!(Pin::new(&mut self.speaker).poll(cx)).unwrap_or_else(|_| self.waiting());
        Poll::Ready(Heard::Ended { unsaid })
    }
}

/// Hands the lines of a queue over to a conversation.
///
/// Ends when this side hangs up or the conversation ends. Returns the number of lines that were left.
async fn speak(sender: LineSender, mut lines: mpsc::Receiver<Vec<Line>>, waiting: Arc<Waiting>) -> usize {
    let mut unsaid = 0;
    loop {
        let line = tokio::select! {
            biased;
            () = sender.ended() => break,
            line = lines.recv() => line,
        };
        let Some(line) = line else { return 0 };
        if sender.send_pieces(line).await.is_err() {
            unsaid = 1;
            break;
        }
        waiting.lines.fetch_sub(1, Ordering::Relaxed);
        waiting.waker.wake();
    }
    lines.close();
    waiting.waker.wake();
    while lines.recv().await.is_some() {
        unsaid += 1;
    }
    unsaid
}

/// The reason why a line was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SayError {
    /// The line has a byte that no frame may carry.
    #[error("the line {0}")]
    Text(#[from] TextError),
    /// [`MAX_WAITING_LINES`] lines wait.
    #[error("too many lines wait to be sent")]
    Full,
    /// The conversation has ended, or this side has hung up.
    #[error("the conversation has ended")]
    Ended,
}

/// The limit of lines of one conversation that may wait, regardless of their length.
///
/// These are many screens, and a person soon notices. A program that has more to say waits for room.
pub const MAX_WAITING_LINES: usize = 256;

#[cfg(test)]
mod tests;
