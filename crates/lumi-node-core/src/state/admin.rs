//! What an administrator asks of a node, and what it answers.

use std::net::SocketAddrV4;
use std::time::Duration;

use plumi_proto::{AddressError, Domain, UserName};

/// An administrator's command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminCommand {
    /// The user belongs to the domain from now on, offline.
    Register(UserName),
    /// The user belongs to the domain no longer; one who is online is cut off.
    Deregister(UserName),
    /// Who belongs to the domain, and where each one is.
    List,
}

/// A node's answer to an [`AdminCommand`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminReply {
    /// The change can be made: save it durably, then tell
    /// [`Node::handle_roster_saved`](crate::Node::handle_roster_saved). Nothing has changed so far.
    Save(RosterChange),
    /// The command cannot be carried out.
    Refused(AdminRefusal),
    /// The users of the domain, in no order.
    Users(Vec<UserStatus>),
}

/// A change of the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RosterChange {
    /// The user is added.
    Add(UserName),
    /// The user is removed.
    Remove(UserName),
}

/// Why an administrator's command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminRefusal {
    /// The user to register is registered.
    #[error("{0} belongs to the domain already")]
    AlreadyUser(UserName),
    /// The user to deregister is not registered.
    #[error("{0} does not belong to the domain")]
    NoSuchUser(UserName),
    /// With the domain, the user's address has no room in a message.
    #[error("with the domain of this node, {0}")]
    TooLong(AddressError),
}

/// Why a roster that was read again is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadRefusal {
    /// It is the roster of another domain, which takes another node.
    #[error("the roster names the domain {found} now, and this is the node of {served}; restart it for that")]
    OtherDomain {
        /// The domain of this node.
        served: Domain,
        /// The domain of the roster.
        found: Domain,
    },
}

/// A user of the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserStatus {
    /// The user.
    pub user: UserName,
    /// Where the user is; `None` is offline.
    pub presence: Option<Presence>,
}

/// Where a user is online.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The UDP address of the user's agent.
    pub address: SocketAddrV4,
    /// How long the user has been online there.
    pub online_for: Duration,
}
