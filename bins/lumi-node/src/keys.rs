//! What can be set, by the command line or by the settings file, and its values.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::net::{SocketAddr, SocketAddrV4};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lumi_node_core::{AddressRange, RateLimit, Takeover};
use plumi_proto::Domain;
use serde::de::{self, Deserialize, Deserializer, Error as _, Visitor};

use crate::log_size::LogSize;

/// What the command line and the settings file can both say; in one type, so that no flag is without its key.
#[derive(Clone, Debug, Default, clap::Args, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Keys {
    /// The domain and its users [default: config/nodelumi.cfg]
    #[arg(long, value_name = "FILE")]
    pub(crate) roster: Option<PathBuf>,

    /// The UDP address to serve on; port 0 asks the system for one [default: 0.0.0.0:3344]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<SocketAddrV4>,

    /// Message log; `-` is stdout [default: nodelumi-DOMAIN.log in the working directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,

    /// Largest size of the message log, in bytes or with K, M or G: a full one becomes FILE.1, that one FILE.2, up to
    /// FILE.4 [default: 100M]
    #[arg(long, value_name = "SIZE|off")]
    pub(crate) log_max_size: Option<LogSize>,

    /// Ask this DNS server instead of the system's; may repeat, and takes the place of those in the settings
    #[arg(long = "name-server", value_name = "IP:PORT")]
    pub(crate) name_servers: Vec<SocketAddr>,

    /// Where the node of DOMAIN is, instead of asking DNS; may repeat, and adds to those in the settings
    #[arg(long = "peer", value_name = "DOMAIN=IP:PORT")]
    #[serde(deserialize_with = "peers")]
    pub(crate) peers: Vec<Peer>,

    /// Addresses that users may register from, such as 192.0.2.0/24; may repeat, and takes the place of those in
    /// the settings [default: all]
    #[arg(long, value_name = "CIDR")]
    #[serde(deserialize_with = "allowed")]
    pub(crate) allow: Vec<AddressRange>,

    /// When an online user is registered from a second address: `last` moves the user there, `deny` refuses
    /// [default: last]
    #[arg(long, value_name = "last|deny", hide_possible_values = true)]
    pub(crate) takeover: Option<TakeoverRule>,

    /// Datagrams a second to take from one IP address; twice as many at once [default: 500]
    #[arg(long, value_name = "N|off")]
    pub(crate) rate_limit: Option<RateLimiting>,

    /// Addresses that neither the rate limit nor the limit of pending requests holds for; may repeat, and takes
    /// the place of those in the settings
    #[arg(long, value_name = "CIDR")]
    #[serde(deserialize_with = "ranges")]
    pub(crate) exempt: Vec<AddressRange>,

    /// Milliseconds from one location request that counts to the next, towards the five that take a silent user
    /// offline; 0 counts all [default: 500]
    #[arg(long, value_name = "MS")]
    pub(crate) strike_interval: Option<StrikeInterval>,

    /// The Unix socket that `lumi-node ctl` and `lumi-node watch` talk to this node by; `off` for none [default:
    /// ctl.sock in $RUNTIME_DIRECTORY for a service, else lumi-node.sock in $XDG_RUNTIME_DIR]
    #[arg(long, value_name = "PATH|off")]
    pub(crate) control_socket: Option<ControlPath>,

    /// Show the node at this TCP address over HTTP, unencrypted and to read only: users and messages on a page at /,
    /// metrics for Prometheus at /metrics [default: nowhere]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) web: Option<SocketAddr>,

    /// Read administrator commands from stdin even if it is no terminal
    #[arg(long, num_args = 0, default_missing_value = "true")]
    pub(crate) console: Option<bool>,

    /// Set by `-v` and `-q`.
    #[arg(skip)]
    pub(crate) diagnostics: Option<Diagnostics>,

    /// How diagnostics are written: `text` or `json`, one line each, on stderr; `journald` with their fields
    /// [default: journald if stderr is the journal, else text]
    #[arg(long, value_name = "text|json|journald", hide_possible_values = true)]
    pub(crate) diagnostics_format: Option<DiagnosticsFormat>,
}

impl Keys {
    /// Reads a settings file.
    ///
    /// # Errors
    /// The line that is wrong, and why, on one line.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        toml::from_str(text).map_err(|error| match place_and_reason(text, &error) {
            (Some(line), reason) => anyhow::anyhow!("line {line}: {reason}"),
            (None, reason) => anyhow::anyhow!(reason),
        })
    }

    /// These, and `others` where these say nothing.
    pub(crate) fn or(self, others: Self) -> Self {
        Self {
            roster: self.roster.or(others.roster),
            listen: self.listen.or(others.listen),
            log: self.log.or(others.log),
            log_max_size: self.log_max_size.or(others.log_max_size),
            name_servers: if self.name_servers.is_empty() { others.name_servers } else { self.name_servers },
            // Of two for the same domain, the directory takes the later.
            peers: [others.peers, self.peers].concat(),
            rate_limit: self.rate_limit.or(others.rate_limit),
            exempt: if self.exempt.is_empty() { others.exempt } else { self.exempt },
            allow: if self.allow.is_empty() { others.allow } else { self.allow },
            takeover: self.takeover.or(others.takeover),
            strike_interval: self.strike_interval.or(others.strike_interval),
            control_socket: self.control_socket.or(others.control_socket),
            web: self.web.or(others.web),
            console: self.console.or(others.console),
            diagnostics: self.diagnostics.or(others.diagnostics),
            diagnostics_format: self.diagnostics_format.or(others.diagnostics_format),
        }
    }
}

/// What libraries say, and what it means to who writes settings.
const PLAINER: [(&str, &str); 3] = [
    ("invalid IPv4 socket address syntax", "an IPv4 address and a port look like 192.0.2.7:3344"),
    ("invalid socket address syntax", "an IP address and a port look like 192.0.2.53:53"),
    (
        "invalid type: map, expected IPv4 socket address",
        "a domain with a dot stands in quotes, as in \"cc.com\" = \"192.0.2.3:3344\"",
    ),
];

/// Where the control socket is, or that there is none.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(from = "PathBuf")]
pub(crate) enum ControlPath {
    Off,
    At(PathBuf),
}

impl From<PathBuf> for ControlPath {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "off" { Self::Off } else { Self::At(path) }
    }
}

impl FromStr for ControlPath {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(PathBuf::from(text).into())
    }
}

/// The line of `text` that an `error` in it is about, and what is wrong there, on one line.
pub(crate) fn place_and_reason(text: &str, error: &toml::de::Error) -> (Option<usize>, String) {
    // A key that is not known is told as it stands in the file, where it may hold anything.
    let mut reason = error.message().replace('\n', ", ").replace(char::is_control, "\u{fffd}");
    for (words, plainer) in PLAINER {
        reason = reason.replace(words, plainer);
    }
    let before = error.span().and_then(|span| text.get(..span.start));
    (before.map(|before| 1 + before.matches('\n').count()), reason)
}

/// Where the node of a domain is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Peer {
    pub(crate) domain: Domain,
    pub(crate) address: SocketAddrV4,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (domain, address) = text.split_once('=').ok_or("there is no `=` after the domain")?;
        let address = address.parse().map_err(|_| format!("{address:?} is no IPv4 address with a port"))?;
        Ok(Self { domain: PeerDomain::try_from(domain.to_owned())?.0, address })
    }
}

#[derive(PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(try_from = "String")]
struct PeerDomain(Domain);

impl TryFrom<String> for PeerDomain {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error| format!("the domain {error}"))
    }
}

fn peers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Peer>, D::Error> {
    let peers = HashMap::<PeerDomain, SocketAddrV4>::deserialize(deserializer)?;
    Ok(peers.into_iter().map(|(PeerDomain(domain), address)| Peer { domain, address }).collect())
}

/// How many datagrams to take from one IP address: a number of them a second, or `off` for any number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RateLimiting(pub(crate) Option<RateLimit>);

impl FromStr for RateLimiting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self(None));
        }
        let per_second: NonZeroU32 =
            text.parse().map_err(|_| "a rate limit is `off` or a number from 1 on")?;
        Ok(Self(Some(RateLimit::new(per_second))))
    }
}

impl<'de> Deserialize<'de> for RateLimiting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_number(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What becomes of a user who is registered from one address while online at another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TakeoverRule {
    Last,
    Deny,
}

impl From<TakeoverRule> for Takeover {
    fn from(rule: TakeoverRule) -> Self {
        match rule {
            TakeoverRule::Last => Self::Last,
            TakeoverRule::Deny => Self::Deny,
        }
    }
}

/// The least time between two location requests that count as strikes, as a number of milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StrikeInterval(pub(crate) Duration);

impl FromStr for StrikeInterval {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let milliseconds: u32 =
            text.parse().map_err(|_| "a strike interval is a number of milliseconds from 0 on")?;
        Ok(Self(Duration::from_millis(milliseconds.into())))
    }
}

impl<'de> Deserialize<'de> for StrikeInterval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_number(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What the settings file gives where the command line has the same text.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match toml::Value::deserialize(deserializer)? {
        toml::Value::String(text) => text,
        value => value.to_string(),
    })
}

struct Range(AddressRange);

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(RangeVisitor)
    }
}

/// Fails while the text is read, so that the line told is its own and not that of the list.
struct RangeVisitor;

impl Visitor<'_> for RangeVisitor {
    type Value = Range;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a range of addresses in quotes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Range, E> {
        text.parse().map(Range).map_err(E::custom)
    }
}

fn ranges<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AddressRange>, D::Error> {
    let ranges = Vec::<Range>::deserialize(deserializer)?;
    Ok(ranges.into_iter().map(|Range(range)| range).collect())
}

fn allowed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AddressRange>, D::Error> {
    let ranges = ranges(deserializer)?;
    // Whoever writes that means nobody.
    if ranges.is_empty() {
        return Err(D::Error::custom("an empty list lets nobody register; take allow out to let everybody"));
    }
    Ok(ranges)
}

/// Which diagnostics are shown: those of this level and the more serious ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Diagnostics {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        })
    }
}

/// How diagnostics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DiagnosticsFormat {
    /// A line for each, on stderr.
    Text,
    /// An object for each, on a line on stderr.
    Json,
    /// To the journal of this host, with their fields and how serious they are.
    Journald,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_key_is_told_by_its_line_on_one_line() {
        let reason = |text: &str| Keys::parse(text).unwrap_err().to_string();
        assert!(
            reason("\nrostr = 'x'").starts_with("line 2: unknown field `rostr`, expected one of `roster`")
        );
        assert_eq!(reason("rate-limit = 0"), "line 1: a rate limit is `off` or a number from 1 on");
        assert_eq!(reason("rate-limit = 'on'"), "line 1: a rate limit is `off` or a number from 1 on");
        let interval = "line 1: a strike interval is a number of milliseconds from 0 on";
        for wrong in ["-1", "'fast'", "0.5", "4294967296", "[500]"] {
            assert_eq!(reason(&format!("strike-interval = {wrong}")), interval);
        }
        assert_eq!(
            reason("takeover = 'first'"),
            "line 1: unknown variant `first`, expected `last` or `deny`"
        );
        assert_eq!(
            reason("diagnostics-format = 'xml'"),
            "line 1: unknown variant `xml`, expected one of `text`, `json`, `journald`"
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
        Keys::parse("exempt = []").unwrap();
        let address = "line 1: an IPv4 address and a port look like 192.0.2.7:3344";
        assert_eq!(reason("listen = 'here'"), address);
        assert!(
            reason("[peers]\ncc.com = '192.0.2.3:3344'").contains("a domain with a dot stands in quotes")
        );
        assert!(reason("[peers]\n'a..b' = '127.0.0.1:1'").contains("line 2: the domain has a part"));
        assert!(reason("\"\\t\\u001b[2J\" = 1").contains("unknown field `\u{fffd}\u{fffd}[2J`"));
        for text in ["roster", "roster =", "= 1", "[peers", "diagnostics = 'loud'", "console = 1", "\u{0}"] {
            let reason = reason(text);
            assert!(reason.starts_with("line 1: ") && !reason.contains('\n'), "{text:?}: {reason:?}");
        }
    }
}
