//! A `send` beside a chat or `listen` of the same address: the guest and the holder of the address's lock.
//!
//! A guest registers its user for itself, so the node sends callers to the guest. The guest connects to the
//! socket of the holder when it begins. When it ends, the holder registers again:
//!
//! ```text
//!  guest    connects ──────────── PR  PL  talks ──────── FIN      waits for the byte; without it, deregisters
//!  holder             accepts                                 PR   one byte
//! ```
//!
//! The end of a guest that is killed is noticed in the same way. A holder that is ending sends no byte, and
//! then the guest is the last agent of the user.

use std::future;
use std::io::Write;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time;

use crate::store::folder::DataFolder;
use crate::store::lock::{self, AddressLock};

/// The lock of an address, and the guests of this process.
pub(crate) struct Guests {
    /// `None` if nobody can be a guest.
    listener: Option<UnixListener>,
    present: FuturesUnordered<BoxFuture<'static, LeftGuest>>,
    _lock: AddressLock,
}

impl Guests {
    /// Takes guests from now on. Needs a runtime.
    pub(crate) fn of(lock: AddressLock) -> Self {
        let listener = lock.socket().and_then(|socket| UnixListener::from_std(socket).ok());
        Self { listener, present: FuturesUnordered::new(), _lock: lock }
    }

    /// Waits for the next guest to leave. Cancel safe.
    pub(crate) async fn next_left(&mut self) -> LeftGuest {
        let Some(listener) = &self.listener else { return future::pending().await };
        loop {
            tokio::select! {
                accepted = listener.accept(), if self.present.len() < MAX_GUESTS => match accepted {
                    Ok((stream, _)) => self.present.push(Box::pin(until_it_leaves(stream))),
                    // The process may have too many open files for now.
                    Err(_) => time::sleep(ERROR_PAUSE).await,
                },
                Some(left) = self.present.next() => return left,
            }
        }
    }

    /// Returns whether nobody is a guest.
    pub(crate) fn is_empty(&self) -> bool {
        self.present.is_empty()
    }
}

/// A guest that is gone, or that waits to be told that it can go. Unless it is told, it deregisters.
pub(crate) struct LeftGuest(UnixStream);

impl LeftGuest {
    /// Tells it that this process has registered again.
    pub(crate) fn let_go(self) {
        // An error: it was killed.
        _ = self.0.into_std().and_then(|mut stream: StdUnixStream| stream.write_all(b"\n"));
    }
}

async fn until_it_leaves(mut stream: UnixStream) -> LeftGuest {
    let mut buffer = [0; 64];
    // Guests say nothing yet.
    while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
    LeftGuest(stream)
}

/// The connection of a guest to its holder.
pub(crate) struct Visit(UnixStream);

impl Visit {
    /// Begins, if another process holds the lock of the user of this `folder`. Cancel safe.
    pub(crate) async fn begin(folder: &DataFolder) -> Option<Self> {
        UnixStream::connect(lock::socket(folder)).await.ok().map(Self)
    }

    /// Returns the process number of the holder, unless it is in another namespace.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.0.peer_cred().ok()?.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid > 0)
    }

    /// Ends, once everything is sent. Returns whether the holder registers again, so the guest must not
    /// deregister.
    ///
    /// Cancel safe.
    pub(crate) async fn end(&mut self) -> bool {
        // An error: the holder is gone, which reading finds out.
        _ = self.0.shutdown().await;
        match time::timeout(ANSWER, self.0.read(&mut [0])).await {
            Ok(length) => length.is_ok_and(|length| length > 0),
            // A holder that is stopped registers again when it goes on.
            Err(_) => true,
        }
    }
}

/// The most guests at a time. Others wait to be accepted.
const MAX_GUESTS: usize = 64;

/// The pause after a failed accept. Without it, a lasting error would use up a processor.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// The time for a holder to answer: as long as its node has.
const ANSWER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn guests(folder: &DataFolder) -> Guests {
        Guests::of(AddressLock::in_folder(folder).unwrap().unwrap())
    }

    #[tokio::test]
    async fn a_guest_that_ends_is_let_go() {
        let (_data, folder) = DataFolder::temporary();
        assert!(Visit::begin(&folder).await.is_none(), "nobody is there");
        let mut guests = guests(&folder);
        for _ in 0..3 {
            let mut visit = Visit::begin(&folder).await.unwrap();
            assert_eq!(visit.pid(), Some(std::process::id()));
            let (is_let_go, ()) = tokio::join!(visit.end(), async {
                guests.next_left().await.let_go();
            });
            assert!(is_let_go && guests.is_empty());
        }
    }

    #[tokio::test]
    async fn a_holder_that_ends_lets_nobody_go() {
        let (_data, folder) = DataFolder::temporary();
        let mut holder = guests(&folder);
        let [mut one, mut other] =
            [Visit::begin(&folder).await.unwrap(), Visit::begin(&folder).await.unwrap()];
        let (is_let_go, ()) = tokio::join!(one.end(), async { drop(holder.next_left().await) });
        assert!(!is_let_go);
        drop(holder);
        assert!(!other.end().await);
        assert!(Visit::begin(&folder).await.is_none());
    }

    /// A guest that is killed says nothing more.
    #[tokio::test]
    async fn a_guest_that_is_gone_has_left() {
        let (_data, folder) = DataFolder::temporary();
        let mut guests = guests(&folder);
        let stays = Visit::begin(&folder).await.unwrap();
        drop(Visit::begin(&folder).await.unwrap());
        guests.next_left().await.let_go();
        assert!(!guests.is_empty());
        drop(stays);
        guests.next_left().await.let_go();
        assert!(guests.is_empty());
    }

    #[tokio::test]
    async fn there_is_a_limit_of_guests_and_the_others_wait() {
        let (_data, folder) = DataFolder::temporary();
        let mut guests = guests(&folder);
        let mut visits = Vec::new();
        for _ in 0..=MAX_GUESTS {
            visits.push(Visit::begin(&folder).await.unwrap());
        }
        for _ in 0..2 {
            while guests.present.len() < MAX_GUESTS {
                assert!(guests.next_left().now_or_never().is_none());
                tokio::task::yield_now().await;
            }
            drop(visits.swap_remove(0));
            guests.next_left().await.let_go();
        }
        assert_eq!(guests.present.len(), MAX_GUESTS - 1, "one waited");
    }
}
