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

/// A token bucket for each source.
#[derive(Debug)]
pub(super) struct Limiter {
    limit: RateLimit,
    buckets: HashMap<Ipv4Addr, Bucket>,
    last_sweep: Option<Instant>,
}

/// What a source may still send, in parts of a datagram: so small that each nanosecond adds a whole number of
/// them, which is [`RateLimit::per_second`], and nothing is ever rounded.
#[derive(Debug)]
struct Bucket {
    parts: u64,
    filled_at: Instant,
}

impl Limiter {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self { limit, buckets: HashMap::new(), last_sweep: None }
    }

    /// Whether a datagram from `source` is taken at `now`.
    pub(super) fn admit(&mut self, now: Instant, source: Ipv4Addr) -> bool {
        if let Some(bucket) = self.buckets.get_mut(&source) {
            bucket.fill(now, self.limit);
            return bucket.take();
        }
        // With a table full of busy sources the newcomer is the likelier honest one.
        if self.has_room(now) {
            let mut bucket = Bucket { parts: capacity(self.limit), filled_at: now };
            bucket.take();
            self.buckets.insert(source, bucket);
        }
        true
    }

    /// Whether another source can be kept. Forgets those whose buckets are full, which says nothing of them.
    fn has_room(&mut self, now: Instant) -> bool {
        let due = self.last_sweep.is_none_or(|last| now >= last + SWEEP_INTERVAL);
        if self.buckets.len() >= MAX_SOURCES && due {
            self.last_sweep = Some(now);
            let limit = self.limit;
            self.buckets.retain(|_, bucket| {
                bucket.fill(now, limit);
                bucket.parts < capacity(limit)
            });
        }
        self.buckets.len() < MAX_SOURCES
    }
}

impl Bucket {
    /// Whether there is enough for a datagram, which is gone then.
    fn take(&mut self) -> bool {
        let is_enough = self.parts >= PARTS;
        if is_enough {
            self.parts -= PARTS;
        }
        is_enough
    }

    fn fill(&mut self, now: Instant, limit: RateLimit) {
        let passed = now.saturating_duration_since(self.filled_at).as_nanos();
        let gained = u64::try_from(passed * u128::from(limit.per_second.get())).unwrap_or(u64::MAX);
        self.parts = self.parts.saturating_add(gained).min(capacity(limit));
        self.filled_at = self.filled_at.max(now);
    }
}

/// What a full bucket holds.
fn capacity(limit: RateLimit) -> u64 {
    PARTS * u64::from(limit.burst.get())
}

/// The parts of a datagram: as many as a second has nanoseconds.
const PARTS: u64 = 1_000_000_000;

/// Sources kept at a time: 256 KiB or so, and more than a node sees within the seconds its buckets need to fill.
const MAX_SOURCES: usize = 4_096;

/// The table is swept this often at most, so that a flood from forged addresses does not pay for itself in
/// sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);
