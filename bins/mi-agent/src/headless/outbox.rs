//! `mi-agent outbox`: the messages that wait, and `mi-agent send --later`, which adds one.

use std::io::{self, BufWriter, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use mi_agent_core::{ItemId, ItemState, OutboxItem, OutboxTime, Security, may_forget, may_resend, safe_text};
use plumi_proto::MiAddress;
use serde_json::json;
use standard_streams::{stderr, stdin, stdout};

use crate::exit;
use crate::mail::{day_and_hour, in_short};
use crate::misuse::Misuse;
use crate::options::load;
use crate::options::settings::Settings;
use crate::store::folder::DataFolder;
use crate::store::json::in_a_line;
use crate::store::lock;
use crate::store::outbox::OutboxFiles;

/// Show the messages that wait until their receivers are there
///
/// An agent of the address that runs, a chat, `listen` or `up`, delivers them.
#[derive(Debug, Args)]
pub(crate) struct OutboxArgs {
    #[command(subcommand)]
    what: Option<What>,

    /// Your own address, user@domain [default: the one in the settings]
    #[arg(long, value_name = "ADDRESS", global = true)]
    from: Option<MiAddress>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print every message that waits; this is also what `mi-agent outbox` does
    List {
        /// Print a JSON object a line: id, address, state, written, until, text
        #[arg(long)]
        json: bool,
    },
    /// Have the agent that runs try everybody now
    Retry,
    /// Send a message again that may have arrived
    Resend {
        /// The id of the message
        id: ItemId,
    },
    /// Drop a message
    Forget {
        /// The id of the message
        id: ItemId,
    },
}

/// Shows the messages that wait, or changes one.
///
/// # Errors
/// A [`Misuse`]; there is no such message, or it is being delivered; the files cannot be read or written; stdout
/// cannot be written to.
pub(crate) fn run(args: OutboxArgs) -> anyhow::Result<ExitCode> {
    let OutboxArgs { what, from } = args;
    let own = match from {
        Some(own) => Some(own),
        None => Settings::read(&load::path()?)?.and_then(|settings| settings.address),
    };
    let Some(own) = own else {
        return Err(Misuse::of("outbox", "--from is missing, and the settings have no address").into());
    };
    let files = files_of(own)?;
    match what.unwrap_or(What::List { json: false }) {
        What::List { json } => {
            let (mut items, _) = files.read_all().context("the outbox cannot be read")?;
            items.retain(|item| !item.state.is_last());
            let mut out = BufWriter::new(stdout());
            let printed = if json { print_json(&items, &mut out) } else { print_table(&items, &mut out) };
            printed.and_then(|()| out.flush()).context("cannot write to stdout")?;
        }
        What::Retry => {
            files.ask_for_retry().context("the agent cannot be told")?;
            say_who_delivers(own, "they are tried within 5 s");
        }
        What::Resend { id } => {
            files.change(id, ItemState::Queued, may_resend).with_context(|| format!("message {id}"))?;
            say_who_delivers(own, "it is sent again");
        }
        What::Forget { id } => {
            files.change(id, ItemState::Forgotten, may_forget).with_context(|| format!("message {id}"))?;
        }
    }
    Ok(ExitCode::from(exit::WELL))
}

/// Leaves `text`, or what stdin says, for `to`, and prints the id of the message.
///
/// # Errors
/// The message cannot be kept.
pub(super) fn leave(
    own: MiAddress,
    to: MiAddress,
    text: Option<String>,
    keep: Duration,
    needs: Security,
) -> anyhow::Result<ExitCode> {
    let text = match text {
        Some(text) => text,
        None => {
            let mut text = Vec::new();
            stdin().take(MAX_STDIN).read_to_end(&mut text).context("stdin cannot be read")?;
            String::from_utf8_lossy(&text).trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    let item = files_of(own)?.put(to, &text, keep, needs).context("the message is not kept")?;
    writeln!(stdout(), "{}", item.id).context("cannot write to stdout")?;
    say_who_delivers(own, &format!("kept until {}", day_and_hour(item.until)));
    Ok(ExitCode::from(exit::WELL))
}

fn files_of(own: MiAddress) -> anyhow::Result<OutboxFiles> {
    let folder = DataFolder::of(&own).ok_or_else(|| anyhow!("nobody knows where data are; set HOME"))?;
    Ok(OutboxFiles::of(own, &folder))
}

/// Says on stderr what happens, or that nobody runs who does it.
fn say_who_delivers(own: MiAddress, what: &str) {
    let runs = DataFolder::of(&own).is_some_and(|folder| lock::is_held(&folder));
    let said = if runs { what.to_owned() } else { format!("kept; it leaves when an agent of {own} runs") };
    // Nobody needs it if there is no stderr.
    _ = writeln!(stderr(), "mi-agent: {said}");
}

fn print_table(items: &[OutboxItem], out: &mut impl Write) -> io::Result<()> {
    if items.is_empty() {
        return writeln!(out, "no message waits");
    }
    for item in items {
        let (text, until) = (in_short(&item.text), day_and_hour(item.until));
        let text = safe_text(&text);
        writeln!(
            out,
            "{}  {:<13}  {}  until {until}  {text}",
            item.id,
            item.state,
            safe_text(item.to.as_str())
        )?;
    }
    Ok(())
}

fn print_json(items: &[OutboxItem], out: &mut impl Write) -> io::Result<()> {
    for item in items {
        let object = json!({
            "id": item.id.to_string(),
            "address": item.to.as_str(),
            "state": item.state.as_str(),
            "written": rfc3339(item.at),
            "until": rfc3339(item.until),
            "text": item.text,
        });
        writeln!(out, "{}", in_a_line(&object)?)?;
    }
    Ok(())
}

/// Returns a time as programs read it.
pub(crate) fn rfc3339(OutboxTime(millis): OutboxTime) -> String {
    let at = Timestamp::from_millisecond(i64::try_from(millis).unwrap_or(i64::MAX));
    format!("{:.3}", at.unwrap_or(Timestamp::MAX))
}

/// The most bytes that are read of stdin: more than a message may have, so that one that is too long is told.
const MAX_STDIN: u64 = 64 * 1024;
