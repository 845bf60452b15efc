//! The store of bindings, and the results that come from it.

use std::future;
#[cfg(feature = "sqlite")]
use std::io;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use lumi_bindings::{BindingChange, SaveId, Saved, UnixMillis};
#[cfg(feature = "sqlite")]
use lumi_bindings::{BindingsFile, BindingsWriter, SavedReceiver};
use tokio::time;
use tracing::warn;

use super::rate_limited_counter::RateLimitedCounter;
use crate::state::output::BindingNotSaved;

/// A place where bindings are saved: a database, or whatever an embedding program has. See
/// [`ServerBuilder::bindings`](crate::ServerBuilder::bindings).
///
/// Its calls are made in the task that serves, so they must not wait for anything. What waits for a disk
/// belongs on a thread.
pub trait BindingStore: Send + 'static {
    /// Begins to save these changes, in this order. The numbers ascend. The last change of a user counts, and
    /// a binding may come again as it is by then, if it could not be saved.
    fn save(&mut self, changes: Vec<(SaveId, BindingChange)>);

    /// Polls for the next result: one for all changes that are committed together, or failed together. `None`
    /// once the store has ended, after which it is not polled again.
    fn poll_saved(&mut self, context: &mut Context<'_>) -> Poll<Option<Saved>>;

    /// Begins to close the store: what it was given is saved first. It has ended when
    /// [`BindingStore::poll_saved`] returns `None`. Nothing is to be saved afterwards.
    fn close(&mut self);
}

/// The store of a server, if it has one.
pub(super) struct Bindings {
    store: Option<Box<dyn BindingStore>>,
    /// The changes of this turn.
    changes: Vec<(SaveId, BindingChange)>,
    given: SaveId,
    /// The last change whose result the node has.
    applied: SaveId,
    /// The part of a commit that the node has no result of yet.
    rest: Option<Step>,
    has_ended: bool,
    failure: Option<Arc<str>>,
    failures: u64,
    reported: RateLimitedCounter,
}

/// The result of some changes of a commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The last of them.
    pub(super) last: SaveId,
    pub(super) result: Result<(), BindingNotSaved>,
    /// Set if the store has lost what was saved before.
    pub(super) is_lost: bool,
}

impl Default for Bindings {
    /// Without a store, nothing is saved.
    fn default() -> Self {
        Self {
            store: None,
            changes: Vec::new(),
            given: SaveId(0),
            applied: SaveId(0),
            rest: None,
            has_ended: false,
            failure: None,
            failures: 0,
            reported: RateLimitedCounter::every(REPORT_INTERVAL),
        }
    }
}

impl Bindings {
    /// Saves in `store` from now on.
    pub(super) fn save_in(&mut self, store: Box<dyn BindingStore>) {
        self.store = Some(store);
    }

    /// Returns whether there is a store.
    pub(super) fn is_on(&self) -> bool {
        self.store.is_some()
    }

    /// Adds a change to those of this turn.
    pub(super) fn add(&mut self, id: SaveId, change: BindingChange) {
        self.changes.push((id, change));
    }

    /// Gives the store the changes of this turn.
    pub(super) fn hand_over(&mut self) {
        let Some((last, _)) = self.changes.last() else { return };
        self.given = *last;
        let changes = mem::take(&mut self.changes);
        if let Some(store) = self.store.as_mut().filter(|_| !self.has_ended) {
            store.save(changes);
        }
    }

    /// Waits for the next results, of [`MAX_RESULTS`] changes at most. Never ready without a store. Cancel
    /// safe.
    pub(super) async fn next(&mut self) -> Step {
        let Step { last, result, is_lost } = match self.rest.take() {
            Some(rest) => rest,
            None => self.next_commit().await,
        };
        let step = SaveId(self.applied.0 + MAX_RESULTS).min(last);
        self.applied = self.applied.max(step);
        if step < last {
            self.rest = Some(Step { last, result, is_lost: false });
        }
        Step { last: step, result, is_lost }
    }

    async fn next_commit(&mut self) -> Step {
        let saved = match self.store.as_mut().filter(|_| !self.has_ended) {
            Some(store) => future::poll_fn(|context| store.poll_saved(context)).await,
            None => future::pending().await,
        };
        let (last, failure, is_lost) = match saved {
            Some(Saved { last, result, anew }) => {
                (last, result.err().map(|error| error.to_string().into()), anew)
            }
            None => {
                // No answer waits after this failure, and no other result comes.
                self.has_ended = true;
                (self.given, Some(Arc::from("the store of bindings has ended")), false)
            }
        };
        let result = if failure.is_none() { Ok(()) } else { Err(BindingNotSaved) };
        self.failures += u64::from(failure.is_some());
        self.failure = failure.or_else(|| self.failure.take());
        Step { last, result, is_lost }
    }

    /// Reports failures, once a minute. So many answers have left `unpromised`.
    pub(super) fn report(&mut self, now: Instant, unpromised: u64) {
        if self.reported.reach(now, unpromised + self.failures).is_none() {
            return;
        }
        let why = self.failure.as_deref().unwrap_or("it takes longer than 250 ms");
        warn!(
            answers = unpromised,
            "bindings are not saved, so users registered since are offline after a restart: {why}; the node goes on and tries \
             again; if it lasts, check the disk of the bindings"
        );
    }

    /// Returns the reason of the latest failure.
    pub(super) fn failure(&self) -> Option<Arc<str>> {
        self.failure.clone()
    }

    /// Begins to close the store.
    pub(super) fn close(&mut self) {
        if let Some(store) = &mut self.store {
            store.close();
        }
    }

    /// Waits until the store has ended, for [`CLOSE_PATIENCE`] at most.
    pub(super) async fn closed(&mut self) {
        let deadline = time::Instant::now() + CLOSE_PATIENCE;
        let Some(store) = self.store.as_mut().filter(|_| !self.has_ended) else { return };
        let ended = async { while future::poll_fn(|context| store.poll_saved(context)).await.is_some() {} };
        if time::timeout_at(deadline, ended).await.is_err() {
            warn!(
                waited = ?CLOSE_PATIENCE,
                "ending before the bindings are closed, because the disk takes too long; what was committed is safe"
            );
        }
    }
}

/// Reads the clock on the wall.
#[expect(clippy::disallowed_methods, reason = "rows of a store have times that outlive this process")]
pub(super) fn wall_clock() -> UnixMillis {
    let passed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
}

/// Bindings in a SQLite database, which a thread writes.
///
/// ```no_run
/// use std::time::{Duration, SystemTime};
///
/// use lumi_bindings::{BindingsFile, OpenOptions, SyncMode};
/// use lumi_node_core::{BindingsDatabase, Node, NodeSettings, RosterFile, Server};
/// use tokio::net::UdpSocket;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let (roster_file, roster) = RosterFile::open("nodelumi.cfg")?;
/// let restore_within = Duration::from_secs(15 * 60);
/// let options = OpenOptions { sync: SyncMode::Normal, restore_within, now: SystemTime::now() };
/// let (file, found) = BindingsFile::open("nodelumi.bindings".as_ref(), roster.domain(), options)?;
/// let socket = UdpSocket::bind("127.0.0.2:3344").await?;
/// let node = Node::new(roster, "127.0.0.2:3344".parse()?, NodeSettings::default());
/// let database = BindingsDatabase::start(file)?;
/// let (server, administrator) =
///     Server::builder(socket, node).bindings(database, found.rows).store(roster_file).build()?;
/// server.run(async { _ = tokio::signal::ctrl_c().await }).await?;
/// # drop(administrator);
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "sqlite")]
#[derive(Debug)]
pub struct BindingsDatabase {
    /// `None` once it is closed.
    writer: Option<BindingsWriter>,
    saved: SavedReceiver,
}

#[cfg(feature = "sqlite")]
impl BindingsDatabase {
    /// Starts the thread that writes `file`.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(file: BindingsFile) -> io::Result<Self> {
        let (writer, saved) = file.start()?;
        Ok(Self { writer: Some(writer), saved })
    }
}

#[cfg(feature = "sqlite")]
impl BindingStore for BindingsDatabase {
    fn save(&mut self, changes: Vec<(SaveId, BindingChange)>) {
        if let Some(writer) = &self.writer {
            writer.save(changes);
        }
    }

    fn poll_saved(&mut self, context: &mut Context<'_>) -> Poll<Option<Saved>> {
        self.saved.poll_next(context)
    }

    fn close(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.close();
        }
    }
}

/// The limit of changes whose results are applied in a turn. Each may send an answer, and others are served
/// in between.
const MAX_RESULTS: u64 = 256;

/// The shortest time between two reports. A disk may be full for days.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// The time that the end of a server waits for its store, so that all of the end takes less than a second.
const CLOSE_PATIENCE: Duration = Duration::from_millis(400);
