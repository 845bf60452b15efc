//! Where the control socket is, and that only the node's owner reaches it.

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

use crate::options::values::ControlPath;

/// Where a node puts its socket that was told nothing: in the folder that systemd made for the service
/// (`RuntimeDirectory=`), or else that of the user who is logged in.
fn of_node() -> Option<PathBuf> {
    of_runtime_directory().or_else(of_user)
}

fn of_runtime_directory() -> Option<PathBuf> {
    let folders = env::var_os("RUNTIME_DIRECTORY")?;
    // Of several, the first one.
    env::split_paths(&folders).next().map(|folder| folder.join("ctl.sock"))
}

fn of_user() -> Option<PathBuf> {
    let folder = env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty())?;
    Some(Path::new(&folder).join(OF_USER))
}

/// Where to look for a node that nothing is known of, the likeliest place first.
pub(super) fn of_any_node() -> Vec<PathBuf> {
    let mut places: Vec<_> = of_runtime_directory().into_iter().chain(of_user()).collect();
    places.push(OF_SERVICE.into());
    places
}

/// Connects to the socket at `path`. Does not wait: a node that does not accept connections while many wait is taken for
/// one that does not answer.
///
/// # Errors
/// Those of the operating system; [`ErrorKind::WouldBlock`] if it does not answer.
pub(super) fn connect(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// The socket of a node, which is taken away when this is dropped.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    path: PathBuf,
    /// Device and number of the file, by which it is known to be this node's still.
    file: (u64, u64),
}

impl ControlSocket {
    /// Makes the socket that `asked` says, or the one of a node that is told nothing; there may be none. `None` as
    /// well, with a warning, if that cannot be had and was not asked for.
    ///
    /// Must run before there are threads that make files.
    ///
    /// # Errors
    /// One that was asked for cannot be had, and why.
    pub(crate) fn bind(asked: Option<&ControlPath>) -> anyhow::Result<Option<(Self, UnixListener)>> {
        match asked {
            Some(ControlPath::Off) => Ok(None),
            Some(ControlPath::At(path)) => Self::bind_at(path).map(Some),
            None => {
                let Some(path) = of_node() else {
                    tracing::info!("{NO_FOLDER}; this node is not reached by `lumi-node ctl`");
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
        // What is made from here on is its owner's alone from the first moment.
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
        // Another node's by now, perhaps.
        if file_at(&self.path).is_ok_and(|file| file == self.file) {
            _ = fs::remove_file(&self.path);
        }
    }
}

fn file_at(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Removes a socket that nobody listens on any more: what a node leaves that was killed.
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
        // It is there, and has much to do or none to do it.
        Err(error) if error.kind() == ErrorKind::WouldBlock => bail!(TAKEN),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        Err(error) => Err(error.into()),
    }
}

const NO_FOLDER: &str = "no control socket: neither RUNTIME_DIRECTORY nor XDG_RUNTIME_DIR is set, and --control-socket is not given";

const TAKEN: &str = "another node listens there; name another place with --control-socket";

/// `lumi-node.sock` in `XDG_RUNTIME_DIR`.
const OF_USER: &str = "lumi-node.sock";

/// Where the socket of the packaged service is.
const OF_SERVICE: &str = "/run/lumi-node/ctl.sock";
