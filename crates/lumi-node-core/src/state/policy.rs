//! Rules of the embedding program.

use std::fmt;
use std::time::Instant;

use plumi_proto::{Locate, UdpAddress, UserName};

use super::party::Party;

/// Rules of the embedding program for who may register and who may be located.
///
/// A policy is asked last, when the roster and the settings would let a request pass. So it can only refuse.
/// It runs in the node's task, which serves nobody meanwhile: it must not wait for anything. A policy that
/// needs a database keeps what it needs from there in memory. A policy that panics ends the server.
pub trait Policy {
    /// Decides about a registration from `from`. A user who is online at `held_by` moves to `from`, if that
    /// is another address. Agents repeat registrations to refresh them, and each one is asked for.
    fn register(
        &mut self,
        now: Instant,
        user: &UserName,
        from: Party,
        held_by: Option<UdpAddress>,
    ) -> RegisterVerdict {
        _ = (now, user, from, held_by);
        RegisterVerdict::Allow
    }

    /// Decides about a location request from `from`: for a user of this domain who is online, or by one for a
    /// user of another domain. Agents repeat requests until they are answered, and each one is asked for.
    fn locate(&mut self, now: Instant, locate: &Locate, from: Party) -> LocateVerdict {
        _ = (now, locate, from);
        LocateVerdict::Allow
    }
}

/// The verdict of a [`Policy`] on a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterVerdict {
    /// The user registers.
    Allow,
    /// The node answers `RR1`. A user who is online stays so.
    Refuse,
    /// The node does not answer.
    Ignore,
}

/// The verdict of a [`Policy`] on a location request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocateVerdict {
    /// The node sends the request on.
    Allow,
    /// The node answers `RL1`: the user is in a conversation.
    Busy,
    /// The node answers `RL2`: there is no such user.
    NoSuchUser,
    /// The node answers `RL3`: the user is offline.
    Offline,
    /// The node does not answer.
    Ignore,
}

/// The policy of a node, if it has one.
#[derive(Default)]
pub(super) struct Policies(Option<Box<dyn Policy + Send>>);

impl Policies {
    pub(super) fn set(&mut self, policy: Box<dyn Policy + Send>) {
        self.0 = Some(policy);
    }

    pub(super) fn register(
        &mut self,
        now: Instant,
        user: &UserName,
        from: Party,
        held_by: Option<UdpAddress>,
    ) -> RegisterVerdict {
        self.0.as_mut().map_or(RegisterVerdict::Allow, |policy| policy.register(now, user, from, held_by))
    }

    pub(super) fn locate(&mut self, now: Instant, locate: &Locate, from: Party) -> LocateVerdict {
        self.0.as_mut().map_or(LocateVerdict::Allow, |policy| policy.locate(now, locate, from))
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policies").field("is_set", &self.0.is_some()).finish()
    }
}
