//! The common part of the nodes of L and S: the users of a domain, and the way of a question and of its
//! answer.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use super::text::Pair;

/// A domain, its users, and where other nodes are. Names are compared byte by byte.
#[derive(Clone, Debug)]
pub(super) struct Domain {
    name: String,
    users: BTreeMap<String, Option<Online>>,
    peers: BTreeMap<String, SocketAddrV4>,
}

#[derive(Clone, Debug)]
struct Online {
    address: SocketAddrV4,
    strikes: u8,
}

/// The way of an `RL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    To(SocketAddrV4),
    /// The asker has left.
    Nowhere,
    /// Nobody here has ever heard of the asker.
    Unknown,
}

impl Domain {
    pub(super) fn new(name: &str, users: &[&str], peers: &[(&str, SocketAddrV4)]) -> Self {
        Self {
            name: name.to_owned(),
            users: users.iter().map(|&user| (user.to_owned(), None)).collect(),
            peers: peers.iter().map(|&(domain, node)| (domain.to_owned(), node)).collect(),
        }
    }

    pub(super) fn is(&self, domain: &str) -> bool {
        self.name == domain
    }

    pub(super) fn address_of(&self, user: &str) -> Option<SocketAddrV4> {
        Some(self.users.get(user)?.as_ref()?.address)
    }

    pub(super) fn add_peer(&mut self, domain: &str, node: SocketAddrV4) {
        self.peers.insert(domain.to_owned(), node);
    }

    pub(super) fn remove_user(&mut self, user: &str) {
        self.users.remove(user);
    }

    pub(super) fn forget_all(&mut self) {
        self.users.values_mut().for_each(|presence| *presence = None);
    }

    /// The user is online at `address`, or offline. `false`: there is no such user.
    pub(super) fn set(&mut self, user: &str, address: Option<SocketAddrV4>) -> bool {
        let Some(presence) = self.users.get_mut(user) else { return false };
        *presence = address.map(|address| Online { address, strikes: 0 });
        true
    }

    /// Returns the effect of a `PL` that came from `asker`: one datagram.
    pub(super) fn question(
        &mut self,
        asker: SocketAddrV4,
        pair: &Pair<'_>,
        message: &[u8],
    ) -> (SocketAddrV4, Vec<u8>) {
        let refusal = |code: &[u8]| (asker, [code, &message[2..]].concat());
        if !self.is(pair.to.domain) {
            return match self.peers.get(pair.to.domain) {
                Some(&node) => (node, message.to_vec()),
                None => refusal(b"RL2"),
            };
        }
        let Some(presence) = self.users.get_mut(pair.to.user) else { return refusal(b"RL2") };
        let Some(online) = presence else { return refusal(b"RL3") };
        online.strikes += 1;
        if online.strikes >= STRIKES {
            *presence = None;
            return refusal(b"RL3");
        }
        (online.address, message.to_vec())
    }

    /// Returns the way on of an `RL`. Clears the strikes of the user that answered.
    pub(super) fn answer(&mut self, pair: &Pair<'_>) -> Route {
        if self.is(pair.to.domain)
            && let Some(Some(online)) = self.users.get_mut(pair.to.user)
        {
            online.strikes = 0;
        }
        if !self.is(pair.from.domain) {
            return self.peers.get(pair.from.domain).map_or(Route::Unknown, |&node| Route::To(node));
        }
        match self.users.get(pair.from.user) {
            Some(Some(online)) => Route::To(online.address),
            Some(None) => Route::Nowhere,
            None => Route::Unknown,
        }
    }
}

/// protocol.md §3.
const STRIKES: u8 = 5;
