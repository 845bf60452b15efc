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
    /// The times at which nothing is used up any more: of frames, and of bytes.
    free: [Option<Instant>; 2],
    /// Nothing is read before that.
    closed_until: Option<Instant>,
    /// The time since which the peer has been at the limit, without a longer pause.
    pub(super) limited_since: Option<Instant>,
}

impl Intake {
    /// The pace of people who talk, with ample room for what they paste: 100 frames a second and 500 at once, 64 KiB a
    /// second and 1 MiB at once.
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
        let mut has_recovered = true;
        for ((free, used), at_once) in self.free.iter_mut().zip(used).zip(at_once) {
            let until = free.map_or(now, |free| free.max(now)) + used;
            *free = Some(until);
            let ahead = until.saturating_duration_since(now);
            has_recovered &= ahead <= at_once / 2;
            if ahead > at_once {
                self.closed_until = self.closed_until.max(Some(now + (ahead - at_once)));
            }
        }
        if self.closed_until.is_some() {
            self.limited_since.get_or_insert(now);
        } else if has_recovered {
            self.limited_since = None;
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
