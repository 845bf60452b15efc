//! The place where a roster is kept: a file, a database, or whatever an embedding program has.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;
use tracing::warn;

use crate::state::admin::RosterChange;
use crate::state::roster::Roster;

/// The place where the roster of a domain is kept. [`RosterFile`](crate::RosterFile) is one.
///
/// A store may block: its calls are made on a thread of their own, one at a time.
pub trait RosterStore: Send + 'static {
    /// The state of the store that belongs to a roster that was read, see [`RosterStore::take`].
    type Read: Send;
    /// The reason for a failure.
    type Error: Error + Send + Sync + 'static;

    /// Reads the roster, because an administrator asks for it to be reloaded.
    ///
    /// # Errors
    /// The roster cannot be read, or has an error.
    fn read(&self) -> Result<(Roster, Self::Read), Self::Error>;

    /// Notes that the node has taken over the roster that was read together with `read`. This is not called
    /// if the node refuses it.
    fn take(&mut self, read: Self::Read);

    /// Saves a change durably. The node makes it afterwards.
    ///
    /// # Errors
    /// The change is not saved, and the store is as it was. A store has to refuse a change that it does not know.
    fn apply(&mut self, change: &RosterChange) -> Result<(), Self::Error>;
}

/// The error of a store.
pub(crate) type StoreError = Box<dyn Error + Send + Sync>;

/// The result of a call, which comes later.
pub(super) type Done<T> = oneshot::Receiver<Result<T, StoreError>>;

/// A store and its threads. Only these lock it.
#[derive(Clone)]
pub(super) struct Store(Arc<Mutex<DynStore>>);

type DynStore = dyn AnyStore;

impl Store {
    pub(super) fn new(store: impl RosterStore) -> Self {
        Self(Arc::new(Mutex::new(store)))
    }

    /// Begins to save a change.
    pub(super) fn save(&self, change: RosterChange) -> Done<()> {
        let store = Arc::clone(&self.0);
        start(move |done| {
            let saved = lock(&store).save(&change);
            // The server may have ended.
            _ = done.send(saved);
        })
    }

    /// Begins to read the roster. Who gets it has to send whether it is taken over.
    pub(super) fn read(&self) -> (Done<Roster>, oneshot::Sender<()>) {
        let store = Arc::clone(&self.0);
        let (taken, is_taken) = oneshot::channel();
        // Locked until that is known, so that the next change meets the store that holds by then.
        let done = start(move |done| lock(&store).reload(done, is_taken));
        (done, taken)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// Any store, whatever its types are.
trait AnyStore: Send {
    fn save(&mut self, change: &RosterChange) -> Result<(), StoreError>;

    fn reload(&mut self, done: oneshot::Sender<Result<Roster, StoreError>>, is_taken: oneshot::Receiver<()>);
}

impl<S: RosterStore> AnyStore for S {
    fn save(&mut self, change: &RosterChange) -> Result<(), StoreError> {
        self.apply(change).map_err(Into::into)
    }

    fn reload(&mut self, done: oneshot::Sender<Result<Roster, StoreError>>, is_taken: oneshot::Receiver<()>) {
        match self.read() {
            Ok((roster, read)) => {
                _ = done.send(Ok(roster));
                if is_taken.blocking_recv().is_ok() {
                    self.take(read);
                }
            }
            Err(error) => _ = done.send(Err(error.into())),
        }
    }
}

/// The thread of a call could not be started, or ended early. The store is whole all the same.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the roster cannot be worked on: there is no thread for it")]
pub(super) struct NoThread;

/// Does `work` on its own thread. Unlike a thread of the runtime, it does not hold up the end of the process.
fn start<T: Send + 'static>(
    work: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) + Send + 'static,
) -> Done<T> {
    let (sender, done) = oneshot::channel();
    if let Err(error) = thread::Builder::new().name("roster".into()).spawn(move || work(sender)) {
        // The sender is dropped, which the server sees.
        warn!(
            "cannot start a thread for work on the roster, which is refused: {error}; raise the limit of threads, and give \
             the command again"
        );
    }
    done
}

fn lock(store: &Mutex<DynStore>) -> MutexGuard<'_, DynStore> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
