//! Refreshing a registration: a node that restarts has no user online until each registers again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plumi_proto::{Message, RegisterCode};

use super::output::{LossReason, LumiOutput, RegistrationChange};
use super::request::RequestSchedule;

/// Registers a registered user again, at an interval and whenever the registration is in doubt.
///
/// A `PR` changes nothing for a node that has the user as online, so it can be sent at any time. It is
/// repeated like any request. When all attempts fail, the registration is lost, and one `PR` every [`RETRY`]
/// tries to regain it.
#[derive(Debug)]
pub(super) struct Refresh {
    /// The `PR` of this user.
    register: Message,
    schedule: RequestSchedule,
    every: Option<Duration>,
    phase: Phase,
    /// The time of the last `PR`, also of a request of the user.
    sent: Option<Instant>,
    /// The time of the last answer or question of the node.
    heard: Option<Instant>,
    /// Set while somebody looks at the state of the registration.
    is_watched: bool,
    /// The loss that was reported last, unless the registration has been regained since.
    lost: Option<LossReason>,
}

#[derive(Debug)]
enum Phase {
    /// The user is not registered, or does not want to be.
    Off,
    /// The user's own request to register is under way, and decides.
    Yielding,
    /// The last `PR` was answered.
    Resting { until: Instant },
    /// The last `PR` has no answer yet.
    Asking { attempts_left: u8, next_attempt: Instant },
    /// The node has to be convinced by a proof. A dialogue of its own is under way, and decides.
    Proving,
}

impl Refresh {
    pub(super) fn new(register: Message, schedule: RequestSchedule, every: Option<Duration>) -> Self {
        let every = every.map(|every| every.clamp(RETRY, LONGEST));
        let (sent, heard) = (None, None);
        Self { register, schedule, every, phase: Phase::Off, sent, heard, is_watched: false, lost: None }
    }

    /// Sets whether somebody looks at the state of the registration. A node that is silent is asked sooner
    /// then.
    pub(super) fn set_watched(&mut self, is_watched: bool) {
        self.is_watched = is_watched;
    }

    /// Handles a `PR` that a request of the user sends.
    pub(super) fn sent(&mut self, now: Instant) {
        self.sent = Some(now);
    }

    /// Handles an answer or a question of the node, of any kind.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// Returns whether the node has sent something within the interval between two attempts.
    pub(super) fn has_just_heard(&self, now: Instant) -> bool {
        self.heard.is_some_and(|heard| now.saturating_duration_since(heard) < self.schedule.interval)
    }

    /// Returns whether the node has an attempt left to answer a `PR`.
    pub(super) fn may_answer(&self) -> bool {
        !matches!(self.phase, Phase::Off) && self.lost != Some(LossReason::NoAnswer)
    }

    /// Stops asking until the user's own request to register is decided.
    pub(super) fn yield_to_request(&mut self) {
        if !matches!(self.phase, Phase::Off) {
            self.phase = Phase::Yielding;
        }
    }

    /// Handles the answer to the user's own request to register. A registration that succeeded is kept from
    /// now on. After a refusal, nothing is registered behind the user's back.
    pub(super) fn decided(&mut self, now: Instant, code: RegisterCode, outputs: &mut VecDeque<LumiOutput>) {
        match code {
            RegisterCode::Registered => self.keep(now, outputs),
            RegisterCode::NoSuchUser => self.end(),
        }
    }

    /// Stops refreshing the registration.
    pub(super) fn end(&mut self) {
        self.phase = Phase::Off;
    }

    /// Handles a doubt that the user is registered: sends a `PR`, unless one has just been sent.
    pub(super) fn doubt(&mut self, now: Instant, outputs: &mut VecDeque<LumiOutput>) {
        let has_asked = |sent| now.saturating_duration_since(sent) < self.schedule.interval;
        if !matches!(self.phase, Phase::Off | Phase::Proving) && !self.sent.is_some_and(has_asked) {
            self.ask(now, outputs);
        }
    }

    /// Leaves the registration to a dialogue of proofs. Returns `false` if nothing is to be registered.
    pub(super) fn leave_to_proof(&mut self, now: Instant) -> bool {
        let is_on = !matches!(self.phase, Phase::Off | Phase::Yielding);
        if is_on {
            self.phase = Phase::Proving;
            self.sent = Some(now);
        }
        is_on
    }

    /// Handles the end of the dialogue that [`Refresh::leave_to_proof`] left the registration to.
    pub(super) fn proof_ended(
        &mut self,
        now: Instant,
        outcome: Result<(), LossReason>,
        outputs: &mut VecDeque<LumiOutput>,
    ) {
        match outcome {
            Ok(()) => self.keep(now, outputs),
            Err(reason) => {
                self.phase = Phase::Resting { until: now + RETRY };
                self.lose(reason, outputs);
            }
        }
    }

    /// Sends a `PR`, as soon as the last one is an interval ago, even if the registration is never refreshed.
    pub(super) fn ask_again(&mut self, now: Instant, outputs: &mut VecDeque<LumiOutput>) {
        match self.sent.map(|sent| sent + self.schedule.interval).filter(|until| *until > now) {
            _ if matches!(self.phase, Phase::Proving) => {}
            Some(until) => self.phase = Phase::Resting { until },
            None => self.ask(now, outputs),
        }
    }

    /// Handles an `RR` that answers no request of the user. Returns whether it answers a `PR` that was sent
    /// here.
    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        code: RegisterCode,
        outputs: &mut VecDeque<LumiOutput>,
    ) -> bool {
        let Phase::Asking { .. } = self.phase else { return false };
        match code {
            RegisterCode::Registered => self.keep(now, outputs),
            RegisterCode::NoSuchUser => {
                self.phase = Phase::Resting { until: now + RETRY };
                self.lose(LossReason::NoSuchUser, outputs);
            }
        }
        true
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, outputs: &mut VecDeque<LumiOutput>) {
        if self.poll_timeout().is_none_or(|due| due > now) {
            return;
        }
        match &mut self.phase {
            Phase::Asking { attempts_left: left @ 1.., next_attempt } => {
                *left -= 1;
                *next_attempt = now + self.schedule.interval;
                self.sent = Some(now);
                outputs.push_back(LumiOutput::Transmit(self.register));
            }
            Phase::Asking { next_attempt, .. } if self.lost.is_none() => {
                // A late answer still counts.
                *next_attempt = now + RETRY;
                self.lose(LossReason::NoAnswer, outputs);
            }
            _ => self.ask(now, outputs),
        }
    }

    /// Sends a `PR` at once, whatever was sent before: where it went, or what it said, is out of date.
    pub(super) fn ask_at_once(&mut self, now: Instant, outputs: &mut VecDeque<LumiOutput>) {
        if !matches!(self.phase, Phase::Off | Phase::Yielding) {
            self.ask(now, outputs);
        }
    }

    /// Returns whether a `PR` without an answer is due to be sent again.
    pub(super) fn is_repeated(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Asking { next_attempt, .. } if next_attempt <= now)
    }

    /// Sends the next `PR` now, unless [`Refresh::handle_timeout`] is about to. It goes to another address
    /// than the last.
    pub(super) fn repeat(&mut self, now: Instant, outputs: &mut VecDeque<LumiOutput>) {
        match &mut self.phase {
            Phase::Asking { attempts_left, next_attempt } if *next_attempt > now => {
                *attempts_left = attempts_left.saturating_sub(1);
                *next_attempt = now + if self.lost.is_none() { self.schedule.interval } else { RETRY };
                self.sent = Some(now);
                outputs.push_back(LumiOutput::Transmit(self.register));
            }
            Phase::Resting { .. } => self.ask(now, outputs),
            Phase::Asking { .. } | Phase::Off | Phase::Yielding | Phase::Proving => {}
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Off | Phase::Yielding | Phase::Proving => None,
            Phase::Resting { until } => {
                let silent = self.heard.filter(|_| self.is_watched).map(|heard| heard + WATCHED);
                Some(silent.map_or(until, |silent| until.min(silent)))
            }
            Phase::Asking { next_attempt, .. } => Some(next_attempt),
        }
    }

    /// Returns whether a `PR`, or a dialogue of proofs, has no answer yet.
    pub(super) fn is_asking(&self) -> bool {
        matches!(self.phase, Phase::Asking { .. } | Phase::Proving)
    }

    /// Returns whether a plain `PR` has no answer yet.
    pub(super) fn is_asking_plainly(&self) -> bool {
        matches!(self.phase, Phase::Asking { .. })
    }

    fn keep(&mut self, now: Instant, outputs: &mut VecDeque<LumiOutput>) {
        if let Some(every) = self.every {
            self.phase = Phase::Resting { until: now + every };
        } else {
            self.phase = Phase::Off;
        }
        if self.lost.take().is_some() {
            outputs.push_back(LumiOutput::Registration(RegistrationChange::Regained));
        }
    }

    fn ask(&mut self, now: Instant, outputs: &mut VecDeque<LumiOutput>) {
        let (attempts, interval) = match self.lost {
            None => (self.schedule.attempts.get(), self.schedule.interval),
            Some(_) => (1, RETRY),
        };
        self.phase = Phase::Asking { attempts_left: attempts - 1, next_attempt: now + interval };
        self.sent = Some(now);
        outputs.push_back(LumiOutput::Transmit(self.register));
    }

    fn lose(&mut self, reason: LossReason, outputs: &mut VecDeque<LumiOutput>) {
        if self.lost != Some(reason) {
            self.lost = Some(reason);
            outputs.push_back(LumiOutput::Registration(RegistrationChange::Lost(reason)));
        }
    }
}

/// The default interval between refreshes. It is also how long a user can stay unfindable after the node
/// restarts; the cost is one datagram a minute for each user.
pub const DEFAULT_REFRESH: Duration = Duration::from_secs(60);

/// The interval between attempts to regain a lost registration, and the shortest interval between refreshes.
/// Attempts may go on without end, so they must not load a node; yet a user should be found again soon.
pub const RETRY: Duration = Duration::from_secs(5);

/// The time for which a node may be silent while somebody looks at the state of the registration. It bounds
/// how long a screen shows a registration that a restart of the node has ended.
const WATCHED: Duration = Duration::from_secs(15);

/// The longest interval between refreshes: a day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
