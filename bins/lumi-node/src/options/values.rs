//! The types of the values in the table of settings.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use lumi_node_core::{AddressRange, Ask, Auth, NodeSettings, RateLimit, Takeover, UdpAddress};
use plumi_proto::{Domain, UserName};
use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use settings_text::text_or_number;

/// The path of a file that the node can do without, or `Off`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(from = "PathBuf")]
pub(crate) enum PathOrOff {
    Off,
    At(PathBuf),
}

impl From<PathBuf> for PathOrOff {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "off" { Self::Off } else { Self::At(path) }
    }
}

impl FromStr for PathOrOff {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(PathBuf::from(text).into())
    }
}

/// The saved bindings that survive a power failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum BindingsSync {
    #[default]
    Normal,
    Full,
}

impl FromStr for BindingsSync {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "normal" => Ok(Self::Normal),
            "full" => Ok(Self::Full),
            _ => Err("bindings-sync is \"normal\" or \"full\""),
        }
    }
}

impl<'de> Deserialize<'de> for BindingsSync {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_number(deserializer)
    }
}

/// The longest time away after which bindings are restored: a number and `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RestoreWithin(pub(crate) Duration);

impl Default for RestoreWithin {
    fn default() -> Self {
        Self(Duration::from_secs(15 * 60))
    }
}

impl FromStr for RestoreWithin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let units = [('s', 1), ('m', 60), ('h', 60 * 60), ('d', 24 * 60 * 60)];
        let time = units.iter().find_map(|&(unit, seconds)| {
            let number = text.strip_suffix(unit)?.parse::<u32>().ok()?;
            Some(Duration::from_secs(u64::from(number) * seconds))
        });
        time.map(Self).ok_or("the time is a number with s, m, h or d, such as 15m")
    }
}

impl<'de> Deserialize<'de> for RestoreWithin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_number(deserializer)
    }
}

/// A setting that is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

impl FromStr for Switch {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err("literal-domains is \"on\" or \"off\""),
        }
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_number(deserializer)
    }
}

/// An address of a domain's node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Peer {
    pub(crate) domain: Domain,
    pub(crate) address: UdpAddress,
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

pub(super) fn peers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Peer>, D::Error> {
    let peers = HashMap::<PeerDomain, PeerAddresses>::deserialize(deserializer)?;
    let peers = peers.into_iter().flat_map(|(PeerDomain(domain), PeerAddresses(addresses))| {
        addresses.into_iter().map(move |address| Peer { domain, address })
    });
    Ok(peers.collect())
}

/// The addresses of a peer: one, or a list.
struct PeerAddresses(Vec<UdpAddress>);

impl<'de> Deserialize<'de> for PeerAddresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = PeerAddresses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("IPv4 socket address")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<PeerAddresses, E> {
                text.parse().map(|address| PeerAddresses(vec![address])).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PeerAddresses, A::Error> {
                let mut addresses = Vec::new();
                while let Some(address) = list.next_element()? {
                    addresses.push(address);
                }
                if addresses.is_empty() {
                    return Err(A::Error::custom("an empty list is no peer; take it out"));
                }
                Ok(PeerAddresses(addresses))
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

/// The number of datagrams a second to take from one IP address, or `off` for any number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RateLimiting(Option<RateLimit>);

impl Default for RateLimiting {
    fn default() -> Self {
        Self(NodeSettings::default().rate_limit)
    }
}

impl From<RateLimiting> for Option<RateLimit> {
    fn from(RateLimiting(limit): RateLimiting) -> Self {
        limit
    }
}

impl FromStr for RateLimiting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self(None));
        }
        // A burst of its own is no setting.
        let limit = text.parse().ok().filter(|limit: &RateLimit| *limit == RateLimit::new(limit.per_second));
        limit.map(|limit| Self(Some(limit))).ok_or("a rate limit is `off` or a number from 1 on")
    }
}

impl<'de> Deserialize<'de> for RateLimiting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_number(deserializer)
    }
}

/// The number of users that may be online at one socket, or `off` for any number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct UsersPerSocket(Option<NonZeroU32>);

impl From<UsersPerSocket> for Option<NonZeroU32> {
    fn from(UsersPerSocket(limit): UsersPerSocket) -> Self {
        limit
    }
}

impl FromStr for UsersPerSocket {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self(None));
        }
        let limit = text.parse().map_err(|_| "the users per socket are `off` or a number from 1 on")?;
        Ok(Self(Some(limit)))
    }
}

impl<'de> Deserialize<'de> for UsersPerSocket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_number(deserializer)
    }
}

/// Reads the rule for a user who is registered from one address while online at another.
pub(super) fn takeover() -> impl TypedValueParser<Value = Takeover> {
    // Completions and errors list these.
    PossibleValuesParser::new(["last", "deny"]).try_map(|text| text.parse())
}

/// Reads the rule for who has to prove a registration.
pub(super) fn auth() -> impl TypedValueParser<Value = Auth> {
    PossibleValuesParser::new(["off", "on", "keys", "required"]).try_map(|text| text.parse::<Auth>())
}

/// Reads the rule for who may ask.
pub(super) fn ask() -> impl TypedValueParser<Value = Ask> {
    PossibleValuesParser::new(["any", "bound", "nodes"]).try_map(|text| text.parse())
}

/// The minimum time between two location requests that count as strikes, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StrikeInterval(Duration);

impl Default for StrikeInterval {
    fn default() -> Self {
        Self(NodeSettings::default().strike_interval)
    }
}

impl From<StrikeInterval> for Duration {
    fn from(StrikeInterval(interval): StrikeInterval) -> Self {
        interval
    }
}

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
        text_or_number(deserializer)
    }
}

#[derive(PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(try_from = "String")]
struct NamedUser(UserName);

impl TryFrom<String> for NamedUser {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.contains('@') {
            return Err("a user is named without '@' and domain".to_owned());
        }
        text.parse().map(Self).map_err(|error| format!("the user name {error}"))
    }
}

#[derive(serde::Deserialize)]
#[serde(try_from = "Vec<AddressRange>")]
struct UserRanges(Vec<AddressRange>);

impl TryFrom<Vec<AddressRange>> for UserRanges {
    type Error = &'static str;

    fn try_from(ranges: Vec<AddressRange>) -> Result<Self, Self::Error> {
        if ranges.is_empty() {
            return Err(
                "an empty list does not let the user register; take the user out to let them from anywhere",
            );
        }
        Ok(Self(ranges))
    }
}

/// Reads the addresses that single users may register from.
pub(super) fn users<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<HashMap<UserName, Vec<AddressRange>>, D::Error> {
    let users = HashMap::<NamedUser, UserRanges>::deserialize(deserializer)?;
    Ok(users.into_iter().map(|(NamedUser(user), UserRanges(ranges))| (user, ranges)).collect())
}

pub(super) fn allowed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AddressRange>, D::Error> {
    let ranges = Vec::deserialize(deserializer)?;
    // An empty list would mean nobody.
    if ranges.is_empty() {
        return Err(D::Error::custom("an empty list lets nobody register; take allow out to let everybody"));
    }
    Ok(ranges)
}
