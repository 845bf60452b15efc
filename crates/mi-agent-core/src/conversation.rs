//! A conversation, as the embedding program sees it.

use std::future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use mi_proto::{Line, split_line};
use plumi_proto::MiAddress;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::error::{ConversationError, SendError};
use crate::safe_text::PeerText;

/// A conversation with one other user.
///
/// Either side can end it. This side does so with [`Conversation::hang_up`], or by dropping it.
#[derive(Debug)]
pub struct Conversation {
    peer: Peer,
    sender: LineSender,
    receiver: LineReceiver,
}

/// The other side of a conversation. None of this is proved: PLUMI and PMI have no secret.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The nickname that the peer gave; `?` if it gave an empty one.
    pub nickname: PeerText,
    /// The address that was called. For a caller, the address that asked for this user just before, if any
    /// did.
    pub address: Option<MiAddress>,
    /// The TCP address of the peer's end of the conversation.
    pub remote: SocketAddr,
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
    pub async fn send(&self, text: &str) -> Result<(), SendError> {
        self.sender.send(text).await
    }

    /// Returns the next line of the peer, see [`LineReceiver::next_line`].
    ///
    /// # Errors
    /// [`ConversationError`].
    pub async fn next_line(&mut self) -> Result<Option<PeerText>, ConversationError> {
        self.receiver.next_line().await
    }

    /// Ends the conversation. Lines that were sent before still go out.
    ///
    /// The returned receiver gives the peer's lines until the peer has ended it too. The conversation is over
    /// once that receiver returns `None`.
    pub fn hang_up(self) -> LineReceiver {
        self.receiver
    }

    /// Splits into both directions, to be used at the same time. Dropping the [`LineSender`] hangs up.
    pub fn split(self) -> (Peer, LineSender, LineReceiver) {
        (self.peer, self.sender, self.receiver)
    }
}

/// The direction from this side to the peer.
#[derive(Debug)]
pub struct LineSender(pub(crate) mpsc::Sender<Line>);

impl LineSender {
    /// Hands `text` over to be sent as one line. A long line becomes several frames.
    ///
    /// Waits while too many frames are queued before it. Frames leave as fast as the peer reads, and with a
    /// pause between them (see [`AgentBuilder::pace`](crate::AgentBuilder::pace)).
    ///
    /// # Errors
    /// [`SendError::Text`] for a text with a line end or a NUL, of which nothing is sent; [`SendError::Ended`],
    /// also when the conversation ended in the middle of a long line.
    pub async fn send(&self, text: &str) -> Result<(), SendError> {
        self.send_pieces(split_line(text)?).await
    }

    /// Like [`LineSender::send`], for a line that is already cut into pieces.
    pub(crate) async fn send_pieces(&self, pieces: impl IntoIterator<Item = Line>) -> Result<(), SendError> {
        for piece in pieces {
            self.0.send(piece).await.map_err(|_| SendError::Ended)?;
        }
        Ok(())
    }

    /// Waits until nothing more can be sent. Cancel safe.
    pub(crate) async fn ended(&self) {
        self.0.closed().await;
    }
}

/// The direction from the peer to this side.
#[derive(Debug)]
pub struct LineReceiver {
    lines: mpsc::Receiver<Result<PeerText, ConversationError>>,
    /// Keeps the agent busy until the end has been returned; `None` from then on.
    slot: Option<Arc<OwnedSemaphorePermit>>,
}

impl LineReceiver {
    pub(crate) fn new(
        lines: mpsc::Receiver<Result<PeerText, ConversationError>>,
        slot: Arc<OwnedSemaphorePermit>,
    ) -> Self {
        Self { lines, slot: Some(slot) }
    }

    /// Returns the next line, or `None` when the conversation has ended. Cancel safe.
    ///
    /// A line of more than 99 bytes comes in several pieces. The agent has room for another conversation once
    /// this has returned `None`, or once the receiver is dropped.
    ///
    /// # Errors
    /// [`ConversationError`]. The next call returns `None`.
    pub async fn next_line(&mut self) -> Result<Option<PeerText>, ConversationError> {
        future::poll_fn(|cx| self.poll_line(cx)).await
    }

    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<PeerText>, ConversationError>> {
        let line = ready!(self.poll_line_in_slot(cx));
        if let Ok(None) = line {
            self.slot = None;
        }
        Poll::Ready(line)
    }

    /// Like [`LineReceiver::next_line`], but after the end the agent has no more room until this is dropped.
    pub(crate) fn poll_line_in_slot(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<PeerText>, ConversationError>> {
        Poll::Ready(ready!(self.lines.poll_recv(cx)).transpose())
    }
}
