//! `nodelumi.cfg` on the disk.

use std::fs::{self, Metadata};
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use super::durable;
use crate::state::admin::RosterChange;
use crate::state::roster::{Roster, RosterError};

/// The roster's file, which is read once and rewritten at every change.
#[derive(Debug)]
pub struct RosterFile {
    path: PathBuf,
    /// The file as it was last read or written.
    seen: Stamp,
}

impl RosterFile {
    /// Reads the roster at `path`.
    ///
    /// # Errors
    /// [`RosterFileError::Read`], [`RosterFileError::Wrong`].
    pub fn open(path: impl Into<PathBuf>) -> Result<(Self, Roster), RosterFileError> {
        let path = path.into();
        let read = || {
            // The stamp first: a change between the two is then noticed when the file is changed next.
            let seen = Stamp::of(&fs::metadata(&path)?)?;
            Ok((fs::read(&path)?, seen))
        };
        match read() {
            Ok((text, seen)) => match Roster::parse(&text) {
                Ok(roster) => Ok((Self { path, seen }, roster)),
                Err(error) => Err(RosterFileError::Wrong { path, error }),
            },
            Err(error) => Err(RosterFileError::Read { path, error }),
        }
    }

    /// Makes `change` in the file. It is on the disk when this returns, or the file is as it was. Blocks for as
    /// long as the disk takes.
    ///
    /// # Errors
    /// [`RosterFileError::Changed`] if somebody else changed the file meanwhile, which is then left alone;
    /// [`RosterFileError::Read`], [`RosterFileError::Write`].
    pub fn apply(&mut self, change: &RosterChange) -> Result<(), RosterFileError> {
        let path = || self.path.clone();
        let cannot_read = |error| RosterFileError::Read { path: path(), error };
        let text = fs::read(&self.path).map_err(cannot_read)?;
        // The stamp last: a change between the two must not be written over.
        let stamp = fs::metadata(&self.path).and_then(|found| Stamp::of(&found)).map_err(cannot_read)?;
        // It was UTF-8 when it was seen.
        let Some(text) = String::from_utf8(text).ok().filter(|_| stamp == self.seen) else {
            return Err(RosterFileError::Changed { path: path() });
        };
        self.seen = durable::replace(&self.path, Roster::edit(&text, change).as_bytes())
            .and_then(|written| Stamp::of(&written))
            .map_err(|error| RosterFileError::Write { path: path(), error })?;
        Ok(())
    }
}

/// By what a file is known to be the one that was seen.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: SystemTime,
    #[cfg(unix)]
    inode: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> io::Result<Self> {
        Ok(Self {
            length: metadata.len(),
            modified: metadata.modified()?,
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(metadata),
        })
    }
}

/// Why the roster's file could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RosterFileError {
    /// It cannot be read.
    #[error("cannot read the roster {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// It is no roster.
    #[error("the roster {} is wrong", path.display())]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// The line, and what is wrong with it.
        #[source]
        error: RosterError,
    },
    /// It cannot be replaced; it is as it was.
    #[error("cannot write the roster {}, which is as it was", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// Somebody else changed it since the node read or wrote it; it is as they left it.
    #[error(
        "the roster {} was changed by somebody else; restart the node to take that change over",
        path.display()
    )]
    Changed {
        /// Which file.
        path: PathBuf,
    },
    /// The thread that was changing it ended early; what it left is to be looked at.
    #[error("changing the roster failed: {0}")]
    Lost(String),
}
