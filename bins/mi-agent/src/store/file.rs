//! Reads whole files, and replaces them such that a crash leaves either the old or the new one.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::folder;

/// Reads the file at `path`, of at most `max` bytes. Returns `None` if there is no file.
///
/// # Errors
/// Those of the operating system and of [`open`]; the file is larger.
pub(super) fn read(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match open(path, OpenOptions::new().read(true)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut contents = Vec::new();
    file.take(max + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > max {
        return Err(too_large(max));
    }
    Ok(Some(contents))
}

/// The error for a file of more than `max` bytes, which is neither read nor written.
pub(super) fn too_large(max: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {max} bytes"))
}

/// Opens the file at `path` with `options`. A file that is created is accessible to the user only.
///
/// # Errors
/// Those of the operating system; a symbolic link, which may lead anywhere; anything but a regular file,
/// because reading it may never end.
pub(super) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Without NONBLOCK, opening a FIFO would wait for its other end.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).expect("flags of open(2) fit in an int");
    let file = options.mode(OWNER_ONLY).custom_flags(flags).open(path).map_err(|error| {
        match error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
            true => io::Error::other("it is a symbolic link"),
            false => error,
        }
    })?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file)
}

/// Replaces the file at `path` durably, accessible to the user only. Creates its folder if necessary.
///
/// A program that is killed leaves `.NAME.new` beside it, which the next call removes. Only one may run at a
/// time: the address is locked.
///
/// # Errors
/// Those of the operating system. The old file is unchanged, unless the disk fails at the very end.
pub(super) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::IsADirectory.into());
    };
    folder::make(folder)?;
    let mut new = OsString::from(".");
    new.push(name);
    new.push(".new");
    let new = folder.join(new);
    remove(&new)?;
    let replaced = write_new(&new, contents).and_then(|()| fs::rename(&new, path));
    if replaced.is_err() {
        // The first error says more.
        _ = remove(&new);
    }
    replaced?;
    File::open(folder)?.sync_all()
}

/// Writes `contents` durably to a file at `path`, where none may be.
fn write_new(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = open(path, OpenOptions::new().write(true).create_new(true))?;
    file.write_all(contents)?;
    file.sync_all()
}

/// Removes the file at `path`, if there is one.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Renames the file at `path` to `NAME.bad`, or `NAME.bad.2` and so on if that name is taken, to preserve it.
///
/// # Errors
/// Those of the operating system; [`MAX_ASIDE`] such files exist already.
pub(super) fn put_aside(path: &Path) -> io::Result<()> {
    for number in 1..=MAX_ASIDE {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".bad");
        if number > 1 {
            aside.push(format!(".{number}"));
        }
        match fs::symlink_metadata(&aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return fs::rename(path, aside),
            there => _ = there?,
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{MAX_ASIDE} of them are put aside already")))
}

/// The most files put aside. If there are more, somebody should look at what damages them.
const MAX_ASIDE: u32 = 10;

/// Read and write permission for the user only.
const OWNER_ONLY: u32 = 0o600;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_is_written_is_read_and_is_the_users_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(read(&path, 3).unwrap(), None);
        for contents in [b"one", b"two"] {
            replace(&path, contents).unwrap();
            assert_eq!(read(&path, 3).unwrap().unwrap(), contents);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        }
        assert_eq!(read(&path, 2).unwrap_err().to_string(), "it is larger than 2 bytes");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn links_and_what_is_no_file_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, fifo] = ["file", "link", "fifo"].map(|name| folder.path().join(name));
        fs::write(&file, "x").unwrap();
        symlink(&file, &link).unwrap();
        assert_eq!(read(&link, 9).unwrap_err().to_string(), "it is a symbolic link");
        let mut appends = OpenOptions::new();
        assert!(open(&link, appends.append(true).create(true)).is_err());
        symlink(folder.path().join("missing"), folder.path().join("dangling")).unwrap();
        assert!(open(&folder.path().join("dangling"), appends.append(true).create(true)).is_err());
        assert!(!folder.path().join("missing").exists());
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for other in [&fifo, folder.path()] {
            assert_eq!(read(other, 9).unwrap_err().to_string(), "it is not a regular file");
        }
        // A link is replaced, not followed.
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "x");
        assert_eq!(read(&link, 9).unwrap().unwrap(), b"new");
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("is a folder");
        fs::create_dir_all(path.join("with something in it")).unwrap();
        replace(&path, b"new").unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// A link in its place is not followed.
    #[test]
    fn what_a_killed_program_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let [path, left, other] = ["file", ".file.new", "other"].map(|name| folder.path().join(name));
        fs::write(&other, "x").unwrap();
        fs::write(&left, "half of wh").unwrap();
        replace(&path, b"one").unwrap();
        assert!(!left.exists());
        symlink(&other, &left).unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read(&other).unwrap()), (b"two".to_vec(), b"x".to_vec()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn nothing_that_was_put_aside_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for number in 1..=MAX_ASIDE {
            fs::write(&path, number.to_string()).unwrap();
            put_aside(&path).unwrap();
        }
        fs::write(&path, "one more").unwrap();
        assert_eq!(put_aside(&path).unwrap_err().to_string(), "10 of them are put aside already");
        let texts = ["file.bad", "file.bad.2", "file.bad.10", "file"]
            .map(|name| fs::read_to_string(folder.path().join(name)).unwrap());
        assert_eq!(texts, ["1", "2", "10", "one more"]);
    }
}
