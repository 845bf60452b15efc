//! The outcome of saving changes.

use crate::binding::SaveId;

/// The outcome of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The last change that was committed, with all before it. After a failure, the last that waits to be.
    pub last: SaveId,
    /// The reason why nothing was committed. The changes wait for the next attempt.
    pub result: Result<(), NotSaved>,
    /// Set if the database was lost while the node ran and begun anew, without what was saved before.
    /// Everything has to be saved once more.
    pub anew: bool,
}

/// The reason why changes are not stored, for now. They are tried again until they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotSaved {
    /// The words of the system or of SQLite.
    pub reason: String,
}
