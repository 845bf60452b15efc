//! The agent on a screen, in a pipe and in scripts.

mod admission;
mod chat;
mod cli;
mod clock;
mod command;
mod config;
mod exit;
mod headless {
    pub(crate) mod commands;
    pub(crate) mod listen;
    pub(crate) mod progress;
    pub(crate) mod report;
    pub(crate) mod send;
    pub(crate) mod session;
}
mod full {
    pub(crate) mod app;
    mod backend;
    mod editor;
    mod job_control;
    mod keys;
    mod pane;
    mod protocol;
    pub(crate) mod run;
    mod tab;
    pub(crate) mod terminal;
    #[cfg(test)]
    mod testing;
    pub(crate) mod theme;
    mod view;
}
mod line {
    pub(crate) mod input;
    pub(crate) mod refusals;
    pub(crate) mod run;
    pub(crate) mod screen;
    pub(crate) mod session;
}
mod logging;
mod prompts;
mod settings;
mod signals;
mod start;
mod store {
    pub(crate) mod contacts;
    mod file;
    pub(crate) mod folder;
    pub(crate) mod history;
    mod json;
    pub(crate) mod keeper;
    pub(crate) mod kept;
    pub(crate) mod rules;
}
mod toml_text;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use mi_agent_core::safe_text;

use crate::cli::{Cli, Errand};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.errand {
        Some(Errand::Send(errand)) => headless::send::run(errand),
        Some(Errand::Listen(errand)) => headless::listen::run(errand),
        Some(Errand::Config(errand)) => config::run(errand),
        None => chat::run(cli),
    };
    ended.unwrap_or_else(|error| fail(&error))
}

/// The error and its causes, in one line.
fn fail(error: &anyhow::Error) -> ExitCode {
    // If stderr is gone, the exit code still tells.
    _ = writeln!(io::stderr(), "mi-agent: {}", safe_text(&format!("{error:#}")));
    ExitCode::from(exit::FAILURE)
}
