//! The path of the control socket. Only the node's owner can reach it.

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::Mode;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::umask;

use crate::options::values::PathOrOff;

/// The default path of a node's socket.
///
/// It is in the folder that systemd made for the service (`RuntimeDirectory=`) or, without one, in that of
/// the logged-in user.
fn of_node() -> Option<PathBuf> {
    of_runtime_directory().or_else(of_user)
}

fn of_runtime_directory() -> Option<PathBuf> {
    let folders = env::var_os("RUNTIME_DIRECTORY")?;
    // If there are several folders, the first one counts.
    env::split_paths(&folders).next().map(|folder| folder.join("ctl.sock"))
}

fn of_user() -> Option<PathBuf> {
    let folder = env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty())?;
    Some(Path::new(&folder).join(OF_USER))
}

/// The paths at which a node is likely to listen, the likeliest first.
pub(super) fn of_any_node() -> Vec<PathBuf> {
    let mut places: Vec<_> = of_runtime_directory().into_iter().chain(of_user()).collect();
    places.push(OF_SERVICE.into());
    places
}

/// Returns whether a node that is started without a path has a socket, or one of the service is there.
pub(crate) fn has_default() -> bool {
    of_node().is_some() || Path::new(OF_SERVICE).exists()
}

/// Connects to the socket at `path` without waiting.
///
/// A node with a full queue of connections counts as one that does not answer.
///
/// # Errors
/// Those of the operating system; [`ErrorKind::WouldBlock`] if the node does not answer.
pub(super) fn connect(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// The control socket of a node. Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    path: PathBuf,
    /// Device and inode of the file, which show whether it is still this node's.
    file: (u64, u64),
}

impl ControlSocket {
    /// Creates the socket that the settings ask for, or the default one.
    ///
    /// Returns `None` if there is to be none, or if the default one has no folder or cannot be created, which
    /// logs a warning.
    ///
    /// Must run before any thread creates files, since it changes the umask of the process.
    ///
    /// # Errors
    /// The socket in the settings cannot be created.
    pub(crate) fn bind(asked: Option<&PathOrOff>) -> anyhow::Result<Option<(Self, UnixListener)>> {
        match asked {
            Some(PathOrOff::Off) => Ok(None),
            Some(PathOrOff::At(path)) => Self::bind_at(path).map(Some),
            None => {
                let Some(path) = of_node() else {
                    tracing::warn!("{NO_FOLDER}");
                    return Ok(None);
                };
                Ok(Self::bind_at(&path)
                    .inspect_err(|error| {
                        tracing::warn!(
                            "{}; this node is not reached by `lumi-node ctl`",
                            crate::reason::in_one_line(error)
                        );
                    })
                    .ok())
            }
        }
    }

    fn bind_at(path: &Path) -> anyhow::Result<(Self, UnixListener)> {
        let failed = || format!("cannot listen on the control socket {}", path.display());
        remove_stale(path).with_context(failed)?;
        // New files belong to their owner alone, from the first moment on.
        let before = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let bound = UnixListener::bind(path);
        umask(before);
        let listener = bound.with_context(failed)?;
        listener.set_nonblocking(true).with_context(failed)?;
        let file = file_at(path).with_context(failed)?;
        Ok((Self { path: path.to_owned(), file }, listener))
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // The file may belong to another node by now.
        if file_at(&self.path).is_ok_and(|file| file == self.file) {
            _ = fs::remove_file(&self.path);
        }
    }
}

fn file_at(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Removes a socket that nobody listens on, which a killed node leaves behind.
fn remove_stale(path: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(found) if !found.file_type().is_socket() => {
            bail!("something else is there, which is left as it is; name another place with --control-socket")
        }
        Ok(_) => {}
    }
    match connect(path) {
        Ok(_) => bail!(TAKEN),
        // The node is there, but busy or stopped.
        Err(error) if error.kind() == ErrorKind::WouldBlock => bail!(TAKEN),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        Err(error) => Err(error.into()),
    }
}

/// The warning of a node that has nowhere to make a socket.
const NO_FOLDER: &str = "no control socket, so `lumi-node ctl` and `lumi-node watch` do not reach this node: neither \
                         RUNTIME_DIRECTORY nor XDG_RUNTIME_DIR is set; --control-socket PATH makes one, and \
                         --control-socket off does without";

const TAKEN: &str = "another node listens there; name another place with --control-socket";

/// The name of the socket in `XDG_RUNTIME_DIR`.
const OF_USER: &str = "lumi-node.sock";

/// The socket of the packaged service.
const OF_SERVICE: &str = "/run/lumi-node/ctl.sock";
