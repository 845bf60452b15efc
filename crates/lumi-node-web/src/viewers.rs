//! The viewers of what happens. They stay connected, unlike clients that ask and are answered.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fair_table::{FairTable, Key, Owner, Share};
use tokio::sync::Notify;

use crate::host;

/// The places for them, which addresses share fairly: a crowd from one address keeps out nobody from another.
#[derive(Clone, Debug)]
pub(crate) struct Viewers {
    places: Arc<Mutex<Places>>,
}

/// The connections that have a place, by the addresses that they come from.
type Places = FairTable<IpAddr, (), Connection>;

impl Viewers {
    /// Creates [`MAX_VIEWERS`] places.
    pub(crate) fn new() -> Self {
        Self { places: Arc::new(Mutex::new(FairTable::new(MAX_VIEWERS))) }
    }

    /// Somebody watches through `connection`.
    ///
    /// If all places are taken, an address with fewer of them than the one with the most takes the oldest of
    /// that one. Returns `None` if there is no address with more.
    pub(crate) fn admit(&self, connection: &Connection) -> Option<Viewer> {
        let mut places = self.lock();
        let source = connection.source();
        // Pages ask again when they have lost their place, so those of one address would drive each other
        // out.
        if places.is_full() && places.greediest().is_some_and(|(_, most)| places.count(&source) >= most) {
            return None;
        }
        let inserted = places.insert(Owner::new(source, ()), Share::ALL, connection.clone()).ok()?;
        if let Some((_, displaced)) = inserted.gave_way {
            displaced.state.gives_way.notify_one();
        }
        connection.state.watches.store(true, Ordering::Relaxed);
        Some(Viewer { viewers: self.clone(), place: inserted.key, connection: connection.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One viewer, as long as this is kept.
#[derive(Debug)]
pub(crate) struct Viewer {
    viewers: Viewers,
    place: Key,
    connection: Connection,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        // It may be another viewer's by now.
        self.viewers.lock().remove(self.place);
        self.connection.state.watches.store(false, Ordering::Relaxed);
    }
}

/// The state of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    source: IpAddr,
    watches: AtomicBool,
    gives_way: Notify,
}

impl Connection {
    /// A connection from `ip`, through which nobody watches.
    pub(crate) fn from(ip: IpAddr) -> Self {
        let (watches, gives_way) = (AtomicBool::new(false), Notify::new());
        Self { state: Arc::new(State { source: host::source(ip), watches, gives_way }) }
    }

    /// Returns the address, or the part of it, that has one share of the places.
    pub(crate) fn source(&self) -> IpAddr {
        self.state.source
    }

    /// Set if somebody watches through it, so that it gives way to no connection that does not.
    pub(crate) fn is_watched(&self) -> bool {
        self.state.watches.load(Ordering::Relaxed)
    }

    /// Waits until its place is another viewer's. Then it has to be closed, even if it is being written to:
    /// its reader may take nothing. Cancel safe.
    pub(crate) async fn loses_its_place(&self) {
        self.state.gives_way.notified().await;
    }
}

/// The number of pages that can watch at a time: a class, with a page each. For each of them the last
/// messages are kept once more, a quarter of a megabyte at most.
pub(crate) const MAX_VIEWERS: usize = 32;

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn an_address_may_have_every_place_while_nobody_else_asks() {
        let viewers = Viewers::new();
        let connection = from(1);
        let mut watching: Vec<_> = (0..MAX_VIEWERS).map(|_| viewers.admit(&from(1)).unwrap()).collect();
        assert!(viewers.admit(&connection).is_none() && !connection.is_watched());
        watching.pop();
        let viewer = viewers.admit(&connection).unwrap();
        assert!(connection.is_watched());
        drop(viewer);
        assert!(!connection.is_watched());
    }

    #[test]
    fn a_newcomer_takes_the_oldest_place_of_the_address_with_the_most() {
        let viewers = Viewers::new();
        let connections: Vec<_> = (0..MAX_VIEWERS).map(|_| from(1)).collect();
        let crowd: Vec<_> = connections.iter().map(|connection| viewers.admit(connection).unwrap()).collect();
        let mut others = Vec::new();
        for oldest in connections.iter().take(MAX_VIEWERS / 2) {
            assert!(!has_lost(oldest));
            others.push(viewers.admit(&from(2)).unwrap());
            assert!(has_lost(oldest));
        }
        assert!(viewers.admit(&from(1)).is_none() && viewers.admit(&from(2)).is_none(), "they have as many");
        let newcomer = viewers.admit(&from(3)).unwrap();
        assert_eq!(viewers.lock().len(), MAX_VIEWERS);
        // Viewers that have lost their places free no others.
        drop(crowd);
        let left = viewers.lock().len();
        assert!((MAX_VIEWERS / 2..=MAX_VIEWERS / 2 + 1).contains(&left), "{left}");
        drop((others, newcomer));
        assert!(viewers.lock().is_empty());
    }

    fn from(last: u8) -> Connection {
        Connection::from([10, 0, 0, last].into())
    }

    fn has_lost(connection: &Connection) -> bool {
        pin!(connection.loses_its_place()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }
}
