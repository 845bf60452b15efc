//! The program `mi-agent`: an agent on the full screen, in pipes and in scripts.
//!
//! It is a library because the package `man-pages` generates the man page from its command line.

mod admission;
mod chat;
mod cli;
mod clock;
mod command;
mod config;
mod enrol;
mod exit;
mod full;
mod guests;
mod headless;
mod history;
mod key_show;
mod keys;
mod line_by_line;
mod line_mode;
mod logging;
mod mail;
mod misuse;
mod options;
mod own_keys;
mod printed_lines;
mod prompts;
mod reason;
mod report;
mod session;
mod signals;
mod start;
mod store;
mod trust;
mod typed_code;
mod typed_lines;
mod up;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, CommandFactory, Parser};
use mi_agent_core::safe_text;
use standard_streams::{stderr, stdout};

use crate::cli::{Cli, Subcommand};

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.subcommand {
        Some(Subcommand::Send(args)) => headless::send::run(args),
        Some(Subcommand::Listen(args)) => headless::listen::run(args),
        Some(Subcommand::Up(args)) => up::run(args),
        Some(Subcommand::Down(args)) => up::run_down(&args),
        Some(Subcommand::Enrol(args)) => enrol::run(args),
        Some(Subcommand::Outbox(args)) => headless::outbox::run(args),
        Some(Subcommand::History(args)) => history::run(args),
        Some(Subcommand::Key(subcommand)) => key_show::run(subcommand),
        Some(Subcommand::Trust(args)) => trust::run(args),
        Some(Subcommand::Config(subcommand)) => config::run(subcommand),
        Some(Subcommand::Completions { shell }) => print(&cli::completions(shell)),
        None => chat::run(&cli),
    };
    ended.unwrap_or_else(|error| fail(&error))
}

/// Returns the command line, for the man page.
pub fn command() -> Command {
    Cli::command()
}

/// Prints `text`, the whole output of a subcommand.
fn print(text: &[u8]) -> anyhow::Result<ExitCode> {
    stdout().write_all(text).context("cannot write to stdout")?;
    Ok(ExitCode::from(exit::WELL))
}

/// Reports `error` and its causes in one line, or a misuse as clap does.
fn fail(error: &anyhow::Error) -> ExitCode {
    if let Some(misuse) = error.downcast_ref() {
        // If stderr is gone, the exit code still reports the failure.
        _ = cli::error_of(misuse).print();
        return ExitCode::from(exit::MISUSE);
    }
    // If stderr is gone, the exit code still reports the failure.
    _ = writeln!(stderr(), "mi-agent: {}", safe_text(&format!("{error:#}")));
    ExitCode::from(exit::FAILURE)
}
