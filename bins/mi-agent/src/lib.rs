//! `mi-agent`: the agent on a screen, in a pipe and in scripts.
//!
//! It is a library so that its man page can be made.

mod admission;
mod chat;
mod cli;
mod clock;
mod command;
mod config;
mod exit;
mod full;
mod headless;
mod line;
mod logging;
mod misuse;
mod options;
mod prompts;
mod signals;
mod start;
mod store;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, CommandFactory, Parser};
use mi_agent_core::safe_text;

use crate::cli::{Cli, Subcommand};

/// Runs the program, with the arguments of this process, to its end.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.subcommand {
        Some(Subcommand::Send(args)) => headless::send::run(args),
        Some(Subcommand::Listen(args)) => headless::listen::run(args),
        Some(Subcommand::Config(subcommand)) => config::run(subcommand),
        Some(Subcommand::Completions { shell }) => print(&cli::completions(shell)),
        None => chat::run(&cli),
    };
    ended.unwrap_or_else(|error| fail(&error))
}

/// The command line, for those who describe it.
pub fn command() -> Command {
    Cli::command()
}

/// Prints `text`, all that was asked for.
fn print(text: &[u8]) -> anyhow::Result<ExitCode> {
    let mut stdout = io::stdout();
    stdout.write_all(text).and_then(|()| stdout.flush()).context("cannot write to stdout")?;
    Ok(ExitCode::from(exit::WELL))
}

/// Reports `error` and its causes in one line, or a misuse as clap does.
fn fail(error: &anyhow::Error) -> ExitCode {
    if let Some(misuse) = error.downcast_ref() {
        // If stderr is gone, the exit code still tells.
        _ = cli::error_of(misuse).print();
        return ExitCode::from(exit::MISUSE);
    }
    // If stderr is gone, the exit code still tells.
    _ = writeln!(io::stderr(), "mi-agent: {}", safe_text(&format!("{error:#}")));
    ExitCode::from(exit::FAILURE)
}
