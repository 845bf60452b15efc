//! The agent at a terminal or in a pipe.

mod cli;
mod command;
mod exit;
mod line {
    pub(crate) mod input;
    pub(crate) mod run;
    pub(crate) mod screen;
    pub(crate) mod session;
}
mod logging;
mod prompts;
mod signals;
mod start;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::cli::Cli;

fn main() -> ExitCode {
    let mut cli = Cli::parse();
    let on_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if on_terminal {
        match prompts::ask_for_missing(&mut cli, &mut io::stdin().lock(), &mut io::stdout()) {
            Ok(true) => {}
            Ok(false) => return ExitCode::from(exit::FAILURE),
            Err(error) => return fail(&error.into()),
        }
    }
    let Some(address) = cli.address else {
        let missing = "ADDRESS is missing, and there is no terminal to ask for it";
        Cli::command().error(ErrorKind::MissingRequiredArgument, missing).exit()
    };
    let hints = on_terminal && !cli.plain;
    let ended = start::run(&cli.options, address, async |builder, signals| {
        line::run::run(builder, signals, address, hints).await
    });
    ended.unwrap_or_else(|error| fail(&error))
}

/// The error and its causes, in one line.
fn fail(error: &anyhow::Error) -> ExitCode {
    // If stderr is gone, the exit code still tells.
    _ = writeln!(io::stderr(), "mi-agent: {error:#}");
    ExitCode::from(exit::FAILURE)
}
