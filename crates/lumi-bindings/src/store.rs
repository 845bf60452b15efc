//! The database of a node and its files, as far as they can be used at the moment.

use std::io;
use std::path::{Path, PathBuf};

use plumi_proto::Domain;

use crate::embedded::{Contents, Database};
use crate::error::{Failure, Unusable};
use crate::place::{self, Identity, Lock, Locking};
use crate::saved::NotSaved;

/// The database at a path, as far as it can be used at the moment.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) path: PathBuf,
    domain: Domain,
    /// Dropped last, when the database is closed.
    open: Option<Open>,
    lock: Option<Lock>,
}

/// A database and the file that it is in.
#[derive(Debug)]
struct Open {
    database: Database,
    file: Identity,
}

/// The reason why a database is not locked.
pub(crate) enum LockTrouble {
    /// Another process has it.
    Elsewhere,
    /// The lock cannot be opened, for a reason that does not pass.
    Io(io::Error),
}

impl Store {
    pub(crate) fn new(path: &Path, domain: &Domain) -> Self {
        Self { path: path.to_owned(), domain: *domain, open: None, lock: None }
    }

    /// Locks it. Without an error, it may be that the lock cannot be had at the moment.
    pub(crate) fn lock(&mut self) -> Result<(), LockTrouble> {
        match place::lock(&self.path) {
            Ok(Locking::Held(lock)) => self.lock = Some(lock),
            Ok(Locking::Elsewhere) => return Err(LockTrouble::Elsewhere),
            Err(error) if place::is_passing(&error) => {}
            Err(error) => return Err(LockTrouble::Io(error)),
        }
        Ok(())
    }

    /// Returns the open database, which is opened if it is not. Sets `is_new` if that began an empty one.
    pub(crate) fn database(&mut self, is_new: &mut bool) -> Result<&mut Database, Failure> {
        if self.open.is_none() {
            if self.lock.is_none() {
                match place::lock(&self.path) {
                    Ok(Locking::Held(lock)) => self.lock = Some(lock),
                    Ok(Locking::Elsewhere) => return Err(Failure::not_now("another node uses it")),
                    Err(error) => return Err(Failure::not_now(error.to_string())),
                }
            }
            let file =
                place::make_private(&self.path).map_err(|error| Failure::not_now(error.to_string()))?;
            let (database, created) = Database::open(&self.path, &self.domain)?;
            *is_new |= created;
            self.open = Some(Open { database, file });
        }
        Ok(&mut self.open.as_mut().expect("it was opened").database)
    }

    /// Reads everything. A database that cannot be used is moved aside, once.
    pub(crate) fn read(&mut self, moved_aside: &mut Option<MovedAside>) -> Result<Contents, NotSaved> {
        let read = |store: &mut Self| store.database(&mut false)?.read();
        match read(self) {
            Err(Failure::Unusable(reason)) => {
                let to = self.move_aside()?;
                *moved_aside = Some(MovedAside { to, reason });
                Ok(read(self)?)
            }
            contents => Ok(contents?),
        }
    }

    /// Reads what can be read without writing.
    pub(crate) fn read_only(&mut self) -> Contents {
        self.close();
        Database::open_to_read(&self.path, &self.domain)
            .and_then(|database| database.read())
            .unwrap_or_default()
    }

    /// Closes the database and gives it another name, which is returned.
    pub(crate) fn move_aside(&mut self) -> Result<PathBuf, NotSaved> {
        self.close();
        place::move_aside(&self.path).map_err(|error| NotSaved { reason: error.to_string() })
    }

    /// Closes the database if its file has been removed or replaced: what is written to it would be lost.
    pub(crate) fn close_if_lost(&mut self) {
        if self.open.as_ref().is_some_and(|open| Identity::of(&self.path).ok() != Some(open.file)) {
            self.close();
        }
    }

    /// Closes the database. It is opened again when it is needed.
    pub(crate) fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.database.close();
        }
    }
}

/// A database that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MovedAside {
    /// Its new name.
    pub to: PathBuf,
    /// The reason.
    pub reason: Unusable,
}
