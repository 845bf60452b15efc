//! What can be set, by the command line or by the settings file.

use std::net::{SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use diagnostics::{Format, Level};
use lumi_node_core::AddressRange;
use settings_text::Mistake;

use super::log_size::LogSize;
use super::values::{ControlPath, Peer, RateLimiting, StrikeInterval, TakeoverRule, allowed, peers, ranges};

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
    pub(crate) diagnostics: Option<Level>,

    /// How diagnostics are written: `text` or `json`, one line each, on stderr; `journald` with their fields
    /// [default: journald if stderr is the journal, else text]
    #[arg(long, value_name = "text|json|journald", hide_possible_values = true)]
    pub(crate) diagnostics_format: Option<Format>,
}

impl Keys {
    /// Reads a settings file.
    ///
    /// # Errors
    /// The line that is wrong, and why, on one line.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        toml::from_str(text).map_err(|error| mistake(text, &error).into())
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

/// The mistake in `text` that `error` is about, in plain words.
pub(crate) fn mistake(text: &str, error: &toml::de::Error) -> Mistake {
    let mut mistake = Mistake::new(text, error);
    // An unknown key is repeated as it stands in the file, where it may hold anything.
    mistake.reason = mistake.reason.replace(char::is_control, "\u{fffd}");
    for (words, plainer) in PLAINER {
        mistake.reason = mistake.reason.replace(words, plainer);
    }
    mistake
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
