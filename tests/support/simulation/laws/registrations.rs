//! The addresses at which the users of a node are online, by the rules.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use lumi_node_core::{AddressRange, NodeSettings, Takeover};
use plumi_proto::{DeregisterCode, Domain, RegisterCode, Registrant, UserName};

/// The users of one node.
#[derive(Debug)]
pub(super) struct Registrations {
    domain: Domain,
    takeover: Takeover,
    allow: Vec<AddressRange>,
    strike_interval: Duration,
    users: BTreeMap<UserName, Option<Place>>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    address: SocketAddrV4,
    is_online: bool,
    strikes: u8,
    last_strike: Option<Duration>,
}

/// The effect of a question for an online user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strike {
    /// None, as it follows too soon on another.
    None,
    /// None, as the answer to the one before may have been kept out.
    MayHaveAnswered,
    /// One.
    One,
    /// The last one.
    Last,
}

impl Registrations {
    pub(super) fn new(domain: Domain, users: &[UserName], settings: &NodeSettings) -> Self {
        Self {
            domain,
            takeover: settings.takeover,
            allow: settings.allow.clone(),
            strike_interval: settings.strike_interval,
            users: users.iter().map(|&user| (user, None)).collect(),
        }
    }

    pub(super) fn users(&self) -> impl Iterator<Item = UserName> {
        self.users.keys().copied()
    }

    pub(super) fn contains(&self, user: &UserName) -> bool {
        self.users.contains_key(user)
    }

    pub(super) fn add(&mut self, user: UserName) {
        self.users.insert(user, None);
    }

    pub(super) fn remove(&mut self, user: &UserName) {
        self.users.remove(user);
    }

    pub(super) fn address_of(&self, user: &UserName) -> Option<SocketAddrV4> {
        self.place(user).filter(|place| place.is_online).map(|place| place.address)
    }

    pub(super) fn register(&mut self, registrant: &Registrant, from: SocketAddrV4) -> RegisterCode {
        let is_allowed = self.allow.is_empty() || self.allow.iter().any(|range| range.contains(*from.ip()));
        let Some(user) = self.own_user(registrant).filter(|_| is_allowed) else {
            return RegisterCode::NoSuchUser;
        };
        let place = self.place(&user).copied();
        let is_held = place.is_some_and(|place| place.is_online && place.address.ip() != from.ip());
        if is_held && self.takeover == Takeover::Deny {
            return RegisterCode::NoSuchUser;
        }
        let last_strike = place.filter(|place| place.address == from).and_then(|place| place.last_strike);
        self.users.insert(user, Some(Place { address: from, is_online: true, strikes: 0, last_strike }));
        RegisterCode::Registered
    }

    pub(super) fn deregister(&mut self, registrant: &Registrant, from: SocketAddrV4) -> DeregisterCode {
        let Some(user) = self.own_user(registrant) else { return DeregisterCode::NoSuchUser };
        match self.place(&user) {
            Some(place) if place.address == from => _ = self.users.insert(user, None),
            Some(place) if place.is_online => return DeregisterCode::NoSuchUser,
            _ => {}
        }
        DeregisterCode::Deregistered
    }

    /// Something came that names `user` as its sender. An answer clears the strikes of a user who is online; a
    /// question does not.
    pub(super) fn hear(&mut self, user: &UserName, from: SocketAddrV4, is_answer: bool) {
        let Some(Some(place)) = self.users.get_mut(user) else { return };
        if place.address == from && (is_answer || !place.is_online) {
            (place.is_online, place.strikes) = (true, 0);
        }
    }

    /// Returns the time of the last strike of a user, if there was one.
    pub(super) fn last_strike(&self, user: &UserName) -> Option<Duration> {
        self.place(user)?.last_strike
    }

    /// Returns the effect that a question for `user`, who is online, would have now. `kept_out_at` is when something from
    /// the user's host was kept out last.
    pub(super) fn strike(&self, now: Duration, user: &UserName, kept_out_at: Option<Duration>) -> Strike {
        let Some(place) = self.place(user) else { return Strike::None };
        match place.last_strike {
            Some(last) if now - last < self.strike_interval => Strike::None,
            Some(last) if kept_out_at.is_some_and(|at| at >= last) => Strike::MayHaveAnswered,
            _ if place.strikes + 1 >= STRIKES => Strike::Last,
            _ => Strike::One,
        }
    }

    /// It was one.
    pub(super) fn count_strike(&mut self, now: Duration, user: &UserName, strike: Strike) {
        let Some(Some(place)) = self.users.get_mut(user) else { return };
        if strike != Strike::None {
            place.strikes += u8::from(strike != Strike::MayHaveAnswered);
            place.last_strike = Some(now);
            place.is_online = strike != Strike::Last;
        }
    }

    fn place(&self, user: &UserName) -> Option<&Place> {
        self.users.get(user)?.as_ref()
    }

    fn own_user(&self, registrant: &Registrant) -> Option<UserName> {
        let user = match registrant {
            Registrant::User(user) => *user,
            Registrant::Address(address) if address.domain() == self.domain => address.user(),
            Registrant::Address(_) => return None,
        };
        self.contains(&user).then_some(user)
    }
}

/// protocol.md §3.
const STRIKES: u8 = 5;
