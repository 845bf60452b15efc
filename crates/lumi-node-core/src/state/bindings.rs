//! Which user is online, and where (protocol.md §3).

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use plumi_proto::UserName;

use super::admin::Presence;
use crate::planted;

/// The addresses that users registered from. Every user in it is in the roster.
#[derive(Debug)]
pub(super) struct Bindings {
    by_user: HashMap<UserName, Binding>,
    strike_interval: Duration,
}

#[derive(Debug)]
struct Binding {
    address: SocketAddrV4,
    /// `None`: taken offline by strikes. The address is kept, for the agent may be slow and not gone.
    online_since: Option<Instant>,
    /// Location requests since the user's agent was last heard.
    strikes: u8,
    last_strike: Option<Instant>,
}

impl Bindings {
    pub(super) fn new(strike_interval: Duration) -> Self {
        Self { by_user: HashMap::new(), strike_interval }
    }

    /// The address of a user who is online.
    pub(super) fn address_of(&self, user: &UserName) -> Option<SocketAddrV4> {
        self.by_user.get(user).filter(|binding| binding.online_since.is_some()).map(|binding| binding.address)
    }

    /// Where a user is online, and for how long.
    pub(super) fn presence(&self, now: Instant, user: &UserName) -> Option<Presence> {
        let Binding { address, online_since, .. } = self.by_user.get(user)?;
        Some(Presence { address: *address, online_for: now.saturating_duration_since((*online_since)?) })
    }

    /// The user is online at `address` from now on.
    pub(super) fn bind(&mut self, now: Instant, user: UserName, address: SocketAddrV4) {
        let new = Binding { address, online_since: Some(now), strikes: 0, last_strike: None };
        match self.by_user.get_mut(&user) {
            Some(binding) if binding.address == address => binding.hear(now),
            _ => _ = self.by_user.insert(user, new),
        }
    }

    /// The user is offline from now on, if that is asked for from where the user is online. Returns whether the
    /// user is offline now.
    pub(super) fn unbind(&mut self, user: &UserName, from: SocketAddrV4) -> bool {
        let counts = |binding: &Binding| binding.address == from || planted::has("a foreign PD counts");
        if self.by_user.get(user).is_some_and(counts) {
            self.by_user.remove(user);
        }
        self.address_of(user).is_none()
    }

    /// The user belongs to the domain no longer.
    pub(super) fn remove(&mut self, user: &UserName) {
        self.by_user.remove(user);
    }

    /// Those who do not stay belong to the domain no longer.
    pub(super) fn retain(&mut self, stays: impl Fn(&UserName) -> bool) {
        self.by_user.retain(|user, _| stays(user));
    }

    /// The addresses of all users who are online.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddrV4> {
        let online = self.by_user.values().filter(|binding| binding.online_since.is_some());
        online.map(|binding| binding.address)
    }

    /// An answer that names the user came: if it is from the user's agent, that is alive and the user online.
    pub(super) fn hear_answer(&mut self, now: Instant, user: &UserName, from: SocketAddrV4) {
        if let Some(binding) = self.by_user.get_mut(user)
            && binding.address == from
        {
            binding.hear(now);
        }
    }

    /// A question in the user's name came: the same, but for the strikes of a user who is online. An agent that
    /// asks and does not answer cannot be called.
    pub(super) fn hear_question(&mut self, now: Instant, user: &UserName, from: SocketAddrV4) {
        if self.address_of(user).is_none() {
            self.hear_answer(now, user, from);
        }
    }

    /// Notes a location request for a user who is online. Returns whether it takes the user offline.
    pub(super) fn strike(&mut self, now: Instant, user: &UserName) -> bool {
        let Some(binding) = self.by_user.get_mut(user) else { return false };
        let since_last = binding.last_strike.map(|last| now.saturating_duration_since(last));
        if since_last.is_some_and(|passed| passed < self.strike_interval)
            && !planted::has("every PL is a strike")
        {
            return false;
        }
        binding.last_strike = Some(now);
        binding.strikes += 1;
        let is_gone = binding.strikes >= STRIKES;
        if is_gone {
            binding.online_since = None;
        }
        is_gone
    }
}

impl Binding {
    fn hear(&mut self, now: Instant) {
        if !planted::has("signs of life clear no strikes") {
            self.strikes = 0;
        }
        if !planted::has("a struck user never comes back") {
            self.online_since.get_or_insert(now);
        }
    }
}

/// The location request without any answer that takes a user for gone.
const STRIKES: u8 = 5;
