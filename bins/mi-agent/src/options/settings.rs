//! The table of everything that can be set.
//!
//! A new setting is a field of [`Settings`], a line in [`Settings::keys`], a line in `config/mi-agent.toml`,
//! and the place that uses it. The field determines help, completions, man page, the settings file, its
//! defaults and errors. The line determines `mi-agent config show` and the tests of the sample.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args};
use mi_agent_core::Security;
use mi_proto::Nickname;
use plumi_proto::{AddressRange, HostIp, MiAddress, NodeAddress};
use settings_text::{quoted, text_or_number};

use super::values::{self, Conversations, Idle, Refresh};

/// The settings in effect: the command line wins over the settings file, which wins over the defaults.
///
/// A field is an option of every agent unless it has `arg(skip)`, and a key of the settings file unless it
/// has `serde(skip)`. Doc comments of options are their help.
#[derive(Debug, PartialEq, Args, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    /// The user's own address. Each subcommand has its own argument for it.
    #[arg(skip)]
    #[serde(default, deserialize_with = "values::from_text")]
    pub(crate) address: Option<MiAddress>,

    /// What others see of you [default: the user part of ADDRESS]
    #[arg(long, value_name = "NAME")]
    #[serde(default, deserialize_with = "values::from_text")]
    pub(crate) nick: Option<Nickname>,

    /// TCP port to listen on for conversations; 0 is any free one [default: 0]
    #[arg(long)]
    pub(crate) port: Option<u16>,

    /// The node to talk to, instead of asking DNS for ADDRESS's domain
    #[arg(long, value_name = "IP:PORT", value_parser = values::node)]
    #[serde(default, deserialize_with = "values::node_from_text")]
    pub(crate) node: Option<NodeAddress>,

    /// Ask this DNS server instead of the system's; may repeat
    #[arg(long = "name-server", value_name = "IP:PORT")]
    #[serde(default)]
    pub(crate) name_servers: Vec<SocketAddr>,

    /// IP address to publish [default: the local address of the route to the node]
    #[arg(long, value_name = "IP", value_parser = values::reachable)]
    #[serde(default, deserialize_with = "values::reachable_from_text")]
    pub(crate) advertise: Option<HostIp>,

    /// How often to register again, which a restarted node needs; 5 s is the least [default: 60]
    #[arg(long, value_name = "SECONDS|off")]
    #[serde(default, deserialize_with = "text_or_number")]
    pub(crate) refresh: Refresh,

    /// Whether the user is registered without the domain; `bare_user_flag` turns it on.
    #[arg(skip)]
    #[serde(default)]
    pub(crate) bare_user: bool,

    /// The node may see the agent anywhere; `behind_nat_flag` turns it on.
    #[arg(skip)]
    #[serde(default)]
    pub(crate) behind_nat: bool,

    /// The node may ask for no proof any more; `accept_unproved_flag` turns it on.
    #[arg(skip)]
    #[serde(default)]
    pub(crate) accept_unproved: bool,

    /// Message log, - is stdout; a full one, of 100 MiB, becomes FILE.1, that one FILE.2, up to FILE.4
    /// [default: mi-agent-ADDRESS.log in the working directory; off for `send` and `listen`]
    #[arg(long, value_name = "FILE|off")]
    pub(crate) log: Option<PathBuf>,

    /// Register without the domain, for nodes that refuse the full address
    #[arg(long = "bare-user")]
    #[serde(skip)]
    pub(super) bare_user_flag: bool,

    /// Prove your registration even if the node sees another address than this host's: there is a NAT on the
    /// way
    #[arg(long = "behind-nat")]
    #[serde(skip)]
    pub(super) behind_nat_flag: bool,

    /// Do not warn if the node asks for no proof of your registration, though it did before
    #[arg(long = "accept-unproved")]
    #[serde(skip)]
    pub(super) accept_unproved_flag: bool,

    /// How many conversations there may be at a time, up to 16, on the screen and for listen; line mode has
    /// one [default: 8]
    #[arg(long, value_name = "N")]
    #[serde(default, deserialize_with = "values::conversations")]
    pub(crate) conversations: Option<Conversations>,

    /// How long the conversation of a caller may be silent before it gives way to a new caller: 90s, 10m, 2h
    /// [default: 5m]
    #[arg(long, value_name = "DURATION|off")]
    #[serde(default, deserialize_with = "text_or_number")]
    pub(crate) idle: Idle,

    /// Call only agents at these addresses, such as 192.0.2.0/24; may repeat [default: all; loopback only if
    /// the node is at loopback]
    #[arg(long, value_name = "CIDR")]
    #[serde(default)]
    pub(crate) dial: Vec<AddressRange>,

    /// The least protection of conversations: offer encrypts if the other side can, and others are minimums,
    /// in both directions; off ignores keys [default: offer]
    #[arg(long, value_name = "LEVEL", value_parser = level())]
    #[serde(default, deserialize_with = "values::security")]
    pub(crate) security: Security,

    /// Whether receivers of messages are asked for on signs of life only; `outbox_quiet_flag` turns it on.
    #[arg(skip)]
    #[serde(default)]
    pub(crate) outbox_quiet: bool,

    /// Ask where the receiver of a message is only when there is a sign of life: each question tells the
    /// receiver's node that you look for somebody
    #[arg(long = "outbox-quiet")]
    #[serde(skip)]
    pub(super) outbox_quiet_flag: bool,

    /// Your secret key, an Ed25519 key in PEM (PKCS#8) that only you may read [default: identity.pem in the
    /// data folder of ADDRESS, created at the first start]
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,

    /// The program that prints the secret key, with its arguments, if `identity` is not set.
    #[arg(skip)]
    #[serde(default)]
    pub(crate) key_command: Vec<String>,

    /// Write the keys of encrypted conversations to FILE, for Wireshark: whoever reads it can read them
    /// [default: $SSLKEYLOGFILE]
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub(crate) tls_key_log: Option<PathBuf>,

    /// More diagnostics on stderr; may repeat. RUST_LOG wins
    #[arg(short, long, action = ArgAction::Count, display_order = AFTER_OTHERS)]
    #[serde(skip)]
    pub(crate) verbose: u8,

    /// Fewer diagnostics on stderr
    #[arg(short, long, action = ArgAction::Count, display_order = AFTER_OTHERS)]
    #[serde(skip)]
    pub(crate) quiet: u8,

    /// Whether a chat is kept on the disk. `ChatOptions` have flags for this and some of the others below.
    #[arg(skip)]
    #[serde(default = "values::yes")]
    pub(crate) history: bool,

    /// Whether the terminal rings.
    #[arg(skip)]
    #[serde(default = "values::yes")]
    pub(crate) bell: bool,

    /// Whether the wheel scrolls; the terminal then leaves selecting to the program.
    #[arg(skip)]
    #[serde(default = "values::yes")]
    pub(crate) mouse: bool,

    /// Whether a chat is in line mode even on a terminal.
    #[arg(skip)]
    #[serde(default)]
    pub(crate) plain: bool,
}

impl Settings {
    /// Returns every key of the settings file with its value as it is written there. `None`: it is not set.
    pub(crate) fn keys(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("address", self.address.as_ref().map(in_quotes)),
            ("nick", self.nick.as_ref().map(in_quotes)),
            ("port", Some(self.port.unwrap_or(DEFAULT_PORT).to_string())),
            ("node", self.node.as_ref().map(in_quotes)),
            ("name-servers", list(&self.name_servers)),
            ("advertise", self.advertise.as_ref().map(in_quotes)),
            ("refresh", Some(self.refresh.as_toml())),
            ("bare-user", Some(self.bare_user.to_string())),
            ("behind-nat", Some(self.behind_nat.to_string())),
            ("accept-unproved", Some(self.accept_unproved.to_string())),
            ("log", self.log.as_ref().map(|log| in_quotes(&log.display()))),
            ("conversations", Some(self.conversations.unwrap_or_default().0.to_string())),
            ("idle", Some(self.idle.as_toml())),
            ("dial", list(&self.dial)),
            ("security", Some(in_quotes(&self.security))),
            ("outbox-quiet", Some(self.outbox_quiet.to_string())),
            ("identity", self.identity.as_ref().map(|identity| in_quotes(&identity.display()))),
            ("key-command", list(&self.key_command)),
            ("history", Some(self.history.to_string())),
            ("bell", Some(self.bell.to_string())),
            ("mouse", Some(self.mouse.to_string())),
            ("plain", Some(self.plain.to_string())),
        ]
    }
}

/// The parser of a level, which offers its names for completion.
fn level() -> impl TypedValueParser<Value = Security> {
    PossibleValuesParser::new(Security::ALL.map(Security::as_str)).try_map(|level| level.parse::<Security>())
}

fn list(values: &[impl Display]) -> Option<String> {
    let values: Vec<_> = values.iter().map(in_quotes).collect();
    (!values.is_empty()).then(|| format!("[{}]", values.join(", ")))
}

fn in_quotes(value: &impl Display) -> String {
    quoted(&value.to_string())
}

/// The message log of a program that has none.
pub(crate) const NO_LOG: &str = "off";

/// The port of an agent without a port setting: any free one.
pub(crate) const DEFAULT_PORT: u16 = 0;

/// Puts options that every program has last in the help, before clap's own.
const AFTER_OTHERS: usize = 900;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use mi_agent_core::safe_text;
    use serde::de::IgnoredAny;

    use super::*;

    const SAMPLE: &str = include_str!("../../../../config/mi-agent.toml");

    #[test]
    fn a_wrong_value_is_told_with_its_line_its_key_and_what_is_right() {
        // The program escapes every text that it reports.
        let reason = |text: &str| {
            let mistake = settings_text::parse::<Settings>(text).unwrap_err();
            safe_text(&mistake.to_string()).into_owned()
        };
        for (text, told) in [
            ("address = 'laura'", "line 1, address: an address is user@domain, and there is no '@'"),
            ("\nnick = ''", "line 2, nick: "),
            ("nick = 7", "line 1, nick: invalid type: integer `7`, expected a string"),
            ("port = 70000", "line 1, port: invalid value: integer `70000`, expected u16"),
            ("node = '127.0.0.1'", "line 1, node: a node is given as IP:PORT, such as 127.0.0.2:3344"),
            ("node = '127.0.0.1:0'", "line 1, node: no node has port 0; they use 3344"),
            ("advertise = '224.0.0.1'", "line 1, advertise: nobody can be reached there"),
            ("refresh = 0", "line 1, refresh: it is a number of seconds, 1 or more, or off"),
            ("refresh = 'on'", "line 1, refresh: it is a number of seconds, 1 or more, or off"),
            ("conversations = 0", "line 1, conversations: it is a number from 1 to 16"),
            ("conversations = 17", "line 1, conversations: it is a number from 1 to 16"),
            ("idle = 300", "line 1, idle: it is a number and s, m or h, such as 90s, 10m or 2h"),
            (
                "security = 'on'",
                "line 1, security: it is none of off, offer, encrypted, known, introduced and verified",
            ),
            (
                "key-command = 'pass mi'",
                "line 1, key-command: invalid type: string \"pass mi\", expected a sequence",
            ),
            ("bell = 'yes'", "line 1, bell: invalid type: string \"yes\", expected a boolean"),
            (
                "name-servers = [\n'127.0.0.3:53',\n'here']",
                "line 3, name-servers: invalid socket address syntax",
            ),
            ("port = 1\nnik = 'L'", "line 2: unknown field `nik`, expected one of `address`, `nick`, "),
            ("\"\\u001b[2J\" = 1", "line 1: unknown field `\\x1b[2J`, expected one of "),
            ("port", "line 1: "),
        ] {
            let reason = reason(text);
            assert!(reason.starts_with(told) && !reason.contains('\n'), "{text:?}: {reason:?}");
        }
    }

    #[test]
    fn the_sample_sets_nothing_as_it_stands() {
        assert_eq!(settings_text::parse::<Settings>(SAMPLE).unwrap(), Settings::defaults().unwrap());
    }

    #[test]
    fn the_sample_names_every_key_and_the_defaults() {
        let text = SAMPLE.lines().map(|line| match line.strip_prefix("# ") {
            Some(key) if key.split_once(" = ").is_some_and(|(name, _)| !name.contains(' ')) => key,
            _ => line,
        });
        let text = text.collect::<Vec<_>>().join("\n");
        let named: HashMap<String, IgnoredAny> = settings_text::parse(&text).unwrap();
        let sample: Settings = settings_text::parse(&text).unwrap();
        for ((key, value), (_, default)) in sample.keys().iter().zip(Settings::defaults().unwrap().keys()) {
            assert!(named.contains_key(*key), "the sample lacks {key}");
            assert!(default.is_none() || *value == default, "{key} is {default:?} by default");
        }
    }

    #[test]
    fn every_key_of_the_file_is_listed_in_its_order() {
        let settings = Settings::defaults().unwrap().keys();
        let names: Vec<_> = settings.iter().map(|(key, _)| format!("`{key}`")).collect();
        let reason = settings_text::parse::<Settings>("x = 1").unwrap_err().to_string();
        assert_eq!(reason, format!("line 1: unknown field `x`, expected one of {}", names.join(", ")));
    }
}
