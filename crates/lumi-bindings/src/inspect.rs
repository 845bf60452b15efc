//! Reading a database that a node may have open, for people.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use plumi_proto::Domain;

use crate::binding::UnixMillis;
use crate::embedded::Database;
use crate::error::{Failure, InspectError};

/// The contents of a database, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspected {
    /// The number of users who are bound.
    pub bindings: u64,
    /// The number of records of logouts.
    pub logouts: u64,
    /// The number of rows with a wrong sum, which a node drops.
    pub damaged: u64,
    /// The time at which a node was last known to be alive. `None` if none ever was.
    pub heartbeat: Option<SystemTime>,
}

/// Reads the database at `path` as far as it is committed, without its lock and without creating a file.
/// `None` if there is none yet. Blocks for as long as the disk takes.
///
/// # Errors
/// [`InspectError`].
pub fn inspect(path: &Path, domain: &Domain) -> Result<Option<Inspected>, InspectError> {
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::not_now(error.to_string()).into()),
        Ok(metadata) if !metadata.is_file() => {
            return Err(Failure::not_now("it is not a regular file").into());
        }
        Ok(_) => {}
    }
    let contents = Database::open_to_read(path, domain)?.read()?;
    let logouts = contents.rows.iter().filter(|row| row.is_logout()).count();
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Ok(Some(Inspected {
        bindings: count(contents.rows.len() - logouts),
        logouts: count(logouts),
        damaged: count(contents.damaged.len()),
        heartbeat: contents
            .heartbeat
            .and_then(|UnixMillis(millis)| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))),
    }))
}
