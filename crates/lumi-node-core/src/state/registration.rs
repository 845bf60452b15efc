//! The registration of users: who may register, and what is answered (protocol.md §3).

use std::time::Instant;

use plumi_proto::{DeregisterCode, Domain, RegisterCode, Registrant, UserName};

use super::address_range::is_in;
use super::party::{Party, UdpAddress};
use super::settings::{NodeSettings, Takeover};
use super::users::Users;

/// Decides about registrations and deregistrations, and changes the users accordingly.
#[derive(Debug)]
pub(super) struct Registrar<'n> {
    pub(super) domain: &'n Domain,
    pub(super) settings: &'n NodeSettings,
    pub(super) users: &'n mut Users,
}

impl Registrar<'_> {
    /// Registers a user at `from`, if the user belongs to the domain and may register there.
    pub(super) fn register(self, now: Instant, from: Party, registrant: &Registrant) -> RegisterCode {
        let user = self.own_user(registrant).filter(|_| self.may_register_from(from.address));
        let is_held = self.settings.takeover == Takeover::Deny;
        let may_register =
            |online: Option<UdpAddress>| !is_held || online.is_none_or(|address| address == from.address);
        match user {
            Some(user) if self.users.bind(now, &user, from, may_register) => RegisterCode::Registered,
            _ => RegisterCode::NoSuchUser,
        }
    }

    /// Takes a user offline, if the request comes from the user's agent.
    pub(super) fn deregister(self, from: Party, registrant: &Registrant) -> DeregisterCode {
        match self.own_user(registrant) {
            Some(user) if self.users.unbind(&user, from.address) => DeregisterCode::Deregistered,
            _ => DeregisterCode::NoSuchUser,
        }
    }

    fn may_register_from(&self, address: UdpAddress) -> bool {
        self.settings.allow.is_empty() || is_in(&self.settings.allow, address.into())
    }

    /// Returns the user name, if it belongs to this domain.
    fn own_user(&self, registrant: &Registrant) -> Option<UserName> {
        match registrant {
            Registrant::User(user) => Some(*user),
            Registrant::Address(address) if address.domain() == *self.domain => Some(address.user()),
            Registrant::Address(_) => None,
        }
    }
}
