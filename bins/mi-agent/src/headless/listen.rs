//! `mi-agent listen`: takes calls and reports events, for programs.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use mi_agent_core::Intake;
use plumi_proto::MiAddress;
use standard_streams::stderr;

use super::listener::{Format, Listener};
use crate::logging::Diagnostics;
use crate::misuse::Misuse;
use crate::options::given::GivenOptions;
use crate::options::settings::Settings;
use crate::printed_lines::PrintedLines;
use crate::session::Session;
use crate::signals::Ending;
use crate::store::lock::AddressLock;
use crate::store::user_data::UserData;
use crate::up::front::Front;
use crate::{line_by_line, start};

/// Take calls and print what happens, one event a line, until SIGINT or SIGTERM
///
/// A node that is not there at the start is waited for.
///
/// With --json each event is a JSON object, and commands are taken from stdin as JSON objects: to call, to
/// say, to end a conversation, to quit. docs/events.md has them all. If `mi-agent up` keeps an agent of the
/// address running, the program attaches to that one.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ListenArgs {
    /// Your own address, user@domain, also if the settings have one: one that no other chat or `listen` uses
    /// meanwhile
    #[arg(long, value_name = "ADDRESS")]
    from: MiAddress,

    /// Print JSON, and take commands as JSON from stdin
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    options: GivenOptions,
}

/// Takes calls until a signal or an order ends the program.
///
/// # Errors
/// A [`Misuse`]; another agent of the address; those of [`start::run`].
pub(crate) fn run(args: ListenArgs) -> anyhow::Result<ExitCode> {
    let ListenArgs { from, json, options } = args;
    let settings = Settings::load(Some(from), &options)?.without_default_log();
    if json && settings.log.as_deref() == Some(Path::new("-")) {
        return Err(Misuse::of("listen", "--log - would be among the JSON on stdout").into());
    }
    let conversations = usize::from(settings.conversations.unwrap_or_default().0.get());
    if json && let Some(front) = Front::attach(&from)? {
        return front.run(from);
    }
    let lock = AddressLock::take(&from)?;
    if io::stderr().is_terminal() {
        // Nobody needs the hint if there is no stderr.
        _ = writeln!(stderr(), "mi-agent: registering {from}");
    }
    let UserData { admission, .. } = UserData::open(&from, false)?;
    let format = if json {
        Format::Json
    } else {
        // A script that did not ask for several conversations reads lines without numbers.
        Format::Words { numbered: settings.conversations.is_some() && conversations > 1 }
    };
    let (diagnostics, ending) = (Diagnostics::Stderr, Ending::of_lines());
    start::run(&settings, from, diagnostics, ending, async |builder, signals| {
        let builder = builder.conversations(conversations).admission(admission);
        let builder = builder.intake(Some(Intake::OF_PEOPLE));
        let session =
            Session::start_patiently(builder, None).with_lock(lock).with_outbox(from, (&settings).into());
        let printed = PrintedLines::on_stdout();
        line_by_line::run(Listener::new(from, format), session, printed, signals).await
    })
}

const HELP: &str = "\
Exit codes:
  0 ended well   1 other failure   2 misuse   3 no such user   6 node does not answer at the end

Examples:
  mi-agent listen --from alarms@bb.com | tee -a alarms.txt
  mi-agent listen --from bot@bb.com --json
      prints {\"event\":\"begun\",\"conversation\":1,...}, takes {\"say\":\"hola\",\"to\":1}";
