//! Reading a file, and replacing it so that a crash leaves the old one or the new one, whole, and a change
//! that somebody else makes meanwhile is not lost (protocol.md §6).
//!
//! ```text
//! nodelumi.cfg         the file
//! .nodelumi.cfg.new    the new one while it is written, and then the old one until it is known to be that. A
//!                      process that is killed may leave it behind; the next change removes it. (Killed within the
//!                      microseconds of that look, with an edit of somebody else in it, it loses that edit.)
//! ```

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

/// Reads the file at `path` if it is a regular one: another may never end, or never begin.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path, OFlags::empty())?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut contents = Vec::new();
    file.read_to_end(&mut contents)?;
    Ok(contents)
}

/// The outcome of replacing a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The new one is on the disk.
    Replaced,
    /// It is not what it was any more, and is left to who changed it.
    Changed,
}

/// Replaces the file at `path`, which is `old`, by `new`, with its mode and, as far as this process may, its
/// owner and group. When this returns an error, the old one is as it was; only a disk that fails at the very
/// end can leave the new one there.
pub(super) fn replace(path: &Path, old: &[u8], new: &[u8]) -> io::Result<Outcome> {
    replace_by(exchange, path, old, new)
}

/// Creates the file at `path` with this mode, whole or not at all. [`Outcome::Changed`] if there is one
/// already.
#[cfg(feature = "proof")]
pub(super) fn create(path: &Path, contents: &[u8], mode: u32) -> io::Result<Outcome> {
    let (place, mut file) = create_beside(path)?;
    let created = (|| {
        file.write_all(contents)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        // Unlike a rename, this takes no other file's place.
        fs::hard_link(&place, path)
    })();
    // The next change removes it if that fails now.
    _ = fs::remove_file(&place);
    match created {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Outcome::Changed),
        created => created?,
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(Outcome::Replaced)
}

/// Makes each of two files take the other's place, at once.
type Exchange = fn(&Path, &Path) -> io::Result<()>;

fn replace_by(exchange: Exchange, path: &Path, old: &[u8], new: &[u8]) -> io::Result<Outcome> {
    // Through a link, the file that it names is replaced and the link stays.
    let path = &fs::canonicalize(path)?;
    let folder = path.parent().ok_or(io::ErrorKind::IsADirectory)?;
    // This comes before anything changes: a folder can be writable and not readable.
    let folder = File::open(folder)?;
    // Held until the end. Not every file system has locks.
    if flock(&folder, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
        let busy = "another process is changing a file in that folder; try again";
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, busy));
    }
    let successor = Successor::write(path, new)?;
    // Writing may have taken long.
    if !is(path, old) {
        return Ok(Outcome::Changed);
    }
    match exchange(&successor.path, path) {
        Ok(()) => {}
        // Some file systems cannot. There, what somebody replaces between the look above and here is lost,
        // and what the folder's disk fails to keep may be the new file.
        Err(error) if is_unsupported(&error) => {
            fs::rename(&successor.path, path).map_err(of_mount_point)?;
            folder.sync_all()?;
            return Ok(Outcome::Replaced);
        }
        Err(error) => return Err(of_mount_point(error)),
    }
    // This look does not miss a file that was replaced since the one above.
    if !is(&successor.path, old) {
        successor.undo(exchange, path)?;
        return Ok(Outcome::Changed);
    }
    // The exchange is durable once the folder is.
    if let Err(error) = folder.sync_all() {
        successor.undo(exchange, path)?;
        return Err(error);
    }
    Ok(Outcome::Replaced)
}

/// Creates the file beside the one at `path` that is to take its place, for its owner alone. What an earlier
/// change left there is removed.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::IsADirectory)?);
    name.push(".new");
    let place = path.with_file_name(name);
    match fs::remove_file(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A file that exists is refused, so a link that is put there meanwhile is not followed.
    let file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&place)?;
    Ok((place, file))
}

/// The file beside another one that is to take its place. When dropped, what is there then is removed.
struct Successor {
    path: PathBuf,
    file: File,
    stays: bool,
}

impl Successor {
    /// Writes it, durably, for the file at `path`.
    fn write(path: &Path, contents: &[u8]) -> io::Result<Self> {
        let (place, file) = create_beside(path)?;
        let mut successor = Self { path: place, file, stays: false };
        successor.file.write_all(contents)?;
        successor.resemble(&fs::metadata(path)?)?;
        successor.file.sync_all()?;
        Ok(successor)
    }

    /// Gives it the owner, the group and the mode that `other` has.
    fn resemble(&self, other: &Metadata) -> io::Result<()> {
        let own = self.file.metadata()?;
        // Only the superuser may give files to anybody, and others to the groups they are in.
        if own.gid() != other.gid() {
            _ = fchown(&self.file, None, Some(other.gid()));
        }
        if own.uid() != other.uid() {
            _ = fchown(&self.file, Some(other.uid()), None);
        }
        // The mode last: a new owner takes bits of it away.
        self.file.set_permissions(Permissions::from_mode(other.mode() & MODE_BITS))
    }

    /// Gives the file that was exchanged for this one its place back. If somebody replaces what is there
    /// again and again meanwhile, what they put there last is what stays.
    fn undo(mut self, exchange: Exchange, path: &Path) -> io::Result<()> {
        let undone = self.exchange_until_quiet(exchange, path);
        self.stays = undone.is_err();
        undone.map_err(|error| {
            io::Error::new(error.kind(), format!("{error}; what it was is in {}", self.path.display()))
        })
    }

    fn exchange_until_quiet(&mut self, exchange: Exchange, path: &Path) -> io::Result<()> {
        let mut placed = identity(&self.file.metadata()?);
        for _ in 0..MAX_EXCHANGES {
            let returning = identity(&fs::symlink_metadata(&self.path)?);
            // Open, so that its identity cannot become that of another file.
            let open = open(&self.path, OFlags::NOFOLLOW);
            match exchange(&self.path, path) {
                // They have removed it, and it shall be gone.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                exchanged => exchanged?,
            }
            if identity(&fs::symlink_metadata(&self.path)?) == placed {
                return Ok(());
            }
            // It is not what was put there before, but newer, and has to go back in its turn.
            placed = returning;
            if let Ok(open) = open {
                self.file = open;
            }
        }
        Err(io::Error::other("it is replaced again and again"))
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.stays {
            // The next change removes it if that fails now.
            _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens for reading and never waits, as it would for the other end of a FIFO.
fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = i32::try_from((flags | OFlags::NONBLOCK).bits()).expect("flags of open(2) fit in an int");
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn is(path: &Path, contents: &[u8]) -> bool {
    read(path).is_ok_and(|found| found == contents)
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};

    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Says what to do about a file that is mounted by itself, as containers have it: nothing takes its place.
fn of_mount_point(error: io::Error) -> io::Error {
    if Errno::from_io_error(&error) != Some(Errno::BUSY) {
        return error;
    }
    io::Error::new(
        error.kind(),
        "it is mounted by itself, so it cannot be replaced; mount its folder instead",
    )
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// The mode of a file that has not got its own yet.
const OWNER_ONLY: u32 = 0o600;

/// The bits of `st_mode` that `chmod` sets.
const MODE_BITS: u32 = 0o7777;

/// Each takes somebody who replaces the file within microseconds of the one before.
const MAX_EXCHANGES: usize = 1_000;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A change is kept however little time there is between the last look at the file and the exchange.
    #[test]
    fn what_is_put_there_at_the_last_moment_comes_back() {
        let beside: Exchange = |one, other| {
            edit_first(other, 1);
            exchange(one, other)
        };
        let in_place: Exchange = |one, other| {
            if CALLS.replace(CALLS.get() + 1) == 0 {
                fs::write(other, "edit 1")?;
            }
            exchange(one, other)
        };
        for by in [beside, in_place] {
            let file = Config::new();
            CALLS.set(0);
            assert_eq!(replace_by(by, &file.path, b"old", b"new").unwrap(), Outcome::Changed);
            assert_eq!(file.text(), "edit 1");
            file.assert_alone();
        }
    }

    /// This is called before the exchange, and before each of those that undo it.
    #[test]
    fn of_what_is_put_there_again_and_again_the_last_stays() {
        for edits in [2, 3, 10] {
            EDITS.set(edits);
            CALLS.set(0);
            let file = Config::new();
            let by: Exchange = |one, other| {
                edit_first(other, EDITS.get());
                exchange(one, other)
            };
            assert_eq!(replace_by(by, &file.path, b"old", b"new").unwrap(), Outcome::Changed);
            assert_eq!(file.text(), format!("edit {edits}"));
            file.assert_alone();
        }
    }

    #[test]
    fn what_never_comes_to_rest_is_kept_and_told() {
        let file = Config::new();
        CALLS.set(0);
        let by: Exchange = |one, other| {
            edit_first(other, u32::MAX);
            exchange(one, other)
        };
        let error = replace_by(by, &file.path, b"old", b"new").unwrap_err().to_string();
        assert!(error.starts_with("it is replaced again and again; what it was is in "), "{error}");
        let last = CALLS.get();
        let texts = [file.text(), fs::read_to_string(file.successor()).unwrap()];
        assert!(texts.contains(&format!("edit {last}")), "{texts:?}, and the last is {last}");
    }

    #[test]
    fn what_is_removed_at_the_last_moment_is_not_made_anew() {
        let first: Exchange = |_, other| {
            fs::remove_file(other)?;
            Err(io::ErrorKind::NotFound.into())
        };
        let file = Config::new();
        let error = replace_by(first, &file.path, b"old", b"new").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(fs::read_dir(&file.folder).unwrap().count(), 0);

        // Changed before the exchange, and removed before that is undone.
        let then: Exchange = |one, other| {
            match CALLS.replace(CALLS.get() + 1) {
                0 => fs::write(other, "edit 1")?,
                _ => fs::remove_file(other)?,
            }
            exchange(one, other)
        };
        let file = Config::new();
        CALLS.set(0);
        assert_eq!(replace_by(then, &file.path, b"old", b"new").unwrap(), Outcome::Changed);
        assert_eq!(fs::read_dir(&file.folder).unwrap().count(), 0);
    }

    #[test]
    fn where_files_cannot_be_exchanged_one_takes_the_place_of_the_other() {
        for kind in [io::ErrorKind::InvalidInput, io::ErrorKind::Unsupported] {
            KIND.set(kind);
            let file = Config::new();
            let by: Exchange = |_, _| Err(KIND.get().into());
            assert_eq!(replace_by(by, &file.path, b"old", b"new").unwrap(), Outcome::Replaced);
            assert_eq!(file.text(), "new");
            file.assert_alone();
            assert_eq!(replace_by(by, &file.path, b"old", b"newer").unwrap(), Outcome::Changed);
            assert_eq!(file.text(), "new");
        }
        let file = Config::new();
        let fails: Exchange = |_, _| Err(Errno::IO.into());
        replace_by(fails, &file.path, b"old", b"new").unwrap_err();
        assert_eq!(file.text(), "old");
        file.assert_alone();
    }

    #[test]
    fn two_processes_do_not_write_the_same_file() {
        let file = Config::new();
        File::create_new(file.successor()).unwrap();
        let other = File::open(file.path.parent().unwrap()).unwrap();
        flock(&other, FlockOperation::NonBlockingLockExclusive).unwrap();
        let error = replace(&file.path, b"old", b"new").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(file.text(), "old");
        assert!(file.successor().exists(), "it belongs to the other process");
        drop(other);
        assert_eq!(replace(&file.path, b"old", b"new").unwrap(), Outcome::Replaced, "it was left behind");
        file.assert_alone();
    }

    /// Edits the file as editors do, if this is one of the first `edits` calls.
    fn edit_first(path: &Path, edits: u32) {
        let call = CALLS.get() + 1;
        CALLS.set(call);
        if call <= edits {
            let edit = path.with_file_name("edit");
            fs::write(&edit, format!("edit {call}")).unwrap();
            fs::rename(edit, path).unwrap();
        }
    }

    thread_local! {
        static CALLS: Cell<u32> = const { Cell::new(0) };
        static EDITS: Cell<u32> = const { Cell::new(0) };
        static KIND: Cell<io::ErrorKind> = const { Cell::new(io::ErrorKind::Other) };
    }

    /// A file with the text `old`, alone in its folder.
    struct Config {
        path: PathBuf,
        folder: tempfile::TempDir,
    }

    impl Config {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("nodelumi.cfg");
            fs::write(&path, "old").unwrap();
            Self { path, folder }
        }

        fn successor(&self) -> PathBuf {
            self.path.with_file_name(".nodelumi.cfg.new")
        }

        fn text(&self) -> String {
            fs::read_to_string(&self.path).unwrap()
        }

        fn assert_alone(&self) {
            let names: Vec<_> =
                fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["nodelumi.cfg"]);
        }
    }
}
