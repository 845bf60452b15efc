//! The command line.

use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use plumi_proto::MiAddress;

use crate::enrol::EnrolArgs;
use crate::headless::listen::ListenArgs;
use crate::headless::outbox::OutboxArgs;
use crate::headless::send::SendArgs;
use crate::history::HistoryArgs;
use crate::key_show::KeySubcommand;
use crate::misuse::Misuse;
use crate::options::chat::ChatOptions;
use crate::options::given::GivenOptions;
use crate::trust::TrustArgs;
use crate::up::{DownArgs, UpArgs};

/// Talk with other users, line by line, directly from agent to agent.
///
/// The agent registers ADDRESS at the node of its domain, so that others can find and call you, and
/// deregisters when it ends. What is not given is taken from the settings, of which `mi-agent config` tells.
#[derive(Debug, Parser)]
#[command(version, after_help = HELP, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) subcommand: Option<Subcommand>,

    /// Your own address, user@domain; asked for when it is neither given nor set and there is a terminal.
    /// With another one than is set, the nickname, port, node and published IP that are set do not hold, nor
    /// bare-user, accept-unproved and the key
    pub(crate) address: Option<MiAddress>,

    #[command(flatten)]
    pub(crate) options: GivenOptions,

    #[command(flatten)]
    pub(crate) chat: ChatOptions,
}

/// The subcommands; without one, `mi-agent` is a chat.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    Send(SendArgs),
    Listen(ListenArgs),
    Up(UpArgs),
    Down(DownArgs),
    Enrol(EnrolArgs),
    Outbox(OutboxArgs),
    History(HistoryArgs),
    /// Show your own key
    #[command(subcommand)]
    Key(KeySubcommand),
    /// The keys of other users, as this host knows them
    Trust(TrustArgs),
    /// Tell about the settings
    #[command(subcommand)]
    Config(ConfigSubcommand),
    /// Print a script that lets SHELL complete what is typed
    Completions {
        /// For which shell
        shell: Shell,
    },
}

/// The subcommands of `mi-agent config`.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub(crate) enum ConfigSubcommand {
    /// Print where the settings file is, or would be
    Path,
    /// Print what holds without flags, as a settings file
    Show,
}

/// Generates the completion script for `shell`.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
    script
}

/// Converts `misuse` into an error of clap, with the usage of its subcommand.
pub(crate) fn error_of(misuse: &Misuse) -> clap::Error {
    let mut command = Cli::command();
    // The usage of a subcommand would otherwise lack the name of the program.
    command.build();
    let subcommand = misuse.subcommand.and_then(|name| command.find_subcommand(name)).cloned();
    subcommand.unwrap_or(command).error(misuse.kind, &misuse.reason)
}

const HELP: &str = "\
On a terminal it takes the whole screen: F1 lists commands and keys, F2 shows the protocol, F3 contacts.

Commands, once it runs:
  /call ADDRESS             call somebody; a name alone is a user of your domain
  /bye, /exit               end the conversation
  /block, /unblock ADDRESS  take no calls of somebody, or take them again
  /allow-only ADDRESS…|off  take calls of these alone, or of everybody
  /words                    show the words of your key, to read them out
  /verify ADDRESS WORD…     compare the words of somebody's key
  /trust ADDRESS [WORD…]    take the new key of somebody, after a warning
  /plain ADDRESS            call somebody once without encryption
  /later ADDRESS TEXT       leave a message for somebody who is not there
  /resend, /forget ID       send a message again that may have arrived, or drop one
  /contacts, /add ADDRESS, /find TEXT, /protocol, /close   on the screen only
  /quit, EXIT               deregister and leave; so does the end of input
  /help                     show these
  //text                    say /text

Exit codes:
  0 ended well   1 other failure   2 misuse   3 no such user   4 user offline (send)
  5 domain not found   6 node does not answer   7 busy or refused (send)
  8 not as secure as it must be (send)   9 another key than the one that is known (send)

Examples:
  mi-agent laura@localhost
  mi-agent laura@bb.com --port 3500 --nick Laura
  mi-agent laura@bb.com --node 192.0.2.7:3344
  mi-agent send --from backup@bb.com joya@cc.com 'the backup is done'
  mi-agent listen --from bot@bb.com --json
  mi-agent up laura@bb.com
  mi-agent enrol laura@bb.com
  mi-agent key show --words";
