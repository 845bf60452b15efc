//! Location requests that were forwarded and wait for their answer (protocol.md §9).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plumi_proto::{Locate, MiAddress, NodeAddress, UdpAddress};

use super::party::Party;
use super::source::Source;

/// A location request to be forwarded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) locate: Locate,
    /// The sender of the request, which receives the answer.
    pub(super) asker: Party,
    /// The time at which it came.
    pub(super) asked_at: Instant,
    /// The time at which it came first. It may be repeated while it is under way.
    pub(super) first_asked_at: Instant,
}

impl Request {
    /// Creates a request that comes now.
    pub(super) fn new(now: Instant, locate: Locate, asker: Party) -> Self {
        Self { locate, asker, asked_at: now, first_asked_at: now }
    }

    /// Returns whether `other` repeats this request: the same question of the same asker.
    pub(super) fn is_repeated_by(&self, other: &Self) -> bool {
        self.locate == other.locate && self.asker.address == other.asker.address
    }

    /// Returns this request as a repetition of `earlier`.
    pub(super) fn repeating(self, earlier: &Self) -> Self {
        Self { first_asked_at: earlier.first_asked_at, ..self }
    }

    /// Returns the source that it counts for.
    pub(super) fn source(&self) -> Source {
        self.asker.address.into()
    }

    /// Returns the time until which it can be answered.
    pub(super) fn ends_at(&self) -> Instant {
        self.asked_at + REQUEST_LIFE
    }
}

/// The pending requests: one entry for each request and asker, however often the asker repeats it.
#[derive(Debug, Default)]
pub(super) struct Pendings {
    /// The oldest first, because answers come in the order of their requests.
    by_locate: HashMap<Locate, Vec<Pending>>,
    by_end: BTreeMap<End, Locate>,
    /// The number of requests of each source, never 0.
    by_source: HashMap<Source, usize>,
    added: u64,
    expired: u64,
}

#[derive(Debug)]
struct Pending {
    request: Request,
    /// The receiver of the request. The answer has to come from there.
    asked: UdpAddress,
    /// The addresses of the node that was asked, if it has several. The answer may come from any of them: one may have
    /// been asked before, and be slow.
    nodes: Option<Nodes>,
    end: End,
}

impl Pending {
    fn may_be_answered_by(&self, answerer: UdpAddress) -> bool {
        let is_one_of = |nodes: &Nodes| nodes.contains(&answerer.into());
        self.asked == answerer || self.nodes.as_ref().is_some_and(is_one_of)
    }
}

/// The addresses of the node of a domain, at least one.
pub(super) type Nodes = Arc<[NodeAddress]>;

/// The time at which an entry ends, and a number that breaks ties.
type End = (Instant, u64);

/// The limit of pending requests of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// The share of one source.
    OfOne,
    /// All the room there is.
    All,
}

impl Pendings {
    /// Returns the one of `nodes` that `request` is for: the first, or for a repetition the one after the last.
    pub(super) fn next_of(&self, request: &Request, nodes: &[NodeAddress]) -> NodeAddress {
        let entries = self.by_locate.get(&request.locate);
        let repeated = entries.and_then(|all| all.iter().find(|one| one.request.is_repeated_by(request)));
        let asked =
            repeated.and_then(|one| nodes.iter().position(|node| UdpAddress::from(*node) == one.asked));
        let next = asked.map_or(0, |at| (at + 1) % nodes.len());
        nodes[next]
    }

    /// Adds a request that is about to be forwarded to `asked`, an agent or one of `nodes`. Returns `false` if there is
    /// no room: then it must not be sent.
    pub(super) fn add(
        &mut self,
        now: Instant,
        request: Request,
        asked: UdpAddress,
        nodes: Option<Nodes>,
        share: Share,
    ) -> bool {
        self.expire(now);
        self.added += 1;
        let end = (request.ends_at(), self.added);
        let pending = Pending { request, asked, nodes, end };
        let entries = self.by_locate.get_mut(&request.locate);
        let repeated =
            entries.and_then(|all| all.iter_mut().find(|one| one.request.is_repeated_by(&request)));
        if let Some(entry) = repeated {
            self.by_end.remove(&entry.end);
            *entry = Pending { request: request.repeating(&entry.request), ..pending };
        } else if self.has_room(request.source(), share) {
            self.by_locate.entry(request.locate).or_default().push(pending);
            *self.by_source.entry(request.source()).or_default() += 1;
        } else {
            return false;
        }
        self.by_end.insert(end, request.locate);
        true
    }

    /// Takes the oldest request that an answer from `answerer` answers.
    pub(super) fn take(&mut self, now: Instant, locate: &Locate, answerer: UdpAddress) -> Option<Request> {
        self.expire(now);
        let asked = |entry: &&Pending| entry.may_be_answered_by(answerer);
        let entry = self.by_locate.get(locate)?.iter().find(asked)?;
        let (request, end) = (entry.request, entry.end);
        self.remove(end);
        Some(request)
    }

    /// Drops the request that `repeated` repeats, because it is answered in another way. Returns it if it was
    /// pending.
    pub(super) fn cancel(&mut self, repeated: &Request) -> Option<Request> {
        let entries = self.by_locate.get(&repeated.locate)?;
        let entry = entries.iter().find(|entry| entry.request.is_repeated_by(repeated))?;
        let (request, end) = (entry.request, entry.end);
        self.remove(end);
        Some(request)
    }

    /// Drops the requests from and for removed users.
    pub(super) fn forget(&mut self, is_gone: impl Fn(&MiAddress) -> bool) {
        let has_gone = |locate: &Locate| is_gone(&locate.from) || is_gone(&locate.to);
        let ends: Vec<_> =
            self.by_end.iter().filter(|(_, locate)| has_gone(locate)).map(|(end, _)| *end).collect();
        for end in ends {
            self.remove(end);
        }
    }

    /// Drops the requests that have ended.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((&end, _)) = self.by_end.first_key_value()
            && end.0 <= now
        {
            self.expired += 1;
            self.remove(end);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.by_end.first_key_value().map(|(end, _)| end.0)
    }

    pub(super) fn len(&self) -> usize {
        self.by_end.len()
    }

    /// Returns the number of requests that have ended without an answer.
    pub(super) fn expired(&self) -> u64 {
        self.expired
    }

    fn has_room(&self, source: Source, share: Share) -> bool {
        let of_source = || self.by_source.get(&source).copied().unwrap_or(0);
        self.len() < MAX_PENDINGS && (share == Share::All || of_source() < MAX_OF_SOURCE)
    }

    fn remove(&mut self, end: End) {
        let Some(locate) = self.by_end.remove(&end) else { return };
        let Some(entries) = self.by_locate.get_mut(&locate) else { return };
        let Some(at) = entries.iter().position(|entry| entry.end == end) else { return };
        let source = entries.remove(at).request.source();
        if entries.is_empty() {
            self.by_locate.remove(&locate);
        }
        if let Some(count) = self.by_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
    }
}

/// The time after its last repetition in which a request can be answered. Agents give up after 5 s.
const REQUEST_LIFE: Duration = Duration::from_secs(5);

/// The limit of pending requests: about 1 MiB.
const MAX_PENDINGS: usize = 4_096;

/// The limit for one source. An agent has one or two, and it takes 64 sources to use up all the room.
const MAX_OF_SOURCE: usize = 64;
