//! The time limits of a conversation that depend on more than its phase: on turns, on writes, on encryption.

use std::time::{Duration, Instant};

use super::conversation::ConversationState;
use super::conversation_events::Side;
use super::conversation_phases::{Phase, Written};
use super::conversation_times::{FAREWELL, GREETING_TIMEOUT, HURRIED_FAREWELL, PATIENCE, WRITE_TIMEOUT};

impl ConversationState {
    /// Records that so many bytes of this side were not acknowledged when the peer's FIN came: the peer may have closed
    /// before it read them. Our FIN counts as one.
    pub(crate) fn handle_unacknowledged(&mut self, bytes: u32) {
        self.is_unread |= bytes > u32::from(self.has_left);
    }

    /// Returns the time at which [`ConversationState::handle_timeout`] has to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let writing = self.writing.as_ref();
        let may_write = match self.phase {
            _ if writing.is_some() => None,
            Phase::Talking | Phase::Ending if !self.lines.is_empty() => self.after(self.pace),
            Phase::Ending if self.fin_not_before.is_some() => self.fin_not_before,
            Phase::Ending if self.is_greeted => self.after(self.farewell_distance()),
            _ => None,
        };
        let held = self.deliveries.poll_timeout();
        let written = writing.and_then(|writing| writing.until);
        [self.phase_ends, written, may_write, held].into_iter().flatten().min()
    }

    /// Sets when the greeting is to be over: the time before this connection could be used counts.
    #[cfg(feature = "secure")]
    pub(crate) fn limit_greeting(&mut self, until: Instant) {
        (self.phase_ends, self.greeting_ends) = (Some(until), Some(until));
    }

    /// Records that the connection is encrypted, or begins to be: the peer reads a stream, so frames need no
    /// distance from each other, and it bears an end before any line, and before our nickname.
    #[cfg(feature = "secure")]
    pub fn set_encrypted(&mut self) {
        self.is_encrypted = true;
        self.pace = Duration::ZERO;
        self.has_said = true;
        self.deliveries.set_encrypted();
    }

    /// Whether the frame that is out may be written together with the next one, which comes as soon as this
    /// one counts as written: the peer of an encrypted conversation reads a stream (docs/protocol.md §11).
    pub fn may_join_next(&self) -> bool {
        let is_talking = matches!(self.phase, Phase::Talking | Phase::Ending);
        self.is_encrypted && is_talking && !self.lines.is_empty()
    }

    /// Lets a caller wait for its turn: its nickname has no limit until [`ConversationState::handle_turn`].
    pub fn handle_waiting(&mut self) {
        if self.has_to_be_greeted() {
            self.phase_ends = None;
        }
    }

    /// Records that it is the turn of a caller that waited. The time for its nickname begins now.
    pub fn handle_turn(&mut self, now: Instant) {
        if self.has_to_be_greeted() {
            self.phase_ends = Some(now + GREETING_TIMEOUT);
        }
    }

    /// Records that the peer has taken some of what was written: the limit of the write that is out begins
    /// again, unless the peer is still to give its nickname, or the end is hurried.
    pub fn handle_progress(&mut self, now: Instant) {
        if let Some(writing) = &mut self.writing
            && matches!(writing.what, Written::Line | Written::Farewell)
            && !self.is_hurried
        {
            writing.until = writing.until.map(|_| now + self.write_timeout);
        }
    }

    /// Sets the limit of writes in a phase that has just begun.
    pub(super) fn limit_writes(&mut self, now: Instant) {
        match self.phase {
            Phase::Talking => self.write_timeout = PATIENCE,
            Phase::Ending => {
                self.write_timeout = self.write_timeout.min(WRITE_TIMEOUT);
                if let Some(writing) = &mut self.writing {
                    writing.until = writing.until.min(Some(now + WRITE_TIMEOUT));
                }
            }
            _ => {}
        }
    }

    /// Returns the distance of the empty line from our nickname. Nobody waits for that line, so a peer on a
    /// busy machine has more time than the pace to read the nickname by itself.
    pub(super) fn farewell_distance(&self) -> Duration {
        self.pace.max(if self.is_hurried { HURRIED_FAREWELL } else { FAREWELL })
    }

    /// Returns whether a frame at this distance from the last one may leave.
    pub(super) fn is_due(&self, now: Instant, distance: Duration) -> bool {
        self.after(distance).is_none_or(|at| at <= now)
    }

    /// Returns the time of a frame at this distance from the last one. There is none without a pace: a clock
    /// that counts whole milliseconds would make even a pause of zero wait for the next one.
    pub(super) fn after(&self, distance: Duration) -> Option<Instant> {
        self.last_frame.filter(|_| !self.pace.is_zero()).map(|last| last + distance)
    }

    /// Returns whether this is a callee to which no nickname has come.
    fn has_to_be_greeted(&self) -> bool {
        self.side == Side::Callee && self.phase == Phase::Greeting && self.greeted.is_none()
    }
}
