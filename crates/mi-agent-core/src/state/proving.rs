//! The dialogue by which an agent proves a registration or a deregistration (protocol.md §12).
//!
//! ```text
//!         request with :A, 5 × 1 s        challenge       proof, 5 × 1 s
//!  begin ──────────────────────► Asking ───────────► Proving ───────────► RR0 or RD0: accepted
//!                                  ▲                    │ RR1 or RD1
//!                                  └──── 50–500 ms ─────┘ up to 5 times within 10 s
//! ```
//!
//! Nothing is signed here: [`LumiOutput::Prove`] says what to sign, and for which user.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plumi_proto::{Challenge, Message, MiAddress, NodeAddress, Verb};

use super::output::LumiOutput;
use super::request::RequestSchedule;
use super::source::{ExpectedSource, SeenElsewhere};

/// The answer of a node to a message of the dialogue.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    /// `RR0`, `RD0`.
    Accepted,
    /// A bare `RR1` or `RD1`.
    Refused,
    /// An `RR1` or `RD1` that asks for a proof.
    Challenge(Challenge),
}

impl Reply {
    /// Returns what `message` answers, an `RR` or `RD`, with code 0 if `is_accepted`.
    pub(super) fn of(message: &Message, is_accepted: bool) -> Self {
        match message.challenge() {
            Some((_, challenge)) => Self::Challenge(challenge),
            None if is_accepted => Self::Accepted,
            None => Self::Refused,
        }
    }

    /// Returns whether it may answer a plain request.
    pub(super) fn is_plain(self) -> bool {
        !matches!(self, Self::Challenge(_))
    }
}

/// The effect of an answer on the dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Nothing: it answers no message of this state.
    Stray,
    /// The dialogue goes on.
    GoesOn,
    /// The dialogue is over.
    Over(End),
}

/// The end of a dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The node did what it was asked for.
    Accepted {
        /// Unset if it asked for no proof.
        is_proved: bool,
    },
    /// The node refuses.
    Refused {
        /// Set if it refused proofs, unset if it asked for none.
        has_proved: bool,
    },
    /// The node does not answer.
    Silent,
    /// Nothing was signed.
    SeenElsewhere(SeenElsewhere),
}

/// A dialogue under way.
#[derive(Debug)]
pub(super) struct Proving {
    verb: Verb,
    address: MiAddress,
    schedule: RequestSchedule,
    phase: Phase,
    /// Set if the request was refused in its plain form before, and no challenge has come since. Another copy
    /// of that answer may still come.
    follows_refusal: bool,
    /// The number of refused proofs, and the time of the first.
    refused: Option<(u8, Instant)>,
    /// The number of other addresses of the node that may be tried after proofs that were not answered.
    turns_left: usize,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Asking {
        attempts_left: u8,
        next_attempt: Instant,
        /// The time at which a refusal counts, if there was one.
        refused_at: Option<Instant>,
    },
    Proving {
        /// The sender of the challenge, and the only receiver of the proof.
        node: NodeAddress,
        challenge: Challenge,
        attempts_left: u8,
        next_attempt: Instant,
    },
    /// A proof was refused.
    Pausing { until: Instant },
}

impl Proving {
    /// Begins a dialogue: asks for a challenge.
    pub(super) fn begin(
        now: Instant,
        verb: Verb,
        address: MiAddress,
        schedule: RequestSchedule,
        outputs: &mut VecDeque<LumiOutput>,
    ) -> Self {
        let phase = Phase::Pausing { until: now };
        let mut proving = Self {
            verb,
            address,
            schedule,
            phase,
            follows_refusal: false,
            refused: None,
            turns_left: usize::MAX,
        };
        proving.ask(now, outputs);
        proving
    }

    /// The dialogue follows the refusal of a plain request.
    pub(super) fn after_refusal(mut self) -> Self {
        self.follows_refusal = true;
        self
    }

    pub(super) fn verb(&self) -> Verb {
        self.verb
    }

    /// Returns whether a request without an answer is due to be sent again. A proof is never sent to another
    /// address.
    pub(super) fn is_repeated(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Asking { attempts_left: 1.., next_attempt, .. } if next_attempt <= now)
    }

    /// Handles an answer of `from`. `source` is where the node should see this agent, unless it may be
    /// anywhere; `pause` is random, see [`pause`].
    pub(super) fn handle_reply(
        &mut self,
        now: Instant,
        from: NodeAddress,
        reply: Reply,
        source: Option<ExpectedSource>,
        pause: Duration,
        outputs: &mut VecDeque<LumiOutput>,
    ) -> Reaction {
        match (&mut self.phase, reply) {
            (Phase::Asking { .. }, Reply::Accepted) => Reaction::Over(End::Accepted { is_proved: false }),
            (Phase::Asking { .. }, Reply::Challenge(challenge)) => {
                if let Some(Err(elsewhere)) = source.map(|source| source.check(challenge.seen)) {
                    return Reaction::Over(End::SeenElsewhere(elsewhere));
                }
                self.follows_refusal = false;
                let attempts_left = self.schedule.attempts.get() - 1;
                let next_attempt = now + self.schedule.interval;
                self.phase = Phase::Proving { node: from, challenge, attempts_left, next_attempt };
                outputs.push_back(LumiOutput::Prove { node: from, verb: self.verb, challenge });
                Reaction::GoesOn
            }
            // A node that has asked for a proof does not refuse to ask again: this is about the last proof.
            (Phase::Asking { .. }, Reply::Refused) if self.refused.is_some() => self.refuse(now, pause),
            (Phase::Asking { refused_at, .. }, Reply::Refused) if self.follows_refusal => {
                refused_at.get_or_insert(now + self.schedule.interval / 4);
                Reaction::GoesOn
            }
            (Phase::Asking { .. }, Reply::Refused) => Reaction::Over(End::Refused { has_proved: false }),
            (Phase::Proving { node, .. }, _) if *node != from => Reaction::Stray,
            (Phase::Proving { .. }, Reply::Accepted) => Reaction::Over(End::Accepted { is_proved: true }),
            // It answers a request that was repeated. One proof is enough.
            (Phase::Proving { .. }, Reply::Challenge(_)) => Reaction::GoesOn,
            (Phase::Proving { .. }, Reply::Refused) => self.refuse(now, pause),
            (Phase::Pausing { .. }, _) => Reaction::Stray,
        }
    }

    /// Handles the time of [`Proving::poll_timeout`]. `turn` goes on to another address of the node, and
    /// returns whether there is one.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        addresses: usize,
        turn: impl FnOnce() -> bool,
        outputs: &mut VecDeque<LumiOutput>,
    ) -> Option<End> {
        if self.poll_timeout() > now {
            return None;
        }
        match &mut self.phase {
            Phase::Asking { refused_at: Some(at), .. } if *at <= now => {
                return Some(End::Refused { has_proved: false });
            }
            Phase::Asking { attempts_left: left @ 1.., next_attempt, .. } => {
                *left -= 1;
                *next_attempt = now + self.schedule.interval;
                outputs.push_back(self.request());
            }
            // The node has refused the plain form, and some do not answer what they do not know.
            Phase::Asking { .. } if self.follows_refusal => {
                return Some(End::Refused { has_proved: false });
            }
            Phase::Asking { .. } => return Some(End::Silent),
            Phase::Proving { node, challenge, attempts_left: left @ 1.., next_attempt } => {
                *left -= 1;
                *next_attempt = now + self.schedule.interval;
                let (node, challenge) = (*node, *challenge);
                outputs.push_back(LumiOutput::Prove { node, verb: self.verb, challenge });
            }
            Phase::Proving { .. } => {
                self.turns_left = self.turns_left.min(addresses.saturating_sub(1));
                if self.turns_left == 0 || !turn() {
                    return Some(End::Silent);
                }
                self.turns_left -= 1;
                self.ask(now, outputs);
            }
            Phase::Pausing { .. } => self.ask(now, outputs),
        }
        None
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        match self.phase {
            Phase::Asking { next_attempt, refused_at: Some(at), .. } => next_attempt.min(at),
            Phase::Asking { next_attempt, .. } | Phase::Proving { next_attempt, .. } => next_attempt,
            Phase::Pausing { until } => until,
        }
    }

    fn ask(&mut self, now: Instant, outputs: &mut VecDeque<LumiOutput>) {
        self.phase = Phase::Asking {
            attempts_left: self.schedule.attempts.get() - 1,
            next_attempt: now + self.schedule.interval,
            refused_at: None,
        };
        outputs.push_back(self.request());
    }

    /// A proof was refused: another agent of the user may have proved at the same time, which makes all other
    /// challenges void.
    fn refuse(&mut self, now: Instant, pause: Duration) -> Reaction {
        let (number, first) = self.refused.map_or((1, now), |(number, first)| (number + 1, first));
        self.refused = Some((number, first));
        if number > MAX_REFUSALS || now.saturating_duration_since(first) >= REFUSED_WITHIN {
            return Reaction::Over(End::Refused { has_proved: true });
        }
        self.phase = Phase::Pausing { until: now + pause };
        Reaction::GoesOn
    }

    fn request(&self) -> LumiOutput {
        LumiOutput::Transmit(Message::RequestChallenge { verb: self.verb, address: self.address })
    }
}

/// Returns the pause that follows from `random` bits, 50 to 500 ms: two agents of a user that refuse each
/// other's proofs must not go on in step.
pub(super) fn pause(random: u64) -> Duration {
    Duration::from_millis(50 + random % 451)
}

/// The number of refused proofs after which another one is tried.
const MAX_REFUSALS: u8 = 5;

/// The time after the first refused proof in which another one is tried.
const REFUSED_WITHIN: Duration = Duration::from_secs(10);
