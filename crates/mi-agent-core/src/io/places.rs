//! The connections of callers, which learn that they have lost their slot.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::state::acceptor::AcceptorState;
use crate::state::connection_slots::CallerId;

/// The slots of an agent's callers, which several tasks share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<Pool>>);

#[derive(Debug, Default)]
struct Pool {
    state: AcceptorState,
    /// Each is dropped when its connection loses its slot.
    holds: HashMap<CallerId, oneshot::Sender<()>>,
}

/// The slot of one connection, which is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    id: CallerId,
    ip: IpAddr,
    lost: oneshot::Receiver<()>,
}

impl Places {
    /// Takes a slot for a connection from `ip` that has its turn, and no nickname yet.
    pub(crate) fn take(&self, ip: IpAddr) -> Place {
        let mut pool = self.pool();
        let (id, lost) = pool.state.handle_connected(ip);
        let lost = pool.hold(id, lost);
        Place { places: self.clone(), id, ip, lost }
    }

    /// Takes no slot for a connection from `ip` so far.
    pub(crate) fn outside(&self, ip: IpAddr) -> Place {
        let mut pool = self.pool();
        let id = pool.state.new_caller();
        let lost = pool.hold(id, None);
        Place { places: self.clone(), id, ip, lost }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// Returns the receiver that learns when `id` loses its slot, as `lost` does now.
    fn hold(&mut self, id: CallerId, lost: Option<CallerId>) -> oneshot::Receiver<()> {
        if let Some(lost) = lost {
            self.holds.remove(&lost);
        }
        let (hold, lost) = oneshot::channel();
        self.holds.insert(id, hold);
        lost
    }
}

impl Place {
    /// Returns the caller that has this slot.
    pub(crate) fn id(&self) -> CallerId {
        self.id
    }

    /// Gives the slot back: the greeting is over.
    pub(crate) fn greeted(&self) {
        self.places.pool().state.handle_greeted(self.id);
    }

    /// Takes a slot among the connections that are being ended.
    pub(crate) fn leave(&mut self) {
        let mut pool = self.places.pool();
        let lost = pool.state.handle_leaving(self.id, self.ip);
        self.lost = pool.hold(self.id, lost);
    }

    /// Waits until a later connection has taken the slot. May be called once for each slot.
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
        pool.state.handle_gone(self.id);
        pool.holds.remove(&self.id);
    }
}
