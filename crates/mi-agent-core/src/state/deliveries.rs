//! The lines of a peer on their way to the program.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mi_proto::MAX_TEXT;

use super::admission::Refusal;
use super::conversation_events::ConversationOutput;
use super::intake::IntakeMeter;
use crate::safe_text::PeerText;

/// The deliveries that the program of one conversation has still to take, one at a time.
///
/// Two lines may be an agent's own: the refusal of a callee, and the empty line before a FIN. Only the FIN
/// behind them shows that no person wrote them, so a first line like these is held until then, for [`HOLD`]
/// at most.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    has_heard: bool,
    /// The end of the last frame, if that was perhaps too short for its line.
    cut: Option<Cut>,
    /// The number of pieces of that line.
    pieces: usize,
    /// The line that is held, and the time until which it is.
    held: Option<(PeerText, Instant)>,
    pub(super) intake: IntakeMeter,
    /// Nothing blocks the peer now.
    is_ending: bool,
    is_encrypted: bool,
    waiting: VecDeque<ConversationOutput>,
    /// Set while the program has not taken the latest one.
    is_out: bool,
}

impl Deliveries {
    #[cfg(feature = "secure")]
    pub(super) fn set_encrypted(&mut self) {
        self.is_encrypted = true;
    }

    /// Adds a line of the peer, which was read at that time. Only a callee can refuse.
    pub(super) fn hear(&mut self, now: Instant, line: PeerText, read_at: Instant, is_callee: bool) {
        if self.is_ending && self.intake.closed_until().is_some() {
            // More than people say is read, so that the FIN comes, and dropped.
            return;
        }
        let is_first = !std::mem::replace(&mut self.has_heard, true);
        let before = std::mem::replace(&mut self.cut, Cut::behind(line.raw(), read_at));
        let continues =
            self.pieces < MAX_PIECES && before.is_some_and(|cut| cut.is_followed_by(line.raw(), read_at));
        self.pieces = if continues { self.pieces + 1 } else { 1 };
        let line = if continues { line.continuing() } else { line };
        let is_refusal = is_callee && Refusal::is_line(line.raw(), self.is_encrypted);
        if is_first && (is_refusal || line.raw().is_empty()) {
            self.held = Some((line, now + HOLD));
            return;
        }
        self.release();
        self.waiting.push_back(ConversationOutput::Deliver(line));
    }

    /// The conversation ends. The peer's FIN is waited for now, which is behind everything that it has said.
    pub(super) fn handle_ending(&mut self) {
        self.is_ending = true;
    }

    /// The peer's FIN has come: a line that is held was the agent's own.
    pub(super) fn handle_peer_end(&mut self) {
        let refusal = self.held.take().filter(|(line, _)| !line.raw().is_empty());
        self.waiting.extend(refusal.map(|(line, _)| ConversationOutput::Refused(line)));
    }

    /// The connection broke.
    pub(super) fn handle_loss(&mut self) {
        self.release();
        self.waiting.push_back(ConversationOutput::Lost);
    }

    pub(super) fn handle_taken(&mut self) {
        self.is_out = false;
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.held.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.release();
        }
        self.intake.handle_timeout(now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let held = self.held.as_ref().map(|(_, until)| *until);
        [held, self.intake.closed_until()].into_iter().flatten().min()
    }

    /// Returns the next one, once the program has taken the one before it.
    pub(super) fn next(&mut self) -> Option<ConversationOutput> {
        if self.is_out {
            return None;
        }
        let next = self.waiting.pop_front();
        self.is_out = next.is_some();
        next
    }

    /// Takes everything that is left, at the end.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = ConversationOutput> {
        self.release();
        self.waiting.drain(..)
    }

    /// Returns whether the program has all.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && !self.is_out
    }

    /// Returns whether more is to be read: the program has all, and the peer has not said too much.
    pub(super) fn want_more(&self) -> bool {
        self.is_empty() && (self.is_ending || self.intake.closed_until().is_none())
    }

    fn release(&mut self) {
        self.waiting.extend(self.held.take().map(|(line, _)| ConversationOutput::Deliver(line)));
    }
}

/// The end of a frame that was perhaps too short for its line.
///
/// Ours cuts behind the last blank that fits or, if there is none, behind the last character that fits.
/// Others do the latter. So the frame had no room for the first word of the next one, or for its first
/// character.
#[derive(Clone, Copy, Debug)]
struct Cut {
    read_at: Instant,
    /// The bytes that the frame had left.
    room: usize,
    is_behind_blank: bool,
}

impl Cut {
    /// The end of the frame with `text`, if that is long enough.
    fn behind(text: &str, read_at: Instant) -> Option<Self> {
        // Unframed text, and bytes that were not UTF-8, may be longer than a frame.
        let room = MAX_TEXT.saturating_sub(text.len());
        (text.len() >= LONG).then(|| Self { read_at, room, is_behind_blank: text.ends_with(' ') })
    }

    /// Returns whether `text` most likely is the rest of the line: it came at once, and the frame had no room
    /// for more.
    fn is_followed_by(self, text: &str, read_at: Instant) -> bool {
        let least = if self.is_behind_blank {
            text.split_inclusive(' ').next().map_or(0, str::len)
        } else {
            text.chars().next().map_or(0, char::len_utf8)
        };
        least > self.room && read_at.saturating_duration_since(self.read_at) <= AT_ONCE
    }
}

/// The least bytes of a frame that was perhaps too short for its line: few words have more letters than the 9
/// that this leaves.
const LONG: usize = 90;

/// The most pieces of a line. A peer that never pauses does not make it longer: about 10 kB.
const MAX_PIECES: usize = 100;

/// The time within which the pieces of a line follow each other: the pace of deployed programs, and what a
/// network adds. Nobody types a line in that time.
const AT_ONCE: Duration = Duration::from_millis(100);

/// The time after a line that may be an agent's own until it counts as one that a person wrote.
const HOLD: Duration = Duration::from_secs(1);
