//! The pace at which a peer is read. TCP makes the peer wait with the rest.

use std::time::{Duration, Instant};

/// The limits for what one peer says: a pace that it can keep, and what may come at once.
///
/// Set it with [`AgentBuilder::intake`](crate::AgentBuilder::intake).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Intake {
    /// The time that one frame uses up.
    pub frame: Duration,
    /// The number of frames that may come at once.
    pub frames_at_once: u32,
    /// The time that one byte uses up, with the headers of frames.
    pub byte: Duration,
    /// The number of bytes that may come at once.
    pub bytes_at_once: u32,
}

/// The part of its intake that a conversation has used up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IntakeMeter {
    /// `None` is without limits.
    pub(super) intake: Option<Intake>,
    /// The times at which nothing is used up: of frames, and of bytes.
    free: [Option<Instant>; 2],
    /// Nothing is read before that.
    closed_until: Option<Instant>,
    pub(super) limited: Option<Limited>,
}

/// The time for which a peer has said as much as is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// The peer has had to wait since then, and has not paused for long.
    pub since: Instant,
    /// The peer has paused for long once it says nothing until then: half of what may come at once is free
    /// again.
    pub until: Instant,
}

impl Intake {
    /// The pace of people talking, with ample room for pasted text: 100 frames a second and 500 at once, 64
    /// KiB a second and 1 MiB at once.
    pub const OF_PEOPLE: Self = Self {
        frame: Duration::from_millis(10),
        frames_at_once: 500,
        byte: Duration::from_nanos(1_000_000_000 / (64 * 1024)),
        bytes_at_once: 1024 * 1024,
    };
}

impl IntakeMeter {
    /// Counts a frame of so many bytes, which the peer has said.
    pub(super) fn take(&mut self, now: Instant, bytes: usize) {
        let Some(Intake { frame, frames_at_once, byte, bytes_at_once }) = self.intake else { return };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let used = [frame, byte.saturating_mul(bytes)];
        let at_once = [frame.saturating_mul(frames_at_once), byte.saturating_mul(bytes_at_once)];
        let mut recovers_at = now;
        for ((free, used), at_once) in self.free.iter_mut().zip(used).zip(at_once) {
            let until = free.map_or(now, |free| free.max(now)) + used;
            *free = Some(until);
            let ahead = until.saturating_duration_since(now);
            recovers_at = recovers_at.max(now + ahead.saturating_sub(at_once / 2));
            if ahead > at_once {
                self.closed_until = self.closed_until.max(Some(now + (ahead - at_once)));
            }
        }
        // A pause that was long enough is noticed by the frame that ends it.
        self.limited.take_if(|limited| limited.until <= now);
        if self.limited.is_some() || self.closed_until.is_some() {
            let since = self.limited.map_or(now, |limited| limited.since);
            self.limited = Some(Limited { since, until: recovers_at });
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.closed_until.take_if(|until| *until <= now);
    }

    /// Returns the time from which on more may be read, if that is not now.
    pub(super) fn closed_until(&self) -> Option<Instant> {
        self.closed_until
    }
}
