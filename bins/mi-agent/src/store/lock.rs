//! The locks of an address: of the one chat or `listen` that runs on this host, and of each `send`.
//!
//! ```text
//! lock         locked by the chat, `listen` or `up` that runs, the holder; it has the number of its process, and in a
//!              second line the path of the socket of `up`, see `crate::up`
//! agent.sock   the socket at which the holder hears of each `send`, see `crate::guests`
//! senders      locked by every `send` that runs; they share the lock
//! ```
//!
//! The kernel unlocks a file when its process is gone, however that ended (flock(2)). The files stay.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process;

use plumi_proto::MiAddress;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::file;
use super::folder::{self, DataFolder};

/// The lock of an address, held by the one agent that answers for it on this host.
#[derive(Debug)]
pub(crate) struct AddressLock {
    file: File,
    /// The socket for guests, and its place; `None` if there can be none.
    socket: Option<(UnixListener, PathBuf)>,
}

impl AddressLock {
    /// Locks `own` for this process. `None` if nothing can be locked there: an agent works without a lock,
    /// too.
    ///
    /// # Errors
    /// [`OtherAgent`]: another process has the lock.
    pub(crate) fn take(own: &MiAddress) -> Result<Option<Self>, OtherAgent> {
        let Some(folder) = DataFolder::of(own) else { return Ok(None) };
        match Self::in_folder(&folder) {
            Ok(Ok(lock)) => Ok(Some(lock)),
            Ok(Err(pid)) => Err(OtherAgent { own: *own, pid }),
            // The folder may be somebody else's, or not be able to lock.
            Err(_) => Ok(None),
        }
    }

    /// Locks the `folder` of a user, or returns the process number of the holder if that is known.
    pub(crate) fn in_folder(folder: &DataFolder) -> io::Result<Result<Self, Option<u32>>> {
        let mut file = open(folder, "lock")?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut written = Vec::new();
                file.take(MAX_WRITTEN).read_to_end(&mut written)?;
                return Ok(Err(pid_in(&written)));
            }
            Err(error) => return Err(error.into()),
        }
        file.set_len(0)?;
        writeln!(file, "{}", process::id())?;
        let path = socket(folder);
        let socket = listen(&path).ok().map(|socket| (socket, path));
        Ok(Ok(Self { file, socket }))
    }

    /// Writes the `path` of the socket of `up` into the file, which has no other yet.
    ///
    /// # Errors
    /// Those of the operating system; the path has a line end.
    pub(crate) fn name_socket(&self, path: &Path) -> io::Result<()> {
        let path = path.as_os_str().as_bytes();
        if path.contains(&b'\n') {
            return Err(io::Error::other("the path has a line end"));
        }
        (&self.file).write_all(&[path, b"\n"].concat())
    }

    /// Returns another handle of the socket for guests, which does not wait; `None` if there is none.
    pub(crate) fn socket(&self) -> Option<UnixListener> {
        self.socket.as_ref().and_then(|(socket, _)| socket.try_clone().ok())
    }
}

impl Drop for AddressLock {
    fn drop(&mut self) {
        // The file is still locked, so the socket is not that of another holder.
        if let Some((_, path)) = &self.socket {
            _ = fs::remove_file(path);
        }
        // The number may soon be that of another process.
        _ = self.file.set_len(0);
    }
}

/// Returns whether an agent holds the lock of the `folder` of a user. It is not locked for that, because an agent
/// that starts at that moment would give up.
pub(crate) fn is_held(folder: &DataFolder) -> bool {
    let pid = written(folder).as_deref().and_then(pid_in).and_then(|pid| i32::try_from(pid).ok());
    pid.and_then(Pid::from_raw).is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

/// Returns the process number of the holder of the lock of a `folder`, if it is known.
pub(crate) fn pid_of_holder(folder: &DataFolder) -> Option<u32> {
    is_held(folder).then(|| written(folder).as_deref().and_then(pid_in)).flatten()
}

/// Returns the path of the socket of `up` that the lock of a `folder` names. A killed agent leaves it there.
pub(crate) fn socket_of_holder(folder: &DataFolder) -> Option<PathBuf> {
    let written = written(folder)?;
    let path = written.strip_suffix(b"\n")?.split(|&byte| byte == b'\n').nth(1)?;
    Some(PathBuf::from(OsStr::from_bytes(path)))
}

/// Reads what a holder has written.
fn written(folder: &DataFolder) -> Option<Vec<u8>> {
    let mut written = Vec::new();
    File::open(folder.file("lock")).ok()?.take(MAX_WRITTEN).read_to_end(&mut written).ok()?;
    Some(written)
}

fn pid_in(written: &[u8]) -> Option<u32> {
    str::from_utf8(written.split(|&byte| byte == b'\n').next()?).ok()?.trim().parse().ok()
}

/// Another agent has the lock of an address.
#[derive(Debug)]
pub(crate) struct OtherAgent {
    pub(crate) own: MiAddress,
    pub(crate) pid: Option<u32>,
}

impl Error for OtherAgent {}

impl fmt::Display for OtherAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "another agent of {} runs here", self.own)?;
        self.pid.map_or(Ok(()), |pid| write!(f, " (pid {pid})"))
    }
}

/// The lock that all `send`s of an address share.
#[derive(Debug)]
pub(crate) struct SenderLock(File);

impl SenderLock {
    /// Takes a share.
    ///
    /// # Errors
    /// Those of the operating system: the folder cannot be written, or nothing can be locked there.
    pub(crate) fn share(folder: &DataFolder) -> io::Result<Self> {
        let file = open(folder, "senders")?;
        flock(&file, FlockOperation::LockShared)?;
        Ok(Self(file))
    }

    /// Returns whether another process has a share.
    ///
    /// If two ask at the same moment, one of them may not see the other.
    pub(crate) fn is_shared(&self) -> bool {
        let is_shared = flock(&self.0, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK);
        // The attempt has given up the share, and nobody keeps the whole lock for long.
        _ = flock(&self.0, FlockOperation::LockShared);
        is_shared
    }
}

/// Returns the place of the socket for guests in the `folder` of a user.
pub(crate) fn socket(folder: &DataFolder) -> PathBuf {
    folder.file("agent.sock")
}

/// Listens at `path`, in place of a holder that is gone.
fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A path of more than 107 bytes is an error.
    let socket = UnixListener::bind(path)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Opens a file to be locked, and creates it if necessary.
fn open(folder: &DataFolder, name: &str) -> io::Result<File> {
    folder::make(&folder.file(""))?;
    file::open(&folder.file(name), OpenOptions::new().read(true).write(true).create(true))
}

/// The most bytes of the file that are read: more than a process number and the path of a socket.
const MAX_WRITTEN: u64 = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_holder_who_is_named() {
        let (_data, folder) = DataFolder::temporary();
        for _ in 0..2 {
            let lock = AddressLock::in_folder(&folder).unwrap().unwrap();
            assert!(lock.socket().is_some() && socket(&folder).exists());
            let pid = AddressLock::in_folder(&folder).unwrap().unwrap_err();
            assert_eq!(pid, Some(process::id()));
            assert!(is_held(&folder));
            let other = OtherAgent { own: "laura@bb.com".parse().unwrap(), pid };
            let expected = format!("another agent of laura@bb.com runs here (pid {})", process::id());
            assert_eq!(other.to_string(), expected);
            drop(lock);
            assert!(!socket(&folder).exists() && !is_held(&folder));
            assert_eq!(fs::read_to_string(folder.file("lock")).unwrap(), "");
        }
    }

    /// A holder that was killed leaves its number and its socket.
    #[test]
    fn what_a_killed_holder_left_is_in_nobodys_way() {
        let (_data, folder) = DataFolder::temporary();
        folder::make(&folder.file("")).unwrap();
        fs::write(folder.file("lock"), "1234567890\n").unwrap();
        drop(UnixListener::bind(socket(&folder)).unwrap());
        let lock = AddressLock::in_folder(&folder).unwrap().unwrap();
        assert_eq!(fs::read_to_string(folder.file("lock")).unwrap(), format!("{}\n", process::id()));
        assert!(lock.socket().is_some());
    }

    #[test]
    fn senders_know_whether_they_are_alone() {
        let (_data, folder) = DataFolder::temporary();
        let one = SenderLock::share(&folder).unwrap();
        assert!(!one.is_shared());
        let other = SenderLock::share(&folder).unwrap();
        for _ in 0..2 {
            assert!(one.is_shared() && other.is_shared());
        }
        drop(other);
        assert!(!one.is_shared());
    }

    /// An address may be longer than the place of a socket may be.
    #[test]
    fn a_long_path_has_no_socket_and_is_locked_all_the_same() {
        let data = tempfile::tempdir().unwrap();
        let deep = data.path().join("x".repeat(100));
        let folder = DataFolder::in_data(&deep, &"laura@bb.com".parse().unwrap());
        let lock = AddressLock::in_folder(&folder).unwrap().unwrap();
        assert!(lock.socket().is_none());
        AddressLock::in_folder(&folder).unwrap().unwrap_err();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("mi-agent"), "").unwrap();
        let folder = DataFolder::in_data(data.path(), &"laura@bb.com".parse().unwrap());
        AddressLock::in_folder(&folder).unwrap_err();
        SenderLock::share(&folder).unwrap_err();
    }
}
