//! The slots of an agent's conversations, and the conversation that gives its slot to a new caller.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};
use tokio::time;

use super::connection::now;
use crate::state::connection_slots::CallerId;
use crate::state::conversation_slots::{ConversationSlots, GaveWay};
use crate::state::intake::Limited;

/// The slots of an agent's conversations, which several tasks share.
#[derive(Clone, Debug)]
pub(crate) struct Slots(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// One permit for each conversation that the agent may have.
    permits: Arc<Semaphore>,
    most: usize,
    talks: Mutex<Talks>,
}

/// The conversations that callers began.
#[derive(Debug)]
struct Talks {
    state: ConversationSlots<CallerId>,
    /// Each is used when its conversation gives way.
    holds: HashMap<CallerId, oneshot::Sender<GaveWay>>,
}

/// The slot of a new caller.
#[derive(Debug)]
pub(crate) enum Taken {
    Free(Slot),
    /// A conversation gives way: wait for [`Slots::freed`].
    Soon,
}

impl Slots {
    /// Creates the slots of an agent that may have `most` conversations. `idle` is the silence after which
    /// one gives way.
    pub(crate) fn new(most: usize, idle: Option<Duration>) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        let talks = Mutex::new(Talks { state: ConversationSlots::new(idle), holds: HashMap::new() });
        Self(Arc::new(Shared { permits: Arc::new(Semaphore::new(most)), most, talks }))
    }

    /// Returns the number of slots that are taken.
    pub(crate) fn taken(&self) -> usize {
        self.0.most.saturating_sub(self.0.permits.available_permits())
    }

    /// Returns whether a slot is free.
    pub(crate) fn has_free(&self) -> bool {
        self.0.permits.available_permits() > 0
    }

    /// Returns whether a conversation would give way to a new caller.
    pub(crate) fn can_give_way(&self) -> bool {
        self.talks().state.can_give_way(now())
    }

    /// Returns whether slots are closed because the agent ends.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.permits.is_closed()
    }

    /// Closes the slots.
    pub(crate) fn close(&self) {
        self.0.permits.close();
    }

    /// Takes a slot that is free.
    pub(crate) fn try_take(&self) -> Result<Slot, TryAcquireError> {
        Arc::clone(&self.0.permits).try_acquire_owned().map(Slot::new)
    }

    /// Takes a slot for a caller from `ip`. If none is free, a conversation gives way. `None` if none does.
    pub(crate) fn take(&self, ip: IpAddr) -> Option<Taken> {
        match self.try_take() {
            Ok(slot) => Some(Taken::Free(slot)),
            Err(TryAcquireError::Closed) => None,
            Err(TryAcquireError::NoPermits) => {
                let mut talks = self.talks();
                let (gives_way, reason) = talks.state.give_way(now(), ip)?;
                if let Some(hold) = talks.holds.remove(&gives_way) {
                    // An error: it has just ended.
                    _ = hold.send(reason);
                }
                Some(Taken::Soon)
            }
        }
    }

    /// Waits for the slot of a conversation that gives way, until the program has taken the end of that
    /// conversation: the next one begins after it. `None` if the agent ends, or the program takes nothing.
    ///
    /// # Cancel safety
    /// Cancel safe. The slot is free for others.
    pub(crate) async fn freed(&self) -> Option<Slot> {
        let freed = time::timeout(HANDOVER, Arc::clone(&self.0.permits).acquire_owned()).await;
        freed.ok()?.ok().map(Slot::new)
    }

    /// Records that a conversation with the caller `id` from `ip` has begun. It may give way from now on.
    pub(crate) fn hold(&self, id: CallerId, ip: IpAddr) -> Hold {
        let (hold, lost) = oneshot::channel();
        let mut talks = self.talks();
        talks.state.handle_begun(now(), id, ip);
        talks.holds.insert(id, hold);
        Hold { slots: self.clone(), id, lost }
    }

    fn talks(&self) -> MutexGuard<'_, Talks> {
        self.0.talks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The claim of a conversation to its slot. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    slots: Slots,
    id: CallerId,
    lost: oneshot::Receiver<GaveWay>,
}

impl Hold {
    /// Records a line that is not empty, of this side or of the peer.
    pub(crate) fn said(&self, is_own: bool) {
        self.slots.talks().state.handle_said(now(), self.id, is_own);
    }

    /// Records for how long the peer has been read as fast as may be, if it is.
    pub(crate) fn limited(&self, limited: Option<Limited>) {
        self.slots.talks().state.handle_limited(self.id, limited);
    }

    /// Waits until the conversation has to give way, and returns the reason. May be called until it has
    /// returned.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn lost(&mut self) -> GaveWay {
        // The other side lives as long as this.
        (&mut self.lost).await.unwrap_or(GaveWay::NothingSaid)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut talks = self.slots.talks();
        talks.state.handle_over(self.id);
        talks.holds.remove(&self.id);
    }
}

/// A slot that is taken until it is freed, or the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Slot(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

/// Frees a slot when it is dropped, unless it is told to keep it.
#[derive(Debug)]
pub(crate) struct FreeOnDrop(Option<Slot>);

impl Slot {
    pub(crate) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Mutex::new(Some(permit))))
    }

    /// Frees the slot at once, regardless of its clones.
    pub(crate) fn free(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(crate) fn free_on_drop(&self) -> FreeOnDrop {
        FreeOnDrop(Some(self.clone()))
    }
}

impl FreeOnDrop {
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for FreeOnDrop {
    fn drop(&mut self) {
        if let Some(slot) = &self.0 {
            slot.free();
        }
    }
}

/// The time that the program has to take the end of a conversation that gave way, while a caller waits and
/// hears nothing.
const HANDOVER: Duration = Duration::from_secs(5);
