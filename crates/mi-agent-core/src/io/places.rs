//! The connections of a pool of slots, which learn that they have lost theirs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::state::connection_slots::{ConnectionSlots, SlotId};

/// A pool of slots that several tasks share.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Mutex<Pool>>);

#[derive(Debug)]
struct Pool {
    slots: ConnectionSlots,
    /// Each is dropped when its connection loses its slot.
    holds: HashMap<SlotId, oneshot::Sender<()>>,
}

/// A slot that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    id: SlotId,
    lost: oneshot::Receiver<()>,
}

impl Places {
    pub(crate) fn new(slots: ConnectionSlots) -> Self {
        Self(Arc::new(Mutex::new(Pool { slots, holds: HashMap::new() })))
    }

    /// Takes a slot for a connection from `ip`.
    pub(crate) fn take(&self, ip: IpAddr) -> Place {
        let mut pool = self.pool();
        let (id, lost) = pool.slots.take(ip);
        if let Some(lost) = lost {
            pool.holds.remove(&lost);
        }
        let (hold, lost) = oneshot::channel();
        pool.holds.insert(id, hold);
        Place { places: self.clone(), id, lost }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until a later connection has taken the slot. May be called once.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn lost(&mut self) {
        // Nothing is ever sent.
        _ = (&mut self.lost).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut pool = self.places.pool();
        pool.slots.give_back(self.id);
        pool.holds.remove(&self.id);
    }
}
