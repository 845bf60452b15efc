//! The types of settings, and the parsers that the command line and the settings file share.

use std::fmt::Display;
use std::num::NonZeroU8;
use std::str::FromStr;
use std::time::Duration;

use mi_agent_core::{DEFAULT_IDLE, DEFAULT_REFRESH, LONGEST_KEEP, SHORTEST_KEEP, Security, SecurityError};
use plumi_proto::{HostIp, NodeAddress, is_reachable};
use serde::de::{Deserialize, Deserializer, Error as _};
use settings_text::{quoted, text_or_number};

/// The interval at which a registration is refreshed; `None` is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refresh(pub(crate) Option<Duration>);

impl Refresh {
    /// The value as it is written in a settings file.
    pub(super) fn as_toml(self) -> String {
        self.0.map_or_else(|| quoted("off"), |interval| interval.as_secs().to_string())
    }
}

impl Default for Refresh {
    fn default() -> Self {
        Self(Some(DEFAULT_REFRESH))
    }
}

impl FromStr for Refresh {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.parse()) {
            ("off", _) => Ok(Self(None)),
            (_, Ok(seconds @ 1..)) => Ok(Self(Some(Duration::from_secs(seconds)))),
            _ => Err("it is a number of seconds, 1 or more, or off"),
        }
    }
}

/// The silence after which the conversation of a caller gives way to a new caller; `None` is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Idle(pub(crate) Option<Duration>);

impl Idle {
    /// The value as it is written in a settings file.
    pub(super) fn as_toml(self) -> String {
        quoted(&self.0.map_or_else(
            || "off".to_owned(),
            |silence| match silence.as_secs() {
                seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
                seconds => format!("{seconds}s"),
            },
        ))
    }
}

impl Default for Idle {
    fn default() -> Self {
        Self(Some(DEFAULT_IDLE))
    }
}

impl FromStr for Idle {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            "it is a number and s, m or h, such as 90s, 10m or 2h, more than 0 and a year at most; or off";
        if text == "off" {
            Ok(Self(None))
        } else {
            // A conversation would give way while people talk.
            let silence = duration(text).filter(|silence| !silence.is_zero());
            silence.map(|silence| Self(Some(silence))).ok_or(wrong)
        }
    }
}

/// The most conversations at a time, from 1 to [`MAX_CONVERSATIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conversations(pub(crate) NonZeroU8);

impl Default for Conversations {
    fn default() -> Self {
        Self(const { NonZeroU8::new(DEFAULT_CONVERSATIONS).expect("not zero") })
    }
}

impl FromStr for Conversations {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let within = text.parse().ok().filter(|most: &NonZeroU8| most.get() <= MAX_CONVERSATIONS);
        within.map(Self).ok_or_else(|| format!("it is a number from 1 to {MAX_CONVERSATIONS}"))
    }
}

/// Reads a duration as it is typed: `90s`, `10m`, `2h`; a year at most.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let units = [('s', 1), ('m', 60), ('h', 3_600)];
    let seconds = units
        .into_iter()
        .find_map(|(unit, seconds)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(seconds));
    seconds.map(Duration::from_secs).filter(|&duration| duration <= MAX_DURATION)
}

/// Reads the time for which a message is kept, which may also be in days.
pub(crate) fn keep(text: &str) -> Option<Duration> {
    let days = || text.strip_suffix('d')?.parse::<u64>().ok()?.checked_mul(86_400).map(Duration::from_secs);
    duration(text).or_else(days).filter(|keep| (SHORTEST_KEEP..=LONGEST_KEEP).contains(keep))
}

pub(super) fn node(text: &str) -> Result<NodeAddress, &'static str> {
    let node: NodeAddress = text.parse().map_err(|_| "a node is given as IP:PORT, such as 127.0.0.2:3344")?;
    if node.port() == 0 { Err("no node has port 0; they use 3344") } else { Ok(node) }
}

pub(super) fn reachable(text: &str) -> Result<HostIp, &'static str> {
    let ip: HostIp = text.parse().map_err(|_| "it is no IPv4 address, such as 192.0.2.7")?;
    if is_reachable(ip) { Ok(ip) } else { Err("nobody can be reached there") }
}

pub(super) fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    checked(deserializer, T::from_str)
}

pub(super) fn node_from_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<NodeAddress>, D::Error> {
    checked(deserializer, node)
}

pub(super) fn reachable_from_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<HostIp>, D::Error> {
    checked(deserializer, reachable)
}

fn checked<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    check: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, D::Error> {
    check(&String::deserialize(deserializer)?).map(Some).map_err(D::Error::custom)
}

pub(super) fn conversations<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Conversations>, D::Error> {
    text_or_number(deserializer).map(Some)
}

pub(super) fn security<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Security, D::Error> {
    let level = String::deserialize(deserializer)?.parse();
    level.map_err(|error: SecurityError| D::Error::custom(format_args!("it {error}")))
}

/// The default of settings that are on by default.
pub(super) fn yes() -> bool {
    true
}

/// The default of [`Conversations`]: a group of friends, each with the others.
const DEFAULT_CONVERSATIONS: u8 = 8;

/// The limit of [`Conversations`]; nobody can follow more of them.
pub(crate) const MAX_CONVERSATIONS: u8 = 16;

/// The limit of [`duration`]: longer than anything waits.
const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 3_600);
