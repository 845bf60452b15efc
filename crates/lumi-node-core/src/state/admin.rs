//! The administrator's commands and the node's replies.

use std::collections::{BTreeMap, BTreeSet};
#[cfg(feature = "proof")]
use std::sync::Arc;
use std::time::Instant;

use plumi_proto::{AddressError, Domain, UdpAddress, UserName};

use super::binding::Binding;
#[cfg(feature = "proof")]
use super::enrolment::{CredentialState, Enrolled};
#[cfg(feature = "proof")]
use super::keys::{Keys, PublicKey};

/// Identifies a command from [`Node::handle_admin`](crate::Node::handle_admin) to
/// [`Output::Answer`](crate::Output::Answer). The caller chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AdminId(pub u64);

/// An administrator's command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdminCommand {
    /// Add the user to the domain, offline.
    AddUser(UserName),
    /// Remove the user from the domain, and disconnect the user if online.
    RemoveUser(UserName),
    /// List the users of the domain.
    List,
    /// List the registrations of the users.
    ListBindings,
    /// Read the roster again.
    Reload,
    /// Make this change, which was made elsewhere and is not to be saved. One that has been made already is
    /// no error.
    RosterChanged(RosterChange),
    /// Take these keys of all users in the place of those before, see
    /// [`Node::handle_keys`](crate::Node::handle_keys).
    #[cfg(feature = "proof")]
    KeysChanged(Arc<Keys>),
    /// Take the keys and invitations as they are on the disk, and answer these enrolments, which are saved.
    #[cfg(feature = "proof")]
    CredentialsChanged(Arc<CredentialState>, Vec<Enrolled>),
    /// List the keys that have proved something since the node was started.
    #[cfg(feature = "proof")]
    ListProvenKeys,
}

/// A node's answer to an [`AdminCommand`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdminReply {
    /// The change has been made.
    Changed(RosterChange),
    /// The users of the domain, in no order.
    Users(Vec<UserStatus>),
    /// The registrations of the users, in no order.
    Bindings(Vec<Binding>),
    /// The keys have been replaced.
    #[cfg(feature = "proof")]
    KeysTaken,
    /// The keys that have proved something, in no order.
    #[cfg(feature = "proof")]
    ProvenKeys(Vec<(UserName, PublicKey)>),
    /// The roster has been replaced.
    Reloaded(Reloaded),
    /// The command cannot be carried out. Nothing has changed.
    Refused(AdminRefusal),
    /// The change could not be saved. Nothing has changed.
    NotSaved,
    /// The roster could not be read. Nothing has changed.
    NotRead,
    /// The roster that was read cannot replace the old one. Nothing has changed.
    NotTaken(ReloadRefusal),
}

/// A change of the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RosterChange {
    /// The user is added.
    Add(UserName),
    /// The user is removed.
    Remove(UserName),
}

/// The difference between a roster and the one that replaced it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// The number of users of the domain now.
    pub users: usize,
    /// The number of users who were not in it before.
    pub new: usize,
    /// The first of these by name, at most [`MAX_NAMED`].
    pub named_new: BTreeSet<UserName>,
    /// The number of users who are not in it any more.
    pub gone: usize,
    /// The first of these by name, at most [`MAX_NAMED`], and whether each was online.
    pub named_gone: BTreeMap<UserName, bool>,
}

impl Reloaded {
    /// Counts users who were not in the roster before.
    pub(super) fn adds_all(&mut self, users: impl Iterator<Item = UserName>) {
        for user in users {
            self.new += 1;
            self.named_new.insert(user);
            if self.named_new.len() > MAX_NAMED {
                self.named_new.pop_last();
            }
        }
    }

    /// Counts a user who is not in the roster any more.
    pub(super) fn removes(&mut self, user: UserName, was_online: bool) {
        self.gone += 1;
        self.named_gone.insert(user, was_online);
        if self.named_gone.len() > MAX_NAMED {
            self.named_gone.pop_last();
        }
    }
}

/// The change asked for by [`Output::SaveRoster`](crate::Output::SaveRoster) was not saved. The caller keeps
/// the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the change of the roster was not saved")]
pub struct NotSaved;

/// The roster asked for by [`Output::ReadRoster`](crate::Output::ReadRoster) was not read. The caller keeps
/// the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the roster was not read")]
pub struct NotRead;

/// The reason why an administrator's command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminRefusal {
    /// The domain has the user to be added.
    #[error("{0} belongs to the domain already")]
    AlreadyUser(UserName),
    /// The domain does not have the user to be removed.
    #[error("{0} does not belong to the domain")]
    NoSuchUser(UserName),
    /// The user's address, which has the domain, is too long for a message.
    #[error("with the domain of this node, {0}")]
    TooLong(AddressError),
}

/// The reason why a roster that was read again cannot replace the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadRefusal {
    /// It is the roster of another domain, which needs another node.
    #[error(
        "nothing has changed: the roster names the domain {found}, and this is the node of {served}; correct its first \
         line, or restart the node if it is to serve {found}"
    )]
    OtherDomain {
        /// The domain of this node.
        served: Domain,
        /// The domain of the roster.
        found: Domain,
    },
}

/// A user of the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserStatus {
    /// The user.
    pub user: UserName,
    /// The place where the user is online; `None` if the user is offline.
    pub presence: Option<Presence>,
    /// Set if the user was moved to another IP address twice within 10 minutes, and the second time not
    /// longer ago than that: two agents may hold the name in turn.
    pub moved_repeatedly: bool,
    /// Set if the user has a key, and so has to prove a registration. Never set while `auth` is off.
    pub has_key: bool,
    /// Set if the user is online by a registration from before a restart, and the agent has not been heard
    /// since.
    pub is_restored: bool,
}

impl UserStatus {
    /// Creates the status of `user`, who was neither moved nor restored and has no key. A program needs that
    /// for tests.
    pub fn new(user: UserName, presence: Option<Presence>) -> Self {
        Self { user, presence, moved_repeatedly: false, has_key: false, is_restored: false }
    }
}

/// The place where a user is online.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Presence {
    /// The UDP address of the user's agent.
    pub address: UdpAddress,
    /// The time at which the user came online there, by the clock of the node: in a
    /// [`Server`](crate::Server), tokio's.
    pub online_since: Instant,
}

impl Presence {
    /// Creates the place of a user who came online at `address` then. A program needs that for tests.
    pub fn new(address: UdpAddress, online_since: Instant) -> Self {
        Self { address, online_since }
    }
}

/// The most users that a [`Reloaded`] names of each kind. An administrator reads no more of them in a line.
pub const MAX_NAMED: usize = 8;
