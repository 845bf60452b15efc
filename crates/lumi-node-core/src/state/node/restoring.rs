//! Registrations that outlive a node.

use std::time::{Duration, Instant};

use lumi_bindings::{StoredBinding, UnixMillis};
use plumi_proto::{HostIp, UdpAddress, is_reachable};

use super::Node;
use crate::state::binding::Binding;
use crate::state::bindings::Bindings;
use crate::state::party::Party;
use crate::state::settings::Auth;

impl Node {
    /// Begins to save bindings, and restores those that are `stored`, all that the store has. It is `wall` by
    /// the clock on the wall.
    ///
    /// Each later change of a binding is an [`Output::SaveBinding`](crate::Output::SaveBinding). The answer
    /// to the `PR` or `PD` that made it leaves once it is saved, or after 250 ms.
    ///
    /// A stored binding is restored as by [`Node::restore`], if messages can leave from where its agent was
    /// heard: the port of this node, at its address. If that is 0.0.0.0, `is_own` decides whether this host
    /// has the address. One that is not restored is saved as what the user is now, so that a later start does
    /// not restore it either. Call this once, and not before the node has the keys of its users.
    pub fn save_bindings(
        &mut self,
        now: Instant,
        wall: UnixMillis,
        stored: impl IntoIterator<Item = StoredBinding>,
        mut is_own: impl FnMut(HostIp) -> bool,
    ) {
        let mut bindings = Bindings::new(now, wall);
        // The store may not have those that the embedding program has restored.
        self.users.bindings(now, 0, usize::MAX).for_each(|binding| bindings.mark(binding.user));
        for stored in stored {
            bindings.found(stored.stamp);
            if let Some(members) = &mut self.members
                && stored.heard_at == self.local.into()
            {
                members.found(stored.user, (!stored.is_logout()).then_some(stored.agent), stored.stamp);
            }
            if stored.is_logout() {
                continue;
            }
            let party = self.party_at(stored.agent, stored.heard_at, &mut is_own);
            let party = party.filter(|_| !self.has_lost_key(&stored));
            let age = Duration::from_millis(wall.0.saturating_sub(stored.since.0));
            let binding = |party: Party| Binding::new(stored.user, party, Some(age)).proved_by(stored.key);
            if party.is_some_and(|party| self.restore(now, &binding(party))) {
                bindings.count_restored();
            } else {
                bindings.mark(stored.user);
            }
        }
        self.bindings = Some(Box::new(bindings));
        self.save_rest_of_unsaved();
    }

    /// Takes over a registration from before a restart, so that the user is found without registering anew.
    ///
    /// Returns whether it was taken over. It is not if the domain has no such user, the user is registered
    /// already, no agent can be at that address, or the user has to prove a registration and has not the key
    /// that proved this one. This is no [`NodeEvent`](crate::NodeEvent).
    ///
    /// Neither [`NodeSettings::allow`](crate::NodeSettings::allow) nor
    /// [`NodeSettings::users`](crate::NodeSettings::users) nor the policy is applied: they decide when the
    /// agent registers the next time. A user whom strikes had taken offline is online again as soon as the
    /// agent is heard, for which no policy is asked. Until the agent is heard,
    /// [`Takeover::Deny`](crate::Takeover::Deny) does not hold for the user: the agent may be gone. The user
    /// keeps the address of this host at which the agent was heard,
    /// [`Party::heard_at`](crate::Party::heard_at). Messages leave from there, as long as this host has that
    /// address.
    pub fn restore(&mut self, now: Instant, binding: &Binding) -> bool {
        let address = binding.party.address;
        // An agent of another host hardly ever has this port, and on this host it is the node's own.
        let may_be_this = self.local.ip().is_unspecified() && address.port() == self.local.port();
        let is_possible = is_reachable(*address.ip()) && self.may_be_agent(address) && !may_be_this;
        if !is_possible || !self.may_restore(binding) || !self.users.restore(now, binding) {
            return false;
        }
        #[cfg(feature = "proof")]
        self.credentials.restore(&binding.user, binding.proved_by);
        if let Some(bindings) = &mut self.bindings {
            bindings.mark(binding.user);
        }
        true
    }

    /// Returns whether the registration is proved, if it has to be: by a key that the user still has.
    fn may_restore(&self, binding: &Binding) -> bool {
        if !self.users.has_key(&binding.user) {
            return self.settings.auth != Auth::Required;
        }
        #[cfg(feature = "proof")]
        return self.credentials.has_tagged(&binding.user, binding.proved_by);
        #[cfg(not(feature = "proof"))]
        false
    }

    /// Returns whether a binding has lost the key that proved it: its user has no key at all any more.
    #[cfg(feature = "proof")]
    fn has_lost_key(&self, stored: &StoredBinding) -> bool {
        let is_asked = self.settings.auth != Auth::Off && self.credentials.is_ready();
        is_asked && stored.key.is_some() && !self.credentials.has_tagged(&stored.user, stored.key)
    }

    #[cfg(not(feature = "proof"))]
    fn has_lost_key(&self, _stored: &StoredBinding) -> bool {
        false
    }

    /// Returns the agent that was heard at the address `heard_at` of this host, if messages to it can leave
    /// from there.
    fn party_at(
        &self,
        agent: UdpAddress,
        heard_at: UdpAddress,
        is_own: &mut impl FnMut(HostIp) -> bool,
    ) -> Option<Party> {
        if heard_at.port() != self.local.port() {
            return None;
        }
        let (heard_at, local) = (*heard_at.ip(), self.local.ip());
        if heard_at == local {
            return Some(agent.into());
        }
        let is_here = local.is_unspecified() && !heard_at.is_unspecified() && is_own(heard_at);
        is_here.then_some(Party { address: agent, heard_at: Some(heard_at) })
    }

    /// Returns the registrations of all users, in no order. [`Node::restore`] gives them to another node,
    /// once it has the keys of its users.
    pub fn bindings(&self, now: Instant) -> impl Iterator<Item = Binding> {
        self.bindings_from(now, 0, usize::MAX)
    }

    /// Returns the registrations of `count` users from the one number `first` on.
    pub(super) fn bindings_from(
        &self,
        now: Instant,
        first: usize,
        count: usize,
    ) -> impl Iterator<Item = Binding> {
        let bindings = self.users.bindings(now, first, count);
        #[cfg(feature = "proof")]
        let bindings = bindings.map(|binding| binding.proved_by(self.credentials.proved_by(&binding.user)));
        bindings
    }
}
