//! The store of an outbox, and what an outbox reports.

use std::io;
use std::sync::Arc;

use crate::conversation::Conversation;
use crate::safe_text::PeerText;
use crate::state::outbox::{OutboxError, OutboxItem, OutboxTime};

/// Keeps the messages of an outbox, so that they survive the program.
///
/// Its methods may block; they are called one at a time, on a thread for that.
pub trait OutboxStore: Send + 'static {
    /// Returns everything that is stored.
    ///
    /// # Errors
    /// Those of the store. The outbox is not opened then.
    fn load(&mut self) -> io::Result<Stored>;

    /// Stores a message as it is now, in the place of what is stored under its id. It has to survive a loss of
    /// power when this returns. A message whose state [is the last one](crate::ItemState::is_last) need not be
    /// kept.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`]: another program has changed the message since; [`OutboxStore::changes`] says
    /// how. For any other one, the message is reported by [`OutboxEvent::NotStored`].
    fn save(&mut self, item: &OutboxItem) -> io::Result<()>;

    /// Returns what other programs have done since the last time.
    ///
    /// # Errors
    /// Those of the store.
    fn changes(&mut self) -> io::Result<Changes> {
        Ok(Changes::default())
    }
}

/// What other programs have done to a store.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Changes {
    /// The messages that were added, or are in another state.
    pub items: Vec<OutboxItem>,
    /// Set if everybody is to be tried now.
    pub is_retry: bool,
}

impl Changes {
    /// Creates it.
    pub fn new(items: Vec<OutboxItem>, is_retry: bool) -> Self {
        Self { items, is_retry }
    }
}

/// What a store has at the start.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stored {
    /// The messages, those for one user in the order in which they were written.
    pub items: Vec<OutboxItem>,
    /// The time of the last change, or earlier.
    pub last_change: OutboxTime,
}

impl Stored {
    /// Creates it.
    pub fn new(items: Vec<OutboxItem>, last_change: OutboxTime) -> Self {
        Self { items, last_change }
    }
}

/// Something that has become of a message, or that a delivery has led to.
#[derive(Debug)]
#[non_exhaustive]
pub enum OutboxEvent {
    /// A message is in another state than before, or is new.
    Changed(OutboxItem),
    /// The peer has said something after it got its messages: a conversation like any other has begun.
    Talk {
        /// The conversation.
        conversation: Conversation,
        /// The line that the peer has said.
        said: PeerText,
    },
    /// A change of a message could not be stored. It holds all the same, as long as this program runs; but a
    /// message is not sent before the store knows.
    NotStored {
        /// The message.
        item: OutboxItem,
        /// The reason.
        error: io::Error,
    },
}

/// The reason why an outbox does not do what it is asked for.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaveError {
    /// It cannot be done.
    #[error(transparent)]
    Refused(#[from] OutboxError),
    /// The store has failed. Nothing has changed.
    #[error("it cannot be stored")]
    NotStored(#[source] Arc<io::Error>),
    /// The outbox has ended.
    #[error("the outbox has ended")]
    Ended,
}

/// The limit of events that wait to be read.
pub const MAX_OUTBOX_EVENTS: usize = 64;
