//! A database of bindings through the interface of the crate: what was reported as committed is there
//! afterwards, whatever happens to the process, the file or the disk.

mod damage;
mod disk;
mod saving;
mod survival;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use lumi_bindings::{
    BindingChange, BindingsFile, BindingsWriter, Found, Inspected, OpenOptions, SaveId, Saved, SavedReceiver,
    Stamp, StoredBinding, SyncMode, UnixMillis, inspect,
};
use plumi_proto::{Domain, HostIp, UdpAddress, UserName};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

/// A folder with the place of a database.
struct Place {
    /// Removed when this is dropped.
    _folder: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { path: folder.path().join("bb.bindings"), _folder: folder }
    }

    /// Opens the database as a node that starts now does.
    fn open(&self) -> (BindingsFile, Found) {
        open(&self.path)
    }

    /// Stores `bindings` and closes the database.
    async fn store(&self, bindings: impl IntoIterator<Item = StoredBinding>) {
        let mut node = Saving::start(self.open().0);
        node.save(bindings.into_iter().map(BindingChange::Bound));
        node.committed().await;
        node.end().await;
    }

    /// Executes statements in the database, as somebody with `sqlite3` does.
    fn execute(&self, statements: &str) {
        rusqlite::Connection::open(&self.path)
            .expect("it is a database")
            .execute_batch(statements)
            .expect("it is a database");
    }

    /// The last heartbeat.
    fn heartbeat(&self) -> SystemTime {
        let inspected = inspect(&self.path, &domain()).expect("it can be read").expect("it is there");
        inspected.heartbeat.expect("a node was alive")
    }
}

fn open(path: &Path) -> (BindingsFile, Found) {
    BindingsFile::open(path, &domain(), options(now())).expect("it opens")
}

#[expect(clippy::disallowed_methods, reason = "the heartbeats of the thread have this clock's time")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn options(now: SystemTime) -> OpenOptions {
    OpenOptions { sync: SyncMode::Normal, restore_within: RESTORE_WITHIN, now }
}

/// A started database, with the numbers of the changes.
struct Saving {
    writer: BindingsWriter,
    saved: SavedReceiver,
    last: u64,
}

impl Saving {
    fn start(file: BindingsFile) -> Self {
        let (writer, saved) = file.start().expect("a thread");
        Self { writer, saved, last: 0 }
    }

    fn save(&mut self, changes: impl IntoIterator<Item = BindingChange>) {
        let last = &mut self.last;
        self.writer.save(changes.into_iter().map(|change| {
            *last += 1;
            (SaveId(*last), change)
        }));
    }

    /// Waits for an outcome that `is_it`. Others are skipped.
    async fn wait_for(&mut self, is_it: impl Fn(&Saved) -> bool) -> Saved {
        let outcome = async {
            loop {
                let saved = self.saved.next().await.expect("the thread runs");
                if is_it(&saved) {
                    return saved;
                }
            }
        };
        timeout(DEADLINE, outcome).await.expect("that outcome comes")
    }

    /// Waits until all changes so far are committed.
    async fn committed(&mut self) -> Saved {
        let last = SaveId(self.last);
        self.wait_for(|saved| saved.result.is_ok() && saved.last == last).await
    }

    /// Waits until a commit fails. Returns the reason.
    async fn failed(&mut self) -> String {
        let saved = self.wait_for(|saved| saved.result.is_err()).await;
        saved.result.expect_err("it failed").to_string()
    }

    /// Closes the database.
    async fn end(self) {
        let Self { writer, mut saved, .. } = self;
        writer.close();
        while timeout(DEADLINE, saved.next()).await.expect("the thread ends").is_some() {}
    }
}

/// Waits until `is_so`, for [`DEADLINE`] at most.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < DEADLINE, "within {DEADLINE:?} it did not come to be that {what}");
        thread::park_timeout(LOOK_AGAIN);
    }
}

fn domain() -> Domain {
    "bb.com".parse().expect("it is right")
}

/// The binding of the user with this number, of which the stamp decides everything else.
fn binding(user: u64, stamp: u64) -> StoredBinding {
    let [.., high, low] = stamp.to_be_bytes();
    StoredBinding {
        user: name(user),
        agent: UdpAddress::new(HostIp::new(10, 0, high, low), 40_123),
        heard_at: "10.0.0.2:3344".parse().expect("it is right"),
        stamp: Stamp(stamp),
        since: UnixMillis(1_790_000_000_000 + stamp),
        key: stamp.is_multiple_of(2).then(|| stamp.to_be_bytes()),
    }
}

fn name(user: u64) -> UserName {
    format!("user{user:07}").parse().expect("it is right")
}

/// The bindings of users 0 to `count` with the stamp 1.
fn bindings(count: u64) -> Vec<StoredBinding> {
    (0..count).map(|user| binding(user, 1)).collect()
}

fn by_user(found: &Found) -> BTreeMap<UserName, StoredBinding> {
    let rows: BTreeMap<_, _> = found.rows.iter().map(|row| (row.user, *row)).collect();
    assert_eq!(rows.len(), found.rows.len(), "no user has two");
    rows
}

const RESTORE_WITHIN: Duration = Duration::from_secs(15 * 60);

/// The time until which what has to happen does, on a busy machine, too.
const DEADLINE: Duration = Duration::from_secs(60);

/// The time between two looks of [`eventually`].
const LOOK_AGAIN: Duration = Duration::from_millis(10);
