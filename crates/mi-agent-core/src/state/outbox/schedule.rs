//! When a peer is tried: by timer, and on signs of life.
//!
//! The node of the peer takes a user offline who leaves five questions unanswered, and every question tells it who
//! looks for whom. So timers are slow, and no two questions by timer are closer than a minute.

use std::collections::VecDeque;
use std::time::Duration;

use super::item::OutboxTime;

/// The times of the tries of one peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    /// The next try.
    due: Option<OutboxTime>,
    /// The last try.
    last: Option<OutboxTime>,
    /// Tries by timer that failed since the last success.
    failures: usize,
    /// Tries in a row without any answer.
    unanswered: u8,
    /// The latest tries on a sign of life.
    signs: VecDeque<OutboxTime>,
    /// The latest answers that there is no such user.
    denied: VecDeque<OutboxTime>,
    /// Set if timers are of no use: the peer is tried on signs of life only.
    waits_for_sign: bool,
    /// The peer has too little protection for the next message.
    is_weak: bool,
}

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tried {
    /// Nobody answered.
    Silent,
    /// The user is offline, or the call came to nothing.
    Offline,
    /// The user is busy.
    Busy,
    /// The node says that there is no such user.
    NoSuchUser,
    /// The peer has less protection than a message needs.
    TooWeak,
}

/// How a peer is tried.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    /// On signs of life only.
    pub(super) is_quiet: bool,
    /// The peer's program is one like this.
    pub(super) knows_peer: bool,
}

impl Schedule {
    pub(super) fn due(&self) -> Option<OutboxTime> {
        self.due
    }

    /// Something is to be delivered from now on. `is_quiet`: no timer.
    pub(super) fn begin(&mut self, now: OutboxTime, is_quiet: bool, jitter: f64) {
        self.waits_for_sign |= is_quiet;
        if self.due.is_none() && !self.waits_for_sign && !self.is_weak {
            self.by_timer(now, jitter);
        }
    }

    /// This user has registered, or is registered again.
    pub(super) fn registered(&mut self, now: OutboxTime, is_quiet: bool) {
        // A peer that has not answered is asked for: this side may have been the silent one.
        if !is_quiet && !self.is_weak {
            let soon = (now + AFTER_REGISTRATION).max(self.earliest());
            self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
        }
    }

    /// The peer is there, or was a moment ago.
    pub(super) fn sign_of_life(&mut self, now: OutboxTime) {
        self.unanswered = 0;
        self.signs.retain(|&at| now - at < HOUR);
        let next = self.signs.back().map_or(now, |&last| (last + BETWEEN_SIGNS).max(now));
        if self.signs.len() < SIGNS_AN_HOUR && self.due.is_none_or(|due| due > next) {
            self.signs.push_back(next);
            self.due = Some(next);
        }
    }

    /// The user wants a try now.
    pub(super) fn retry(&mut self, now: OutboxTime) {
        let soon = now.max(self.last.map_or(now, |last| last + BETWEEN_SIGNS));
        self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
    }

    /// A try begins.
    pub(super) fn tries(&mut self, now: OutboxTime) {
        (self.due, self.last) = (None, Some(now));
    }

    /// A try has failed. Returns whether the domain has denied the user often enough to be believed. A program
    /// that is known to be like this one is asked again although it does not answer: it may sleep.
    pub(super) fn failed(&mut self, now: OutboxTime, tried: Tried, manner: Manner, jitter: f64) -> bool {
        self.unanswered = if tried == Tried::Silent { self.unanswered.saturating_add(1) } else { 0 };
        let is_gone = self.unanswered >= MAX_UNANSWERED && !manner.knows_peer;
        self.is_weak |= tried == Tried::TooWeak;
        self.waits_for_sign = manner.is_quiet || is_gone;
        if tried == Tried::NoSuchUser {
            self.denied.retain(|&at| now - at < HOUR);
            self.denied.push_back(now);
        } else {
            self.denied.clear();
        }
        match tried {
            _ if self.due.is_some() || self.waits_for_sign || self.is_weak => {}
            Tried::Busy => self.due = Some(now + WHILE_BUSY),
            _ => self.by_timer(now, jitter),
        }
        self.denied.len() >= DENIALS
    }

    /// A conversation begins. Somebody may have asked for it.
    pub(super) fn talks(&mut self, now: OutboxTime) {
        self.tries(now);
    }

    /// The message that needs more protection than the peer has is gone.
    pub(super) fn is_strong_enough(&mut self) {
        self.is_weak = false;
    }

    /// Returns whether the peer was asked for within the last hour.
    pub(super) fn is_recent(&self, now: OutboxTime) -> bool {
        self.last.is_some_and(|last| now - last < HOUR)
    }

    /// A conversation has carried messages, or nothing is left to be delivered.
    pub(super) fn ends(&mut self) {
        let last = self.last;
        let signs = std::mem::take(&mut self.signs);
        *self = Self { last, signs, ..Self::default() };
    }

    fn by_timer(&mut self, now: OutboxTime, jitter: f64) {
        let pause = PAUSES[self.failures.min(PAUSES.len() - 1)] * 60;
        self.failures += 1;
        let pause = Duration::from_secs(pause).mul_f64(jitter);
        self.due = Some((now + pause).max(self.earliest()));
    }

    /// The first time for another question by timer.
    fn earliest(&self) -> OutboxTime {
        self.last.map_or(OutboxTime(0), |last| last + BETWEEN_TIMERS)
    }
}

/// Minutes between tries by timer. The last one is repeated.
const PAUSES: [u64; 5] = [1, 2, 4, 8, 15];

/// The time after a registration in which the network settles.
const AFTER_REGISTRATION: Duration = Duration::from_secs(5);

/// The shortest time between two questions of which the second one is by timer.
pub(super) const BETWEEN_TIMERS: Duration = Duration::from_secs(60);

/// The shortest time between two tries on signs of life.
pub(super) const BETWEEN_SIGNS: Duration = Duration::from_secs(30);

/// The most tries on signs of life in an hour: anybody can forge them.
pub(super) const SIGNS_AN_HOUR: usize = 20;

/// The pause after an answer that the user is busy.
const WHILE_BUSY: Duration = Duration::from_secs(120);

/// Tries in a row that nobody answered, after which no timer tries again.
const MAX_UNANSWERED: u8 = 3;

/// Denials within an hour that are believed.
const DENIALS: usize = 3;

const HOUR: Duration = Duration::from_secs(60 * 60);
