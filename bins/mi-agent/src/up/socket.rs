//! The socket of `mi-agent up`: its place, and the way to it through the lock of the address.
//!
//! It is `$XDG_RUNTIME_DIR/mi-agent/NAME.sock`, where NAME is that of the user's folder, or without such a folder
//! `up.sock` in the data folder. Programs never look at the environment for it, because cron has none: the lock
//! file has the path. Only the user reaches it.

use std::env;
use std::fs::{self, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use plumi_proto::MiAddress;

use crate::store::folder::{self, DataFolder};
use crate::store::lock;

/// The socket file. Dropping it removes the file.
#[derive(Debug)]
pub(super) struct FrontSocket(PathBuf);

impl FrontSocket {
    /// Creates the socket of the user at `own`, who has the lock of the `folder`.
    ///
    /// # Errors
    /// Another program listens there, or the system refuses both places.
    pub(super) fn bind(own: &MiAddress, folder: &DataFolder) -> anyhow::Result<(Self, UnixListener)> {
        let name = folder::safe_name(own);
        let failure = match runtime_folder().map(|runtime| bind_at(&in_runtime(&runtime, &name))) {
            Some(Ok(bound)) => return Ok(bound),
            Some(Err(error)) => Some(error),
            None => None,
        };
        // Many hosts have no folder for sockets, and on some it is somebody else's.
        let path = folder.path().join("up.sock");
        bind_at(&path).map_err(|error| failure.unwrap_or(error))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for FrontSocket {
    fn drop(&mut self) {
        // It may be gone with the folder of a user who has logged out.
        _ = fs::remove_file(&self.0);
    }
}

/// Connects to the agent of the user with this `folder` that is up; `None` if there is none.
///
/// # Errors
/// An agent is up, and cannot be reached; the socket is that of another user.
pub(super) fn connect(folder: &DataFolder) -> anyhow::Result<Option<UnixStream>> {
    let Some(path) = lock::socket_of_holder(folder) else { return Ok(None) };
    match UnixStream::connect(&path) {
        Ok(stream) => Ok(Some(stream)),
        // A killed agent leaves its socket behind.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot connect to {}", path.display())),
    }
}

/// Returns the folder for sockets, unless it is relative, which counts as none (XDG Base Directory Specification).
fn runtime_folder() -> Option<PathBuf> {
    env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute())
}

/// Returns the path of the socket in `runtime`: with a hash for a `name` that is too long.
fn in_runtime(runtime: &Path, name: &str) -> PathBuf {
    let folder = runtime.join("mi-agent");
    let path = folder.join(format!("{name}.sock"));
    if path.as_os_str().len() <= MAX_PATH {
        return path;
    }
    // Another version may hash differently, because everybody finds the path in the lock file.
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    folder.join(format!("{:016x}.sock", hasher.finish()))
}

fn bind_at(path: &Path) -> anyhow::Result<(FrontSocket, UnixListener)> {
    let failed = || format!("cannot listen at {}", path.display());
    if UnixStream::connect(path).is_ok() {
        // The lock is ours, so it belongs to an agent with other data.
        bail!("{}: another program does", failed());
    }
    let listen = || -> io::Result<UnixListener> {
        if let Some(parent) = path.parent() {
            folder::make(parent)?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        // Until then the folder keeps others out, and later also the check of each program that connects.
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    let listener = listen().with_context(failed)?;
    Ok((FrontSocket(path.to_owned()), listener))
}

/// The most bytes of the path of a socket, unix(7).
const MAX_PATH: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_stays_in_its_folder_whatever_the_name_is() {
        let runtime = Path::new("/run/user/1000");
        let path = |address: &str| in_runtime(runtime, &folder::safe_name(&address.parse().unwrap()));
        assert_eq!(path("laura@bb.com"), runtime.join("mi-agent/laura@bb.com.sock"));
        assert_eq!(path("../x@bb.com"), runtime.join("mi-agent/%2E.%2Fx@bb.com.sock"));
        let long = format!("{}@b", "é".repeat(17));
        let (long, other) = (path(&long), path(&long.replacen('é', "è", 1)));
        assert!(
            long.as_os_str().len() <= MAX_PATH && long.parent() == Some(&runtime.join("mi-agent")),
            "{long:?}"
        );
        assert_ne!(long, other);
    }

    #[test]
    fn a_socket_is_its_users_alone_and_goes_with_the_agent() {
        let (_data, folder) = DataFolder::temporary();
        let path = folder.path().join("up.sock");
        for _ in 0..2 {
            let (socket, listener) = bind_at(&path).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            bind_at(&path).unwrap_err();
            drop((socket, listener));
            assert!(!path.exists());
        }
        // A killed agent leaves one.
        drop(UnixListener::bind(&path).unwrap());
        bind_at(&path).unwrap();
    }

    #[test]
    fn the_way_is_in_the_lock() {
        let (_data, folder) = DataFolder::temporary();
        assert!(connect(&folder).unwrap().is_none(), "nobody has the lock");
        let lock = lock::AddressLock::in_folder(&folder).unwrap().unwrap();
        assert!(connect(&folder).unwrap().is_none(), "a chat has it");
        let (socket, listener) = bind_at(&folder.path().join("up.sock")).unwrap();
        lock.name_socket(socket.path()).unwrap();
        assert!(connect(&folder).unwrap().is_some());
        assert!(lock::is_held(&folder));
        assert_eq!(lock::AddressLock::in_folder(&folder).unwrap().unwrap_err(), Some(std::process::id()));
        drop(listener);
        assert!(connect(&folder).unwrap().is_none(), "it was killed");
        drop(lock);
        assert!(connect(&folder).unwrap().is_none());
    }
}
