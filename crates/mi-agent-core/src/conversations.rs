//! Several conversations at once, for a program that must not wait for any of them.

use std::fmt;
use std::future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;

use crate::conversation::{Conversation, LineReceiver, LineSender, Peer, Waiting};
use crate::error::{ConversationError, SayError};
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
/// let (agent, mut events) = Agent::builder("laura@bb.com".parse()?).conversations(3).start().await?;
/// let mut talks = Conversations::new();
/// loop {
///     tokio::select! {
///         Some(event) = events.next() => if let Event::Incoming(caller) = event {
///             println!("{} calls", caller.peer().nickname);
///             if let Ok(talk) = caller.accept() {
///                 let id = talks.add(talk);
///                 talks.say(id, "hola")?;
///             }
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
    /// The most time for last words of a peer, if it is limited.
    last_words: Option<Duration>,
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
    /// No line waits: each one is handed over, or the conversation takes no more.
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
    /// `None` once this side has hung up.
    sender: Option<LineSender>,
    waiting: Arc<Waiting>,
    /// Set if [`Heard::HandedOver`] is still to be returned for the latest lines.
    is_handing_over: bool,
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

    /// Limits the time for last words of a peer after [`Conversations::hang_up`].
    ///
    /// [`Heard::Ended`] is returned at the latest this time after everything of this side has left. A peer
    /// that does not end its side then goes unheard, and its connection is closed in the background. Without
    /// this, it can take 4 s.
    #[must_use]
    pub fn with_last_words_within(mut self, limit: Duration) -> Self {
        self.last_words = Some(limit);
        self
    }

    /// Adds `talk`. Its peer's lines now come from [`Conversations::next`].
    pub fn add(&mut self, talk: Conversation) -> ConversationId {
        self.begun += 1;
        let id = ConversationId(self.begun);
        let (peer, sender, receiver) = talk.split();
        let waiting = Arc::clone(sender.waiting());
        if let Some(limit) = self.last_words {
            waiting.limit_last_words(limit);
        }
        self.talks.push(Talk { id, peer, receiver, sender: Some(sender), waiting, is_handing_over: false });
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
        let talk = self.talks.iter_mut().find(|talk| talk.id == id).ok_or(SayError::Ended)?;
        talk.sender.as_ref().ok_or(SayError::Ended)?.say(text)?;
        talk.is_handing_over = self.returns_handed_over;
        Ok(())
    }

    /// Returns the number of queued lines that are not handed over yet.
    ///
    /// It is at most [`MAX_WAITING_LINES`](crate::MAX_WAITING_LINES).
    pub fn waiting(&self, id: ConversationId) -> usize {
        self.talk(id).map_or(0, |talk| talk.waiting.lines())
    }

    /// Returns the number of lines that were said and have not been written to the connection.
    ///
    /// These are the queued lines, and those that are handed over.
    pub fn unwritten(&self, id: ConversationId) -> usize {
        self.talk(id).map_or(0, |talk| talk.waiting.unwritten())
    }

    /// Ends a conversation. Returns `false` if there is none, or if it was hung up before.
    ///
    /// Lines that were said before still go out. The peer's lines still come until the peer has ended it too.
    pub fn hang_up(&mut self, id: ConversationId) -> bool {
        let talk = self.talks.iter_mut().find(|talk| talk.id == id);
        // The conversation ends when the last sender is dropped.
        talk.is_some_and(|talk| talk.sender.take().is_some())
    }

    /// Returns the next event of any conversation. Each of them has its turn.
    ///
    /// Waits without end while there is no conversation.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> (ConversationId, Heard) {
        future::poll_fn(|cx| self.poll_heard(cx)).await
    }

    fn poll_heard(&mut self, cx: &mut Context<'_>) -> Poll<(ConversationId, Heard)> {
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

/// The events of all conversations. It never ends: a conversation may be added at any time.
impl Stream for Conversations {
    type Item = (ConversationId, Heard);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_heard(cx).map(Some)
    }
}

impl Talk {
    /// Returns whether every line is handed over, or can no longer be.
    fn is_handed_over(&self) -> bool {
        self.waiting.lines() == 0 || self.waiting.is_closed()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        if self.is_handing_over {
            self.waiting.register(cx);
            if self.is_handed_over() {
                self.is_handing_over = false;
                return Poll::Ready(Heard::HandedOver);
            }
        }
        // The slot becomes free when the end is returned, and not before: the next conversation begins after
        // it.
        match self.receiver.poll_line_in_slot(cx) {
            Poll::Ready(Some(Ok(line))) => Poll::Ready(Heard::Line(line)),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Heard::Trouble(error)),
            Poll::Ready(None) => Poll::Ready(Heard::Ended { unsaid: self.waiting.unsaid() }),
            Poll::Pending if self.is_unheard(cx) => {
                self.receiver.free_slot();
                Poll::Ready(Heard::Ended { unsaid: 0 })
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Returns whether this side has hung up, and the peer has had its time for last words.
    fn is_unheard(&self, cx: &Context<'_>) -> bool {
        self.waiting.register(cx);
        self.sender.is_none() && self.waiting.is_unheard()
    }
}

#[cfg(test)]
mod tests;
