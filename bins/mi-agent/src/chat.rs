//! A chat: prompts for what is missing, then the full screen or line mode.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::error::ErrorKind;
use jiff::tz::TimeZone;
use mi_agent_core::{Intake, safe_text};
use plumi_proto::MiAddress;
use standard_streams::{stdin, stdout};

use crate::cli::Cli;
use crate::full::app::Setup;
use crate::full::run::Chat;
use crate::full::theme::Theme;
use crate::line_mode::LineMode;
use crate::logging::Diagnostics;
use crate::misuse::Misuse;
use crate::options::load;
use crate::options::settings::Settings;
use crate::printed_lines::PrintedLines;
use crate::prompts::Answers;
use crate::session::Session;
use crate::signals::Ending;
use crate::store::folder::DataFolder;
use crate::store::lock::AddressLock;
use crate::store::user_data::UserData;
use crate::{exit, full, line_by_line, own_keys, prompts, start};

/// Runs a chat with the options of `cli` and the settings, until it ends.
///
/// # Errors
/// A [`Misuse`]; settings or rules that cannot be read or are wrong; another agent of the address; those of
/// [`start::run`].
pub(crate) fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let mut settings = Settings::load(cli.address, &cli.options)?;
    cli.chat.write_over(&mut settings);
    let on_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let config = load::path().ok();
    let mut saves = false;
    if on_terminal {
        match prompts::ask_for_missing(&mut settings, config.is_some(), &mut stdin(), &mut stdout())? {
            Answers::Incomplete => return Ok(ExitCode::from(exit::FAILURE)),
            Answers::Complete { saves: wanted } => saves = wanted,
        }
    }
    let Some(address) = settings.address else {
        let reason = "ADDRESS is missing, and there is no terminal to ask for it".to_owned();
        let misuse = Misuse { subcommand: None, kind: ErrorKind::MissingRequiredArgument, reason };
        return Err(misuse.into());
    };
    let can_draw = env::var_os("TERM").is_some_and(|terminal| terminal != "dumb");
    let lock = AddressLock::take(&address)?;
    let code = if on_terminal && can_draw && !settings.plain {
        on_full_screen(&settings, address, lock)?
    } else {
        line_by_line(&settings, address, lock, on_terminal)?
    };
    // An address with a mistake in it has failed by now, and would only have to be removed again.
    if let (true, Some(config), true) = (saves, config, code == ExitCode::from(exit::WELL)) {
        load::save_address(&config, &address)
            .with_context(|| format!("cannot save the address to {}", config.display()))?;
        let saved = format!("* from now on mi-agent starts as {address} ({})", config.display());
        // The address is saved even if the terminal is gone.
        _ = stdout().write_all(format!("{}\n", safe_text(&saved)).as_bytes());
    }
    Ok(code)
}

fn line_by_line(
    settings: &Settings,
    address: MiAddress,
    lock: Option<AddressLock>,
    on_terminal: bool,
) -> anyhow::Result<ExitCode> {
    let shows_hints = on_terminal && !settings.plain;
    let UserData { admission, keeper, troubles, .. } = UserData::open(&address, false)?;
    let line_mode = LineMode::new(address, admission.clone(), shows_hints, &troubles);
    start::run(settings, address, Diagnostics::Stderr, Ending::of_lines(), async |builder, signals| {
        let session =
            Session::start(builder.intake(Some(Intake::OF_PEOPLE)).admission(admission), Some(keeper))
                .with_lock(lock)
                .with_outbox(address, settings.into());
        line_by_line::run(line_mode, session, PrintedLines::on_stdout(), signals).await
    })
}

fn on_full_screen(
    settings: &Settings,
    own: MiAddress,
    lock: Option<AddressLock>,
) -> anyhow::Result<ExitCode> {
    if settings.log.as_deref() == Some(Path::new("-")) {
        bail!("the message log cannot be on the screen; --log FILE, or --plain for line mode");
    }
    let UserData { admission, contacts, keeper, troubles } = UserData::open(&own, settings.history)?;
    let nickname = match &settings.nick {
        Some(nickname) => nickname.to_string(),
        None => own.user().to_string(),
    };
    let setup = Setup {
        own,
        nickname,
        conversations: usize::from(settings.conversations.unwrap_or_default().0.get()),
        keeps_history: settings.history,
        rings_bell: settings.bell,
        zone: TimeZone::system(),
        contacts,
        admission,
        key_log: start::key_log(settings).map(|file| file.display().to_string()),
    };
    let no_color = env::var("NO_COLOR").ok();
    let theme = Theme::new(no_color.as_deref());
    // A user that has already enrolled needs more than a code.
    let asks_for_code = DataFolder::of(&own)
        .is_none_or(|folder| matches!(own_keys::enrolment_file(&folder).read(&own), Ok(None)));
    let (diagnostics, told) = Diagnostics::beside_a_screen();
    let mut last_words = Vec::new();
    let ended = start::run(settings, own, diagnostics, Ending::of_a_screen(), async |builder, signals| {
        let takes_mouse = settings.mouse;
        let chat = Chat {
            setup,
            lock,
            post: settings.into(),
            keeper,
            takes_mouse,
            theme,
            troubles,
            diagnostics: told,
            asks_for_code,
        };
        let builder = builder.intake(Some(Intake::OF_PEOPLE));
        full::run::run(builder, signals, chat, &mut last_words).await
    });
    for line in last_words {
        // If the terminal is gone, the exit code still reports the outcome.
        _ = stdout().write_all(format!("{line}\n").as_bytes());
    }
    ended
}
