//! The turns of an agent's callers, which several tasks share.

use std::collections::HashMap;
use std::future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, oneshot};
use tokio::time;

use super::connection::now;
use crate::state::given_way::GivenWay;
use crate::state::turns::{NewTurn, Turns};

/// The turns, and the callers that wait for theirs.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallerTurns(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pool: Mutex<Pool>,
    /// Notified when a caller begins to wait, or has given way.
    waits: Notify,
}

#[derive(Debug, Default)]
struct Pool {
    state: Turns<u64>,
    /// The number of callers so far.
    called: u64,
    /// Each is used when it is its caller's turn, and dropped when the caller gives way.
    waiting: HashMap<u64, oneshot::Sender<()>>,
    given_way: GivenWay,
}

/// The turn of one caller.
#[derive(Debug)]
pub(crate) enum CallerTurn {
    /// It has come.
    Now,
    Waits(WaitingCaller),
    /// The caller gives way to others.
    Never,
}

/// A caller that waits for its turn, until this is dropped.
#[derive(Debug)]
pub(crate) struct WaitingCaller {
    turns: CallerTurns,
    id: u64,
    turn: oneshot::Receiver<()>,
}

impl Pool {
    fn poll_timeout(&self) -> Option<Instant> {
        self.state.poll_timeout().into_iter().chain(self.given_way.poll_timeout()).min()
    }
}

impl CallerTurns {
    /// Takes a turn for a new caller from `ip`, or begins to wait for it.
    pub(crate) fn take(&self, ip: IpAddr) -> CallerTurn {
        let mut pool = self.pool();
        pool.called += 1;
        let id = pool.called;
        let NewTurn::Waits { gave_way } = pool.state.handle_called(now(), id, ip) else {
            return CallerTurn::Now;
        };
        let (sender, turn) = oneshot::channel();
        pool.waiting.insert(id, sender);
        if let Some(other) = gave_way {
            pool.waiting.remove(&other);
        }
        drop(pool);
        self.0.waits.notify_one();
        CallerTurn::Waits(WaitingCaller { turns: self.clone(), id, turn })
    }

    /// Counts a caller that gave its nickname and gave way to others.
    pub(crate) fn gave_way(&self) {
        self.pool().given_way.add(now());
        self.0.waits.notify_one();
    }

    /// Gives callers their turns, without end. Calls `report` with the number of those that gave way, now and
    /// then.
    ///
    /// # Cancel safety
    /// Cancel safe: the callers wait on.
    pub(crate) async fn serve(&self, mut report: impl FnMut(u64)) {
        loop {
            let next = self.pool().poll_timeout();
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
            let gave_way = pool.given_way.report(now());
            drop(pool);
            if let Some(callers) = gave_way {
                report(callers);
            }
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.0.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallerTurn {
    /// Waits for the turn, if it has not come. Returns `false` if the caller has to give way instead.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn comes(&mut self) -> bool {
        if let Self::Waits(WaitingCaller { turn, .. }) = self {
            let has_come = turn.await.is_ok();
            *self = if has_come { Self::Now } else { Self::Never };
        }
        matches!(self, Self::Now)
    }

    /// Records that the nickname has come: the caller has a better claim than those that have said nothing.
    pub(crate) fn greeted(&self) {
        if let Self::Waits(WaitingCaller { turns, id, .. }) = self {
            turns.pool().state.handle_greeted(*id);
        }
    }
}

impl Drop for WaitingCaller {
    fn drop(&mut self) {
        let mut pool = self.turns.pool();
        pool.state.handle_gone(self.id);
        pool.waiting.remove(&self.id);
    }
}
