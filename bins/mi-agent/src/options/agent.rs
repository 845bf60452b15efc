//! How an agent runs, as the command line says it.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgAction, Args};
use mi_proto::Nickname;

use super::values::{DEFAULT_CONVERSATIONS, Refresh, conversations, node, reachable, refresh};

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

/// Where options that every program has stand in the help, before clap's own.
const AFTER_OTHERS: usize = 900;
