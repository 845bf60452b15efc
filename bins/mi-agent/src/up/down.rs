//! `mi-agent down`: ends an agent that is up.

use std::io::{BufRead, BufReader, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use plumi_proto::MiAddress;
use standard_streams::stdout;

use super::lines::{DOWN, Event};
use super::socket;
use crate::exit;
use crate::store::folder::DataFolder;
use crate::store::lock::{self, OtherAgent};

/// End the agent that `mi-agent up` keeps running
///
/// Its conversations end, ADDRESS is deregistered, and the programs that are attached to it end, too.
#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    /// The address of the agent
    address: MiAddress,
}

/// Ends the agent, and waits until it is gone.
///
/// # Errors
/// No agent of the address is up, or it cannot be reached; it could not deregister.
pub(crate) fn run(args: &DownArgs) -> anyhow::Result<ExitCode> {
    let own = args.address;
    let Some(folder) = DataFolder::of(&own) else { bail!("nobody knows where data are; set HOME") };
    let Some(mut stream) = socket::connect(&folder)? else {
        if lock::is_held(&folder) {
            let other = OtherAgent { own, pid: lock::pid_of_holder(&folder) };
            bail!("{other}, and it is not one that `mi-agent up` has started");
        }
        bail!("no agent of {own} is up");
    };
    // An error: the agent says why, or ends already.
    _ = stream.write_all(format!("{DOWN}\n").as_bytes());
    let mut last = None;
    for line in BufReader::new(stream).lines() {
        // An error: the agent is gone.
        let Ok(line) = line else { break };
        last = serde_json::from_str::<Event>(&line).ok();
    }
    match last {
        Some(Event { event, reason: Some(reason), .. }) if event == "not-attached" => bail!("{reason}"),
        Some(Event { event, reason: Some(reason), .. }) if event == "not-deregistered" => {
            bail!("cannot deregister {own}: {reason}")
        }
        _ => {}
    }
    writeln!(stdout(), "mi-agent: {own} is down").context("cannot write to stdout")?;
    Ok(ExitCode::from(exit::WELL))
}
