//! The users of the domain, and where each of them is online (protocol.md §3).

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use plumi_proto::{HostIp, UdpAddress, UserName};

use super::admin::UserStatus;
use super::binding::Binding;
use super::bindings::Change;
use super::event::{Events, GoneReason, NodeEvent};
use super::moved_users::MovedUsers;
use super::name_table::{FETCHED, NameTable};
use super::notice::Notice;
use super::online::Online;
use super::party::Party;
use super::user::{Marks, User};

/// The users of a domain, each with the address that it registered from.
#[derive(Debug)]
pub(super) struct Users {
    all: NameTable<User>,
    /// The recent strikes of each user.
    strikes: HashMap<UserName, Strikes>,
    strike_interval: Duration,
    online: Online,
    moves: Moves,
    moved: MovedUsers,
}

/// The number of registrations that moved a user who was online at another address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moves {
    /// Moves to another IP address.
    pub to_host: u64,
    /// Moves to another port of the same IP address.
    pub to_port: u64,
}

/// The registration of a user when another one comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    /// The address at which the user is online.
    pub(super) online_at: Option<UdpAddress>,
    /// The address at which the user is registered, although strikes may have taken the user offline.
    pub(super) registered_at: Option<UdpAddress>,
    /// Set if the user has to prove a registration.
    pub(super) has_key: bool,
    /// Set if the registration is from before a restart, and the agent has not been heard since.
    pub(super) is_restored: bool,
}

/// A request that was granted, and what it changed. A request that only repeats another one changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) change: Option<Change>,
}

/// What a user was who does not belong to the domain any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Removed {
    pub(super) was_online: bool,
    /// Strikes may have taken the user offline.
    pub(super) was_registered: bool,
}

/// Location requests since the user's agent was last heard.
#[derive(Debug)]
struct Strikes {
    count: u8,
    last: Instant,
}

impl Users {
    pub(super) fn new(all: NameTable<User>, strike_interval: Duration) -> Self {
        Self {
            all,
            strikes: HashMap::new(),
            strike_interval,
            online: Online::default(),
            moves: Moves::default(),
            moved: MovedUsers::default(),
        }
    }

    /// Returns the number of users in the domain.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns the number of online users.
    pub(super) fn online(&self) -> usize {
        self.online.count()
    }

    pub(super) fn moves(&self) -> Moves {
        self.moves
    }

    /// Sets the shortest time between two strikes of a user.
    pub(super) fn set_strike_interval(&mut self, least: Duration) {
        self.strike_interval = least;
    }

    /// Sets the limit of users who are online at one socket. More than that stay online.
    pub(super) fn set_max_of_socket(&mut self, limit: Option<NonZeroU32>) {
        let online = self.all.iter().filter_map(User::party);
        self.online.set_limit(limit, online.map(|party| party.address));
    }

    /// Returns whether the user is online at `address`, or one more may be.
    pub(super) fn has_room(&self, user: &UserName, address: UdpAddress) -> bool {
        self.online.has_room(address) || self.party(user).is_some_and(|party| party.address == address)
    }

    pub(super) fn contains(&self, user: &UserName) -> bool {
        self.all.contains(user)
    }

    /// See [`NameTable::fetch`].
    pub(super) fn fetch<'n>(&self, names: impl Iterator<Item = &'n [u8]>) {
        self.all.fetch(names, |user| user.address.is_some());
    }

    /// Returns every user from number `first` on and where the user is online. Numbers stay as long as nobody
    /// is added or removed.
    pub(super) fn statuses(&self, first: usize) -> impl Iterator<Item = UserStatus> {
        self.all.iter_from(first).map(|user| UserStatus {
            user: user.name,
            presence: user.presence(),
            moved_repeatedly: self.moved.has_repeatedly(&user.name),
            has_key: user.has_key(),
            is_restored: user.party().is_some() && user.marks.has(Marks::RESTORED),
        })
    }

    /// Forgets the moves that are too long ago.
    pub(super) fn expire_moves(&mut self, now: Instant) {
        self.moved.expire(now);
    }

    /// Returns the registrations of `count` users from the one number `first` on.
    pub(super) fn bindings(&self, now: Instant, first: usize, count: usize) -> impl Iterator<Item = Binding> {
        self.all.iter_from(first).take(count).filter_map(move |user| user.binding(now))
    }

    /// Takes a registration over, unless the domain has no such user or the user is registered already.
    /// Returns whether it was taken over.
    pub(super) fn restore(&mut self, now: Instant, binding: &Binding) -> bool {
        let Some(user) = self.all.get_mut(&binding.user).filter(|user| user.address.is_none()) else {
            return false;
        };
        let Party { address, heard_at } = binding.party;
        user.address = Some(address);
        user.heard_at = heard_at.unwrap_or(HostIp::UNSPECIFIED);
        user.online_since = binding.online_for.map(|age| now.checked_sub(age).unwrap_or(now));
        user.marks.set(Marks::RESTORED, true);
        if user.online_since.is_some() {
            self.online.came(address);
        }
        true
    }

    /// Returns whether a user is registered, and whether that is from before a restart and the agent has not
    /// been heard since.
    pub(super) fn is_registered(&self, user: &UserName) -> (bool, bool) {
        let user = self.all.get(user).filter(|user| user.address.is_some());
        (user.is_some(), user.is_some_and(|user| user.marks.has(Marks::RESTORED)))
    }

    /// Returns the names of all users from number `first` on.
    pub(super) fn names(&self, first: usize) -> impl Iterator<Item = UserName> {
        self.all.iter_from(first).map(|user| user.name)
    }

    /// Returns where a user is online.
    pub(super) fn party(&self, user: &UserName) -> Option<Party> {
        self.all.get(user)?.party()
    }

    /// Registers the user as online at `party`. Returns `None` if that is refused: the domain must have such
    /// a user, and `may_register` must allow it, which receives the registration that there is already.
    pub(super) fn bind(
        &mut self,
        now: Instant,
        name: &UserName,
        party: Party,
        is_proved: bool,
        may_register: impl FnOnce(Bound) -> bool,
        events: &mut Events,
    ) -> Option<Granted> {
        let user = self.all.get_mut(name)?;
        let before = user.party().map(|party| party.address);
        let is_restored = user.marks.has(Marks::RESTORED);
        let bound =
            Bound { online_at: before, registered_at: user.address, has_key: user.has_key(), is_restored };
        if !may_register(bound) {
            return None;
        }
        user.marks.set(Marks::RESTORED, false);
        let heard_at = party.heard_at.unwrap_or(HostIp::UNSPECIFIED);
        let is_same = (user.address, user.heard_at) == (Some(party.address), heard_at);
        let change = if user.address.is_some() { Change::Moved } else { Change::Bound };
        let change = (!is_same).then_some(change);
        user.heard_at = heard_at;
        if user.address == Some(party.address) {
            hear(&mut self.strikes, self.strike_interval, now, user);
        } else {
            (user.address, user.online_since) = (Some(party.address), Some(now));
            self.strikes.remove(name);
        }
        let (user, to) = (*name, party.address);
        match before {
            Some(from) if from == to => {}
            Some(from) => {
                self.online.moved(from, to);
                events.push(NodeEvent::Moved { user, from, to });
                if from.ip() == to.ip() {
                    self.moves.to_port += 1;
                } else {
                    self.moves.to_host += 1;
                    if self.moved.add(now, user) {
                        events.notices.push(Notice::Moved { user, from, to, is_proved });
                    }
                }
            }
            None => {
                self.online.came(to);
                events.push(NodeEvent::Registered { user, at: to });
            }
        }
        Some(Granted { change })
    }

    /// Takes the user offline, if the request comes from the user's current address. Of a user with a key, it
    /// has to be proved.
    ///
    /// Returns `None` unless the domain has such a user and the user is now offline; one with a key, also not
    /// registered.
    pub(super) fn unbind(
        &mut self,
        name: &UserName,
        from: UdpAddress,
        is_proved: bool,
        events: &mut Events,
    ) -> Option<Granted> {
        let user = self.all.get_mut(name)?;
        let mut granted = Granted { change: None };
        if user.has_key() && !(is_proved && user.address == Some(from)) {
            return user.address.is_none().then_some(granted);
        }
        if user.address == Some(from) {
            if user.online_since.is_some() {
                self.online.left(from);
            }
            user.report_gone(GoneReason::Deregistered, events);
            (user.address, user.online_since) = (None, None);
            self.strikes.remove(name);
            granted.change = Some(Change::Unbound);
        }
        user.party().is_none().then_some(granted)
    }

    pub(super) fn has_key(&self, name: &UserName) -> bool {
        self.all.get(name).is_some_and(User::has_key)
    }

    /// Returns the registration of a user.
    pub(super) fn binding(&self, now: Instant, name: &UserName) -> Option<Binding> {
        self.all.get(name)?.binding(now)
    }

    /// Returns where the user is registered, although strikes may have taken the user offline.
    #[cfg(feature = "proof")]
    pub(super) fn registered_at(&self, name: &UserName) -> Option<UdpAddress> {
        self.all.get(name)?.address
    }

    /// Sets whether the user has to prove a registration.
    #[cfg(feature = "proof")]
    pub(super) fn set_has_key(&mut self, name: &UserName, has_key: bool) {
        if let Some(user) = self.all.get_mut(name) {
            user.marks.set(Marks::HAS_KEY, has_key);
        }
    }

    /// Ends the registration of a user for this reason. Returns whether there was one.
    pub(super) fn drop_binding(&mut self, name: &UserName, reason: GoneReason, events: &mut Events) -> bool {
        let Some(user) = self.all.get_mut(name).filter(|user| user.address.is_some()) else { return false };
        if let Some(party) = user.party() {
            self.online.left(party.address);
        }
        user.report_gone(reason, events);
        (user.address, user.online_since) = (None, None);
        self.strikes.remove(name);
        true
    }

    /// Returns the users who are registered and have no key.
    #[cfg(feature = "proof")]
    pub(super) fn registered_without_key(&self) -> Vec<UserName> {
        let users = self.all.iter().filter(|user| !user.has_key() && user.address.is_some());
        users.map(|user| user.name).collect()
    }

    /// Adds a user to the domain, offline.
    pub(super) fn add(&mut self, user: UserName) {
        self.all.insert(User::offline(user));
    }

    /// Removes a user from the domain. Returns what the user was, unless the domain has no such user.
    pub(super) fn remove(&mut self, user: &UserName, events: &mut Events) -> Option<Removed> {
        let removed = self.all.remove(user)?;
        self.left(&removed, events);
        Some(Removed { was_online: removed.party().is_some(), was_registered: removed.address.is_some() })
    }

    /// Returns those of the users from number `first` on, `count` at most, who are not in `roster`. Numbers stay
    /// as long as nobody is added or removed.
    pub(super) fn missing_in(&self, roster: &NameTable<User>, first: usize, count: usize) -> Vec<UserName> {
        missing_in(roster, self.all.iter_from(first).take(count).map(|user| user.name).collect())
    }

    /// Returns those of `users` who do not belong to the domain.
    pub(super) fn strangers_of(&self, users: &[User]) -> Vec<UserName> {
        missing_in(&self.all, users.iter().map(|user| user.name).collect())
    }

    /// Forgets where `user`, who has been removed, was.
    fn left(&mut self, user: &User, events: &mut Events) {
        if let Some(party) = user.party() {
            self.online.left(party.address);
        }
        self.strikes.remove(&user.name);
        self.moved.remove(&user.name);
        user.report_gone(GoneReason::Removed, events);
    }

    /// Handles an answer that names the user. If it comes from the user's agent, the agent is alive and the
    /// user online, unless there are too many others at that socket by now.
    pub(super) fn hear_answer(
        &mut self,
        now: Instant,
        name: &UserName,
        from: UdpAddress,
        events: &mut Events,
    ) {
        if let Some(user) = self.all.get_mut(name)
            && user.address == Some(from)
        {
            let was_offline = user.online_since.is_none();
            if was_offline && !self.online.has_room(from) {
                return;
            }
            hear(&mut self.strikes, self.strike_interval, now, user);
            if was_offline {
                self.online.came(from);
                events.push(NodeEvent::Registered { user: *name, at: from });
            }
        }
    }

    /// Handles a question in the user's name.
    ///
    /// This is the same as an answer, but it does not clear the strikes of an online user. An agent that asks
    /// but does not answer cannot be called.
    pub(super) fn hear_question(
        &mut self,
        now: Instant,
        name: &UserName,
        from: UdpAddress,
        events: &mut Events,
    ) {
        match self.all.get_mut(name) {
            Some(user) if user.party().is_some_and(|party| party.address == from) => {
                user.marks.set(Marks::RESTORED, false);
            }
            Some(user) if user.party().is_some() => {}
            _ => self.hear_answer(now, name, from, events),
        }
    }

    /// Counts a location request for an online user. Returns whether it takes the user offline.
    ///
    /// It does not count if a datagram from the user's host was kept out after the one before, `kept_out_at`:
    /// that may have been the answer.
    pub(super) fn strike(
        &mut self,
        now: Instant,
        name: &UserName,
        kept_out_at: Option<Instant>,
        events: &mut Events,
    ) -> bool {
        let before = self.strikes.get(name);
        let since_last = before.map(|strikes| now.saturating_duration_since(strikes.last));
        if since_last.is_some_and(|passed| passed < self.strike_interval) {
            return false;
        }
        let may_have_answered = before.is_some_and(|before| kept_out_at.is_some_and(|at| at >= before.last));
        let count = before.map_or(0, |strikes| strikes.count) + u8::from(!may_have_answered);
        self.strikes.insert(*name, Strikes { count, last: now });
        let is_gone = count >= STRIKES;
        if is_gone && let Some(user) = self.all.get_mut(name) {
            user.report_gone(GoneReason::Silent, events);
            if let Some(party) = user.party() {
                self.online.left(party.address);
            }
            user.online_since = None;
        }
        is_gone
    }
}

/// Returns those of `names` that are not in `roster`.
fn missing_in(roster: &NameTable<User>, mut names: Vec<UserName>) -> Vec<UserName> {
    for some in names.chunks(FETCHED) {
        roster.fetch(some.iter().map(|name| name.as_str().as_bytes()), |user| user.address.is_some());
    }
    names.retain(|name| !roster.contains(name));
    names
}

/// Notes that the agent of `user` is alive. Its strikes are cleared, but the last one still delays the next
/// for the rest of the interval.
fn hear(strikes: &mut HashMap<UserName, Strikes>, interval: Duration, now: Instant, user: &mut User) {
    // Usually no user has any strikes, and looking for strikes costs as much as looking for the user.
    if !strikes.is_empty()
        && let Some(of_user) = strikes.get_mut(&user.name)
    {
        of_user.count = 0;
        if now.saturating_duration_since(of_user.last) >= interval {
            strikes.remove(&user.name);
        }
    }
    user.marks.set(Marks::RESTORED, false);
    user.online_since.get_or_insert(now);
}

/// The number of location requests without any answer after which a user counts as gone.
const STRIKES: u8 = 5;
