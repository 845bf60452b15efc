//! The addresses at which the users of a node are online, by the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::time::Duration;

use lumi_node_core::{AddressRange, Auth, NodeSettings, Takeover};
use plumi_proto::{DeregisterCode, Domain, RegisterCode, Registrant, UserName};

/// The users of one node.
#[derive(Debug)]
pub(super) struct Registrations {
    domain: Domain,
    takeover: Takeover,
    auth: Auth,
    allow: Vec<AddressRange>,
    strike_interval: Duration,
    users: BTreeMap<UserName, Option<Place>>,
    /// Those who have a key, whether they are in the roster or not.
    keyed: BTreeSet<UserName>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    address: SocketAddrV4,
    is_online: bool,
    strikes: u8,
    last_strike: Option<Duration>,
    /// It is from before a restart, and the agent has not been heard since.
    is_restored: bool,
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
            auth: settings.auth,
            allow: settings.allow.clone(),
            strike_interval: settings.strike_interval,
            users: users.iter().map(|&user| (user, None)).collect(),
            keyed: BTreeSet::new(),
        }
    }

    pub(super) fn set_keyed(&mut self, keyed: BTreeSet<UserName>) {
        self.keyed = keyed;
    }

    /// Returns whether a user of the domain has to prove a registration.
    pub(super) fn has_key(&self, user: &UserName) -> bool {
        self.keyed.contains(user) && self.contains(user)
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

    /// The address at which the user is registered, although strikes may have taken the user offline.
    pub(super) fn registered_at(&self, user: &UserName) -> Option<SocketAddrV4> {
        self.place(user).map(|place| place.address)
    }

    /// Returns whether anybody may register from there.
    pub(super) fn is_within(&self, from: SocketAddrV4) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|range| range.contains(*from.ip()))
    }

    pub(super) fn register(&mut self, registrant: &Registrant, from: SocketAddrV4) -> RegisterCode {
        let Some(user) = self.own_user(registrant).filter(|_| self.is_within(from)) else {
            return RegisterCode::NoSuchUser;
        };
        let place = self.place(&user).copied();
        let lacks_proof = match self.has_key(&user) {
            true => place.is_none_or(|place| place.address != from),
            false => self.auth == Auth::Required,
        };
        if lacks_proof {
            return RegisterCode::NoSuchUser;
        }
        let is_held = place
            .is_some_and(|place| place.is_online && !place.is_restored && place.address.ip() != from.ip());
        if is_held && self.takeover == Takeover::Deny {
            return RegisterCode::NoSuchUser;
        }
        self.bind(user, from);
        RegisterCode::Registered
    }

    /// The user is online at `from`, whatever was before. Returns `true`.
    pub(super) fn bind(&mut self, user: UserName, from: SocketAddrV4) -> bool {
        let place = self.place(&user).filter(|place| place.address == from);
        let last_strike = place.and_then(|place| place.last_strike);
        let place = Place { address: from, is_online: true, strikes: 0, last_strike, is_restored: false };
        self.users.insert(user, Some(place));
        true
    }

    /// The user is registered nowhere any more.
    pub(super) fn unregister(&mut self, user: &UserName) {
        if let Some(place) = self.users.get_mut(user) {
            *place = None;
        }
    }

    /// The user was online there before the node was restarted.
    pub(super) fn restore(&mut self, user: UserName, address: SocketAddrV4) {
        self.bind(user, address);
        if let Some(Some(place)) = self.users.get_mut(&user) {
            place.is_restored = true;
        }
    }

    /// A proof takes the user offline, if the user is registered at `from` or nowhere. Returns whether that
    /// is so.
    pub(super) fn unbind(&mut self, user: &UserName, from: SocketAddrV4) -> bool {
        let is_here = self.registered_at(user).is_none_or(|address| address == from);
        if is_here {
            self.users.insert(*user, None);
        }
        is_here
    }

    pub(super) fn deregister(&mut self, registrant: &Registrant, from: SocketAddrV4) -> DeregisterCode {
        let Some(user) = self.own_user(registrant) else { return DeregisterCode::NoSuchUser };
        match self.place(&user) {
            Some(_) if self.has_key(&user) => return DeregisterCode::NoSuchUser,
            Some(place) if place.address == from => _ = self.users.insert(user, None),
            Some(place) if place.is_online => return DeregisterCode::NoSuchUser,
            _ => {}
        }
        DeregisterCode::Deregistered
    }

    /// Something came that names `user` as its sender. An answer clears the strikes of a user who is online;
    /// a question does not.
    pub(super) fn hear(&mut self, user: &UserName, from: SocketAddrV4, is_answer: bool) {
        let Some(Some(place)) = self.users.get_mut(user) else { return };
        place.is_restored &= place.address != from;
        if place.address == from && (is_answer || !place.is_online) {
            (place.is_online, place.strikes) = (true, 0);
        }
    }

    /// Returns the time of the last strike of a user, if there was one.
    pub(super) fn last_strike(&self, user: &UserName) -> Option<Duration> {
        self.place(user)?.last_strike
    }

    /// Returns the effect that a question for `user`, who is online, would have now. `kept_out_at` is when
    /// something from the user's host was kept out last.
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
