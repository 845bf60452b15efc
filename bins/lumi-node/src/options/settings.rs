//! The table of everything that can be set.
//!
//! A new setting is an entry of the table below, its use, and its lines in `config/lumi-node.toml`. The
//! entry determines help, completions, man page, the key in the settings file, the errors about it, and the
//! report of a reload. If the node uses the setting in a decision, it is a field of [`NodeSettings`] too.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::ArgAction;
use diagnostics::{Format, Level};
use lumi_dns::{DirectoryError, NodeDirectory, NodeDirectoryBuilder};
use lumi_node_core::{AddressRange, Ask, Auth, HostIp, NodeAddress, NodeSettings, Takeover, UdpAddress};
use plumi_proto::{Domain, NODE_PORT, UserName};
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use settings_text::Mistake;

use super::log_size::LogSize;
use super::values::{
    BindingsSync, PathOrOff, Peer, RateLimiting, RestoreWithin, StrikeInterval, Switch, UsersPerSocket,
    allowed, ask, auth, peers, takeover, users,
};

/// Generates [`Settings`] from the table.
///
/// Each entry is an option of the command line and a key of the settings file. It has help and attributes,
/// `name: type = default`, and whether a change takes effect at a `Reload` or needs a `Restart`. Entries in
/// `node` become the fields of the same name of [`NodeSettings`], and a reload always applies them.
macro_rules! settings {
    (
        $($(#[$attribute:meta])* $key:ident: $type:ty = $default:expr, $effect:ident;)*
        => node { $($(#[$node_attribute:meta])* $node_key:ident: $node_type:ty = $node_default:expr;)* }
        $($(#[$more_attribute:meta])* $more_key:ident: $more_type:ty = $more_default:expr, $more_effect:ident;)*
    ) => {
        /// The settings in effect: the command line wins over the settings file, which wins over the
        /// defaults.
        #[derive(Clone, Debug, PartialEq, clap::Args, serde::Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
        pub(crate) struct Settings {
            $($(#[$attribute])* pub(crate) $key: $type,)*
            $($(#[$node_attribute])* pub(crate) $node_key: $node_type,)*
            $($(#[$more_attribute])* pub(crate) $more_key: $more_type,)*
        }

        impl Default for Settings {
            fn default() -> Self {
                Self {
                    $($key: $default,)*
                    $($node_key: $node_default,)*
                    $($more_key: $more_default,)*
                }
            }
        }

        impl Settings {
            /// Returns the keys with values in `new` that take effect only after a restart.
            pub(crate) fn changed_at_restart(&self, new: &Self) -> Vec<String> {
                let keys = [
                    $((stringify!($key), Effect::$effect, self.$key != new.$key),)*
                    $((stringify!($more_key), Effect::$more_effect, self.$more_key != new.$more_key),)*
                ];
                let changed = keys.iter().filter(|(_, effect, is_new)| *is_new && *effect == Effect::Restart);
                changed.map(|(key, ..)| key.replace('_', "-")).collect()
            }

            /// Returns the settings that the node uses in decisions.
            pub(crate) fn node(&self) -> NodeSettings {
                NodeSettings::default().peers(self.peers_by_domain())$(.$node_key(self.$node_key.clone().into()))*
            }
        }
    };
}

/// The time at which a change of a setting takes effect.
#[derive(PartialEq)]
enum Effect {
    Reload,
    Restart,
}

settings! {
    /// The domain and its users [default: config/nodelumi.cfg]
    #[arg(long, value_name = "FILE")]
    roster: PathBuf = DEFAULT_ROSTER.into(), Restart;

    /// The UDP address to serve on; port 0 asks the system for one [default: 0.0.0.0:3344]
    #[arg(long, value_name = "IP:PORT")]
    listen: UdpAddress = UdpAddress::new(HostIp::UNSPECIFIED, NODE_PORT), Restart;

    /// The database in which the node keeps where users are, so that they are found after a restart; `off`
    /// for none, so that users are offline until they register again [default: ROSTER.bindings]
    #[arg(long, value_name = "FILE|off")]
    bindings: Option<PathOrOff> = None, Restart;

    /// How much of that survives a power failure: `normal`, all but the last second; `full`, all, and each
    /// registration waits for the disk [default: normal]
    #[arg(long, value_name = "normal|full", hide_possible_values = true)]
    bindings_sync: BindingsSync = BindingsSync::Normal, Restart;

    /// How long the node may be away, in s, m, h or d, for users to be found afterwards. If it is longer,
    /// they are offline, as their ports may belong to other programs [default: 15m]
    #[arg(long, value_name = "DURATION")]
    restore_within: RestoreWithin = RestoreWithin::default(), Restart;

    /// Message log; `-` is stdout [default: nodelumi-DOMAIN.log in the working directory]
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf> = None, Restart;

    /// Largest size of the message log, in bytes or with K, M or G: a full one becomes FILE.1, that one
    /// FILE.2, up to FILE.4 [default: 100M]
    #[arg(long, value_name = "SIZE|off")]
    log_max_size: LogSize = LogSize::default(), Reload;

    /// Ask this DNS server instead of the system's; may repeat, and takes the place of those in the settings
    #[arg(long = "name-server", value_name = "IP:PORT")]
    name_servers: Vec<SocketAddr> = Vec::new(), Reload;

    /// Where the node of DOMAIN is, instead of asking DNS; nobody else asks in the names of its users, and it
    /// may speak for any number of them. May repeat, also for a node with several addresses, and adds to
    /// those in the settings
    #[arg(long = "peer", value_name = "DOMAIN=IP:PORT")]
    #[serde(deserialize_with = "peers")]
    peers: Vec<Peer> = Vec::new(), Reload;

    /// Take an IPv4 address for a domain, whose node is there. Set `off` on the open internet, where each
    /// user could have this node send to any host; peers can be named all the same [default: on]
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    literal_domains: Switch = Switch::On, Reload;

    => node {
        /// Addresses that users may register from, such as 192.0.2.0/24; may repeat, and takes the place of
        /// those in the settings [default: all]
        #[arg(long, value_name = "CIDR")]
        #[serde(deserialize_with = "allowed")]
        allow: Vec<AddressRange> = Vec::new();

        /// The table `[users]` of the settings file.
        #[arg(skip)]
        #[serde(deserialize_with = "users")]
        users: HashMap<UserName, Vec<AddressRange>> = HashMap::new();

        /// Users of the domain that may be online at one socket, which for an agent is one [default: off]
        #[arg(long, value_name = "N|off")]
        users_per_socket: UsersPerSocket = UsersPerSocket::default();

        /// Who may ask where users are, besides users who are online: `any`; `bound`, no user of the domain
        /// who is not online; `nodes`, the same, and for other domains only their nodes, if this one knows
        /// them [default: any]
        #[arg(long, value_name = "any|bound|nodes", hide_possible_values = true, value_parser = ask())]
        ask: Ask = Ask::Any;

        /// When an online user is registered from a second IP address: `last` moves the user there, `deny`
        /// refuses [default: last]
        #[arg(long, value_name = "last|deny", hide_possible_values = true, value_parser = takeover())]
        takeover: Takeover = Takeover::Last;

        /// Who proves a registration by a key: `on` or `keys`, users who have one; `required`, everybody, so
        /// that users without a key cannot register; `off`, nobody [default: on]
        #[arg(long, value_name = "off|on|required", hide_possible_values = true, value_parser = auth())]
        auth: Auth = Auth::On;

        /// Datagrams a second to take from one IP address; twice as many at once [default: 500]
        #[arg(long, value_name = "N|off")]
        rate_limit: RateLimiting = RateLimiting::default();

        /// Addresses that neither the rate limit nor the limit of pending requests holds for; may repeat, and
        /// takes the place of those in the settings
        #[arg(long, value_name = "CIDR")]
        exempt: Vec<AddressRange> = Vec::new();

        /// Milliseconds from one location request that counts to the next, towards the five that take a
        /// silent user offline; 0 counts all [default: 500]
        #[arg(long, value_name = "MS")]
        strike_interval: StrikeInterval = StrikeInterval::default();
    }

    /// The Unix socket that `lumi-node ctl` and `lumi-node watch` talk to this node by; `off` for none
    /// [default: ctl.sock in $RUNTIME_DIRECTORY for a service, else lumi-node.sock in $XDG_RUNTIME_DIR;
    /// without either there is none]
    #[arg(long, value_name = "PATH|off")]
    control_socket: Option<PathOrOff> = None, Restart;

    /// Show the node at this TCP address over HTTP, unencrypted and to read only: users and messages on a
    /// page at /, metrics for Prometheus at /metrics [default: nowhere]
    #[arg(long, value_name = "IP:PORT")]
    web: Option<SocketAddr> = None, Restart;

    /// Read administrator commands from stdin even if it is no terminal
    #[arg(long, num_args = 0, default_missing_value = "true", action = ArgAction::Set)]
    console: bool = has_terminal(), Restart;

    /// Set by `-v` and `-q`.
    #[arg(skip)]
    diagnostics: Level = Level::default(), Reload;

    /// How diagnostics are written: `text` or `json`, one line each, on stderr; `journald` with their fields
    /// [default: journald if stderr is the journal, else text]
    #[arg(long, value_name = "text|json|journald", hide_possible_values = true)]
    diagnostics_format: Option<Format> = None, Restart;
}

impl Settings {
    /// Reads the text of a settings file.
    ///
    /// # Errors
    /// The first wrong line and the reason, on one line.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        toml::from_str(text).map_err(|error| mistake(text, &error).into())
    }

    /// Returns the path of the database of bindings, or `None` if there is to be none.
    pub(crate) fn bindings_path(&self) -> Option<PathBuf> {
        match &self.bindings {
            Some(PathOrOff::At(path)) => Some(path.clone()),
            Some(PathOrOff::Off) => None,
            None => {
                let mut path = self.roster.clone().into_os_string();
                path.push(".bindings");
                Some(path.into())
            }
        }
    }

    /// Returns the resolver for the nodes of other domains, as a node that is bound to `listen` uses it.
    ///
    /// # Errors
    /// Those of [`lumi_dns::NodeDirectoryBuilder::build`].
    pub(crate) fn directory(&self, listen: UdpAddress) -> Result<NodeDirectory, DirectoryError> {
        let literals = self.literal_domains == Switch::On;
        self.directory_builder().bound_to(*listen.ip()).literals(literals).build()
    }

    /// Returns a resolver with the same sources that accepts every answer.
    ///
    /// # Errors
    /// As [`Settings::directory`].
    pub(crate) fn unrestricted_directory(&self) -> Result<NodeDirectory, DirectoryError> {
        self.directory_builder().build()
    }

    fn directory_builder(&self) -> NodeDirectoryBuilder {
        let builder = NodeDirectory::builder();
        let peers = self.peers_by_domain().into_iter();
        let builder = peers.fold(builder, |builder, (domain, addresses)| builder.peer_at(domain, addresses));
        self.name_servers.iter().fold(builder, |builder, &server| builder.name_server(server))
    }

    /// Returns the addresses of each peer, in their order.
    fn peers_by_domain(&self) -> HashMap<Domain, Vec<NodeAddress>> {
        let mut peers = HashMap::<_, Vec<_>>::new();
        for peer in &self.peers {
            let addresses = peers.entry(peer.domain).or_default();
            let address = peer.address.into();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        peers
    }
}

/// Returns whether a person may type commands.
fn has_terminal() -> bool {
    // The shell stops a background job that reads from its terminal, which would stop the node.
    let foreground = || tcgetpgrp(io::stdin()).map_or(true, |group| group == getpgrp());
    io::stdin().is_terminal() && foreground()
}

/// Describes in plain words the mistake in `text` that `error` reports.
pub(crate) fn mistake(text: &str, error: &toml::de::Error) -> Mistake {
    let mut mistake = Mistake::new(text, error);
    // The reason quotes an unknown key from the file, which may contain any character.
    mistake.reason = mistake.reason.replace(char::is_control, "\u{fffd}");
    for (words, plainer) in PLAINER {
        mistake.reason = mistake.reason.replace(words, plainer);
    }
    mistake
}

/// Plainer words for the error messages of libraries.
const PLAINER: [(&str, &str); 3] = [
    ("invalid IPv4 socket address syntax", "an IPv4 address and a port look like 192.0.2.7:3344"),
    ("invalid socket address syntax", "an IP address and a port look like 192.0.2.53:53"),
    (
        "invalid type: map, expected IPv4 socket address",
        "a domain with a dot stands in quotes, as in \"cc.com\" = \"192.0.2.3:3344\"",
    ),
];

/// The roster that is served unless another one is named.
pub(crate) const DEFAULT_ROSTER: &str = "config/nodelumi.cfg";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_wrong_key_is_told_by_its_line_on_one_line() {
        let reason = |text: &str| Settings::parse(text).unwrap_err().to_string();
        assert!(
            reason("\nrostr = 'x'").starts_with("line 2: unknown field `rostr`, expected one of `roster`")
        );
        assert_eq!(reason("rate-limit = 0"), "line 1: a rate limit is `off` or a number from 1 on");
        assert_eq!(reason("rate-limit = 'on'"), "line 1: a rate limit is `off` or a number from 1 on");
        let per_socket = "line 1: the users per socket are `off` or a number from 1 on";
        for wrong in ["0", "-1", "'on'", "4294967296"] {
            assert_eq!(reason(&format!("users-per-socket = {wrong}")), per_socket);
        }
        let interval = "line 1: a strike interval is a number of milliseconds from 0 on";
        for wrong in ["-1", "'fast'", "0.5", "4294967296", "[500]"] {
            assert_eq!(reason(&format!("strike-interval = {wrong}")), interval);
        }
        assert_eq!(reason("literal-domains = false"), "line 1: literal-domains is \"on\" or \"off\"");
        assert_eq!(reason("bindings-sync = 'off'"), "line 1: bindings-sync is \"normal\" or \"full\"");
        for wrong in ["15", "'15'", "'m'", "'-1m'", "'1w'", "'4294967296s'", "'1.5h'"] {
            let time = "line 1: the time is a number with s, m, h or d, such as 15m";
            assert_eq!(reason(&format!("restore-within = {wrong}")), time);
        }
        assert_eq!(reason("takeover = 'first'"), "line 1: a takeover is `last` or `deny`");
        assert_eq!(
            reason("auth = true"),
            "line 1: invalid type: boolean `true`, expected off, on or required in quotes"
        );
        assert_eq!(reason("auth = 'maybe'"), "line 1: proofs of registrations are `off`, `on` or `required`");
        assert_eq!(
            reason("diagnostics-format = 'xml'"),
            "line 1: the format of diagnostics is `text`, `json` or `journald`"
        );
        assert_eq!(
            reason("diagnostics = 'loud'"),
            "line 1: diagnostics are `off`, `error`, `warn`, `info`, `debug` or `trace`"
        );
        for key in ["allow", "exempt"] {
            assert_eq!(
                reason(&format!("console = true\n{key} = [\n'10.0.0.0/8',\n'here']")),
                "line 4: a range of addresses is an IPv4 address, alone or as in 192.0.2.0/24"
            );
            assert!(
                reason(&format!("{key} = ['10.0.0.0/33']")).starts_with("line 1: after the '/' of a range")
            );
            let list = "line 1: invalid type: string \"10.0.0.0/8\", expected a sequence";
            assert_eq!(reason(&format!("{key} = '10.0.0.0/8'")), list);
            let quotes = "line 1: invalid type: integer `7`, expected a range of addresses in quotes";
            assert_eq!(reason(&format!("{key} = [7]")), quotes);
        }
        assert!(reason("allow = []").starts_with("line 1: an empty list lets nobody register"));
        Settings::parse("exempt = []").unwrap();
        for (line, expected) in [
            (
                "laura = []",
                "an empty list does not let the user register; take the user out to let them from anywhere",
            ),
            ("laura = ['here']", "a range of addresses is an IPv4 address, alone or as in 192.0.2.0/24"),
            ("laura = '10.0.0.0/8'", "invalid type: string \"10.0.0.0/8\", expected a sequence"),
            ("'laura@bb.com' = ['10.0.0.0/8']", "a user is named without '@' and domain"),
            ("'' = ['10.0.0.0/8']", "the user name is empty"),
        ] {
            assert_eq!(reason(&format!("[users]\n\n{line}")), format!("line 3: {expected}"));
        }
        let address = "line 1: an IPv4 address and a port look like 192.0.2.7:3344";
        assert_eq!(reason("listen = 'here'"), address);
        assert!(
            reason("[peers]\ncc.com = '192.0.2.3:3344'").contains("a domain with a dot stands in quotes")
        );
        assert!(
            reason("[peers]\n'a..b' = '127.0.0.1:1'")
                .contains("line 2: the domain has two dots in a row at byte 2")
        );
        assert_eq!(reason("[peers]\n'cc.com' = []"), "line 2: an empty list is no peer; take it out");
        assert_eq!(
            reason("[peers]\n'cc.com' = [\n'127.0.0.1:1',\n'here']"),
            address.replace("line 1", "line 4")
        );
        assert_eq!(reason("ask = 'me'"), "line 1: the askers that count are `any`, `bound` or `nodes`");
        assert!(reason("\"\\t\\u001b[2J\" = 1").contains("unknown field `\u{fffd}\u{fffd}[2J`"));
        for text in ["roster", "roster =", "= 1", "[peers", "diagnostics = 'loud'", "console = 1", "\u{0}"] {
            let reason = reason(text);
            assert!(reason.starts_with("line 1: ") && !reason.contains('\n'), "{text:?}: {reason:?}");
        }
    }

    const SAMPLE: &str = include_str!("../../../../config/lumi-node.toml");

    #[test]
    fn the_sample_says_what_holds_without_it() {
        assert_eq!(Settings::parse(SAMPLE).unwrap(), Settings::default());
    }

    #[test]
    fn the_sample_names_every_key() {
        let text = SAMPLE.lines().map(|line| match line.strip_prefix("# ") {
            Some(key) if key.split_once(" = ").is_some_and(|(name, _)| !name.contains(' ')) => key,
            _ => line,
        });
        let text = text.collect::<Vec<_>>().join("\n");
        Settings::parse(&text).unwrap();
        let named: toml::Table = toml::from_str(&text).unwrap();
        // The error about an unknown key lists all keys.
        let reason = Settings::parse("no-such-key = 1").unwrap_err().to_string();
        let keys: BTreeSet<_> = reason.split('`').skip(3).step_by(2).collect();
        assert_eq!(named.keys().map(String::as_str).collect::<BTreeSet<_>>(), keys);
        assert!(keys.len() > 10, "{reason}");
    }

    #[test]
    fn bindings_are_beside_the_roster_unless_somebody_says_otherwise() {
        for (text, expected) in [
            ("", Some("config/nodelumi.cfg.bindings")),
            ("roster = 'bb.cfg'", Some("bb.cfg.bindings")),
            ("roster = 'bb.cfg'\nbindings = 'disk/bb'", Some("disk/bb")),
            ("bindings = 'off'", None),
        ] {
            assert_eq!(Settings::parse(text).unwrap().bindings_path(), expected.map(PathBuf::from), "{text}");
        }
        let within = |text| Settings::parse(&format!("restore-within = '{text}'")).unwrap().restore_within.0;
        assert_eq!(
            ["0s", "90s", "15m", "2h", "1d"].map(|text| within(text).as_secs()),
            [0, 90, 900, 7200, 86400]
        );
    }

    #[test]
    fn a_node_decides_by_the_defaults_of_its_library() {
        assert_eq!(Settings::default().node(), NodeSettings::default());
    }
}
