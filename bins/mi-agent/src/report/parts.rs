//! The parts of a report, as programs read them.

use std::fmt::Display;

use mi_agent_core::{Peer, PeerSecurity, PeerText, PublicKey, safe_text};
use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::keys;

/// The direction of a call.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Direction {
    Incoming,
    Outgoing,
}

/// The side that ended a conversation.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EndedBy {
    You,
    Peer,
}

/// The protection of a conversation.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "protection", rename_all = "kebab-case")]
pub(crate) enum Protection {
    Plain,
    Tls { trust: &'static str, key: String },
}

impl From<&PeerSecurity> for Protection {
    fn from(security: &PeerSecurity) -> Self {
        match security {
            PeerSecurity::Tls { key, trust } => Self::Tls { trust: trust.as_str(), key: key_text(key) },
            _ => Self::Plain,
        }
    }
}

/// Two keys of a user.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Keys {
    pub(crate) known: String,
    pub(crate) offered: String,
}

impl Keys {
    pub(super) fn of(known: &PublicKey, offered: &PublicKey) -> Self {
        Self { known: key_text(known), offered: key_text(offered) }
    }
}

/// Returns a key as programs read it.
pub(crate) fn key_text(key: &PublicKey) -> String {
    format!("ed25519:{key}")
}

/// A program's own mark for an order. The event that answers the order carries it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "ref is a string or a number")]
pub(crate) enum Reference {
    Number(Number),
    Text(String),
}

/// Text that is safe to show. A report has no other text of peers, except `raw`.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct SafeText(pub(super) String);

impl SafeText {
    pub(crate) fn new(text: impl Display) -> Self {
        Self(safe_text(&text.to_string()).into_owned())
    }
}

/// Returns `text` as it came, if it is shown otherwise. A typed `\x1b` and an ESC look the same.
pub(super) fn raw(text: &PeerText) -> Option<String> {
    (safe_text(text.raw()) != text.raw()).then(|| text.raw().to_owned())
}

/// Returns the lines about the protection of a conversation, with their marks.
pub(super) fn about_security(peer: &Peer) -> Vec<SafeText> {
    let address = peer.address.as_ref();
    let protection = format!("* {}", keys::protection(&peer.security, address));
    let lack = keys::lack_of_key(&peer.security, address).map(|lack| format!("! {lack}"));
    [Some(protection), lack].into_iter().flatten().map(SafeText::new).collect()
}
