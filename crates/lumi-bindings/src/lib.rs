//! The answer to "where is a user?", kept in a SQLite database so that it survives a restart of the node.
//!
//! This crate is the counterpart of `lumi-dns`, which answers "where is the node of a domain?". It decides
//! nothing about registrations: it stores the changes that a node gives it and reports when they are
//! committed. It never makes the caller wait for a disk. The library that speaks to the database does not
//! show: none of its types is in this interface.
//!
//! ```text
//!                  save, once a turn                    commits together what arrived together
//!   the node ────────────────────────► queue ──► thread ─────────────────────────────────────► the database
//!            ◄──────────────────────────────────── Saved, once a commit: the last id, or why not
//! ```
//!
//! # What is promised
//! A commit that was reported survives the end of the process, however sudden. The end of the machine, a power
//! failure say, can take the last second ([`FULL_SYNC_INTERVAL`]), or nothing with [`SyncMode::Full`].
//!
//! A commit that fails, because the disk is full or the folder is read-only, is reported. Its changes stay
//! with the thread, which tries again every [`RETRY_INTERVAL`]. This costs the promise and not the service.
//!
//! # Files
//! ```text
//! bb.bindings               the database, mode 0600
//! bb.bindings-wal, -shm     SQLite's log of recent commits, and its index. They belong to the database
//! bb.bindings.lock          locked by the node while it runs
//! bb.bindings.broken-1 …    databases that could not be used, with their own -wal and -shm
//! ```
//!
//! Each row carries a CRC-32 over all its fields and the domain. A row whose sum is wrong is dropped and
//! counted. A database that is broken, of a newer version or of another domain is moved aside, and a new one
//! takes its place.
//!
//! # Example
//! ```
//! # use std::time::{Duration, SystemTime};
//! use lumi_bindings::{BindingChange, BindingsFile, OpenOptions, SaveId, Stamp, StoredBinding, SyncMode, UnixMillis};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("bb.bindings");
//! # let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
//! let options = OpenOptions { sync: SyncMode::Normal, restore_within: Duration::from_secs(15 * 60), now };
//! let (file, found) = BindingsFile::open(&path, &"bb.com".parse()?, options)?;
//! assert!(found.rows.is_empty(), "nobody is bound yet");
//!
//! let (writer, mut saved) = file.start()?;
//! let binding = StoredBinding {
//!     user: "laura".parse()?,
//!     agent: "10.0.0.7:40123".parse()?,
//!     heard_at: "10.0.0.2:3344".parse()?,
//!     stamp: Stamp(1),
//!     since: UnixMillis(1_790_000_000_000),
//!     key: None,
//! };
//! writer.save([(SaveId(1), BindingChange::Bound(binding))]);
//! let committed = saved.next().await.expect("the thread runs");
//! assert_eq!((committed.last, committed.result), (SaveId(1), Ok(())));
//! writer.close();
//! while saved.next().await.is_some() {}
//! # Ok(())
//! # }
//! ```
//!
//! # A directory that nodes share
//! With the feature `redis`, a `Directory` keeps where users are in Redis or Valkey, for several nodes of one
//! domain. The README has the promises, and the settings and rights that it needs.
//!
//! # Features
//! `sqlite`, which is on by default, is the database; `redis`, which is off, is the directory. Without them
//! there are the values only, and a state machine needs no others.

mod binding;
#[cfg(feature = "sqlite")]
mod checksum;
#[cfg(feature = "redis")]
mod claims;
#[cfg(feature = "redis")]
mod directory;
mod directory_report;
#[cfg(feature = "redis")]
mod directory_url;
#[cfg(feature = "redis")]
mod driver;
#[cfg(feature = "sqlite")]
mod embedded;
mod entry;
#[cfg(feature = "sqlite")]
mod error;
#[cfg(feature = "sqlite")]
mod file;
#[cfg(feature = "sqlite")]
mod inspect;
#[cfg(feature = "redis")]
mod keys;
#[cfg(feature = "redis")]
mod options;
#[cfg(feature = "sqlite")]
mod place;
#[cfg(feature = "redis")]
mod report_queue;
#[cfg(feature = "sqlite")]
mod reports;
mod saved;
#[cfg(feature = "sqlite")]
mod schedule;
#[cfg(feature = "redis")]
mod scripts;
#[cfg(feature = "redis")]
mod shared;
#[cfg(feature = "redis")]
mod sightings;
#[cfg(feature = "sqlite")]
mod store;
#[cfg(feature = "sqlite")]
mod writer;

pub use binding::{BindingChange, NO_AGENT, SaveId, Stamp, StoredBinding, UnixMillis};
#[cfg(feature = "redis")]
pub use directory::{Directory, DirectoryReports};
pub use directory_report::{
    DirectoryReport, EngineWarning, GONE_AFTER, LEASE, LeaseReport, MAX_PIECE, Sibling,
};
#[cfg(feature = "redis")]
pub use directory_url::{Credentials, DirectoryUrl, DirectoryUrlError};
pub use entry::{ENTRY_LENGTH, Entry};
#[cfg(feature = "sqlite")]
pub use error::{InspectError, OpenError, Unusable};
#[cfg(feature = "sqlite")]
pub use file::{Away, BindingsFile, Found, OpenOptions, SyncMode};
#[cfg(feature = "sqlite")]
pub use inspect::{Inspected, inspect};
#[cfg(feature = "redis")]
pub use options::{DirectoryOptions, Token};
#[cfg(feature = "sqlite")]
pub use place::MAX_MOVED_ASIDE;
#[cfg(feature = "redis")]
pub use report_queue::MAX_REPORTS;
#[cfg(feature = "sqlite")]
pub use reports::SavedReceiver;
pub use saved::{NotSaved, Saved};
#[cfg(feature = "sqlite")]
pub use schedule::{FULL_SYNC_INTERVAL, MAX_HEARTBEAT_INTERVAL, RETRY_INTERVAL};
#[cfg(feature = "sqlite")]
pub use store::MovedAside;
#[cfg(feature = "sqlite")]
pub use writer::{BindingsWriter, MAX_COMMIT};

/// The examples of the README.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;
