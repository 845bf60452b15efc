//! Registrations that outlive a node.

use std::time::Instant;

use plumi_proto::is_reachable;

use super::Node;
use crate::state::binding::Binding;
use crate::state::settings::Auth;

impl Node {
    /// Takes over a registration from before a restart, so that the user is found without registering anew.
    ///
    /// Returns whether it was taken over. It is not if the domain has no such user, the user is registered
    /// already, or no agent can be at that address. This is no [`NodeEvent`](crate::NodeEvent).
    ///
    /// Neither [`NodeSettings::allow`](crate::NodeSettings::allow) nor [`NodeSettings::users`](crate::NodeSettings::users) nor the policy is applied: they decide when the agent registers the
    /// next time. A user whom strikes had taken offline is online again as soon as the agent is heard, for
    /// which no policy is asked. With [`Takeover::Deny`](crate::Takeover::Deny), an agent that has another
    /// address since is refused until strikes take the user offline. The user keeps the address of this host at
    /// which the agent was heard, [`Party::heard_at`](crate::Party::heard_at). Messages leave from there, as long as this host has that
    /// address.
    pub fn restore(&mut self, now: Instant, binding: &Binding) -> bool {
        let address = binding.party.address;
        // An agent of another host hardly ever has this port, and on this host it is the node's own.
        let may_be_this = self.local.ip().is_unspecified() && address.port() == self.local.port();
        let is_possible = is_reachable(*address.ip()) && self.may_be_agent(address) && !may_be_this;
        if !is_possible || !self.may_restore(binding) {
            return false;
        }
        let is_restored = self.users.restore(now, binding);
        #[cfg(feature = "proof")]
        if is_restored {
            self.credentials.restore(&binding.user, binding.proved_by);
        }
        is_restored
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

    /// Returns the registrations of all users, in no order. [`Node::restore`] gives them to another node, once it has the keys
    /// of its users.
    pub fn bindings(&self, now: Instant) -> impl Iterator<Item = Binding> {
        let bindings = self.users.bindings(now);
        #[cfg(feature = "proof")]
        let bindings = bindings.map(|binding| binding.proved_by(self.credentials.proved_by(&binding.user)));
        bindings
    }
}
