//! The questions that a node may ask DNS, and the use that it may make of the answers.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use lumi_dns::{FoundNode, LookupError};
use lumi_node_core::LookupId;
use plumi_proto::{Domain, Locate};

use super::{Violation, ensure};

/// The look-ups of one node.
#[derive(Debug, Default)]
pub(super) struct LookUps {
    in_flight: HashMap<LookupId, Domain>,
    waiting: HashMap<Domain, Vec<(Locate, SocketAddrV4)>>,
    known: HashMap<Domain, Known>,
}

/// The last answer: `None` is that there is no node.
#[derive(Clone, Copy, Debug)]
struct Known {
    node: Option<SocketAddrV4>,
    until: Duration,
}

impl LookUps {
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) fn is_in_flight(&self, domain: &Domain) -> bool {
        self.waiting.contains_key(domain)
    }

    /// Returns whether there was no room for one more that asks for `domain`.
    pub(super) fn is_full_for(&self, domain: &Domain) -> bool {
        match self.waiting.get(domain) {
            Some(waiting) => waiting.len() >= MAX_WAITING,
            None => self.in_flight.len() >= MAX_IN_FLIGHT,
        }
    }

    /// Returns the answer about `domain` that is known, as long as it is.
    pub(super) fn known(&self, now: Duration, domain: &Domain) -> Option<Option<SocketAddrV4>> {
        self.known.get(domain).filter(|known| now < known.until).map(|known| known.node)
    }

    pub(super) fn started(&mut self, now: Duration, id: LookupId, domain: Domain) -> Result<(), Violation> {
        ensure!(!self.is_in_flight(&domain), LookUps, "{domain} is looked up twice at a time");
        let known = self.known(now, &domain);
        ensure!(known.is_none(), LookUps, "{domain} is looked up though {known:?} is remembered");
        ensure!(self.in_flight.insert(id, domain).is_none(), LookUps, "{id:?} is used twice");
        ensure!(self.in_flight.len() <= MAX_IN_FLIGHT, Bounds, "{} look-ups at a time", self.in_flight.len());
        self.waiting.insert(domain, Vec::new());
        Ok(())
    }

    pub(super) fn waits(&mut self, locate: Locate, asker: SocketAddrV4) {
        let waiting = self.waiting.entry(locate.to.domain()).or_default();
        if !waiting.contains(&(locate, asker)) {
            waiting.push((locate, asker));
        }
    }

    /// An answer came: returns who has waited for it.
    pub(super) fn answered(
        &mut self,
        now: Duration,
        id: LookupId,
        answer: &Result<FoundNode, LookupError>,
    ) -> Vec<(Locate, SocketAddrV4)> {
        let Some(domain) = self.in_flight.remove(&id) else { return Vec::new() };
        let (node, life) = match answer {
            Ok(found) => (Some(found.address.into()), found.valid_for.min(MAX_LIFE)),
            Err(_) => (None, FAILURE_LIFE),
        };
        self.known.insert(domain, Known { node, until: now + life });
        self.waiting.remove(&domain).unwrap_or_default()
    }
}

/// The bounds and times of protocol.md §9.
const MAX_IN_FLIGHT: usize = 32;
const MAX_WAITING: usize = 64;
const MAX_LIFE: Duration = Duration::from_secs(60);
const FAILURE_LIFE: Duration = Duration::from_secs(5);
