//! `lumi-node ctl`: sends a command to a running node.

use std::io::{self, BufRead, BufReader, ErrorKind, IsTerminal, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use diagnostics::escaped;

use super::MAX_ANSWER;
use super::client::NodeArgs;
use crate::admin::command::Command;
use crate::admin::invitation::camera_code_of;
use crate::stdout;

/// Ask a running node, or have it change something
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CtlArgs {
    #[command(flatten)]
    node: NodeArgs,

    #[command(subcommand)]
    command: Command,
}

/// Has the node execute the command in `args`, and prints its answer.
///
/// # Errors
/// The node refuses, or no node answers.
pub(crate) fn run(args: &CtlArgs) -> anyhow::Result<()> {
    let text = ask(args)?;
    let (draws, in_colour) = (args.command.draws_camera_codes(), io::stdout().is_terminal());
    let printed = |line: &str| {
        let code = if draws { camera_code_of(line, in_colour) } else { String::new() };
        // The program that listens there need not be a node.
        escaped(line) + "\n" + &code
    };
    stdout::print(&text.split('\n').map(printed).collect::<String>())
}

/// Asks the node and returns its answer.
fn ask(args: &CtlArgs) -> anyhow::Result<String> {
    let command = &args.command;
    let (path, stream) = args.node.connect()?;
    let answer = exchange(&stream, command).map_err(|error| match error.downcast_ref::<io::Error>() {
        Some(late) if late.kind() == ErrorKind::WouldBlock => anyhow!("no answer within {PATIENCE:?}"),
        _ => error,
    });
    let Answer { is_done, text } = answer.with_context(|| {
        let unknown = if command.changes_something() { ": whether it was done cannot be told" } else { "" };
        format!("the node at {} has not answered{unknown}", path.display())
    })?;
    let text = String::from_utf8_lossy(&text).into_owned();
    if is_done { Ok(text) } else { bail!(text) }
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

/// The time the node has to answer: longer than its disk and everything it does at once take.
const PATIENCE: Duration = Duration::from_secs(60);

const EXAMPLES: &str = "\
Examples:
  lumi-node ctl register laura
  lumi-node ctl list 'l*'
  lumi-node ctl status --json
  lumi-node ctl reload

Exit status: 0 it is done, 1 it is refused or no node is there, 2 misuse.";
