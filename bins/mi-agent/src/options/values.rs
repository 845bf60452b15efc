//! Values that can be set, and how they are read.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use mi_agent_core::DEFAULT_REFRESH;

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

pub(crate) const DEFAULT_CONVERSATIONS: u8 = 1;

/// More nobody follows.
pub(crate) const MAX_CONVERSATIONS: u8 = 16;
