//! The way to a running node: finds its control socket and connects to it.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};

use super::socket;
use crate::options::load;
use crate::options::values::ControlPath;
use crate::reason;

/// Connects to the node: at `socket`, or where the settings at `config` say, or at the first place where nodes usually
/// are and one is.
///
/// # Errors
/// The settings are wrong, or say that there is no socket; no node answers, and what to do about it.
pub(crate) fn connect(socket: Option<&Path>, config: Option<&Path>) -> anyhow::Result<(PathBuf, UnixStream)> {
    let mut failures = Vec::new();
    for path in places(socket, config)? {
        match socket::connect(&path) {
            Ok(stream) => return Ok((path, stream)),
            // One that was killed leaves its socket.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                failures.push(format!("{}: {}", path.display(), reason::in_one_line(&error.into())));
            }
            Err(error) => return Err(no_node(&path, error)),
        }
    }
    bail!("no node answers at {}; is it running? --socket names another place", failures.join(", nor at "))
}

fn places(socket: Option<&Path>, config: Option<&Path>) -> anyhow::Result<Vec<PathBuf>> {
    if let Some(path) = socket {
        return Ok(vec![path.to_owned()]);
    }
    match load::control_socket(config)? {
        Some(ControlPath::At(path)) => Ok(vec![path]),
        Some(ControlPath::Off) => bail!("by its settings, the node has no control socket"),
        None => Ok(socket::of_any_node()),
    }
}

/// What to do about a node that cannot be reached.
fn no_node(path: &Path, error: io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => "ask as the user whose node it is, or as root",
        ErrorKind::WouldBlock => {
            return anyhow!("the node at {} does not accept connections", path.display());
        }
        _ => "--socket names another place",
    };
    let reason = reason::in_one_line(&error.into());
    anyhow!("no node answers at {}: {reason}; {hint}", path.display())
}
