//! The command line.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use mi_agent_core::DEFAULT_REFRESH;
use mi_proto::Nickname;
use plumi_proto::MiAddress;

use crate::headless::listen::ListenArgs;
use crate::headless::send::SendArgs;
use crate::settings::DEFAULT_CONVERSATIONS;

/// Talk with other users, line by line, directly from agent to agent.
///
/// The agent registers ADDRESS at the node of its domain, so that others can find and call you, and
/// deregisters when it ends. What is not given is taken from the settings, of which `mi-agent config` tells.
#[derive(Debug, Parser)]
#[command(version, after_help = HELP, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) errand: Option<Errand>,

    /// Your own address, user@domain; asked for when it is neither given nor set and there is a terminal. With
    /// another one than is set, the nickname, port, node and published IP that are set do not hold, nor bare-user
    pub(crate) address: Option<MiAddress>,

    #[command(flatten)]
    pub(crate) options: AgentOptions,

    #[command(flatten)]
    pub(crate) chat: ChatOptions,
}

/// What to do instead of a chat.
#[derive(Debug, Subcommand)]
pub(crate) enum Errand {
    Send(SendArgs),
    Listen(ListenArgs),
    /// Tell about the settings
    #[command(subcommand)]
    Config(ConfigErrand),
    /// Print a script that lets SHELL complete what is typed
    Completions {
        /// For which shell
        shell: Shell,
    },
}

/// What to tell about the settings.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum ConfigErrand {
    /// Print where the settings file is, or would be
    Path,
    /// Print what holds without flags, as a settings file
    Show,
}

/// How a chat is.
#[derive(Debug, Args)]
pub(crate) struct ChatOptions {
    /// Line mode without hints; chosen by itself when stdin or stdout is no terminal
    #[arg(long)]
    pub(crate) plain: bool,

    /// Keep nothing of what is said on the disk
    #[arg(long)]
    pub(crate) no_history: bool,

    /// Never ring the terminal's bell
    #[arg(long)]
    pub(crate) no_bell: bool,
}

/// A script that lets `shell` complete what is typed.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
    script
}

/// Tells what is wrong with the arguments of `errand`, and ends the program.
pub(crate) fn misuse(errand: &str, reason: &str) -> ! {
    let mut command = Cli::command();
    // Or else the usage would not be that of the errand.
    command.build();
    let errand = command.find_subcommand_mut(errand).expect("it is one of them");
    errand.error(ErrorKind::ValueValidation, reason).exit()
}

/// How an agent runs, whatever it is used for.
#[derive(Debug, Args)]
pub(crate) struct AgentOptions {
    /// What others see of you [default: the user part of ADDRESS]
    #[arg(long, value_name = "NAME")]
    pub(crate) nick: Option<Nickname>,

    /// TCP port to listen on for conversations; 0 is any free one [default: 0]
    #[arg(long)]
    pub(crate) port: Option<u16>,

    /// The node to talk to, instead of asking DNS for ADDRESS's domain
    #[arg(long, value_name = "IP:PORT", value_parser = node)]
    pub(crate) node: Option<SocketAddrV4>,

    /// Ask this DNS server instead of the system's; may repeat
    #[arg(long = "name-server", value_name = "IP:PORT")]
    pub(crate) name_servers: Vec<SocketAddr>,

    /// IP address to publish [default: the local address of the route to the node]
    #[arg(long, value_name = "IP", value_parser = reachable)]
    pub(crate) advertise: Option<Ipv4Addr>,

    /// How often to register again, which a restarted node needs; 5 s is the least [default: 60]
    #[arg(long, value_name = "SECONDS|off", value_parser = refresh)]
    pub(crate) refresh: Option<Refresh>,

    /// Message log, - is stdout; a full one, of 100 MiB, becomes FILE.1, that one FILE.2, up to FILE.4 [default:
    /// mi-agent-ADDRESS.log in the working directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,

    /// Register without the domain, for nodes that refuse the full address
    #[arg(long)]
    pub(crate) bare_user: bool,

    /// How many conversations there may be at a time, up to 16 [default: 1]
    #[arg(long, value_name = "N", value_parser = conversations)]
    pub(crate) conversations: Option<u8>,

    /// More diagnostics on stderr; may repeat. RUST_LOG wins
    #[arg(short, long, action = ArgAction::Count, display_order = AFTER_OTHERS)]
    pub(crate) verbose: u8,

    /// Fewer diagnostics on stderr
    #[arg(short, long, action = ArgAction::Count, display_order = AFTER_OTHERS)]
    pub(crate) quiet: u8,
}

impl AgentOptions {
    /// How many conversations there may be.
    pub(crate) fn conversations(&self) -> NonZeroUsize {
        let conversations = self.conversations.unwrap_or(DEFAULT_CONVERSATIONS);
        NonZeroUsize::new(conversations.into()).unwrap_or(NonZeroUsize::MIN)
    }
}

/// How often a registration is refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refresh {
    Every(Duration),
    Off,
}

impl Default for Refresh {
    fn default() -> Self {
        Self::Every(DEFAULT_REFRESH)
    }
}

impl fmt::Display for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(interval) => interval.as_secs().fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

pub(crate) fn refresh(text: &str) -> Result<Refresh, &'static str> {
    match (text, text.parse()) {
        ("off", _) => Ok(Refresh::Off),
        (_, Ok(seconds @ 1..)) => Ok(Refresh::Every(Duration::from_secs(seconds))),
        _ => Err("it is a number of seconds, 1 or more, or off"),
    }
}

pub(crate) fn node(text: &str) -> Result<SocketAddrV4, &'static str> {
    let node: SocketAddrV4 =
        text.parse().map_err(|_| "a node is given as IP:PORT, such as 127.0.0.2:3344")?;
    if node.port() == 0 { Err("no node has port 0; they use 3344") } else { Ok(node) }
}

pub(crate) fn reachable(text: &str) -> Result<Ipv4Addr, &'static str> {
    let ip: Ipv4Addr = text.parse().map_err(|_| "it is no IPv4 address, such as 192.0.2.7")?;
    if ip.octets()[0] == 0 || ip.is_multicast() || ip.is_broadcast() {
        return Err("nobody can be reached there");
    }
    Ok(ip)
}

pub(crate) fn conversations(text: &str) -> Result<u8, String> {
    let within = text.parse().ok().filter(|most| (1..=MAX_CONVERSATIONS).contains(most));
    within.ok_or_else(|| format!("it is a number from 1 to {MAX_CONVERSATIONS}"))
}

/// Where options that every program has stand in the help, before clap's own.
const AFTER_OTHERS: usize = 900;

/// More nobody follows.
pub(crate) const MAX_CONVERSATIONS: u8 = 16;

const HELP: &str = "\
On a terminal it takes the whole screen: F1 lists commands and keys, F2 shows the protocol, F3 contacts.

Commands, once it runs:
  /call ADDRESS             call somebody
  /bye, /exit               end the conversation
  /block, /unblock ADDRESS  take no calls of somebody, or take them again
  /allow-only ADDRESS…|off  take calls of these alone, or of everybody
  /contacts, /protocol, /close   on the screen only
  /quit, EXIT               deregister and leave; so does the end of input
  /help                     show these
  //text                    say /text

Exit codes:
  0 ended well   1 other failure   2 misuse   3 no such user   4 user offline (send)
  5 domain not found   6 node does not answer   7 busy or refused (send)

Examples:
  mi-agent laura@localhost
  mi-agent laura@bb.com --port 3500 --nick Laura
  mi-agent laura@bb.com --node 192.0.2.7:3344
  mi-agent send --from backup@bb.com joya@cc.com 'the backup is done'
  mi-agent listen --from bot@bb.com --json";
