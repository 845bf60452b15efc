//! The way into a running node from a shell: `lumi-node ctl` over a Unix socket.
//!
//! ```text
//! request = JSON of a Command, "\n"                        {"register":{"user":"laura"}}
//! answer  = "done " length "\n" text | "refused " length "\n" reason
//! length  = decimal                                        of what follows, in bytes
//!
//! watch   = `{"watch":{}}`, "\n"                            what passes at the node, instead of a request
//! stream  = "stream\n" *(JSON, "\n")                       {"owner":"bb.com"}, then of each message
//!                                                          {"number":1,"at":1795624920123,"line":"R: …"}
//!                                                          or of some that passed too fast {"missed":3}
//! ```
//!
//! A connection is one request and its answer, after which the node closes it; or a stream, until one side closes it,
//! be it for what it sends alone: whoever watches keeps that open. It begins with the last messages; `line` is that of the
//! message log, `at` is in milliseconds since 1970 in UTC.

pub(crate) mod ctl;
pub(crate) mod server;
pub(crate) mod socket;
pub(crate) mod stream;

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};

use crate::options::settings;
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
    match settings::control_socket(config)? {
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

/// The most bytes of a request: many times what a command needs.
const MAX_REQUEST: u64 = 4096;

/// The most bytes of an answer that is read: a list of some million users.
const MAX_ANSWER: u64 = 1 << 30;

/// `lumi-node.sock` in `XDG_RUNTIME_DIR`.
const OF_USER: &str = "lumi-node.sock";

/// Where the socket of the packaged service is.
const OF_SERVICE: &str = "/run/lumi-node/ctl.sock";
