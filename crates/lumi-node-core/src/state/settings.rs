//! The settings of a node.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use plumi_proto::{AddressRange, Domain, NodeAddress, UserName};

use super::limiter::RateLimit;

/// The settings of a node (protocol.md §9).
///
/// ```
/// use lumi_node_core::{NodeSettings, Takeover};
///
/// let settings = NodeSettings::default().takeover(Takeover::Deny).rate_limit(None);
/// assert_eq!(settings.takeover, Takeover::Deny);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeSettings {
    /// The number of datagrams that it takes from one address; `None` is any number.
    pub rate_limit: Option<RateLimit>,
    /// The addresses that neither the rate limit nor the bound of pending requests for each source holds for.
    pub exempt: Vec<AddressRange>,
    /// The addresses from which users may register; empty is from anywhere.
    pub allow: Vec<AddressRange>,
    /// The addresses from which single users may register, within [`NodeSettings::allow`]. Users who are not
    /// named may register from all of those.
    pub users: HashMap<UserName, Vec<AddressRange>>,
    /// The number of users that may be online at one socket; `None` is any number. An agent has one user, and
    /// a gateway may have many.
    pub users_per_socket: Option<NonZeroU32>,
    /// The rule for a user's name that two addresses register.
    pub takeover: Takeover,
    /// The least time between two strikes of a user, so that a quick succession of location requests is one;
    /// zero makes each of them a strike.
    pub strike_interval: Duration,
    /// The nodes that the administrator names as those of other domains, each with its addresses. Each of
    /// them may speak for any number of users, and a `PL` in the name of one of its users counts only from
    /// its IP addresses.
    pub peers: HashMap<Domain, Vec<NodeAddress>>,
    /// The askers whose location requests count.
    pub ask: Ask,
    /// The users who have to prove a registration.
    pub auth: Auth,
}

impl NodeSettings {
    /// Sets [`NodeSettings::rate_limit`].
    #[must_use]
    pub fn rate_limit(self, rate_limit: Option<RateLimit>) -> Self {
        Self { rate_limit, ..self }
    }

    /// Sets [`NodeSettings::exempt`].
    #[must_use]
    pub fn exempt(self, exempt: Vec<AddressRange>) -> Self {
        Self { exempt, ..self }
    }

    /// Sets [`NodeSettings::allow`].
    #[must_use]
    pub fn allow(self, allow: Vec<AddressRange>) -> Self {
        Self { allow, ..self }
    }

    /// Sets [`NodeSettings::users`].
    #[must_use]
    pub fn users(self, users: HashMap<UserName, Vec<AddressRange>>) -> Self {
        Self { users, ..self }
    }

    /// Sets [`NodeSettings::users_per_socket`].
    #[must_use]
    pub fn users_per_socket(self, users_per_socket: Option<NonZeroU32>) -> Self {
        Self { users_per_socket, ..self }
    }

    /// Sets [`NodeSettings::takeover`].
    #[must_use]
    pub fn takeover(self, takeover: Takeover) -> Self {
        Self { takeover, ..self }
    }

    /// Sets [`NodeSettings::strike_interval`].
    #[must_use]
    pub fn strike_interval(self, strike_interval: Duration) -> Self {
        Self { strike_interval, ..self }
    }

    /// Sets [`NodeSettings::peers`].
    #[must_use]
    pub fn peers(self, peers: HashMap<Domain, Vec<NodeAddress>>) -> Self {
        Self { peers, ..self }
    }

    /// Sets [`NodeSettings::ask`].
    #[must_use]
    pub fn ask(self, ask: Ask) -> Self {
        Self { ask, ..self }
    }

    /// Sets [`NodeSettings::auth`].
    #[must_use]
    pub fn auth(self, auth: Auth) -> Self {
        Self { auth, ..self }
    }
}

impl Default for NodeSettings {
    /// The rate limit's default, nobody exempt, everybody allowed, any number at a socket, the last one
    /// registered, no peers, any asker, proofs of users who have a key, and 500 ms: a live agent has 2 s for
    /// an answer whatever comes meanwhile, and each of the tries that agents make every second is a strike.
    fn default() -> Self {
        Self {
            rate_limit: Some(RateLimit::default()),
            exempt: Vec::new(),
            allow: Vec::new(),
            users: HashMap::new(),
            users_per_socket: None,
            takeover: Takeover::default(),
            strike_interval: Duration::from_millis(500),
            peers: HashMap::new(),
            ask: Ask::default(),
            auth: Auth::default(),
        }
    }
}

/// The rule for a user's name that is registered from one address while it is online at another.
///
/// Written as `last` or `deny`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Takeover {
    /// The last one who registered, as the protocol says: the user has moved.
    #[default]
    Last,
    /// The first one, for as long as that one is online: one with another IP address is told that there is no
    /// such user.
    Deny,
}

impl FromStr for Takeover {
    type Err = TakeoverError;

    fn from_str(text: &str) -> Result<Self, TakeoverError> {
        match text {
            "last" => Ok(Self::Last),
            "deny" => Ok(Self::Deny),
            _ => Err(TakeoverError),
        }
    }
}

impl fmt::Display for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Last => "last",
            Self::Deny => "deny",
        })
    }
}

/// The error for a text that is not a [`Takeover`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a takeover is `last` or `deny`")]
pub struct TakeoverError;

/// The askers whose location requests count, besides users of this domain who are online where they ask from.
///
/// Nobody ever asks in the name of a user who is online elsewhere, or of a domain that has a named peer,
/// unless it is that peer. Written as `any`, `bound` or `nodes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ask {
    /// Anybody: also users of this domain who are online nowhere, since agents of other programs do not
    /// register again after a restart of their node.
    #[default]
    Any,
    /// Anybody in the name of another domain's user. Users of this domain have to be online.
    Bound,
    /// The nodes of other domains, in the names of their users: a peer at the very socket that is named, and
    /// nodes that this one has looked up for a user of its own. Users of this domain have to be online.
    Nodes,
}

impl FromStr for Ask {
    type Err = AskError;

    fn from_str(text: &str) -> Result<Self, AskError> {
        match text {
            "any" => Ok(Self::Any),
            "bound" => Ok(Self::Bound),
            "nodes" => Ok(Self::Nodes),
            _ => Err(AskError),
        }
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Any => "any",
            Self::Bound => "bound",
            Self::Nodes => "nodes",
        })
    }
}

/// The error for a text that is not an [`Ask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the askers that count are `any`, `bound` or `nodes`")]
pub struct AskError;

/// The users who have to prove a registration with their key (protocol.md §12).
///
/// Written as `off`, `on` or `required`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// Nobody. Keys are kept.
    Off,
    /// Users who have a key. All others register as the protocol says.
    #[default]
    On,
    /// Everybody: users without a key cannot register.
    Required,
}

impl FromStr for Auth {
    type Err = AuthError;

    fn from_str(text: &str) -> Result<Self, AuthError> {
        match text {
            "off" => Ok(Self::Off),
            "on" | "keys" => Ok(Self::On),
            "required" => Ok(Self::Required),
            _ => Err(AuthError),
        }
    }
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Required => "required",
        })
    }
}

/// The error for a text that is not an [`Auth`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("proofs of registrations are `off`, `on` or `required`")]
pub struct AuthError;
