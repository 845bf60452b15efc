//! The reasons why a database cannot be used.

use std::io;
use std::path::PathBuf;

use plumi_proto::Domain;

use crate::saved::NotSaved;

/// The reason why a node must not start with a file of bindings.
///
/// A folder that is not writable and a disk that is full are none: the node works without the file until they
/// pass.
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
    /// It cannot be opened, for a reason that does not pass: it is a folder, say, or its folder does not
    /// exist.
    #[error("cannot open the bindings {}", path.display())]
    Io {
        /// The database.
        path: PathBuf,
        /// The reason.
        #[source]
        error: io::Error,
    },
}

/// The reason why a database is moved aside, and a new one begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// It is damaged, or no database of bindings.
    #[error("it is broken: {reason}")]
    Broken {
        /// The words of SQLite, or what is missing.
        reason: String,
    },
    /// A later version of this program wrote it.
    #[error("its version is {version}, which this program does not know")]
    Newer {
        /// Its version.
        version: i64,
    },
    /// It has the bindings of another domain.
    #[error("it belongs to the domain {domain}")]
    OtherDomain {
        /// Its domain.
        domain: Domain,
    },
}

/// The reason why a database cannot be inspected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// It cannot be read now, or not by this user.
    #[error("it cannot be read: {0}")]
    Unreadable(NotSaved),
    /// A node that starts with it moves it aside.
    #[error(transparent)]
    Unusable(Unusable),
}

/// The outcome of a step that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The database has to make room for a new one.
    Unusable(Unusable),
    /// It may work later.
    NotNow(NotSaved),
}

impl Failure {
    pub(crate) fn broken(reason: impl Into<String>) -> Self {
        Self::Unusable(Unusable::Broken { reason: reason.into() })
    }

    pub(crate) fn not_now(reason: impl Into<String>) -> Self {
        Self::NotNow(NotSaved { reason: reason.into() })
    }
}

impl From<Failure> for NotSaved {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotNow(reason) => reason,
            Failure::Unusable(unusable) => Self { reason: unusable.to_string() },
        }
    }
}

impl From<Failure> for InspectError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotNow(reason) => Self::Unreadable(reason),
            Failure::Unusable(unusable) => Self::Unusable(unusable),
        }
    }
}
