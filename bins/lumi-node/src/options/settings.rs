//! What the node is to do: the command line wins over the settings file, which wins over the defaults.

use std::fs;
use std::io::{self, IsTerminal};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};

use anyhow::Context;
use diagnostics::{Format, Level};
use lumi_dns::{DirectoryError, NodeDirectory};
use lumi_node_core::NodeSettings;
use plumi_proto::NODE_PORT;
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use tokio::net::UdpSocket;

use super::keys::Keys;
use super::log_size::LogSize;
use super::values::{ControlPath, Peer, RateLimiting, StrikeInterval};

/// What the node is to do.
#[derive(Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) roster: PathBuf,
    pub(crate) listen: SocketAddrV4,
    /// `None` is the default for the domain.
    pub(crate) log: Option<PathBuf>,
    pub(crate) log_max_size: LogSize,
    name_servers: Vec<SocketAddr>,
    peers: Vec<Peer>,
    /// What the node decides by.
    pub(crate) node: NodeSettings,
    pub(crate) control_socket: Option<ControlPath>,
    /// `None` is nowhere.
    pub(crate) web: Option<SocketAddr>,
    pub(crate) console: bool,
    pub(crate) diagnostics: Level,
    /// `None` is what suits stderr.
    pub(crate) diagnostics_format: Option<Format>,
}

impl Settings {
    /// Reads the settings file at `config`, or the default one if it is there, and lets `keys` win over it.
    ///
    /// # Errors
    /// A file that was asked for and cannot be read, or one that is wrong, and where.
    pub(crate) fn load(config: Option<&Path>, keys: Keys) -> anyhow::Result<Self> {
        Ok(keys.or(read(config)?).into())
    }

    /// What is `new` and takes a restart.
    pub(crate) fn changed_at_restart(&self, new: &Self) -> Vec<&'static str> {
        let keys = [
            ("roster", self.roster != new.roster),
            ("listen", self.listen != new.listen),
            ("log", self.log != new.log),
            ("control-socket", self.control_socket != new.control_socket),
            ("web", self.web != new.web),
            ("console", self.console != new.console),
            ("diagnostics-format", self.diagnostics_format != new.diagnostics_format),
        ];
        keys.into_iter().filter(|(_, is_new)| *is_new).map(|(key, _)| key).collect()
    }

    /// Where other nodes are.
    ///
    /// # Errors
    /// Those of [`lumi_dns::NodeDirectoryBuilder::build`].
    pub(crate) fn directory(&self) -> Result<NodeDirectory, DirectoryError> {
        let builder = NodeDirectory::builder();
        let builder =
            self.peers.iter().fold(builder, |builder, peer| builder.peer(peer.domain, peer.address));
        self.name_servers.iter().fold(builder, |builder, &server| builder.name_server(server)).build()
    }

    /// The address of `socket`, which was bound to [`Settings::listen`].
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn local(&self, socket: &UdpSocket) -> io::Result<SocketAddrV4> {
        Ok(SocketAddrV4::new(*self.listen.ip(), socket.local_addr()?.port()))
    }
}

/// What the settings file says about the control socket: the one at `config`, or one that happens to be there.
///
/// # Errors
/// That at `config` cannot be read, or is wrong.
pub(crate) fn control_socket(config: Option<&Path>) -> anyhow::Result<Option<ControlPath>> {
    match read(config) {
        Ok(keys) => Ok(keys.control_socket),
        Err(error) if config.is_some() => Err(error),
        // Nobody named it, and it is the node that has to say what is wrong with it.
        Err(_) => Ok(None),
    }
}

/// Reads the settings file `asked` for, or the one that need not be there.
fn read(asked: Option<&Path>) -> anyhow::Result<Keys> {
    let path = asked.unwrap_or(Path::new(DEFAULT_CONFIG));
    match fs::read_to_string(path) {
        Ok(text) => Keys::parse(&text).with_context(|| format!("the settings {} are wrong", path.display())),
        Err(error) if asked.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(Keys::default()),
        Err(error) => Err(error).with_context(|| format!("cannot read the settings {}", path.display())),
    }
}

impl From<Keys> for Settings {
    fn from(keys: Keys) -> Self {
        let defaults = NodeSettings::default();
        Self {
            roster: keys.roster.unwrap_or_else(|| DEFAULT_ROSTER.into()),
            listen: keys.listen.unwrap_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, NODE_PORT)),
            log: keys.log,
            log_max_size: keys.log_max_size.unwrap_or_default(),
            name_servers: keys.name_servers,
            peers: keys.peers,
            node: NodeSettings {
                rate_limit: keys.rate_limit.map_or(defaults.rate_limit, |RateLimiting(limit)| limit),
                exempt: keys.exempt,
                allow: keys.allow,
                takeover: keys.takeover.map_or(defaults.takeover, Into::into),
                strike_interval: keys
                    .strike_interval
                    .map_or(defaults.strike_interval, |StrikeInterval(least)| least),
            },
            control_socket: keys.control_socket,
            web: keys.web,
            console: keys.console.unwrap_or_else(has_terminal),
            diagnostics: keys.diagnostics.unwrap_or_default(),
            diagnostics_format: keys.diagnostics_format,
        }
    }
}

/// Whether somebody may be typing.
fn has_terminal() -> bool {
    // A job in the background that reads from its terminal is stopped, and the node would be with it.
    let foreground = || tcgetpgrp(io::stdin()).map_or(true, |group| group == getpgrp());
    io::stdin().is_terminal() && foreground()
}

/// The settings file, unless another one is named; it need not be there.
pub(crate) const DEFAULT_CONFIG: &str = "config/lumi-node.toml";

const DEFAULT_ROSTER: &str = "config/nodelumi.cfg";

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../../../config/lumi-node.toml");

    #[test]
    fn the_sample_says_what_holds_without_it() {
        assert_eq!(Settings::from(Keys::parse(SAMPLE).unwrap()), Keys::default().into());
    }

    #[test]
    fn the_sample_names_every_key() {
        let text = SAMPLE.lines().map(|line| match line.strip_prefix("# ") {
            Some(key) if key.split_once(" = ").is_some_and(|(name, _)| !name.contains(' ')) => key,
            _ => line,
        });
        let keys = Keys::parse(&text.collect::<Vec<_>>().join("\n")).unwrap();
        // No `..`, so that a new key is missed here.
        let Keys {
            roster,
            listen,
            log,
            log_max_size,
            name_servers,
            peers,
            allow,
            takeover,
            rate_limit,
            exempt,
            strike_interval,
            control_socket,
            web,
            console,
            diagnostics,
            diagnostics_format,
        } = keys;
        assert!(roster.is_some() && listen.is_some() && log.is_some() && !name_servers.is_empty());
        assert!(!peers.is_empty() && !allow.is_empty() && takeover.is_some() && rate_limit.is_some());
        assert!(!exempt.is_empty() && strike_interval.is_some() && log_max_size.is_some());
        assert!(control_socket.is_some() && web.is_some());
        assert!(console.is_some() && diagnostics.is_some() && diagnostics_format.is_some());
    }
}
