//! `lumi-node`: the node of a domain as a program. `lumi-node-core` makes the decisions; this crate talks to
//! people.
//!
//! It is a library so that tests can check settings without a process for each text, and so that its man page
//! can be generated.

mod admin;
mod bindings;
mod check;
mod cli;
mod init;
mod logging;
mod options;
mod reason;
mod sample;
mod serve;
mod service;
mod signals;
mod stdout;
mod watch;
mod web;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, CommandFactory, Parser};
use diagnostics::escaped;
use standard_streams::{stderr, stdout};

use crate::admin::control;
use crate::cli::{Cli, Subcommand};
use crate::options::settings::Settings;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let Cli { subcommand, config, given } = Cli::parse();
    let ended = match subcommand {
        Some(Subcommand::Check(args)) => check::run(args),
        Some(Subcommand::Completions { shell }) => {
            print(&cli::completions(shell)).map(|()| ExitCode::SUCCESS)
        }
        Some(Subcommand::Init(args)) => init::run(&args),
        Some(Subcommand::Ctl(args)) => control::ctl::run(&args).map(|()| ExitCode::SUCCESS),
        Some(Subcommand::Watch(args)) => watch::run(&args).map(|()| ExitCode::SUCCESS),
        None => serve::run(config, given).map(|()| ExitCode::SUCCESS),
    };
    ended.unwrap_or_else(|error| {
        // Without stderr, nobody can read the error.
        _ = writeln!(stderr(), "lumi-node: {}", escaped(&reason::in_one_line(&error)));
        ExitCode::FAILURE
    })
}

/// Reads the text of a settings file as the program does.
///
/// # Errors
/// The first wrong line, and why it is wrong, on one line.
pub fn check_settings(text: &str) -> anyhow::Result<()> {
    Settings::parse(text).map(drop)
}

/// Reads the text of a settings file as `lumi-node check` does. Returns every error, in the words of
/// [`check_settings`].
pub fn settings_errors(text: &str) -> Vec<String> {
    check::settings_errors(text)
}

/// The command line, for documentation.
pub fn command() -> Command {
    Cli::command()
}

fn print(text: &[u8]) -> anyhow::Result<()> {
    stdout().write_all(text).context("cannot write to stdout")
}
