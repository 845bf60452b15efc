//! `lumi-node ctl`: asks a running node.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use super::{MAX_ANSWER, socket};
use crate::command::Command;
use crate::keys::ControlPath;
use crate::settings;

/// Ask a running node, or have it change something
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CtlArgs {
    /// The node's control socket [default: that of the settings, $XDG_RUNTIME_DIR/lumi-node.sock or
    /// /run/lumi-node/ctl.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// The node's settings, of which `control-socket` counts [default: config/lumi-node.toml if it is there]
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

/// Has the node carry out what `args` say, and prints its answer.
///
/// # Errors
/// It is refused, or no node answers, and why.
pub(crate) fn run(args: &CtlArgs) -> anyhow::Result<()> {
    let path = match &args.socket {
        Some(path) => path.clone(),
        None => match settings::control_socket(args.config.as_deref())? {
            Some(ControlPath::At(path)) => path,
            Some(ControlPath::Off) => bail!("by its settings, the node has no control socket"),
            None => socket::of_any_node(),
        },
    };
    let text = ask(&path, &args.command)?;
    let mut stdout = io::stdout();
    stdout.write_all(&text).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush()).or_else(
        |error| {
            // Whoever reads has seen enough.
            if error.kind() == ErrorKind::BrokenPipe {
                Ok(())
            } else {
                Err(error).context("cannot write to stdout")
            }
        },
    )
}

/// What the node at `path` answers to `command`.
///
/// # Errors
/// As [`run`].
pub(crate) fn ask(path: &Path, command: &Command) -> anyhow::Result<Vec<u8>> {
    let stream = UnixStream::connect(path).map_err(|error| no_node(path, error))?;
    let failed =
        || format!("the node at {} has not answered: whether it was done cannot be told", path.display());
    let answer = exchange(&stream, command).with_context(failed)?;
    let Answer { is_done, text } = answer;
    if is_done { Ok(text) } else { bail!("{}", String::from_utf8_lossy(&text)) }
}

struct Answer {
    is_done: bool,
    text: Vec<u8>,
}

fn exchange(mut stream: &UnixStream, command: &Command) -> anyhow::Result<Answer> {
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = serde_json::to_string(command)? + "\n";
    stream.write_all(request.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut reader = BufReader::new(stream).take(MAX_ANSWER);
    let mut head = String::new();
    reader.read_line(&mut head)?;
    let (word, length) = head.trim_end().split_once(' ').context("it has hung up")?;
    let length: u64 = length.parse().context("it is no node that is there")?;
    let mut text = Vec::new();
    reader.read_to_end(&mut text)?;
    if text.len() as u64 != length {
        bail!("its answer is cut off");
    }
    match word {
        "done" => Ok(Answer { is_done: true, text }),
        "refused" => Ok(Answer { is_done: false, text }),
        _ => bail!("it is no node that is there"),
    }
}

/// What to do about a node that is not there.
fn no_node(path: &Path, error: io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => "is it running? --socket names another place",
        ErrorKind::PermissionDenied => "ask as the user whose node it is, or as root",
        _ => "--socket names another place",
    };
    let reason = crate::reason::in_one_line(&error.into());
    anyhow::anyhow!("no node answers at {}: {reason}; {hint}", path.display())
}

/// How long the node may take: longer than its disk and all that it does at once.
const PATIENCE: Duration = Duration::from_secs(60);

const EXAMPLES: &str = "\
Examples:
  lumi-node ctl register laura
  lumi-node ctl list 'l*'
  lumi-node ctl status --json
  lumi-node ctl reload

Exit status: 0 it is done, 1 it is refused or no node is there, 2 misuse.";
