//! `lumi-node`: the node of a domain as a program. What it decides is in `lumi-node-core`; here are its words.
//!
//! It is a library so that its settings can be tested without a process for each text.

mod cli;
mod commands;
mod console;
mod diagnostics;
mod escaped;
mod keys;
mod log_size;
mod logging;
mod reason;
mod settings;
mod signals;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use lumi_node_core::{Node, Roster, RosterFile, Server};
use tokio::net::UdpSocket;
use tokio::runtime;
use tokio::sync::Notify;

use crate::cli::{Cli, Errand};
use crate::keys::Keys;
use crate::logging::Logs;
use crate::settings::Settings;
use crate::signals::Signals;

/// Runs the program, with the arguments of this process, to its end.
pub fn main() -> ExitCode {
    let mut cli = Cli::parse();
    let ended = match cli.errand.take() {
        Some(Errand::Completions { shell }) => print(&cli::completions(shell)),
        None => run(cli),
    };
    let Err(error) = ended else { return ExitCode::SUCCESS };
    // Without stderr there is nobody to tell.
    _ = writeln!(io::stderr(), "lumi-node: {}", reason::in_one_line(&error));
    ExitCode::FAILURE
}

/// Reads the text of a settings file as the program does.
///
/// # Errors
/// The line that is wrong, and why, on one line.
pub fn check_settings(text: &str) -> anyhow::Result<()> {
    Keys::parse(text).map(drop)
}

fn print(text: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(text).and_then(|()| stdout.flush()).context("cannot write to stdout")
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let settings = Settings::load(cli)?;
    let (file, roster) = RosterFile::open(&settings.roster).map_err(reason::of_no_roster)?;
    let logs = logging::start(&settings, roster.domain())?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(serve(settings, file, roster, logs));
    // A disk that hangs, with a hosts file on it, is not waited for.
    runtime.shutdown_background();
    served
}

async fn serve(settings: Settings, file: RosterFile, roster: Roster, logs: Logs) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let directory = settings.directory()?;
    let listen = || format!("cannot listen on {}", settings.listen);
    let socket = UdpSocket::bind(settings.listen).await.with_context(listen)?;
    let local = settings.local(&socket).with_context(listen)?;
    let ready = format!("domain {}, listening on {local}, {} users", roster.domain(), roster.len());
    let node = Node::new(roster, local, settings.node.clone());
    let mut server = Server::new(socket, node, directory);
    // It works as well for somebody who does not read this.
    _ = writeln!(io::stdout(), "lumi-node: {ready}");
    let administrator = server.administrator(file);
    let exit = Arc::new(Notify::new());
    if settings.console {
        console::start(administrator.clone(), Arc::clone(&exit))?;
    }
    let shutdown = async {
        tokio::select! { () = signals.end(administrator, logs) => {}, () = exit.notified() => {} }
    };
    Ok(Box::pin(server.run(shutdown)).await?)
}
