//! `mi-agent enrol`: has the node of a user take the user's key, by the code of an invitation.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use mi_agent_core::{AgentBuilder, EnrolError, InvitationCode, safe_text};
use plumi_proto::MiAddress;
use standard_streams::{stderr, stdin, stdout};

use crate::logging::Diagnostics;
use crate::misuse::Misuse;
use crate::options::given::GivenOptions;
use crate::options::settings::Settings;
use crate::signals::{Ending, Signals};
use crate::typed_code::TypedCode;
use crate::{exit, prompts, reason, start};

/// Have the node of your domain take your key, by an invitation: from then on only you can register as
/// ADDRESS
///
/// The administrator invites you, and gives you a code. Your key is created if there is none. Nobody is
/// registered by this: start `mi-agent ADDRESS` afterwards.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct EnrolArgs {
    /// Your own address, user@domain
    address: MiAddress,

    /// The code of the invitation, such as KQ7M-2XTN-9D4V-W3RH, or what a camera read; - reads it from stdin
    /// [default: it is asked for]
    // Blanks in a code are arguments of their own to a shell.
    #[arg(num_args = 0..=MAX_WORDS)]
    code: Vec<String>,

    #[command(flatten)]
    options: GivenOptions,
}

/// Enrols the user.
///
/// # Errors
/// A [`Misuse`], and those of [`start::run`].
pub(crate) fn run(args: EnrolArgs) -> anyhow::Result<ExitCode> {
    let EnrolArgs { address, code, options } = args;
    let settings = Settings::load(Some(address), &options)?.without_default_log();
    let given = (!code.is_empty()).then(|| code.join(" "));
    let code = match given.filter(|code| code != "-") {
        Some(code) => parse(&code)?,
        None if stdin_is_terminal() => match ask(&address)? {
            Some(code) => code,
            None => return Ok(ExitCode::from(exit::FAILURE)),
        },
        None => parse(&read().context("cannot read the code from stdin")?)?,
    };
    start::run(&settings, address, Diagnostics::Stderr, Ending::of_lines(), async |builder, signals| {
        enrol(&address, &builder, code, signals).await
    })
}

/// Asks for the code of an invitation of the user at `own`. `None`: the input ended.
pub(crate) fn ask(own: &MiAddress) -> io::Result<Option<InvitationCode>> {
    prompts::ask_for_code(own, &mut stdin(), &mut stdout())
}

/// Enrols the user at `own`, and prints the outcome.
///
/// # Errors
/// stdout cannot be written to.
pub(crate) async fn enrol(
    own: &MiAddress,
    builder: &AgentBuilder,
    code: InvitationCode,
    signals: &mut Signals,
) -> io::Result<ExitCode> {
    let enrolled = tokio::select! {
        enrolled = builder.enrol(code) => enrolled,
        () = signals.next() => {
            // The exit code still reports the outcome if there is no stderr.
            _ = writeln!(stderr(), "! cannot enrol {own}: interrupted");
            return Ok(ExitCode::from(exit::FAILURE));
        }
    };
    match enrolled {
        Ok(_) => {
            writeln!(stdout(), "* {own} has enrolled: from now on its node asks for this agent's key")?;
            Ok(ExitCode::from(exit::WELL))
        }
        Err(error) => {
            for line in failure(own, &error) {
                // The exit code still reports the outcome if there is no stderr.
                _ = writeln!(stderr(), "{}", safe_text(&line));
            }
            Ok(exit::of_enrolment(&error))
        }
    }
}

/// Returns the lines about an enrolment that failed.
fn failure(own: &MiAddress, error: &EnrolError) -> Vec<String> {
    match error {
        EnrolError::Node(error) => {
            let hint = reason::hint_for_start(own, error).map(|hint| format!("* {hint}"));
            let reason = reason::of_start(own, error);
            [format!("! cannot enrol {own}: {reason}")].into_iter().chain(hint).collect()
        }
        _ => vec![error.to_string()],
    }
}

fn parse(code: &str) -> Result<InvitationCode, Misuse> {
    let typed: Result<TypedCode, _> = code.parse();
    typed.map(|TypedCode(code)| code).map_err(|error| Misuse::of("enrol", format!("CODE is wrong: {error}")))
}

/// Returns the first line of stdin.
fn read() -> io::Result<String> {
    let mut line = Vec::new();
    stdin().take(MAX_LINE).read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// The most words of a code: one for each of its characters, and the address in front.
const MAX_WORDS: usize = 17;

/// The most bytes of a line with a code, many times its length.
const MAX_LINE: u64 = 1_024;

const HELP: &str = "\
Exit codes:
  0 enrolled   1 the node does not know invitations, or another failure   2 misuse   3 the invitation was not taken
  5 domain not found   6 node does not answer

Examples:
  mi-agent enrol laura@bb.com
  mi-agent enrol laura@bb.com KQ7M-2XTN-9D4V-W3RH
  pass show mi/invitation | mi-agent enrol laura@bb.com -";
