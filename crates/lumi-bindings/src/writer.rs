//! The thread that saves.
//!
//! ```text
//! caller ── save ──► queue ── thread ──► commits of up to MAX_COMMIT changes
//!                                │
//!        ◄── Saved, the newest ──┘   a commit that failed is tried again after RETRY_INTERVAL, with what came meanwhile
//! ```

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::binding::{BindingChange, SaveId, UnixMillis};
use crate::embedded::{Commit, Durability, Repairs};
use crate::error::Failure;
use crate::reports::{Reports, SavedReceiver, reports};
use crate::saved::{NotSaved, Saved};
use crate::schedule::{Due, Schedule};
use crate::store::Store;

/// The caller's end of the queue. When it is dropped, the thread saves what is left and ends.
///
/// The queue's bound is the number of users: the caller gives no second change of a user before a commit or a
/// failure is reported, and after a failure the thread keeps the last one of each user.
#[derive(Debug)]
pub struct BindingsWriter {
    queue: Arc<Queue>,
}

impl BindingsWriter {
    /// Leaves `changes` to the thread, in the order of their ids, which are larger than those before. Never
    /// waits for the disk. Call it once a turn.
    ///
    /// A later change of a user replaces an earlier one. A change is tried until it is committed, so one that
    /// was reported as not saved is not to be given again.
    pub fn save(&self, changes: impl IntoIterator<Item = (SaveId, BindingChange)>) {
        let mut orders = self.queue.lock();
        let before = orders.changes.len();
        orders.changes.extend(changes);
        let is_first = before == 0 && !orders.changes.is_empty();
        drop(orders);
        // A thread that is busy looks for more by itself.
        if is_first {
            self.queue.changed.notify_one();
        }
    }

    /// Has the thread commit what is left, durably, with a last heartbeat, and end. Does not wait:
    /// [`SavedReceiver::next`] returns `None` when the database is closed and unlocked.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for BindingsWriter {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.changed.notify_one();
    }
}

#[derive(Debug, Default)]
struct Queue {
    orders: Mutex<Orders>,
    /// Something came, or nothing more will.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Orders {
    changes: Vec<(SaveId, BindingChange)>,
    is_closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread that writes to `store`. Its first commit has the `repairs`.
pub(crate) fn start(
    store: Store,
    repairs: Repairs,
    durability: Durability,
    restore_within: Duration,
) -> io::Result<(BindingsWriter, SavedReceiver)> {
    let queue = Arc::<Queue>::default();
    let (sender, receiver) = reports();
    let worker = Worker {
        queue: Arc::clone(&queue),
        reports: sender,
        store,
        repairs,
        durability,
        waiting: VecDeque::new(),
        last: SaveId(0),
        anew: false,
        schedule: Schedule::new(now(), restore_within),
    };
    thread::Builder::new().name("bindings".into()).spawn(|| worker.run())?;
    Ok((BindingsWriter { queue }, receiver))
}

struct Worker {
    queue: Arc<Queue>,
    reports: Reports,
    store: Store,
    /// Changes of the next commit before its others.
    repairs: Repairs,
    /// That of each commit.
    durability: Durability,
    /// Changes that are not committed yet.
    waiting: VecDeque<(SaveId, BindingChange)>,
    /// The last change that was committed.
    last: SaveId,
    /// Set if an empty database took the place of another one, which was not reported yet.
    anew: bool,
    schedule: Schedule,
}

impl Worker {
    fn run(mut self) {
        let mut is_open = true;
        while is_open {
            is_open = self.take();
            if is_open && self.schedule.is_resting(now()) {
                continue;
            }
            self.work(is_open);
        }
        self.store.close();
        // The lock is free before the receiver learns the end.
        let Self { store, reports, .. } = self;
        drop(store);
        drop(reports);
    }

    /// Waits for changes, or until something is due, and takes the changes. Returns `false` if no more come.
    fn take(&mut self) -> bool {
        let queue = Arc::clone(&self.queue);
        let mut orders = queue.lock();
        let deadline = self.schedule.next();
        // After a failure, changes have to wait like those before them.
        while !orders.is_closed && (orders.changes.is_empty() || self.schedule.is_failing()) {
            let left = deadline.saturating_duration_since(now());
            if left.is_zero() {
                break;
            }
            orders = queue.changed.wait_timeout(orders, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        self.waiting.extend(orders.changes.drain(..));
        !orders.is_closed
    }

    /// Commits what waits, and what is due. At the end, all of that.
    fn work(&mut self, is_open: bool) {
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(MAX_COMMIT);
            let last = self.waiting[count - 1].0;
            // The first changes of a node come with its first heartbeat: beside an older one, they would seem
            // too old.
            if !self.commit(count, self.schedule.is_heartbeat_due(now()), self.durability) {
                return;
            }
            self.waiting.drain(..count);
            self.last = last;
            self.report(Ok(()), last);
            if self.durability == Durability::Process {
                self.schedule.needs_sync(now());
            }
            if self.schedule.is_sync_due(now()) && !self.sync() {
                return;
            }
        }
        match self.schedule.due(now()) {
            _ if !is_open => _ = self.sync(),
            Some(Due::Sync) => _ = self.sync(),
            Some(Due::Heartbeat) => _ = self.beat(self.durability),
            None => {}
        }
    }

    /// Makes the commits so far survive a power failure. Returns whether that worked.
    fn sync(&mut self) -> bool {
        let is_synced = self.beat(Durability::Machine);
        if is_synced {
            self.schedule.synced();
        }
        is_synced
    }

    /// Writes a heartbeat. Returns whether that worked.
    fn beat(&mut self, durability: Durability) -> bool {
        let was_failing = self.schedule.is_failing();
        let is_saved = self.commit(0, true, durability);
        if is_saved && (was_failing || self.anew) {
            self.report(Ok(()), self.last);
        }
        is_saved
    }

    /// Commits the first `count` changes that wait, and a heartbeat if it is `with_heartbeat`. Returns
    /// whether that worked. A failure is reported, and a database that cannot be used is moved aside.
    fn commit(&mut self, count: usize, with_heartbeat: bool, durability: Durability) -> bool {
        let outcome = match self.try_commit(count, with_heartbeat, durability) {
            Err(Failure::Unusable(reason)) => match self.store.move_aside() {
                Ok(to) => {
                    tracing::warn!(
                        "the bindings {} cannot be used: {reason}; they were moved to {}, and are saved anew",
                        self.store.path.display(),
                        to.display(),
                    );
                    // Once: an empty database that cannot be used either is a matter of the disk.
                    self.try_commit(count, with_heartbeat, durability)
                }
                Err(error) => Err(Failure::NotNow(error)),
            },
            outcome => outcome,
        };
        let is_saved = outcome.is_ok();
        if let Err(failure) = outcome {
            self.fail(failure.into());
        }
        is_saved
    }

    fn try_commit(
        &mut self,
        count: usize,
        with_heartbeat: bool,
        durability: Durability,
    ) -> Result<(), Failure> {
        let heartbeat = with_heartbeat.then(|| UnixMillis::of(wall_clock()));
        if with_heartbeat {
            self.store.close_if_lost();
        }
        let changes = &self.waiting.make_contiguous()[..count];
        let mut is_new = false;
        let database = self.store.database(&mut is_new);
        if is_new {
            self.anew = true;
            self.repairs = Repairs::default();
        }
        database?.commit(&Commit { repairs: &self.repairs, changes, heartbeat, durability })?;
        self.repairs = Repairs::default();
        self.schedule.committed(now(), with_heartbeat);
        Ok(())
    }

    fn fail(&mut self, reason: NotSaved) {
        // A new connection may fare better, and what is behind this one may be gone.
        self.store.close();
        self.schedule.failed(now());
        self.forget_replaced();
        let last = self.waiting.back().map_or(self.last, |&(id, _)| id);
        self.report(Err(reason), last);
    }

    /// Keeps the last change of each user only. The node may try to save a user again while this thread does,
    /// too.
    fn forget_replaced(&mut self) {
        let last: HashMap<_, _> = self.waiting.iter().map(|(id, change)| (*change.user(), *id)).collect();
        self.waiting.retain(|(id, change)| last.get(change.user()) == Some(id));
    }

    fn report(&mut self, result: Result<(), NotSaved>, last: SaveId) {
        let anew = std::mem::take(&mut self.anew);
        self.reports.send(Saved { last, result, anew });
    }
}

/// Only these threads read clocks; nobody can make one up for them.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own, which has no runtime to ask for the time"
)]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "no other clock goes on while the process is away")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// The limit of changes in a commit: about 10 ms, so that the first of many does not wait for the last.
pub const MAX_COMMIT: usize = 1_024;
