//! The files of a database, apart from their contents: who may read them, whose they are, and which take
//! their place.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

/// The outcome of locking a database.
#[derive(Debug)]
pub(crate) enum Locking {
    /// This process has it.
    Held(Lock),
    /// Another process has it.
    Elsewhere,
}

/// Locks the database at `path` by its [`lock_of`].
///
/// # Errors
/// The file cannot be opened.
pub(crate) fn lock(path: &Path) -> io::Result<Locking> {
    let place = lock_of(path);
    let file = match open(&place, true) {
        // Whoever may not write it can lock it.
        Err(error) if is_passing(&error) => open(&place, false).map_err(|_| error)?,
        file => file?,
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Ok(Locking::Elsewhere),
        // Not every file system has locks.
        _ => Ok(Locking::Held(Lock(file))),
    }
}

/// The lock of a database, which is this process's until this is dropped, or the process ends.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // A process that is being started has its copy of the open file for a moment, and would keep the
        // lock.
        _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// The file by which the database at `path` is locked. It stays when the process ends.
pub(crate) fn lock_of(path: &Path) -> PathBuf {
    sibling(path, ".lock")
}

/// Creates the file at `path` if there is none, and takes it away from everybody but its owner. Returns its
/// identity.
///
/// # Errors
/// Those of the system, and a file that is none.
pub(crate) fn make_private(path: &Path) -> io::Result<Identity> {
    let metadata = open(path, true)?.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    if metadata.mode() & MODE_BITS != OWNER_ONLY {
        fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY))?;
    }
    Ok(Identity { device: metadata.dev(), inode: metadata.ino() })
}

/// A file, whatever its name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// The identity of the file that `path` names now.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|metadata| Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// Gives the database at `path` another name, with its log, so that a new one can be made there. Returns that
/// name.
///
/// # Errors
/// The folder cannot be written to.
pub(crate) fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let names = || (1..=MAX_MOVED_ASIDE).map(|number| sibling(path, &format!(".broken-{number}")));
    let is_free = |place: &PathBuf| fs::symlink_metadata(place).is_err();
    // The first ones tell how it began, so the last one is replaced.
    let aside = names().find(is_free).or_else(|| names().next_back()).expect("there is a name at least");
    for part in LOG_PARTS {
        remove(&sibling(&aside, part))?;
    }
    // The database first: SQLite drops a log beside an empty database, while a database without its log would
    // be read.
    fs::rename(path, &aside)?;
    for part in LOG_PARTS {
        match fs::rename(sibling(path, part), sibling(&aside, part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

/// The path with `more` after its last part.
pub(crate) fn sibling(path: &Path, more: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(more);
    name.into()
}

/// Returns whether what failed may work later, without anybody changing the settings: a full disk, a folder
/// that is not writable, too many open files.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound};

    !matches!(error.kind(), InvalidFilename | InvalidInput | IsADirectory | NotADirectory | NotFound)
}

/// Opens a file, to write it if it `is_writable`, and never waits, as it would for the other end of a FIFO.
fn open(path: &Path, is_writable: bool) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag of open(2) fits in an int");
    let mut options = OpenOptions::new();
    options.read(true).write(is_writable).create(is_writable).truncate(false);
    options.mode(OWNER_ONLY).custom_flags(flags).open(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The limit of databases that are kept beside the one in use. The last of them is replaced after that.
pub const MAX_MOVED_ASIDE: u32 = 9;

/// The endings of the other files of a database.
const LOG_PARTS: [&str; 2] = ["-wal", "-shm"];

/// The mode of the database. SQLite gives it to its log and the index of that, too.
const OWNER_ONLY: u32 = 0o600;

/// The bits of `st_mode` that `chmod` sets.
const MODE_BITS: u32 = 0o7777;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_moved_keeps_its_log_and_the_first_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bb.bindings");
        let read = |path: PathBuf| fs::read_to_string(path).ok();
        for number in 1..=MAX_MOVED_ASIDE + 2 {
            fs::write(&path, format!("database {number}")).unwrap();
            // Some have no log.
            if number % 2 == 1 {
                fs::write(sibling(&path, "-wal"), format!("log {number}")).unwrap();
            }
            let aside = move_aside(&path).unwrap();
            assert_eq!(aside, sibling(&path, &format!(".broken-{}", number.min(MAX_MOVED_ASIDE))));
            assert_eq!(read(aside.clone()), Some(format!("database {number}")));
            assert_eq!(read(sibling(&aside, "-wal")), (number % 2 == 1).then(|| format!("log {number}")));
            assert!(!path.exists() && !sibling(&path, "-wal").exists());
        }
        assert_eq!(read(sibling(&path, ".broken-1")).unwrap(), "database 1");
        // Nine databases; all but four of them have a log, and that of the eleventh replaced that of the
        // tenth.
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 9 + 5);
    }

    #[test]
    fn a_file_that_others_may_read_is_taken_away_from_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bb.bindings");
        make_private(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & MODE_BITS, OWNER_ONLY, "a new one");
        fs::write(&path, "kept").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let identity = make_private(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & MODE_BITS, OWNER_ONLY);
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
        assert_eq!(Identity::of(&path).unwrap(), identity);
        fs::rename(&path, folder.path().join("other")).unwrap();
        assert_ne!(make_private(&path).unwrap(), identity);
    }

    #[test]
    fn what_is_no_file_is_refused_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from(0o600),
            0,
        )
        .unwrap();
        for path in [folder.path().to_owned(), fifo, folder.path().join("none/file")] {
            let error = make_private(&path).unwrap_err();
            assert!(!is_passing(&error), "{}: {error}", path.display());
        }
        assert!(is_passing(&Errno::NOSPC.into()));
        assert!(is_passing(&Errno::ROFS.into()));
        assert!(is_passing(&Errno::ACCESS.into()));
    }
}
