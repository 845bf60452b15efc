//! Look-ups of other domains' nodes, their answers, and the requests that wait for them (protocol.md §9).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fair_table::{FairTable, Inserted, Key, Share};
use lumi_dns::{FoundNode, LookupError};
use plumi_proto::{Domain, MiAddress, NodeAddress};

use super::owner::{Asker, Owner, RequestSource};
use super::pendings::Request;

/// Identifies a look-up from [`Output::Resolve`](crate::Output::Resolve) to
/// [`Node::handle_resolved`](crate::Node::handle_resolved).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LookupId(u64);

/// The look-ups under way, one for each domain, and the answers that are still valid.
#[derive(Debug)]
pub(super) struct Lookups {
    by_domain: HashMap<Domain, Lookup>,
    under_way: FairTable<LookupSource, Asker, (LookupId, Domain)>,
    by_id: HashMap<LookupId, Key>,
    /// The requests that wait for a look-up, whichever it is.
    waiting: FairTable<RequestSource, Asker, Request>,
    /// The number of requests that waited and gave way to others.
    displaced_requests: u64,
    started: u64,
    /// The counts of [`LookupStatus`]; the sizes of the tables in it are not kept here.
    counts: LookupStatus,
    /// Answers to look-ups up to this one are not kept.
    outdated: LookupId,
}

/// The addresses of the node of a domain, at least one.
pub(super) type Nodes = Arc<[NodeAddress]>;

/// The one that a look-up counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum LookupSource {
    /// The source of all requests that wait for it.
    One(RequestSource),
    /// Several of them. This is a source by itself, so that a look-up that others wait for too does not give way with those
    /// of one that started it.
    Several,
}

/// Counts of look-ups and their results. They include peers and the hosts file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookupStatus {
    /// The number of look-ups under way.
    pub in_flight: usize,
    /// The number of look-ups that were given up, because others had fewer under way.
    pub displaced: u64,
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
    UnderWay {
        lookup: Key,
        /// The source of all requests that wait for it, or `None` if there are several.
        source: Option<RequestSource>,
        waiting: Vec<Key>,
    },
    /// `None`: the domain has no node.
    Known { nodes: Option<Nodes>, until: Instant },
}

/// The result of [`Lookups::ask`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The answer is known: a node, or none.
    Known(Option<Nodes>),
    /// A look-up has to be started, and another one may have to be given up for it.
    Start { id: LookupId, instead_of: Option<LookupId> },
    /// A look-up is under way and will answer.
    Waits,
    /// There is no room.
    Full,
}

impl Default for Lookups {
    fn default() -> Self {
        Self {
            by_domain: HashMap::new(),
            under_way: FairTable::new(MAX_UNDER_WAY),
            by_id: HashMap::new(),
            waiting: FairTable::new(MAX_WAITING),
            displaced_requests: 0,
            started: 0,
            counts: LookupStatus::default(),
            outdated: LookupId::default(),
        }
    }
}

impl Lookups {
    /// Asks for the node to which `request` of `owner` has to be forwarded.
    pub(super) fn ask(&mut self, now: Instant, request: Request, owner: (Owner, Share)) -> Asked {
        let domain = request.locate.to.domain();
        match self.by_domain.get(&domain) {
            Some(Lookup::Known { nodes, until }) if *until > now => {
                self.counts.from_kept += 1;
                return Asked::Known(nodes.clone());
            }
            Some(Lookup::UnderWay { .. }) => return self.join(now, &domain, request, owner),
            _ => {}
        }
        if self.has_room(now, &domain) { self.start(domain, request, owner) } else { Asked::Full }
    }

    /// Adds a request to those that wait for the look-up of `domain`.
    fn join(
        &mut self,
        now: Instant,
        domain: &Domain,
        request: Request,
        (owner, share): (Owner, Share),
    ) -> Asked {
        let Self { by_domain, under_way, waiting: all, .. } = self;
        let Some(Lookup::UnderWay { lookup, source, waiting }) = by_domain.get_mut(domain) else {
            return Asked::Full;
        };
        waiting.retain(|key| {
            let is_over = all.get(*key).is_none_or(|other| other.ends_at() <= now);
            if is_over {
                all.remove(*key);
            }
            !is_over
        });
        let is_repeated = |key: &&Key| all.get(**key).is_some_and(|other| other.is_repeated_by(&request));
        if let Some(key) = waiting.iter().find(is_repeated).copied() {
            if let Some(repeated) = all.get_mut(key) {
                *repeated = request.repeating(repeated);
            }
            return Asked::Waits;
        }
        let Ok(Inserted { key, gave_way }) = all.insert(owner, share, request) else {
            return Asked::Full;
        };
        self.displaced_requests += u64::from(gave_way.is_some());
        waiting.push(key);
        if source.is_some_and(|source| source != owner.source) {
            *source = None;
            if let Some(entry) = under_way.remove(*lookup) {
                let owner = fair_table::Owner::new(LookupSource::Several, owner.asker);
                // There is room: it is the one that has just been left.
                if let Ok(Inserted { key, .. }) = under_way.insert(owner, Share::ALL, entry) {
                    *lookup = key;
                    self.by_id.insert(entry.0, key);
                }
            }
        }
        Asked::Waits
    }

    /// Starts to look up `domain`. If too many are looked up, the oldest look-up of the greediest gives way.
    fn start(&mut self, domain: Domain, request: Request, (owner, share): (Owner, Share)) -> Asked {
        let source = owner.source;
        let Ok(Inserted { key: request_key, gave_way }) = self.waiting.insert(owner, share, request) else {
            return Asked::Full;
        };
        self.displaced_requests += u64::from(gave_way.is_some());
        self.started += 1;
        let id = LookupId(self.started);
        let owner = fair_table::Owner::new(LookupSource::One(source), owner.asker);
        let Ok(Inserted { key, gave_way }) = self.under_way.insert(owner, Share::ALL, (id, domain)) else {
            return Asked::Full;
        };
        let instead_of = gave_way.map(|(_, (given_up, of))| {
            self.counts.displaced += 1;
            self.by_id.remove(&given_up);
            // Those that wait for it are lost, as if on the way, and agents ask again.
            self.displaced_requests += self.take_waiting(&of).len() as u64;
            given_up
        });
        self.by_id.insert(id, key);
        let lookup = Lookup::UnderWay { lookup: key, source: Some(source), waiting: vec![request_key] };
        self.by_domain.insert(domain, lookup);
        Asked::Start { id, instead_of }
    }

    /// Ends the look-up of `domain`. Returns the requests that waited for it.
    fn take_waiting(&mut self, domain: &Domain) -> Vec<Request> {
        match self.by_domain.remove(domain) {
            Some(Lookup::UnderWay { waiting, .. }) => {
                waiting.into_iter().filter_map(|key| self.waiting.remove(key)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Keeps the answer to a look-up. Returns the node, if one was found, and the requests that still
    /// wait for it.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        id: LookupId,
        answer: &Result<FoundNode, LookupError>,
    ) -> (Option<Nodes>, Vec<Request>) {
        let key = self.by_id.remove(&id);
        let Some((_, domain)) = key.and_then(|key| self.under_way.remove(key)) else {
            return (None, Vec::new());
        };
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
        let mut waiting = self.take_waiting(&domain);
        waiting.retain(|request| request.ends_at() > now);
        self.by_domain.insert(domain, Lookup::Known { nodes: nodes.clone(), until: now + valid_for });
        (nodes, waiting)
    }

    /// Drops the requests of removed users.
    pub(super) fn forget(&mut self, is_gone: impl Fn(&MiAddress) -> bool) {
        let gone = self.waiting.iter().filter(|(_, request)| is_gone(&request.locate.from));
        let gone: Vec<_> = gone.map(|(key, _)| key).collect();
        for key in gone {
            self.waiting.remove(key);
        }
    }

    /// Returns whether the latest answer that is kept has `node` for `domain`, be it out of date or not.
    pub(super) fn has_found(&self, domain: &Domain, node: NodeAddress) -> bool {
        let Some(Lookup::Known { nodes: Some(nodes), .. }) = self.by_domain.get(domain) else { return false };
        nodes.contains(&node)
    }

    /// Forgets all answers, because nodes may have moved. Answers to look-ups under way are not kept either.
    pub(super) fn forget_answers(&mut self) {
        self.by_domain.retain(|_, lookup| matches!(lookup, Lookup::UnderWay { .. }));
        self.outdated = LookupId(self.started);
    }

    pub(super) fn status(&self) -> LookupStatus {
        let in_flight = self.in_flight();
        LookupStatus { in_flight, kept: self.by_domain.len() - in_flight, ..self.counts }
    }

    /// Returns the number of requests that waited for a look-up and gave way to others.
    pub(super) fn displaced_requests(&self) -> u64 {
        self.displaced_requests
    }

    /// Returns the number of look-ups that gave way to others.
    pub(super) fn displaced(&self) -> u64 {
        self.counts.displaced
    }

    /// Returns the source that has the most look-ups; `None` if those of several sources are more.
    pub(super) fn greediest(&self) -> Option<RequestSource> {
        match self.under_way.greediest()?.0 {
            LookupSource::One(source) => Some(*source),
            LookupSource::Several => None,
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.under_way.len()
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
const MAX_UNDER_WAY: usize = 32;

/// The limit of requests that wait for a look-up, which takes 2 s at most.
const MAX_WAITING: usize = 1_024;

/// The limit of domains whose answer is kept: about 512 KiB.
const MAX_NAMES: usize = 4_096;

/// The time that a failure is kept. An agent's repetitions then cause only one query (RFC 2308).
const FAILURE_LIFE: Duration = Duration::from_secs(5);
