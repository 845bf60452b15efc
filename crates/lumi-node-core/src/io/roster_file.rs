//! `nodelumi.cfg` on the disk.

use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::path::PathBuf;

use plumi_proto::Domain;

use super::durable::{self, Outcome};
use super::roster_store::RosterStore;
use crate::state::admin::RosterChange;
use crate::state::roster::{Roster, RosterError};

/// The roster's file, which is read once, or again when that is asked for, and rewritten at every change.
#[derive(Debug)]
pub struct RosterFile {
    path: PathBuf,
    /// The file as it was last read or written.
    seen: Digest,
}

impl RosterFile {
    /// Reads the roster at `path`. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// [`RosterFileError::Read`], [`RosterFileError::Wrong`].
    pub fn open(path: impl Into<PathBuf>) -> Result<(Self, Roster), RosterFileError> {
        let path = path.into();
        match durable::read(&path) {
            Ok(text) => match Roster::parse(&text) {
                Ok(roster) => Ok((Self { path, seen: Digest::of(&text) }, roster)),
                Err(error) => Err(RosterFileError::Wrong { path, error }),
            },
            Err(error) => Err(RosterFileError::Read { path, error }),
        }
    }

    /// Reads the roster at `path` and tells what is wrong with it, as [`Roster::errors`]. Blocks for as long
    /// as the disk takes.
    ///
    /// # Errors
    /// [`RosterFileError::Read`].
    pub fn errors(path: impl Into<PathBuf>) -> Result<(Option<Domain>, Vec<RosterError>), RosterFileError> {
        let path = path.into();
        match durable::read(&path) {
            Ok(text) => Ok(Roster::errors(&text)),
            Err(error) => Err(RosterFileError::Read { path, error }),
        }
    }

    /// Reads it again. What is returned is to take this one's place if its roster does.
    ///
    /// # Errors
    /// As [`RosterFile::open`].
    pub fn reopen(&self) -> Result<(Self, Roster), RosterFileError> {
        Self::open(&self.path)
    }

    /// Makes `change` in the file. It is on the disk when this returns, or the file is as it was. Blocks for
    /// as long as the disk takes.
    ///
    /// # Errors
    /// [`RosterFileError::Changed`] if somebody else changed the file meanwhile, which is then left as they left
    /// it; [`RosterFileError::Read`], [`RosterFileError::Write`].
    pub fn apply(&mut self, change: &RosterChange) -> Result<(), RosterFileError> {
        let path = || self.path.clone();
        let old = durable::read(&self.path).map_err(|error| RosterFileError::Read { path: path(), error })?;
        // It was UTF-8 when it was seen.
        let Some(text) = str::from_utf8(&old).ok().filter(|_| Digest::of(&old) == self.seen) else {
            return Err(RosterFileError::Changed { path: path() });
        };
        let new = Roster::edit(text, change);
        match durable::replace(&self.path, &old, new.as_bytes()) {
            Ok(Outcome::Replaced) => {
                self.seen = Digest::of(new.as_bytes());
                Ok(())
            }
            Ok(Outcome::Changed) => Err(RosterFileError::Changed { path: path() }),
            Err(error) => Err(RosterFileError::Write { path: path(), error }),
        }
    }
}

impl RosterStore for RosterFile {
    type Read = Self;
    type Error = RosterFileError;

    fn read(&self) -> Result<(Roster, Self), RosterFileError> {
        self.reopen().map(|(file, roster)| (roster, file))
    }

    fn take(&mut self, read: Self) {
        *self = read;
    }

    fn apply(&mut self, change: &RosterChange) -> Result<(), RosterFileError> {
        Self::apply(self, change)
    }
}

/// A digest of a text that was seen, which tells it from others without keeping it. A time would not tell two
/// changes within one tick of the file system's clock apart.
#[derive(Debug, PartialEq, Eq)]
struct Digest {
    length: usize,
    hash: u64,
}

impl Digest {
    fn of(text: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(text);
        Self { length: text.len(), hash: hasher.finish() }
    }
}

/// The reason why the roster's file could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RosterFileError {
    /// It cannot be read.
    #[error("cannot read the roster {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        error: io::Error,
    },
    /// It is no roster.
    #[error("the roster {} is wrong", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, and what is wrong with it.
        #[source]
        error: RosterError,
    },
    /// It cannot be replaced; it is as it was.
    #[error("cannot write the roster {}, which is as it was", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        error: io::Error,
    },
    /// Somebody else changed it since the node read or wrote it; it is as they left it.
    #[error(
        "the roster {} was changed by somebody else; 'reload' takes that change over",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
}
