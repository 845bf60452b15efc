//! `mi-agent history`: prints what was said, for people and programs.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use jiff::tz::TimeZone;
use mi_agent_core::safe_text;
use plumi_proto::MiAddress;
use serde_json::json;

use crate::command::address_of;
use crate::exit;
use crate::misuse::Misuse;
use crate::options::load;
use crate::options::settings::Settings;
use crate::store::folder::DataFolder;
use crate::store::history::{Entry, History, Way};
use crate::store::json::in_a_line;

/// Print the history of your conversations with PEER, the oldest line first
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The other side, user@domain; a name alone is a user of your own domain
    #[arg(required_unless_present = "unknown")]
    peer: Option<String>,

    /// Print instead what was said with callers whose address is not known, and who they may have been
    #[arg(long, conflicts_with = "peer")]
    unknown: bool,

    /// Your own address, user@domain [default: the one in the settings]
    #[arg(long, value_name = "ADDRESS")]
    from: Option<MiAddress>,

    /// Print only lines that contain TEXT, in upper or lower case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    /// Print a JSON object a line: at, way (sent, received or left-out), nick, text, raw if text is shown
    /// otherwise, and with --unknown candidates
    #[arg(long)]
    json: bool,
}

/// Prints the history. There may be no line with the text.
///
/// # Errors
/// A [`Misuse`]; there is no history with the peer, or it cannot be read; stdout cannot be written to.
pub(crate) fn run(args: HistoryArgs) -> anyhow::Result<ExitCode> {
    let HistoryArgs { peer, unknown: _, from, search, json } = args;
    let own = match from {
        Some(own) => Some(own),
        None => Settings::read(&load::path()?)?.and_then(|settings| settings.address),
    };
    let Some(own) = own else {
        return Err(Misuse::of("history", "--from is missing, and the settings have no address").into());
    };
    let peer = peer.map(|peer| address_of(&peer, &own)).transpose();
    let peer = peer.map_err(|error| Misuse::of("history", format!("PEER: {error}")))?;
    let folder = DataFolder::of(&own).context("nobody knows where data are; set HOME")?;
    let zone = TimeZone::system();
    let mut output = BufWriter::new(io::stdout().lock());
    // The candidates of the line before.
    let mut last = None;
    let print = |entry: Entry| {
        if peer.is_none() && !json && entry.way != Way::LeftOut && last.as_ref() != Some(&entry.candidates) {
            writeln!(output, "{}", who_it_may_be(&entry, &zone))?;
            last = Some(entry.candidates.clone());
        }
        writeln!(output, "{}", line(&entry, json, peer.is_none(), &zone))
    };
    let printed = History::of(&folder).search(peer.as_ref(), search.as_deref(), print);
    match printed.and_then(|is_there| output.flush().map(|()| is_there)) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Ok(false) => match peer {
            Some(peer) => bail!("there is no history of {own} with {peer}"),
            None => bail!("there is no history of {own} with callers whose address is not known"),
        },
        printed => _ = printed.context("cannot print the history")?,
    }
    Ok(ExitCode::from(exit::WELL))
}

/// Formats the candidates of an entry, safe to show.
fn who_it_may_be(entry: &Entry, zone: &TimeZone) -> String {
    let at = time(entry, zone);
    if entry.candidates.is_empty() {
        return format!("{at} * nobody knows who the caller is");
    }
    let candidates: Vec<_> = entry.candidates.iter().map(ToString::to_string).collect();
    format!("{at} * the caller may be {}", safe_text(&candidates.join(" or ")))
}

/// Formats an entry, safe to show.
fn line(entry: &Entry, json: bool, of_unknown: bool, zone: &TimeZone) -> String {
    let (nick, text) = (safe_text(&entry.nick), safe_text(&entry.text));
    if json {
        let way = match entry.way {
            Way::Sent => "sent",
            Way::Received => "received",
            Way::LeftOut => "left-out",
        };
        let mut object = json!({"at": entry.at.to_string(), "way": way, "nick": nick, "text": text});
        if text != entry.text {
            object["raw"] = entry.text.as_str().into();
        }
        if of_unknown {
            let candidates = entry.candidates.iter().map(|candidate| safe_text(candidate.as_str()));
            object["candidates"] = candidates.collect();
        }
        return in_a_line(&object).expect("nothing in it can fail");
    }
    let at = time(entry, zone);
    match entry.way {
        Way::LeftOut => format!("{at} * {text}"),
        Way::Sent | Way::Received => format!("{at} <{nick}> {text}"),
    }
}

fn time(entry: &Entry, zone: &TimeZone) -> String {
    entry.at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}
