//! A user of the domain, and where the user is registered.

use std::time::Instant;

use plumi_proto::{HostIp, UdpAddress, UserName};

use super::admin::Presence;
use super::binding::Binding;
use super::event::{Events, GoneReason, NodeEvent};
use super::name_table::Named;
use super::party::Party;

/// Fits one 64-byte cache line, so looking up a user costs one cache miss.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct User {
    pub(super) name: UserName,
    /// The address from which the user registered, until the user deregisters.
    pub(super) address: Option<UdpAddress>,
    /// The address of this host at which the user registered. 0.0.0.0 if it is not known, which takes less
    /// room than an `Option`.
    pub(super) heard_at: HostIp,
    /// `None` although there is an address: strikes took the user offline. The agent may be slow rather than
    /// gone.
    pub(super) online_since: Option<Instant>,
    pub(super) marks: Marks,
}

/// Two facts about a user in one byte, since the cache line has no more left.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks(u8);

impl Marks {
    /// The user has to prove a registration. Then `address` is the source of a proof, so a registration from
    /// there is one that was proved.
    pub(super) const HAS_KEY: u8 = 1;
    /// The registration is one from before a restart, and the agent has not been heard since.
    pub(super) const RESTORED: u8 = 2;

    pub(super) fn has(self, mark: u8) -> bool {
        self.0 & mark != 0
    }

    pub(super) fn set(&mut self, mark: u8, is_set: bool) {
        self.0 = if is_set { self.0 | mark } else { self.0 & !mark };
    }
}

impl User {
    /// Creates an offline user.
    pub(super) fn offline(name: UserName) -> Self {
        let heard_at = HostIp::UNSPECIFIED;
        Self { name, address: None, heard_at, online_since: None, marks: Marks::default() }
    }

    pub(super) fn has_key(&self) -> bool {
        self.marks.has(Marks::HAS_KEY)
    }

    /// Returns where the user is online.
    pub(super) fn party(&self) -> Option<Party> {
        self.registered_at().filter(|_| self.online_since.is_some())
    }

    /// Returns where the user is registered, although strikes may have taken the user offline.
    pub(super) fn registered_at(&self) -> Option<Party> {
        let heard_at = Some(self.heard_at).filter(|at| !at.is_unspecified());
        self.address.map(|address| Party { address, heard_at })
    }

    pub(super) fn binding(&self, now: Instant) -> Option<Binding> {
        let online_for = self.online_since.map(|since| now.saturating_duration_since(since));
        Some(Binding::new(self.name, self.registered_at()?, online_for))
    }

    /// Reports an online user as gone.
    pub(super) fn report_gone(&self, reason: GoneReason, events: &mut Events) {
        if let Some(party) = self.party() {
            events.push(NodeEvent::Gone { user: self.name, from: party.address, reason });
        }
    }

    pub(super) fn presence(&self) -> Option<Presence> {
        Some(Presence { address: self.address?, online_since: self.online_since? })
    }
}

impl Named for User {
    fn name(&self) -> &UserName {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_user_is_in_one_line_of_the_cache() {
        assert_eq!((size_of::<User>(), align_of::<User>()), (64, 64));
    }
}
