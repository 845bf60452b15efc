//! A caller that the program has not accepted yet.

use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};

use crate::conversation::{Conversation, Peer};
use crate::error::IncomingError;

/// A caller who waits for a decision: see [`Incoming::accept`] and [`Incoming::refuse`].
///
/// The nicknames are exchanged already, because deployed programs need that. The caller takes the place of a
/// conversation while it waits. Nothing that it says is read before it is accepted, and nothing is lost.
///
/// A caller is refused if this is dropped, and after 30 s without a decision. A refused caller hears that the user
/// is busy.
#[derive(Debug)]
pub struct Incoming {
    conversation: Conversation,
    accept: oneshot::Sender<()>,
    slots: Arc<Semaphore>,
}

impl Incoming {
    /// Returns the caller.
    pub fn peer(&self) -> &Peer {
        self.conversation.peer()
    }

    /// Begins the conversation.
    ///
    /// A caller that has gone meanwhile is not an error: the end of the conversation follows.
    ///
    /// # Errors
    /// [`IncomingError`]: the caller was refused before, or the agent ends.
    pub fn accept(self) -> Result<Conversation, IncomingError> {
        match self.accept.send(()) {
            Ok(()) => Ok(self.conversation),
            Err(()) if self.slots.is_closed() => Err(IncomingError::Ended),
            Err(()) => Err(IncomingError::TooLate),
        }
    }

    /// Refuses the caller, as dropping this does.
    pub fn refuse(self) {}
}

/// Creates the program's side of a decision, and the receiver of its result: an error if the caller is refused.
pub(crate) fn incoming(
    conversation: Conversation,
    slots: Arc<Semaphore>,
) -> (Incoming, oneshot::Receiver<()>) {
    let (accept, decision) = oneshot::channel();
    (Incoming { conversation, accept, slots }, decision)
}
