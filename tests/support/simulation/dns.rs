//! DNS, which may be slow, silent, or wrong.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use fastrand::Rng;
use lumi_dns::{FoundNode, LOOKUP_DEADLINE, LookupError};
use plumi_proto::Domain;

/// The behaviour of DNS when it is asked for a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// Nothing.
    Silent,
    /// That it cannot tell.
    Failing,
    /// That there is no such domain.
    Denying,
    /// An address where no node can be: 0.0.0.0, or one of multicast or broadcast.
    Absurd(Ipv4Addr),
    /// The address of whoever asks.
    Asker,
    /// This address.
    Lying(SocketAddrV4),
}

/// The domains of the world and their aliases.
#[derive(Debug)]
pub(super) struct Dns {
    rng: Rng,
    truth: BTreeMap<String, SocketAddrV4>,
    moods: BTreeMap<String, Mood>,
    is_slow: bool,
}

impl Dns {
    pub(super) fn new(rng: Rng, is_slow: bool) -> Self {
        Self { rng, truth: BTreeMap::new(), moods: BTreeMap::new(), is_slow }
    }

    pub(super) fn add(&mut self, domain: &Domain, node: SocketAddrV4) {
        self.truth.insert(key(domain), node);
    }

    /// Sets the mood for a domain. An IPv4 literal is not asked for, so it has none.
    pub(super) fn set_mood(&mut self, domain: &Domain, mood: Mood) {
        self.moods.insert(key(domain), mood);
    }

    pub(super) fn clear_mood(&mut self, domain: &Domain) {
        self.moods.remove(&key(domain));
    }

    /// Makes it quick and truthful from now on.
    pub(super) fn heal(&mut self) {
        self.moods.clear();
        self.is_slow = false;
    }

    pub(super) fn truth(&self, domain: &Domain) -> Option<SocketAddrV4> {
        self.truth.get(&key(domain)).copied()
    }

    /// Returns the answer for the node at `asker`, and the time that it takes.
    pub(super) fn ask(
        &mut self,
        asker: SocketAddrV4,
        domain: &Domain,
    ) -> (Duration, Result<FoundNode, LookupError>) {
        let longest = if self.is_slow { 1_990 } else { 80 };
        let took = Duration::from_millis(self.rng.u64(1..longest));
        let valid_for = Duration::from_secs(self.rng.u64(0..=120));
        let found = |address: SocketAddrV4| Ok(FoundNode::new(address, false, valid_for));
        match self.moods.get(&key(domain)) {
            None => (took, self.truth(domain).map_or(Err(LookupError::NotFound), found)),
            Some(Mood::Silent) => (LOOKUP_DEADLINE, Err(LookupError::NoAnswer)),
            Some(Mood::Failing) => (took, Err(LookupError::NoAnswer)),
            Some(Mood::Denying) => (took, Err(LookupError::NotFound)),
            Some(Mood::Absurd(ip)) => (took, Err(LookupError::Unusable(*ip))),
            Some(Mood::Asker) => (took, found(asker)),
            Some(Mood::Lying(address)) => (took, found(*address)),
        }
    }
}

/// Two equal domains have the same.
pub(super) fn key(domain: &Domain) -> String {
    domain.as_str().trim_end_matches('.').to_ascii_lowercase()
}
