//! How many datagrams one source may send (protocol.md §9).

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// How many datagrams a node takes from one IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Datagrams a second, in the long run.
    pub per_second: NonZeroU32,
    /// Datagrams at once, after a silence.
    pub burst: NonZeroU32,
}

impl RateLimit {
    /// `per_second` in the long run, twice as many at once.
    pub fn new(per_second: NonZeroU32) -> Self {
        Self { per_second, burst: per_second.saturating_mul(NonZeroU32::MIN.saturating_add(1)) }
    }
}

impl Default for RateLimit {
    /// 500 a second. The most eager deployed agent sends 10, and a node that asks for its users' sake may
    /// speak for many.
    fn default() -> Self {
        Self::new(NonZeroU32::new(500).expect("is not 0"))
    }
}

/// A token bucket for each source, kept as the one moment at which it will be full again.
#[derive(Debug)]
pub(super) struct Limiter {
    /// What one datagram costs.
    interval: Duration,
    /// What a full bucket holds.
    capacity: Duration,
    full_at: HashMap<Ipv4Addr, Instant>,
    last_sweep: Option<Instant>,
}

impl Limiter {
    pub(super) fn new(limit: RateLimit) -> Self {
        let interval = Duration::from_secs(1) / limit.per_second.get();
        Self { interval, capacity: interval * limit.burst.get(), full_at: HashMap::new(), last_sweep: None }
    }

    /// Whether a datagram from `source` is taken at `now`.
    pub(super) fn admit(&mut self, now: Instant, source: Ipv4Addr) -> bool {
        if !self.full_at.contains_key(&source) && !self.has_room(now) {
            // With a table full of busy sources the newcomer is the likelier honest one.
            return true;
        }
        let full_at = self.full_at.entry(source).or_insert(now);
        let after = (*full_at).max(now) + self.interval;
        let admitted = after - now <= self.capacity;
        if admitted {
            *full_at = after;
        }
        admitted
    }

    /// Whether another source can be kept. Forgets those whose buckets are full, which says nothing of them.
    fn has_room(&mut self, now: Instant) -> bool {
        let due = self.last_sweep.is_none_or(|last| now >= last + SWEEP_INTERVAL);
        if self.full_at.len() >= MAX_SOURCES && due {
            self.last_sweep = Some(now);
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        self.full_at.len() < MAX_SOURCES
    }
}

/// Sources kept at a time: 64 KiB or so, and more than a node sees within the seconds its buckets need to fill.
const MAX_SOURCES: usize = 4_096;

/// The table is swept this often at most, so that a flood from forged addresses does not pay for itself in
/// sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);
