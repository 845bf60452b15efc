//! The questions that a node may ask DNS, and the use that it may make of the answers.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use lumi_dns::{FoundNode, LookupError};
use lumi_node_core::LookupId;
use plumi_proto::Domain;

use super::{Violation, ensure};
use crate::kept_requests::{Asked, Source};

/// The look-ups of one node.
#[derive(Debug, Default)]
pub(super) struct LookUps {
    in_flight: HashMap<LookupId, Domain>,
    /// The source that asks for each domain that is looked up, or `None` if there are several.
    sources: HashMap<Domain, Option<Source>>,
    waiting: HashMap<Domain, Vec<Asked>>,
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

    /// Returns the answer about `domain` that is known, as long as it is.
    pub(super) fn known(&self, now: Duration, domain: &Domain) -> Option<Option<SocketAddrV4>> {
        self.known.get(domain).filter(|known| now < known.until).map(|known| known.node)
    }

    /// A look-up for a request of `source` was started, instead of another one if there were too many.
    pub(super) fn started(
        &mut self,
        now: Duration,
        id: LookupId,
        domain: Domain,
        source: Source,
        instead_of: Option<LookupId>,
    ) -> Result<(), Violation> {
        self.sources.insert(domain, Some(source));
        let is_full = self.in_flight.len() >= MAX_IN_FLIGHT;
        ensure!(
            instead_of.is_some() == is_full,
            LookUps,
            "with {} others, {instead_of:?} was given up",
            self.in_flight.len()
        );
        if let Some(given_up) = instead_of {
            self.gave_way(given_up)?;
        }
        ensure!(!self.is_in_flight(&domain), LookUps, "{domain} is looked up twice at a time");
        let known = self.known(now, &domain);
        ensure!(known.is_none(), LookUps, "{domain} is looked up though {known:?} is remembered");
        ensure!(self.in_flight.insert(id, domain).is_none(), LookUps, "{id:?} is used twice");
        ensure!(self.in_flight.len() <= MAX_IN_FLIGHT, Bounds, "{} look-ups at a time", self.in_flight.len());
        self.waiting.insert(domain, Vec::new());
        Ok(())
    }

    /// A look-up was given up: it has to be one of those who have the most.
    fn gave_way(&mut self, given_up: LookupId) -> Result<(), Violation> {
        let Some(domain) = self.in_flight.remove(&given_up) else {
            ensure!(false, LookUps, "{given_up:?} was given up, and is not under way");
            return Ok(());
        };
        let count =
            |source: Option<&Option<Source>>| self.sources.values().filter(|of| Some(*of) == source).count();
        let of_this = count(self.sources.get(&domain));
        let most = self.sources.values().map(|source| count(Some(source))).max().unwrap_or_default();
        ensure!(of_this == most, LookUps, "one of {of_this} gave way, and somebody has {most}");
        self.sources.remove(&domain);
        self.waiting.remove(&domain);
        Ok(())
    }

    /// A request of `source` waits for the answer.
    pub(super) fn waits(&mut self, asked: Asked, source: Source) {
        let domain = asked.0.to.domain();
        if let Some(of) = self.sources.get_mut(&domain)
            && *of != Some(source)
        {
            *of = None;
        }
        let waiting = self.waiting.entry(domain).or_default();
        if !waiting.contains(&asked) {
            waiting.push(asked);
        }
    }

    /// An answer came: returns who has waited for it.
    pub(super) fn answered(
        &mut self,
        now: Duration,
        id: LookupId,
        answer: &Result<FoundNode, LookupError>,
    ) -> Vec<Asked> {
        let Some(domain) = self.in_flight.remove(&id) else { return Vec::new() };
        self.sources.remove(&domain);
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
const MAX_LIFE: Duration = Duration::from_secs(60);
const FAILURE_LIFE: Duration = Duration::from_secs(5);
