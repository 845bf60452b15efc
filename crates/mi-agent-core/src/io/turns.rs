//! The turns of an agent's callers, which several tasks share.

use std::collections::HashMap;
use std::future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};
use tokio::time;

use super::connection::now;
use crate::state::connection_slots::CallerId;
use crate::state::turns::{NewTurn, Turns};

/// The turns, and the callers that wait for theirs.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallerTurns(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pool: Mutex<Pool>,
    /// Notified when a caller begins to wait.
    waits: Notify,
}

#[derive(Debug, Default)]
struct Pool {
    state: Turns<CallerId>,
    /// Each is used when it is its caller's turn, and dropped when the caller gives way.
    waiting: HashMap<CallerId, oneshot::Sender<()>>,
}

/// The place of one caller among those that wait. It is given up when this is dropped.
#[derive(Debug)]
struct Place<'a> {
    turns: &'a CallerTurns,
    id: CallerId,
}

impl CallerTurns {
    /// Waits for the turn of `id` from `ip`. Returns `false` if the caller has to give way instead.
    ///
    /// # Cancel safety
    /// Cancel safe: the caller waits no more.
    pub(crate) async fn wait(&self, id: CallerId, ip: IpAddr) -> bool {
        let turn = {
            let mut pool = self.pool();
            let NewTurn::Waits { gave_way } = pool.state.handle_called(now(), id, ip) else { return true };
            let (sender, turn) = oneshot::channel();
            pool.waiting.insert(id, sender);
            if let Some(other) = gave_way {
                pool.waiting.remove(&other);
            }
            turn
        };
        let _place = Place { turns: self, id };
        self.0.waits.notify_one();
        turn.await.is_ok()
    }

    /// Gives callers their turns, without end.
    ///
    /// # Cancel safety
    /// Cancel safe: the callers wait on.
    pub(crate) async fn serve(&self) {
        loop {
            let next = self.pool().state.poll_timeout();
            let next_turn = async move {
                match next {
                    Some(at) => time::sleep_until(at.into()).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                () = next_turn => {}
                () = self.0.waits.notified() => {}
            }
            let mut pool = self.pool();
            while let Some(id) = pool.state.next(now()) {
                if let Some(turn) = pool.waiting.remove(&id) {
                    // An error: the caller has just given up.
                    _ = turn.send(());
                }
            }
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.0.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut pool = self.turns.pool();
        pool.state.handle_gone(self.id);
        pool.waiting.remove(&self.id);
    }
}
