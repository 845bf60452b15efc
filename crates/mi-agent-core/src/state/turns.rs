//! The turns of callers: how many callers are served in a time, and which wait for that.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use fair_table::{FairTable, Owner, Share};

/// The turns of callers. Each connection takes one before it is waited for, and none later.
///
/// People seldom call more often, however many of them share an address. A program that calls and calls has
/// to wait, so that it cannot bury what the user did. Nor can programs that connect and say nothing keep
/// others out: those that wait and have given their nickname are counted apart from those that have not. The
/// larger group gives way.
#[derive(Debug)]
pub struct Turns<I> {
    /// The source is whether the nickname has come, and the asker is the address.
    waiting: FairTable<bool, IpAddr, Waiting<I>>,
    /// The number of callers that have waited.
    waited: u64,
    all: Pace,
    /// The addresses that have taken turns of late.
    of_address: HashMap<IpAddr, Pace>,
}

/// The turn of a new caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewTurn<I> {
    /// It is now.
    Now,
    /// The caller waits for [`Turns::next`].
    Waits {
        /// The caller that waits no more, because there are too many: disconnect it.
        gave_way: Option<I>,
    },
}

#[derive(Clone, Copy, Debug)]
struct Waiting<I> {
    id: I,
    ip: IpAddr,
    number: u64,
}

/// A limit of turns.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// The time in which one becomes free.
    interval: Duration,
    at_once: u32,
}

/// The turns that were taken of late: the time at which all are free again, if some are not.
#[derive(Clone, Copy, Debug, Default)]
struct Pace(Option<Instant>);

impl<I: Copy + PartialEq> Turns<I> {
    /// Creates the turns of an agent that nobody has called.
    pub fn new() -> Self {
        let of_address = HashMap::new();
        Self { waiting: FairTable::new(MAX_WAITING), waited: 0, all: Pace::default(), of_address }
    }

    /// Handles a call of `id` from `ip`. It never overtakes a caller that has its turn.
    pub fn handle_called(&mut self, now: Instant, id: I, ip: IpAddr) -> NewTurn<I> {
        let has_turn = self.ready_at(ip).is_none_or(|at| at <= now);
        if has_turn && self.poll_timeout().is_none_or(|at| at > now) {
            self.take(now, ip);
            return NewTurn::Now;
        }
        self.waited += 1;
        let gave_way = self.insert(false, Waiting { id, ip, number: self.waited });
        NewTurn::Waits { gave_way: gave_way.map(|caller| caller.id) }
    }

    /// Records that the nickname of a caller has come. One that does not wait changes nothing.
    pub fn handle_greeted(&mut self, id: I) {
        if let Some(caller) = self.remove(id) {
            // There is room: its own.
            self.insert(true, caller);
        }
    }

    /// Records that a caller stopped waiting. One that does not wait changes nothing.
    pub fn handle_gone(&mut self, id: I) {
        self.remove(id);
    }

    /// Returns the caller that has its turn, the one that has waited longest if there are several. Call it
    /// until it returns `None`.
    pub fn next(&mut self, now: Instant) -> Option<I> {
        let is_due = |caller: &Waiting<I>| self.ready_at(caller.ip).is_none_or(|at| at <= now);
        let due = self.waiting.iter().filter(|(_, caller)| is_due(caller));
        let (key, &Waiting { id, ip, .. }) = due.min_by_key(|(_, caller)| caller.number)?;
        self.waiting.remove(key);
        self.take(now, ip);
        Some(id)
    }

    /// Returns the time of the next turn for which a caller waits.
    pub fn poll_timeout(&self) -> Option<Instant> {
        // None can be without a time: it would not wait.
        self.waiting.iter().filter_map(|(_, caller)| self.ready_at(caller.ip)).min()
    }

    /// Returns the number of callers that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Adds a caller that waits. Returns the one that gives way to it.
    fn insert(&mut self, is_greeted: bool, caller: Waiting<I>) -> Option<Waiting<I>> {
        match self.waiting.insert(Owner::new(is_greeted, caller.ip), Share::ALL, caller) {
            Ok(inserted) => inserted.gave_way.map(|(_, other)| other),
            Err(caller) => Some(caller),
        }
    }

    fn remove(&mut self, id: I) -> Option<Waiting<I>> {
        let (key, _) = self.waiting.iter().find(|(_, caller)| caller.id == id)?;
        self.waiting.remove(key)
    }

    /// Returns the time from which on an address may take a turn; `None` is always.
    fn ready_at(&self, ip: IpAddr) -> Option<Instant> {
        let of_address = self.of_address.get(&ip).and_then(|pace| pace.ready_at(OF_ADDRESS));
        self.all.ready_at(OF_ALL).max(of_address)
    }

    fn take(&mut self, now: Instant, ip: IpAddr) {
        // Their number has a bound: those that took turns within 4 s.
        self.of_address.retain(|_, pace| pace.0.is_some_and(|free| free > now));
        self.all.take(now, OF_ALL);
        self.of_address.entry(ip).or_default().take(now, OF_ADDRESS);
    }
}

impl<I: Copy + PartialEq> Default for Turns<I> {
    fn default() -> Self {
        Self::new()
    }
}

impl Pace {
    fn ready_at(self, rate: Rate) -> Option<Instant> {
        self.0?.checked_sub(rate.interval * (rate.at_once - 1))
    }

    fn take(&mut self, now: Instant, rate: Rate) {
        let free = self.0.map_or(now, |free| free.max(now));
        self.0 = Some(free + rate.interval);
    }
}

/// The limit for one address: 10 a second, and 40 at once, as many as users behind one router.
const OF_ADDRESS: Rate = Rate { interval: Duration::from_millis(100), at_once: 40 };

/// The limit for all addresses: 50 a second, more than a program with a screen can show.
const OF_ALL: Rate = Rate { interval: Duration::from_millis(20), at_once: 50 };

/// The limit of callers that wait for a turn: a small part of the files that a process may open.
const MAX_WAITING: usize = 64;
