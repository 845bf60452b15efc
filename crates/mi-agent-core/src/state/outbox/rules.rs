//! Which messages an outbox takes, and what may become of them.

use plumi_proto::MiAddress;

use super::item::{ItemState, MAX_ITEM, OutboxItem};

/// The reason why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// [`MAX_ITEMS_OF_PEER`] wait for that user.
    #[error("{MAX_ITEMS_OF_PEER} messages wait for that user, and no more are kept")]
    FullForPeer,
    /// [`MAX_ITEMS`] wait.
    #[error("{MAX_ITEMS} messages wait, and no more are kept")]
    Full,
    /// The text has no characters, or more than [`MAX_ITEM`] bytes.
    #[error("a message has 1 to {MAX_ITEM} bytes, and this one has {0}")]
    Text(usize),
    /// The text has a NUL character, or nothing but line ends.
    #[error("a message has text, and no NUL character")]
    Characters,
    /// It is for the user who wrote it.
    #[error("you cannot leave a message for yourself")]
    Yourself,
    /// There is no such message.
    #[error("there is no such message")]
    NoSuchItem,
    /// The message is being delivered.
    #[error("it is being delivered")]
    BeingDelivered,
    /// Only a message that may have arrived can be sent again.
    #[error("only a message that may have arrived, or that could not be delivered, can be sent again")]
    NotAgain,
}

/// Returns whether a message may be added to those that wait.
///
/// # Errors
/// [`OutboxError::Full`], [`OutboxError::FullForPeer`], [`OutboxError::Text`], [`OutboxError::Characters`],
/// [`OutboxError::Yourself`].
pub fn may_put<'i>(
    own: &MiAddress,
    waiting: impl Iterator<Item = &'i OutboxItem>,
    to: &MiAddress,
    text: &str,
) -> Result<(), OutboxError> {
    if to == own {
        return Err(OutboxError::Yourself);
    }
    if text.is_empty() || text.len() > MAX_ITEM {
        return Err(OutboxError::Text(text.len()));
    }
    if text.contains('\0') || text.trim_matches(['\r', '\n']).is_empty() {
        return Err(OutboxError::Characters);
    }
    let (mut all, mut of_peer) = (0, 0);
    for item in waiting {
        all += 1;
        of_peer += usize::from(item.to == *to);
    }
    if of_peer >= MAX_ITEMS_OF_PEER {
        return Err(OutboxError::FullForPeer);
    }
    if all >= MAX_ITEMS { Err(OutboxError::Full) } else { Ok(()) }
}

/// Returns whether a message may be sent again.
///
/// # Errors
/// [`OutboxError::NotAgain`], [`OutboxError::BeingDelivered`].
pub fn may_resend(item: &OutboxItem) -> Result<(), OutboxError> {
    match item.state {
        ItemState::Unsure | ItemState::Undeliverable => Ok(()),
        ItemState::Trying => Err(OutboxError::BeingDelivered),
        _ => Err(OutboxError::NotAgain),
    }
}

/// Returns whether a message may be dropped.
///
/// # Errors
/// [`OutboxError::BeingDelivered`].
pub fn may_forget(item: &OutboxItem) -> Result<(), OutboxError> {
    if item.state == ItemState::Trying { Err(OutboxError::BeingDelivered) } else { Ok(()) }
}

/// The most messages that wait for one user.
pub const MAX_ITEMS_OF_PEER: usize = 200;

/// The most messages that wait.
pub const MAX_ITEMS: usize = 1_000;
