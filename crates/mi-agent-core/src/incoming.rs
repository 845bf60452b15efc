//! A caller that the program has not accepted yet.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use plumi_proto::MiAddress;
use tokio::sync::oneshot;

use crate::conversation::{Conversation, Peer};
use crate::error::IncomingError;
use crate::io::slot::Slot;
use crate::safe_text::PeerText;

/// A caller that waits for a decision: see [`Incoming::accept`] and [`Incoming::refuse`].
///
/// The nicknames are exchanged already, because deployed programs need that. The caller takes the place of a
/// conversation while it waits. Nothing that it says is lost: the program hears it once it has accepted.
///
/// A caller is refused if this is dropped, and after 30 s without a decision. A refused caller hears that the
/// user is busy. A caller that leaves without having said anything gives its place back at once. One that has
/// said something can still be accepted: its lines follow, and then the end.
#[derive(Debug)]
pub struct Incoming {
    conversation: Conversation,
    accept: oneshot::Sender<()>,
    /// The reason why the caller waits no more.
    withdrawn: Arc<OnceLock<IncomingError>>,
    /// The caller's place.
    slot: Slot,
}

/// The agent's side of a decision.
#[derive(Debug)]
pub(crate) struct Decision {
    accepted: oneshot::Receiver<()>,
    withdrawn: Arc<OnceLock<IncomingError>>,
}

impl Incoming {
    /// Returns the caller.
    pub fn peer(&self) -> &Peer {
        self.conversation.peer()
    }

    /// Begins the conversation.
    ///
    /// # Errors
    /// [`IncomingError`]: the caller has left or was refused before, or the agent ends.
    pub fn accept(self) -> Result<Conversation, IncomingError> {
        let Self { conversation, accept, withdrawn, slot } = self;
        accept.send(()).map_err(|()| reason(&withdrawn, &slot))?;
        Ok(conversation)
    }

    /// Refuses the caller, as dropping this does.
    pub fn refuse(self) {}

    /// Waits until the caller can be accepted no more. Returns the error of [`Incoming::accept`] from then
    /// on.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn withdrawn(&mut self) -> IncomingError {
        self.accept.closed().await;
        reason(&self.withdrawn, &self.slot)
    }
}

impl Decision {
    /// Waits for the decision of the program. Returns whether it accepts the caller. Call it until it has
    /// returned.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn made(&mut self) -> bool {
        (&mut self.accepted).await.is_ok()
    }

    /// Waits for a decision no more. Returns whether the program has just accepted the caller; otherwise it
    /// learns this `reason`.
    pub(crate) fn withdraw(mut self, reason: IncomingError) -> bool {
        // Set before the program can see that nobody waits.
        _ = self.withdrawn.set(reason);
        self.accepted.close();
        self.accepted.try_recv().is_ok()
    }
}

/// Creates a caller that is one of `candidates`, or unknown if there are none, or more than
/// [`MAX_CANDIDATES`].
pub(crate) fn caller(nickname: PeerText, remote: SocketAddr, candidates: Vec<MiAddress>) -> Peer {
    match candidates[..] {
        [address] => Peer { address: Some(address), ..Peer::new(nickname, remote) },
        _ if candidates.len() > MAX_CANDIDATES => Peer::new(nickname, remote),
        _ => Peer { candidates, ..Peer::new(nickname, remote) },
    }
}

/// Creates the program's side of a decision, and the agent's.
pub(crate) fn incoming(conversation: Conversation, slot: Slot) -> (Incoming, Decision) {
    let (accept, accepted) = oneshot::channel();
    let withdrawn = Arc::default();
    let decision = Decision { accepted, withdrawn: Arc::clone(&withdrawn) };
    (Incoming { conversation, accept, withdrawn, slot }, decision)
}

/// Returns the reason why nobody waits for a decision about the caller that has `slot`.
fn reason(withdrawn: &OnceLock<IncomingError>, slot: &Slot) -> IncomingError {
    // The program may call at once. The agent frees the place as well, but maybe a moment later.
    slot.free();
    // The runtime of the agent has ended if there is no reason.
    withdrawn.get().copied().unwrap_or(IncomingError::Ended)
}

/// The most users that a caller may be. More names say nothing about the caller.
const MAX_CANDIDATES: usize = 8;

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;
    use crate::io::talk;

    /// A caller that waits for a decision.
    fn waiting() -> (Incoming, Decision) {
        let peer = Peer::new(PeerText::new("joan".to_owned()), ([192, 0, 2, 7], 4456).into());
        let slot = Slot::new(Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap());
        incoming(talk::pair(peer, slot.clone(), Arc::default()).0, slot)
    }

    #[test]
    fn a_decision_that_was_made_counts() {
        let (incoming, decision) = waiting();
        assert!(incoming.accept().is_ok());
        assert!(decision.withdraw(IncomingError::TooLate));
    }

    #[tokio::test]
    async fn a_decision_that_comes_too_late_is_an_error() {
        for reason in [IncomingError::TooLate, IncomingError::CallerLeft] {
            let (mut incoming, decision) = waiting();
            assert!(!decision.withdraw(reason));
            assert_eq!(incoming.withdrawn().await, reason);
            assert_eq!(incoming.accept().unwrap_err(), reason);
        }
    }
}
