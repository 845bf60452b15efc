//! Look-ups of other domains' nodes, their answers, and the requests that wait for them (protocol.md §9).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use lumi_dns::{FoundNode, LookupError};
use plumi_proto::{Domain, MiAddress};

use super::pendings::{Nodes, Request};

/// Identifies a look-up from [`Output::Resolve`](crate::Output::Resolve) to
/// [`Node::handle_resolved`](crate::Node::handle_resolved).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LookupId(u64);

/// The look-ups under way, one for each domain, and the answers that are still valid.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    by_domain: HashMap<Domain, Lookup>,
    in_flight: HashMap<LookupId, Domain>,
    started: u64,
    /// The counts of [`LookupStatus`]; the sizes of the tables in it are not kept here.
    counts: LookupStatus,
    /// Answers to look-ups up to this one are not kept.
    outdated: LookupId,
}

/// Counts of look-ups and their results. They include peers and the hosts file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookupStatus {
    /// The number of look-ups under way.
    pub in_flight: usize,
    /// The number of domains whose answer is kept. Some may have expired.
    pub kept: usize,
    /// The number of requests that a kept answer served.
    pub from_kept: u64,
    /// The number of look-ups that found a node.
    pub found: u64,
    /// [`LookupError::NotFound`].
    pub not_found: u64,
    /// [`LookupError::NoAnswer`].
    pub no_answer: u64,
    /// [`LookupError::Unusable`], including this node itself.
    pub unusable: u64,
}

#[derive(Debug)]
enum Lookup {
    InFlight {
        waiting: Vec<Request>,
    },
    /// `None`: the domain has no node.
    Known {
        nodes: Option<Nodes>,
        until: Instant,
    },
}

/// The result of [`Lookups::ask`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The answer is known: a node, or none.
    Known(Option<Nodes>),
    /// A look-up has to be started.
    Start(LookupId),
    /// A look-up is under way and will answer.
    Waits,
    /// There is no room.
    Full,
}

impl Lookups {
    /// Asks for the node to which `request` has to be forwarded.
    pub(super) fn ask(&mut self, now: Instant, request: Request) -> Asked {
        let domain = request.locate.to.domain();
        match self.by_domain.get_mut(&domain) {
            Some(Lookup::Known { nodes, until }) if *until > now => {
                self.counts.from_kept += 1;
                return Asked::Known(nodes.clone());
            }
            Some(Lookup::InFlight { waiting }) => {
                waiting.retain(|other| other.ends_at() > now);
                if let Some(repeated) = waiting.iter_mut().find(|other| other.is_repeated_by(&request)) {
                    *repeated = request.repeating(repeated);
                } else if waiting.len() < MAX_WAITING {
                    waiting.push(request);
                } else {
                    return Asked::Full;
                }
                return Asked::Waits;
            }
            _ => {}
        }
        let has_slot = self.in_flight.len() < MAX_IN_FLIGHT;
        if !has_slot || !self.has_room(now, &domain) {
            return Asked::Full;
        }
        self.started += 1;
        let id = LookupId(self.started);
        self.in_flight.insert(id, domain);
        self.by_domain.insert(domain, Lookup::InFlight { waiting: vec![request] });
        Asked::Start(id)
    }

    /// Keeps the answer to a look-up. Returns the node, if one was found, and the requests that still
    /// wait for it.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        id: LookupId,
        answer: &Result<FoundNode, LookupError>,
    ) -> (Option<Nodes>, Vec<Request>) {
        let Some(domain) = self.in_flight.remove(&id) else { return (None, Vec::new()) };
        *match answer {
            Ok(_) => &mut self.counts.found,
            Err(LookupError::NoAnswer) => &mut self.counts.no_answer,
            Err(LookupError::Unusable(_)) => &mut self.counts.unusable,
            Err(_) => &mut self.counts.not_found,
        } += 1;
        let (nodes, valid_for) = match answer {
            Ok(found) => (Some(found.addresses().map(|at| at.address).collect::<Nodes>()), found.valid_for),
            Err(_) => (None, FAILURE_LIFE),
        };
        let valid_for = if id > self.outdated { valid_for } else { Duration::ZERO };
        match self.by_domain.insert(domain, Lookup::Known { nodes: nodes.clone(), until: now + valid_for }) {
            Some(Lookup::InFlight { mut waiting }) => {
                waiting.retain(|request| request.ends_at() > now);
                (nodes, waiting)
            }
            _ => (nodes, Vec::new()),
        }
    }

    /// Drops the requests of removed users.
    pub(super) fn forget(&mut self, is_gone: impl Fn(&MiAddress) -> bool) {
        for domain in self.in_flight.values() {
            if let Some(Lookup::InFlight { waiting }) = self.by_domain.get_mut(domain) {
                waiting.retain(|request| !is_gone(&request.locate.from));
            }
        }
    }

    /// Forgets all answers, because nodes may have moved. Answers to look-ups under way are not kept either.
    pub(super) fn forget_answers(&mut self) {
        self.by_domain.retain(|_, lookup| matches!(lookup, Lookup::InFlight { .. }));
        self.outdated = LookupId(self.started);
    }

    pub(super) fn status(&self) -> LookupStatus {
        let in_flight = self.in_flight();
        LookupStatus { in_flight, kept: self.by_domain.len() - in_flight, ..self.counts }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Returns whether `domain` can be kept. Makes room by forgetting expired answers or, if there are none,
    /// any one answer.
    fn has_room(&mut self, now: Instant, domain: &Domain) -> bool {
        if self.by_domain.len() < MAX_NAMES || self.by_domain.contains_key(domain) {
            return true;
        }
        self.by_domain.retain(|_, lookup| !matches!(lookup, Lookup::Known { until, .. } if *until <= now));
        if self.by_domain.len() >= MAX_NAMES {
            let known = self.by_domain.iter().find(|(_, lookup)| matches!(lookup, Lookup::Known { .. }));
            let Some(victim) = known.map(|(domain, _)| *domain) else { return false };
            self.by_domain.remove(&victim);
        }
        true
    }
}

/// The limit of look-ups at a time. More would only wait in the name server's queue.
const MAX_IN_FLIGHT: usize = 32;

/// The limit of requests that wait for one look-up, which takes 2 s at most.
const MAX_WAITING: usize = 64;

/// The limit of domains whose answer is kept: about 512 KiB.
const MAX_NAMES: usize = 4_096;

/// The time that a failure is kept. An agent's repetitions then cause only one query (RFC 2308).
const FAILURE_LIFE: Duration = Duration::from_secs(5);
