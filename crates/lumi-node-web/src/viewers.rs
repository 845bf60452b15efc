//! Those who watch what happens. They stay, other than those who ask and are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for them.
#[derive(Clone, Debug)]
pub(crate) struct Viewers {
    places: Arc<Semaphore>,
}

impl Viewers {
    pub(crate) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_VIEWERS)) }
    }

    /// Somebody watches through `connection`; nobody, if there is no place left.
    pub(crate) fn admit(&self, connection: &Connection) -> Option<Viewer> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        connection.watches.store(true, Ordering::Relaxed);
        Some(Viewer { _place: place, connection: connection.clone() })
    }
}

/// One who watches, as long as this is kept.
#[derive(Debug)]
pub(crate) struct Viewer {
    _place: OwnedSemaphorePermit,
    connection: Connection,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.connection.watches.store(false, Ordering::Relaxed);
    }
}

/// The state of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connection {
    watches: Arc<AtomicBool>,
}

impl Connection {
    /// Set if somebody watches through it, so that it gives way to no other one.
    pub(crate) fn is_watched(&self) -> bool {
        self.watches.load(Ordering::Relaxed)
    }
}

/// The number of pages that can watch at a time: a class, with a page each. For each of them the last
/// messages are kept once more, a quarter of a megabyte at most.
pub(crate) const MAX_VIEWERS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_and_who_goes_leaves_one() {
        let viewers = Viewers::new();
        let connection = Connection::default();
        let mut watching: Vec<_> =
            (0..MAX_VIEWERS).map(|_| viewers.admit(&Connection::default()).unwrap()).collect();
        assert!(viewers.admit(&connection).is_none() && !connection.is_watched());
        watching.pop();
        let viewer = viewers.admit(&connection).unwrap();
        assert!(connection.is_watched());
        drop(viewer);
        assert!(!connection.is_watched());
    }
}
