//! The values that are stored: bindings of users, and the changes of them.

use std::time::SystemTime;

use plumi_proto::{UdpAddress, UserName};

/// The binding of a user as it is stored: the agent's address, and the node and the time of the registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBinding {
    /// The user.
    pub user: UserName,
    /// The UDP socket of the user's agent. [`NO_AGENT`] in the record of a logout.
    pub agent: UdpAddress,
    /// The serving address: the address and port of this host at which the agent was heard.
    pub heard_at: UdpAddress,
    /// The position of this binding among those of its user.
    pub stamp: Stamp,
    /// The time since which the user has been bound to this agent, or logged out.
    pub since: UnixMillis,
    /// The first 8 bytes of SHA-256 of the key that proved the registration. `None` of a user without a key.
    pub key: Option<[u8; 8]>,
}

impl StoredBinding {
    /// Returns whether this is the record of a logout rather than a binding.
    pub fn is_logout(&self) -> bool {
        self.agent == NO_AGENT
    }

    /// Returns the record that the user is not bound any more, in the same place among the user's bindings.
    #[must_use]
    pub fn logged_out(self) -> Self {
        Self { agent: NO_AGENT, key: None, ..self }
    }
}

/// The agent's address in the record of a logout: 0.0.0.0:0, where no agent can be.
pub const NO_AGENT: UdpAddress = UdpAddress::new(plumi_proto::HostIp::UNSPECIFIED, 0);

/// The order of bindings of one user: the larger (stamp, serving address) wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub u64);

/// Milliseconds since the beginning of 1970 by the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// Returns `time` as it is stored: 0 if it is earlier than 1970.
    pub fn of(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(since.as_millis().try_into().unwrap_or(u64::MAX))
    }
}

/// A change of a binding, to be stored. A refresh that changes nothing is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindingChange {
    /// A user who was offline registered.
    Bound(StoredBinding),
    /// A user registered from another address.
    Moved(StoredBinding),
    /// A user logged out. The record of this stays, so that an older binding found elsewhere does not win.
    Unbound {
        /// The user.
        user: UserName,
        /// The address and port of this host at which the logout was heard.
        heard_at: UdpAddress,
        /// The position of the logout among the user's bindings.
        stamp: Stamp,
        /// The time of the logout.
        since: UnixMillis,
    },
    /// A user left the domain. Nothing of the user stays.
    Removed {
        /// The user.
        user: UserName,
    },
}

impl BindingChange {
    /// Returns the user whose binding changes.
    pub fn user(&self) -> &UserName {
        match self {
            Self::Bound(binding) | Self::Moved(binding) => &binding.user,
            Self::Unbound { user, .. } | Self::Removed { user } => user,
        }
    }

    /// Returns what is stored of the user after the change. `None` if that is nothing.
    pub fn stored(&self) -> Option<StoredBinding> {
        match *self {
            Self::Bound(binding) | Self::Moved(binding) => Some(binding),
            Self::Unbound { user, heard_at, stamp, since } => {
                Some(StoredBinding { user, agent: NO_AGENT, heard_at, stamp, since, key: None })
            }
            Self::Removed { .. } => None,
        }
    }
}

/// The number of a change. The caller gives ascending ones; a commit reports the last that it contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaveId(pub u64);
