//! The rate limit: the number of datagrams that one source may send (protocol.md §9).

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::source::Source;

/// The number of datagrams that a node takes from one IPv4 address.
///
/// Written as datagrams a second: `500`. A [`burst`](RateLimit::burst) that is not twice as many follows a
/// slash: `500/20`.
///
/// ```
/// use lumi_node_core::RateLimit;
///
/// let limit: RateLimit = "500".parse()?;
/// assert_eq!((limit.per_second.get(), limit.burst.get()), (500, 1_000));
/// assert_eq!("500/20".parse::<RateLimit>()?.to_string(), "500/20");
/// # Ok::<(), lumi_node_core::RateLimitError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// The number of datagrams a second, in the long run.
    pub per_second: NonZeroU32,
    /// The number of datagrams at once, after a silence.
    pub burst: NonZeroU32,
}

impl RateLimit {
    /// Allows `per_second` in the long run, and twice as many at once.
    pub fn new(per_second: NonZeroU32) -> Self {
        Self { per_second, burst: per_second.saturating_mul(NonZeroU32::MIN.saturating_add(1)) }
    }

    /// Allows `burst` datagrams at once instead.
    pub fn with_burst(self, burst: NonZeroU32) -> Self {
        Self { burst, ..self }
    }
}

impl Default for RateLimit {
    /// Allows 500 a second. The most eager deployed agent sends 10, and a node that asks on behalf of its
    /// users may speak for many.
    fn default() -> Self {
        Self::new(NonZeroU32::new(500).expect("is not 0"))
    }
}

impl FromStr for RateLimit {
    type Err = RateLimitError;

    fn from_str(text: &str) -> Result<Self, RateLimitError> {
        let number = |digits: &str| digits.parse().map_err(|_| RateLimitError);
        match text.split_once('/') {
            Some((per_second, burst)) => Ok(Self { per_second: number(per_second)?, burst: number(burst)? }),
            None => number(text).map(Self::new),
        }
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { per_second, burst } = self;
        if *self == Self::new(*per_second) {
            write!(f, "{per_second}")
        } else {
            write!(f, "{per_second}/{burst}")
        }
    }
}

/// The error for a text that is not a [`RateLimit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate limit is a number from 1 on, alone or as in 500/1000")]
pub struct RateLimitError;

/// A token bucket for each source, or for each of something else.
#[derive(Debug)]
pub(super) struct Limiter<K = Source> {
    limit: RateLimit,
    buckets: HashMap<K, Bucket>,
    last_sweep: Option<Instant>,
}

/// The allowance that a source has left, in parts of a datagram.
///
/// The parts are so small that each nanosecond adds a whole number of them, [`RateLimit::per_second`].
/// Nothing is ever rounded.
#[derive(Debug)]
pub(super) struct Bucket {
    parts: u64,
    filled_at: Instant,
    kept_out_at: Option<Instant>,
}

impl<K: Copy + Eq + Hash> Limiter<K> {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self { limit, buckets: HashMap::new(), last_sweep: None }
    }

    /// Returns whether a datagram from `source` is admitted at `now`.
    pub(super) fn admit(&mut self, now: Instant, source: K) -> bool {
        if let Some(bucket) = self.buckets.get_mut(&source) {
            bucket.fill(now, self.limit);
            return bucket.take();
        }
        // If the table is full of busy sources, the newcomer is more likely to be honest.
        if self.has_room(now) {
            let mut bucket = Bucket::full(now, self.limit);
            bucket.take();
            self.buckets.insert(source, bucket);
        }
        true
    }

    /// Returns to `source` the token of a datagram that this node had asked for.
    pub(super) fn give_back(&mut self, source: K) {
        if let Some(bucket) = self.buckets.get_mut(&source) {
            bucket.parts = bucket.parts.saturating_add(PARTS).min(capacity(self.limit));
        }
    }

    /// Notes that a datagram from `source` was kept out.
    pub(super) fn kept_out(&mut self, now: Instant, source: K) {
        if let Some(bucket) = self.buckets.get_mut(&source) {
            bucket.kept_out_at = Some(now);
        }
    }

    /// Returns the time at which a datagram from `source` was kept out last, if that is not long ago.
    pub(super) fn kept_out_at(&self, source: K) -> Option<Instant> {
        self.buckets.get(&source)?.kept_out_at
    }

    /// Returns whether another source fits into the table.
    ///
    /// Forgets sources with full buckets: a full bucket is also the initial state.
    fn has_room(&mut self, now: Instant) -> bool {
        let due = self.last_sweep.is_none_or(|last| now >= last + SWEEP_INTERVAL);
        if self.buckets.len() >= MAX_SOURCES && due {
            self.last_sweep = Some(now);
            let limit = self.limit;
            self.buckets.retain(|_, bucket| {
                bucket.fill(now, limit);
                !bucket.is_full(limit)
            });
        }
        self.buckets.len() < MAX_SOURCES
    }
}

impl Bucket {
    pub(super) fn full(now: Instant, limit: RateLimit) -> Self {
        Self { parts: capacity(limit), filled_at: now, kept_out_at: None }
    }

    pub(super) fn is_full(&self, limit: RateLimit) -> bool {
        self.parts >= capacity(limit)
    }

    /// Returns the time at which it is full if nothing is taken until then. Of two buckets with the same
    /// limit, the fuller one has the earlier time.
    pub(super) fn full_at(&self, limit: RateLimit) -> Instant {
        let missing = capacity(limit).saturating_sub(self.parts);
        self.filled_at + Duration::from_nanos(missing.div_ceil(limit.per_second.get().into()))
    }

    /// Returns whether there is enough for a datagram.
    pub(super) fn has_one(&self) -> bool {
        self.parts >= PARTS
    }

    /// Takes the parts of one datagram. Returns `false` if there are not enough.
    pub(super) fn take(&mut self) -> bool {
        let is_enough = self.has_one();
        if is_enough {
            self.parts -= PARTS;
        }
        is_enough
    }

    pub(super) fn fill(&mut self, now: Instant, limit: RateLimit) {
        let passed = now.saturating_duration_since(self.filled_at).as_nanos();
        let gained = u64::try_from(passed * u128::from(limit.per_second.get())).unwrap_or(u64::MAX);
        self.parts = self.parts.saturating_add(gained).min(capacity(limit));
        self.filled_at = self.filled_at.max(now);
    }
}

/// The capacity of a bucket in parts.
fn capacity(limit: RateLimit) -> u64 {
    PARTS * u64::from(limit.burst.get())
}

/// The number of parts in a datagram: one for each nanosecond in a second.
const PARTS: u64 = 1_000_000_000;

/// The limit of sources kept at a time, about 256 KiB. A node sees fewer in the seconds that buckets need to
/// fill.
const MAX_SOURCES: usize = 4_096;

/// The shortest time between two sweeps of the table. A flood from forged addresses must not cost a sweep for
/// each datagram.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);
