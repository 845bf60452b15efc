//! Look-ups of other domains' nodes, their answers, and the requests that wait for them (protocol.md §9).

mod answers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fair_table::{FairTable, Inserted, Key, Share};
use lumi_dns::{FoundNode, LookupError};
use plumi_proto::{Domain, MiAddress, NodeAddress};

use self::answers::Answers;
use super::owner::{Asker, Owner, RequestSource};
use super::pendings::Request;

/// Identifies a look-up from [`Output::Resolve`](crate::Output::Resolve) to
/// [`Node::handle_resolved`](crate::Node::handle_resolved).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LookupId(u64);

/// The look-ups under way, one for each domain, and the answers that are kept.
#[derive(Debug)]
pub(super) struct Lookups {
    by_domain: HashMap<Domain, Lookup>,
    answers: Answers,
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
    /// Several of them. This is a source by itself, so that a look-up that others wait for too does not give
    /// way with those of one that started it.
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

/// A look-up under way.
#[derive(Debug)]
struct Lookup {
    key: Key,
    /// The source of all requests that wait for it, or `None` if there are several.
    source: Option<RequestSource>,
    /// The requests that wait for it, and their owners.
    waiting: Vec<(Key, Owner)>,
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
            answers: Answers::default(),
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
        if self.by_domain.contains_key(&domain) {
            return self.join(now, &domain, request, owner);
        }
        if let Some(nodes) = self.answers.get(now, &domain, owner.0) {
            self.counts.from_kept += 1;
            return Asked::Known(nodes);
        }
        self.start(domain, request, owner)
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
        let Some(Lookup { key: lookup, source, waiting }) = by_domain.get_mut(domain) else {
            return Asked::Full;
        };
        waiting.retain(|(key, _)| {
            let is_over = all.get(*key).is_none_or(|other| other.ends_at() <= now);
            if is_over {
                all.remove(*key);
            }
            !is_over
        });
        let is_repeated = |key: &Key| all.get(*key).is_some_and(|other| other.is_repeated_by(&request));
        if let Some(key) = waiting.iter().map(|(key, _)| *key).find(is_repeated) {
            if let Some(repeated) = all.get_mut(key) {
                *repeated = request.repeating(repeated);
            }
            return Asked::Waits;
        }
        let Ok(Inserted { key, gave_way }) = all.insert(owner, share, request) else {
            return Asked::Full;
        };
        self.displaced_requests += u64::from(gave_way.is_some());
        waiting.push((key, owner));
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
        let of_lookup = fair_table::Owner::new(LookupSource::One(source), owner.asker);
        let Ok(Inserted { key, gave_way }) = self.under_way.insert(of_lookup, Share::ALL, (id, domain))
        else {
            return Asked::Full;
        };
        let instead_of = gave_way.map(|(_, (given_up, of))| {
            self.counts.displaced += 1;
            self.by_id.remove(&given_up);
            // Those that wait for it are lost, as if on the way, and agents ask again.
            self.displaced_requests += self.take_waiting(&of).0.len() as u64;
            given_up
        });
        self.by_id.insert(id, key);
        let lookup = Lookup { key, source: Some(source), waiting: vec![(request_key, owner)] };
        self.by_domain.insert(domain, lookup);
        Asked::Start { id, instead_of }
    }

    /// Ends the look-up of `domain`. Returns the requests that waited for it, and the owners of all that did
    /// at any time.
    fn take_waiting(&mut self, domain: &Domain) -> (Vec<Request>, Vec<Owner>) {
        let waiting = self.by_domain.remove(domain).map_or_else(Vec::new, |lookup| lookup.waiting);
        let requests = waiting.iter().filter_map(|(key, _)| self.waiting.remove(*key)).collect();
        (requests, waiting.into_iter().map(|(_, owner)| owner).collect())
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
        let valid_for = answer.as_ref().map_or(FAILURE_LIFE, |found| found.valid_for);
        let valid_for = if id > self.outdated { valid_for } else { Duration::ZERO };
        let (mut waiting, owners) = self.take_waiting(&domain);
        waiting.retain(|request| request.ends_at() > now);
        let nodes = self.answers.keep(domain, answer, (now, valid_for), owners);
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

    /// Returns whether `node` is among the nodes of `domain` that were found last, be that out of date or
    /// not.
    pub(super) fn has_found(&self, domain: &Domain, node: NodeAddress) -> bool {
        self.answers.has_found(domain, node)
    }

    /// Forgets all answers, because nodes may have moved. Answers to look-ups under way are not kept either.
    pub(super) fn forget_answers(&mut self) {
        self.answers.clear();
        self.outdated = LookupId(self.started);
    }

    pub(super) fn status(&self) -> LookupStatus {
        LookupStatus { in_flight: self.in_flight(), kept: self.answers.len(), ..self.counts }
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
}

/// The limit of look-ups at a time. More would only wait in the name server's queue.
const MAX_UNDER_WAY: usize = 32;

/// The limit of requests that wait for a look-up, which takes 2 s at most.
const MAX_WAITING: usize = 1_024;

/// The time that a failure is kept. An agent's repetitions then cause only one query (RFC 2308).
const FAILURE_LIFE: Duration = Duration::from_secs(5);
