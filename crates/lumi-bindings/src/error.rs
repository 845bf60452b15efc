//! The reasons why a database cannot be used, and why changes are not stored.

use std::io;
use std::path::PathBuf;

/// The reason why a node must not start with a file of bindings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it.
    #[error("another node uses the bindings {}: it holds the lock {}", path.display(), lock.display())]
    Locked {
        /// The database.
        path: PathBuf,
        /// The file that is locked.
        lock: PathBuf,
    },
    /// It cannot be opened, for a reason that does not pass: it is a folder, say, or its folder does not exist.
    #[error("cannot open the bindings {}", path.display())]
    Io {
        /// The database.
        path: PathBuf,
        /// The reason.
        #[source]
        error: io::Error,
    },
}

/// The reason why changes are not stored, for now. They are tried again until they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotSaved {
    /// The words of the system or of SQLite.
    pub reason: String,
}
