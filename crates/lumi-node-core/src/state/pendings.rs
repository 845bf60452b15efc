//! Location requests that were forwarded and wait for their answer (protocol.md §9).

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use fair_table::{FairTable, Inserted, Key, Share};
use plumi_proto::{Locate, MiAddress, NodeAddress, UdpAddress};

use super::dropped::DropReason;
use super::owner::{Asker, Owner, RequestSource};
use super::party::Party;

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

    /// Returns the time until which it can be answered.
    pub(super) fn ends_at(&self) -> Instant {
        self.asked_at + REQUEST_LIFE
    }
}

/// The pending requests: one entry for each request and asker, however often the asker repeats it.
#[derive(Debug)]
pub(super) struct Pendings {
    table: FairTable<RequestSource, Asker, Pending>,
    by_locate: HashMap<Locate, SameNames>,
    by_end: BTreeMap<End, Key>,
    added: u64,
    expired: u64,
    displaced: u64,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    request: Request,
    receivers: Receivers,
    /// The time at which it was sent on last.
    sent_at: Instant,
    end: End,
}

/// The requests with the same names.
#[derive(Debug, Default)]
struct SameNames {
    by_asker: BTreeMap<UdpAddress, Key>,
    /// The key is the receiver and the number. Those of a receiver are in the order in which answers come:
    /// the oldest first.
    by_receiver: BTreeMap<(UdpAddress, u64), Key>,
}

/// The time at which an entry ends, and its number, which breaks ties.
type End = (Instant, u64);

/// The receivers of a request, the latest first. The answer has to come from one of them: an agent has one
/// address, a node may have several, and one that was asked before may be slow.
#[derive(Clone, Copy, Debug, Default)]
struct Receivers([Option<UdpAddress>; MAX_RECEIVERS]);

impl Receivers {
    fn latest(&self) -> Option<UdpAddress> {
        self.0[0]
    }

    fn iter(&self) -> impl Iterator<Item = UdpAddress> + '_ {
        self.0.iter().flatten().copied()
    }

    /// Makes `receiver` the latest, and forgets the oldest if there are too many.
    fn add(&mut self, receiver: UdpAddress) {
        let at = self.0.iter().position(|known| *known == Some(receiver)).unwrap_or(MAX_RECEIVERS - 1);
        self.0[..=at].rotate_right(1);
        self.0[0] = Some(receiver);
    }
}

impl Default for Pendings {
    fn default() -> Self {
        Self {
            table: FairTable::new(MAX_PENDINGS),
            by_locate: HashMap::new(),
            by_end: BTreeMap::new(),
            added: 0,
            expired: 0,
            displaced: 0,
        }
    }
}

impl Pendings {
    /// Returns the one of `nodes` that `request` is for: the first, or for a repetition the one after the
    /// last.
    pub(super) fn next_of(&self, request: &Request, nodes: &[NodeAddress]) -> NodeAddress {
        let repeated = self.repeated_by(request).and_then(|key| self.table.get(key));
        let latest = repeated.and_then(|pending| pending.receivers.latest());
        let asked = latest.and_then(|latest| nodes.iter().position(|node| UdpAddress::from(*node) == latest));
        let next = asked.map_or(0, |at| (at + 1) % nodes.len());
        nodes[next]
    }

    /// Adds a request of `owner` that is about to be forwarded to `receiver`. If there is no room, the
    /// greediest owner gives way.
    ///
    /// # Errors
    /// The reason why it must not be sent: [`DropReason::Repeated`], or [`DropReason::NoRoom`] if the owner itself has
    /// to give way.
    pub(super) fn add(
        &mut self,
        now: Instant,
        request: Request,
        receiver: UdpAddress,
        (owner, share): (Owner, Share),
    ) -> Result<(), DropReason> {
        self.expire(now);
        if let Some(key) = self.repeated_by(&request) {
            return self.repeat(now, key, request, receiver);
        }
        self.added += 1;
        let mut receivers = Receivers::default();
        receivers.add(receiver);
        let pending = Pending { request, receivers, sent_at: now, end: (request.ends_at(), self.added) };
        let inserted = self.table.insert(owner, share, pending);
        let Inserted { key, gave_way } = inserted.map_err(|_| DropReason::NoRoom)?;
        self.list(key);
        if let Some((_, displaced)) = gave_way {
            self.displaced += 1;
            self.unlist(&displaced);
        }
        Ok(())
    }

    /// Takes the oldest request that an answer from `answerer` answers.
    pub(super) fn take(&mut self, now: Instant, locate: &Locate, answerer: UdpAddress) -> Option<Request> {
        self.expire(now);
        let key = self.answered_by(locate, answerer)?;
        self.remove(key)
    }

    /// Returns whether an answer from `answerer` answers a request.
    pub(super) fn awaits(&self, locate: &Locate, answerer: UdpAddress) -> bool {
        self.answered_by(locate, answerer).is_some()
    }

    /// Returns whether `request` repeats one that is pending.
    pub(super) fn is_repeated_by(&self, request: &Request) -> bool {
        self.repeated_by(request).is_some()
    }

    /// Drops the request that `repeated` repeats, because it is answered in another way. Returns it if it was
    /// pending.
    pub(super) fn cancel(&mut self, repeated: &Request) -> Option<Request> {
        let key = self.repeated_by(repeated)?;
        self.remove(key)
    }

    /// Drops the requests from and for removed users.
    pub(super) fn forget(&mut self, is_gone: impl Fn(&MiAddress) -> bool) {
        let has_gone = |locate: &Locate| is_gone(&locate.from) || is_gone(&locate.to);
        let gone = self.table.iter().filter(|(_, pending)| has_gone(&pending.request.locate));
        let gone: Vec<_> = gone.map(|(key, _)| key).collect();
        for key in gone {
            self.remove(key);
        }
    }

    /// Drops the requests that have ended.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((&end, &key)) = self.by_end.first_key_value()
            && end.0 <= now
        {
            self.expired += 1;
            self.remove(key);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.by_end.first_key_value().map(|(end, _)| end.0)
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns the number of requests that have ended without an answer.
    pub(super) fn expired(&self) -> u64 {
        self.expired
    }

    /// Returns the number of requests that gave way to others.
    pub(super) fn displaced(&self) -> u64 {
        self.displaced
    }

    /// Returns the source that has the most requests.
    pub(super) fn greediest(&self) -> Option<RequestSource> {
        self.table.greediest().map(|(source, _)| *source)
    }

    /// Forwards the request `key` once more, if it was not forwarded just now.
    fn repeat(
        &mut self,
        now: Instant,
        key: Key,
        request: Request,
        receiver: UdpAddress,
    ) -> Result<(), DropReason> {
        let Some(pending) = self.table.get(key) else { return Err(DropReason::NoRoom) };
        if now.saturating_duration_since(pending.sent_at) < MIN_INTERVAL {
            return Err(DropReason::Repeated);
        }
        let (before, request) = (*pending, request.repeating(&pending.request));
        let mut receivers = before.receivers;
        receivers.add(receiver);
        self.unlist(&before);
        if let Some(pending) = self.table.get_mut(key) {
            *pending = Pending { request, receivers, sent_at: now, end: (request.ends_at(), before.end.1) };
        }
        self.table.renew(key);
        self.list(key);
        Ok(())
    }

    /// Returns the pending request that `request` repeats.
    fn repeated_by(&self, request: &Request) -> Option<Key> {
        self.by_locate.get(&request.locate)?.by_asker.get(&request.asker.address).copied()
    }

    /// Returns the oldest request that an answer from `answerer` answers.
    fn answered_by(&self, locate: &Locate, answerer: UdpAddress) -> Option<Key> {
        let by_receiver = &self.by_locate.get(locate)?.by_receiver;
        let mut oldest = by_receiver.range((answerer, 0)..=(answerer, u64::MAX));
        oldest.next().map(|(_, key)| *key)
    }

    fn remove(&mut self, key: Key) -> Option<Request> {
        let pending = self.table.remove(key)?;
        self.unlist(&pending);
        Some(pending.request)
    }

    fn list(&mut self, key: Key) {
        let Some(Pending { request, receivers, end, .. }) = self.table.get(key) else { return };
        let same_names = self.by_locate.entry(request.locate).or_default();
        same_names.by_asker.insert(request.asker.address, key);
        same_names.by_receiver.extend(receivers.iter().map(|receiver| ((receiver, end.1), key)));
        self.by_end.insert(*end, key);
    }

    fn unlist(&mut self, Pending { request, receivers, end, .. }: &Pending) {
        self.by_end.remove(end);
        let Some(same_names) = self.by_locate.get_mut(&request.locate) else { return };
        same_names.by_asker.remove(&request.asker.address);
        for receiver in receivers.iter() {
            same_names.by_receiver.remove(&(receiver, end.1));
        }
        if same_names.by_asker.is_empty() {
            self.by_locate.remove(&request.locate);
        }
    }
}

/// The time after its last repetition in which a request can be answered. Agents give up after 5 s.
const REQUEST_LIFE: Duration = Duration::from_secs(5);

/// The time after which a repetition is sent on. The quickest deployed agent repeats every 200 ms; what comes
/// sooner only makes the other side answer more.
const MIN_INTERVAL: Duration = Duration::from_millis(150);

/// The limit of pending requests: about 2 MiB.
const MAX_PENDINGS: usize = 4_096;

/// The number of receivers that a request remembers: more addresses than the name of a node has.
const MAX_RECEIVERS: usize = 4;
