//! The way to a running node: finds its control socket and connects to it.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};

use super::socket;
use crate::options::load;
use crate::options::values::PathOrOff;
use crate::reason;

/// The options that name a running node.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct NodeArgs {
    /// The node's control socket [default: that of the settings, $XDG_RUNTIME_DIR/lumi-node.sock or
    /// /run/lumi-node/ctl.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// The node's settings, of which `control-socket` counts [default: config/lumi-node.toml if it is there]
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    config: Option<PathBuf>,
}

impl NodeArgs {
    /// Connects to the node: at the given socket, at the one in the settings, or at the first of the usual
    /// places where a node answers.
    ///
    /// # Errors
    /// The settings are wrong, or turn the socket off. No node answers; the error says what to do about it.
    pub(crate) fn connect(&self) -> anyhow::Result<(PathBuf, UnixStream)> {
        let mut failures = Vec::new();
        let (places, hint) = self.places()?;
        for path in places {
            match socket::connect(&path) {
                Ok(stream) => return Ok((path, stream)),
                // A node that was killed leaves its socket behind.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                    failures.push(format!("{}: {}", path.display(), reason::in_one_line(&error.into())));
                }
                Err(error) => return Err(no_node(&path, error)),
            }
        }
        bail!("no node answers at {}; is it running? {hint}", failures.join(", nor at "))
    }

    /// Returns where a node may listen, and what helps if none does.
    fn places(&self) -> anyhow::Result<(Vec<PathBuf>, &'static str)> {
        if let Some(path) = &self.socket {
            return Ok((vec![path.to_owned()], ANOTHER_PLACE));
        }
        match load::control_socket(self.config.as_deref())? {
            Some(PathOrOff::At(path)) => Ok((vec![path], ANOTHER_PLACE)),
            Some(PathOrOff::Off) => bail!("by its settings, the node has no control socket"),
            None => Ok((socket::of_any_node(), NO_SOCKET)),
        }
    }
}

/// Explains why a node cannot be reached, and what to do about it.
fn no_node(path: &Path, error: io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => "ask as the user whose node it is, or as root",
        ErrorKind::WouldBlock => {
            return anyhow!("the node at {} does not accept connections", path.display());
        }
        _ => ANOTHER_PLACE,
    };
    let reason = reason::in_one_line(&error.into());
    anyhow!("no node answers at {}: {reason}; {hint}", path.display())
}

const ANOTHER_PLACE: &str = "--socket names another place";

const NO_SOCKET: &str = "A node started without XDG_RUNTIME_DIR has no socket: give it --control-socket PATH, and \
                         --socket PATH here";
