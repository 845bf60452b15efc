//! A chat: asked for what is missing, and then in line mode.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;

use crate::cli::Cli;
use crate::settings::Settings;
use crate::{exit, line, prompts, start};

/// Chats as `cli` and the settings say, to the end.
///
/// # Errors
/// Settings that cannot be read or are wrong, and those of [`start::run`].
pub(crate) fn run(mut cli: Cli) -> anyhow::Result<ExitCode> {
    let settings = Settings::load()?;
    settings.complete(&mut cli.address, &mut cli.options);
    let chat = settings.chat(&cli.chat);
    let on_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if on_terminal && !prompts::ask_for_missing(&mut cli, &mut io::stdin().lock(), &mut io::stdout())? {
        return Ok(ExitCode::from(exit::FAILURE));
    }
    let Some(address) = cli.address else {
        let missing = "ADDRESS is missing, and there is no terminal to ask for it";
        Cli::command().error(ErrorKind::MissingRequiredArgument, missing).exit()
    };
    let hints = on_terminal && !chat.plain;
    start::run(&cli.options, address, async |builder, signals| {
        line::run::run(builder, signals, address, hints).await
    })
}
