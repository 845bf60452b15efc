//! Opening the database of a node, and what is found in it.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use plumi_proto::Domain;

use crate::binding::{StoredBinding, UnixMillis};
use crate::embedded::{Durability, Repairs};
use crate::error::OpenError;
use crate::place;
use crate::reports::SavedReceiver;
use crate::saved::NotSaved;
use crate::store::{LockTrouble, MovedAside, Store};
use crate::writer::{self, BindingsWriter};

/// The database of a node, open and locked, to which nothing has been written yet.
///
/// Nothing changes until [`BindingsFile::start`]: a node that fails to start leaves the time of its
/// predecessor's end.
#[derive(Debug)]
pub struct BindingsFile {
    store: Store,
    sync: SyncMode,
    restore_within: Duration,
    repairs: Repairs,
}

/// The way in which a database is opened and written.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// Decides what a power failure can take.
    pub sync: SyncMode,
    /// The longest time away after which bindings are of use. Later, an agent's port may belong to another
    /// program.
    pub restore_within: Duration,
    /// The time by the wall clock, with which the last heartbeat is compared.
    pub now: SystemTime,
}

/// The commits that survive a power failure, of those that are reported. All of them survive the end of the
/// process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncMode {
    /// All but the last second.
    #[default]
    Normal,
    /// All. Each commit waits for the disk.
    Full,
}

/// The contents of a database when it was opened.
#[derive(Debug)]
#[non_exhaustive]
pub struct Found {
    /// The bindings to be restored and the records of logouts, in the order of the users' names. If the node
    /// was away for longer than [`OpenOptions::restore_within`], all of them are records of logouts.
    ///
    /// A binding that is not restored has to be saved as removed or unbound, since a later restart would
    /// restore it.
    pub rows: Vec<StoredBinding>,
    /// The time since a node last had the database.
    pub away: Away,
    /// The number of bindings that were too old. The first commit makes records of logouts of them.
    pub too_old: u64,
    /// The number of rows with a wrong sum. They are deleted with the first commit.
    pub dropped: u64,
    /// The database that could not be used.
    pub moved_aside: Option<MovedAside>,
    /// The reason why nothing can be saved, for now.
    pub not_writable: Option<NotSaved>,
}

impl Found {
    /// Makes records of logouts of all bindings.
    fn log_out(&mut self) {
        for row in self.rows.iter_mut().filter(|row| !row.is_logout()) {
            *row = row.logged_out();
            self.too_old += 1;
        }
    }
}

/// The time since a node last had the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// This long, by the wall clock.
    Known(Duration),
    /// Nobody knows: it is new, or the clock is earlier than the last heartbeat. It counts as too long.
    Unknown,
}

impl BindingsFile {
    /// Opens the database at `path`, or creates it, and reads it. Blocks for as long as the disk takes: a
    /// million rows are read in about a second.
    ///
    /// # Errors
    /// [`OpenError`]. A database that cannot be used is none: see [`Found::moved_aside`]. Nor is a folder that is not
    /// writable or a disk that is full: see [`Found::not_writable`].
    pub fn open(path: &Path, domain: &Domain, options: OpenOptions) -> Result<(Self, Found), OpenError> {
        let mut store = Store::new(path, domain);
        store.lock().map_err(|trouble| match trouble {
            LockTrouble::Elsewhere => OpenError::Locked { path: path.to_owned(), lock: place::lock_of(path) },
            LockTrouble::Io(error) => OpenError::Io { path: path.to_owned(), error },
        })?;
        if let Err(error) = place::make_private(path)
            && !place::is_passing(&error)
        {
            return Err(OpenError::Io { path: path.to_owned(), error });
        }
        let mut moved_aside = None;
        let (contents, not_writable) = match store.read(&mut moved_aside) {
            Ok(contents) => (contents, None),
            // A database that cannot be written may still be read.
            Err(reason) => (store.read_only(), Some(reason)),
        };
        let away = contents.heartbeat.map_or(Away::Unknown, |heartbeat| heartbeat.until(options.now));
        let is_recent = matches!(away, Away::Known(away) if away <= options.restore_within);
        let mut found = Found {
            rows: contents.rows,
            away,
            too_old: 0,
            dropped: contents.damaged.len().try_into().unwrap_or(u64::MAX),
            moved_aside,
            not_writable,
        };
        if !is_recent {
            found.log_out();
        }
        let repairs = Repairs { void: found.too_old > 0, damaged: contents.damaged };
        let OpenOptions { sync, restore_within, .. } = options;
        Ok((Self { store, sync, restore_within, repairs }, found))
    }

    /// Starts the thread that saves. Its first commit deletes what was found to be of no use.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub fn start(self) -> io::Result<(BindingsWriter, SavedReceiver)> {
        let durability = match self.sync {
            SyncMode::Normal => Durability::Process,
            SyncMode::Full => Durability::Machine,
        };
        writer::start(self.store, self.repairs, durability, self.restore_within)
    }
}

impl UnixMillis {
    /// The time from this heartbeat until `now`.
    fn until(self, now: SystemTime) -> Away {
        let millis = Self::of(now).0.checked_sub(self.0);
        millis.map_or(Away::Unknown, |millis| Away::Known(Duration::from_millis(millis)))
    }
}
