//! `lumi-node watch`: draws the messages of a running node or a message log as a ladder.

mod diagram;
mod screen;
mod source;
mod text;

use std::env;
use std::io::{self, ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use plumi_proto::{MiAddress, UserName};
use standard_streams::{BackgroundWriter, stdout};
use tokio::io::AsyncWriteExt;
use tokio::runtime;

use self::source::Source;
use crate::admin::control::client::NodeArgs;
use crate::signals::EndSignals;

/// Show who sends which message to whom, as a ladder, while the node runs or from a message log
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    node: NodeArgs,

    /// A message log, of a node or an agent, instead of a node that runs; `-` is stdin
    #[arg(long, value_name = "LOG", conflicts_with_all = ["socket", "config"])]
    file: Option<PathBuf>,

    /// When the node ends, wait until it is back and go on, as `tail -F` does
    #[arg(long, conflicts_with = "file")]
    follow: bool,

    /// Only what is about USER: a name, or an address user@domain
    #[arg(long, value_name = "USER", value_parser = user)]
    user: Option<String>,

    /// Lines of text, one for each message, instead of the screen
    #[arg(long)]
    text: bool,

    /// A sequence diagram for Mermaid; of a node that runs, at the end (Ctrl-C)
    #[arg(long, conflicts_with = "text")]
    mermaid: bool,
}

/// Shows the messages that `args` select, until they end or the user quits.
///
/// # Errors
/// No node answers, the log cannot be read, or it contains no message.
pub(crate) fn run(args: &WatchArgs) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let watched = runtime.block_on(watch(args));
    // A pending read of stdin must not delay the end.
    runtime.shutdown_background();
    watched
}

async fn watch(args: &WatchArgs) -> anyhow::Result<()> {
    let mut signals = EndSignals::listen_at_a_terminal().context("cannot listen to signals")?;
    // Opening a pipe without a writer blocks, and a stopped node does not answer.
    let source = tokio::select! {
        () = signals.come() => return Ok(()),
        source = Source::open(args) => source?,
    };
    let user = args.user.as_deref();
    if args.mermaid {
        return diagram::run(source, user, signals).await;
    }
    // The screen reads keys from stdin.
    let has_keys = io::stdin().is_terminal() && args.file.as_deref() != Some(Path::new("-"));
    if args.text || !has_keys || !can_draw() {
        text::run(source, user, signals).await
    } else {
        Box::pin(screen::run(source, user, signals)).await
    }
}

/// Returns whether stdout is a terminal that can show more than lines of text.
fn can_draw() -> bool {
    io::stdout().is_terminal() && env::var_os("TERM").is_some_and(|terminal| terminal != "dumb")
}

/// Checks that `text` can be the user of a message.
fn user(text: &str) -> Result<String, String> {
    let wrong = if text.contains('@') {
        text.parse::<MiAddress>().err().map(|error| error.to_string())
    } else {
        text.parse::<UserName>().err().map(|error| format!("the user name {error}"))
    };
    wrong.map_or_else(|| Ok(text.to_owned()), Err)
}

/// Prints `text` on stdout. Returns `false` if a signal came meanwhile, or if the reader has closed the pipe.
///
/// # Errors
/// Stdout cannot be written to.
async fn print(text: &[u8], signals: &mut EndSignals) -> anyhow::Result<bool> {
    let mut stdout = BackgroundWriter::new(stdout());
    let written = tokio::select! {
        // A slow reader must not keep the user from ending the program.
        () = signals.come() => return Ok(false),
        written = async { stdout.write_all(text).await?; stdout.flush().await } => written,
    };
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).context("cannot write to stdout"),
    }
}

/// Formats the local time of day as `12:34:56.789`; empty if the time is not known.
fn time_of_day(at: Option<SystemTime>, zone: &TimeZone) -> String {
    let at = at.and_then(|at| Timestamp::try_from(at).ok());
    at.map(|at| at.to_zoned(zone.clone()).strftime("%H:%M:%S%.3f").to_string()).unwrap_or_default()
}

const EXAMPLES: &str = "\
Examples:
  lumi-node watch
      the messages of the node that runs here, as they pass
  lumi-node watch --user laura --text --follow
      those about laura, line by line, also after the node was restarted
  lumi-node watch --file nodelumi-bb.com.log --mermaid > ladder.mmd
      a message log as a diagram, to paste into a report

Without a terminal it prints as with --text. Exit status: 0 it has ended or was ended, 1 no node is there or nothing
could be read, 2 misuse.";
