//! A program that is a front of an agent that is up: `mi-agent listen --json`.
//!
//! It passes the lines of stdin to the agent, and those of the agent to stdout, as they are.

use std::io::{self, BufRead, Read, Write};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::ExitCode;

use anyhow::Context;
use mi_agent_core::safe_text;
use plumi_proto::MiAddress;
use standard_streams::stderr;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;

use super::lines::Event;
use super::socket;
use crate::exit;
use crate::headless::commands::MAX_LINE;
use crate::printed_lines::PrintedLines;
use crate::signals::{Ending, HURRY, Signals};
use crate::store::folder::DataFolder;
use crate::typed_lines::TypedLines;

/// The connection of a front to its agent.
#[derive(Debug)]
pub(crate) struct Front(StdUnixStream);

impl Front {
    /// Attaches to the agent of the user at `own`; `None` if none is up.
    ///
    /// # Errors
    /// An agent is up, and cannot be reached.
    pub(crate) fn attach(own: &MiAddress) -> anyhow::Result<Option<Self>> {
        match DataFolder::of(own) {
            Some(folder) => Ok(socket::connect(&folder)?.map(Self)),
            None => Ok(None),
        }
    }

    /// Runs until the agent ends, or lets the front go after `quit` or a signal.
    ///
    /// # Errors
    /// The runtime or signals cannot be used; stdout is unusable; the agent is gone.
    pub(crate) fn run(self, own: MiAddress) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("cannot start the runtime")?;
        let code = runtime.block_on(async {
            let mut signals = Signals::listen(Ending::of_lines()).context("cannot listen for signals")?;
            self.0.set_nonblocking(true).context("cannot use the socket")?;
            let stream = UnixStream::from_std(self.0).context("cannot use the socket")?;
            pass(own, stream, &mut signals).await
        });
        // A thread may still be blocked by a line that nobody reads.
        runtime.shutdown_background();
        code
    }
}

async fn pass(own: MiAddress, stream: UnixStream, signals: &mut Signals) -> anyhow::Result<ExitCode> {
    let (read, mut write) = stream.into_split();
    let mut agent = BufReader::new(read);
    let mut typed = Some(TypedLines::read_by(next_piece));
    let mut printed = PrintedLines::on_stdout();
    let (mut line, mut last, mut to_write) = (Vec::new(), None, Vec::new());
    loop {
        let is_printing = printed.has_to_print();
        tokio::select! {
            done = printed.print(), if is_printing => done.context("cannot write to stdout")?,
            // While nobody reads stdout, the agent keeps what comes.
            length = agent.read_until(b'\n', &mut line), if !is_printing => {
                if !length.is_ok_and(|length| length > 0 && line.ends_with(b"\n")) {
                    break;
                }
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                last = heard(&text);
                printed.push(&text);
                line.clear();
            }
            done = write_all(&mut write, &mut to_write), if !to_write.is_empty() => if done.is_err() {
                to_write.clear();
                typed = None;
            },
            piece = next(&mut typed), if to_write.is_empty() => match piece {
                Some(piece) => to_write = piece,
                // It goes on without orders, as `listen` does.
                None => typed = None,
            },
            () = signals.next() => {
                typed = None;
                to_write.clear();
                printed.hurry(HURRY);
                // An error: the agent is gone, which reading finds out.
                _ = write.shutdown().await;
            }
        }
    }
    let ended = match last.as_deref() {
        Some("detached" | "deregistered" | "not-deregistered") => Ok(ExitCode::from(exit::WELL)),
        Some("not-attached") => Ok(ExitCode::from(exit::FAILURE)),
        _ => Err(anyhow::anyhow!("the agent of {own} is gone")),
    };
    printed.print().await.context("cannot write to stdout")?;
    ended
}

/// Returns the name of an event, and logs what concerns this program.
fn heard(line: &str) -> Option<String> {
    let Event { event, version, .. } = serde_json::from_str(line).ok()?;
    if let Some(version) =
        version.filter(|version| event == "attached" && version != env!("CARGO_PKG_VERSION"))
    {
        let this = env!("CARGO_PKG_VERSION");
        // Nobody needs it if there is no stderr.
        _ = writeln!(
            stderr(),
            "mi-agent: the agent is of version {}, and this is {this}",
            safe_text(&version)
        );
    }
    Some(event)
}

/// Reads the next line with its end, or as much of it as a line may have. The agent judges it.
fn next_piece(stdin: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut piece = Vec::new();
    let length = stdin.take(MAX_LINE).read_until(b'\n', &mut piece)?;
    Ok((length > 0).then_some(piece))
}

async fn next(typed: &mut Option<TypedLines<Vec<u8>>>) -> Option<Vec<u8>> {
    match typed {
        Some(typed) => typed.next().await,
        None => std::future::pending().await,
    }
}

/// Writes all of `bytes`, and removes what is written. Cancel safe.
async fn write_all(write: &mut OwnedWriteHalf, bytes: &mut Vec<u8>) -> io::Result<()> {
    while !bytes.is_empty() {
        let length = write.write(bytes).await?;
        bytes.drain(..length);
    }
    Ok(())
}
