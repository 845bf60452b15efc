//! The laws of an agent of ours, checked at whatever happens to it.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use mi_agent_core::{
    LumiAnswer, LumiOutput, LumiRequest, Refusal, RegistrationChange, RequestId, RequestSchedule,
};
use plumi_proto::{Extension, LocateOutcome, MAX_MESSAGE, Message, MiAddress, MiSocketAddress, Verb};

use super::offers::OfferLaws;
use super::proofs::ProofLaws;
use super::{Violation, ensure};

/// An agent, as it is known from outside.
#[derive(Debug)]
pub(in crate::simulation) struct AgentLaws {
    address: MiAddress,
    node: SocketAddrV4,
    listening: MiSocketAddress,
    schedule: RequestSchedule,
    running: Vec<Running>,
    /// The time of its last `PR`.
    registered_last: Option<Duration>,
    /// The time at which its node was last heard.
    heard: Option<Duration>,
    is_lost: bool,
    blocked: Vec<MiAddress>,
    /// The refusals that it reported to its user, and the time of the last report.
    missed: HashMap<(MiAddress, Refusal), Duration>,
    /// `None` if it does not encrypt.
    offers: Option<OfferLaws>,
    /// `None` if it proves nothing.
    proofs: Option<ProofLaws>,
}

#[derive(Debug)]
struct Running {
    id: RequestId,
    kind: LumiRequest,
    schedule: RequestSchedule,
    /// The time by which it has to be over.
    deadline: Duration,
    /// The number of times that it may still be sent.
    may_be_sent: u8,
    last_sent: Option<Duration>,
}

/// An event of an agent.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation) enum Cause<'a> {
    /// Its user asked for something.
    Asked,
    /// A datagram came.
    Received(SocketAddrV4, &'a [u8]),
    /// Its time came.
    Timeout,
}

impl AgentLaws {
    /// The agent has just been started.
    pub(in crate::simulation) fn new(
        address: MiAddress,
        node: SocketAddrV4,
        listening: MiSocketAddress,
        schedule: RequestSchedule,
        offers_tls: bool,
    ) -> Self {
        Self {
            address,
            node,
            listening,
            schedule,
            running: Vec::new(),
            registered_last: None,
            heard: None,
            is_lost: false,
            blocked: Vec::new(),
            missed: HashMap::new(),
            offers: offers_tls.then(OfferLaws::default),
            proofs: None,
        }
    }

    /// It has a key, and is at `own`.
    pub(in crate::simulation) fn proves_at(mut self, own: Option<SocketAddrV4>) -> Self {
        self.proofs = own.map(ProofLaws::new);
        self
    }

    /// A caller encrypts, and nobody can say who.
    pub(in crate::simulation) fn somebody_encrypts(&mut self) {
        if let Some(offers) = &mut self.offers {
            offers.somebody_encrypts();
        }
    }

    /// This caller encrypts, as its key shows.
    pub(in crate::simulation) fn encrypts(&mut self, caller: &MiAddress) {
        if let Some(offers) = &mut self.offers {
            offers.encrypts(caller);
        }
    }

    /// The caller is one of these, as far as anybody can say.
    pub(in crate::simulation) fn is_called_by(&mut self, candidates: &[MiAddress]) {
        if let (Some(offers), [caller]) = (&mut self.offers, candidates) {
            offers.calls(caller);
        }
    }

    /// Its user blocks these, and nobody else, from now on.
    pub(in crate::simulation) fn blocks(&mut self, blocked: Vec<MiAddress>) {
        self.blocked = blocked;
    }

    /// Its user asks for something, perhaps by another schedule than the agent's.
    pub(in crate::simulation) fn asked(
        &mut self,
        now: Duration,
        id: RequestId,
        kind: LumiRequest,
        schedule: Option<RequestSchedule>,
    ) {
        let schedule = schedule.unwrap_or(self.schedule);
        let deadline = now + self.longest(kind, schedule);
        if kind == LumiRequest::Deregister {
            // It takes the place of those before, which end with it.
            for before in self.running.iter_mut().filter(|before| before.kind == kind) {
                (before.deadline, before.may_be_sent) = (deadline, 0);
            }
        }
        let may_be_sent = schedule.attempts.get();
        self.running.push(Running { id, kind, schedule, deadline, may_be_sent, last_sent: None });
    }

    /// Returns whether it has told its user that it is not registered, and not that it is again.
    pub(in crate::simulation) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// It was frozen until now, and no time passed for it.
    pub(in crate::simulation) fn thawed(&mut self, now: Duration) {
        let running = self.running.iter().map(|running| self.longest(running.kind, running.schedule));
        let longest: Vec<_> = running.collect();
        for (running, longest) in self.running.iter_mut().zip(longest) {
            running.deadline = now + longest;
        }
    }

    /// Something happened to it, and this is what it did.
    pub(in crate::simulation) fn did(
        &mut self,
        now: Duration,
        cause: Cause<'_>,
        is_busy: bool,
        outputs: &[LumiOutput],
    ) -> Result<(), Violation> {
        let received = match cause {
            Cause::Received(from, bytes) if from == self.node => {
                self.heard = Some(now);
                Message::decode(bytes).ok()
            }
            Cause::Received(..) | Cause::Asked | Cause::Timeout => None,
        };
        for output in outputs {
            match output {
                LumiOutput::Transmit(message) => self.sent(now, message)?,
                LumiOutput::Done(id, answer) => self.ended(now, *id, *answer, cause, received)?,
                LumiOutput::Prove { node, challenge, .. } => {
                    let Some(proofs) = &mut self.proofs else {
                        ensure!(false, RightAnswer, "it proves something without a key");
                        continue;
                    };
                    ensure!(*node == self.node.into(), RightAnswer, "a proof goes to {node}");
                    proofs.proves(challenge, self.schedule)?;
                }
                LumiOutput::Proved | LumiOutput::Unproved => {}
                LumiOutput::Registration(change) => {
                    let is_lost = matches!(change, RegistrationChange::Lost(_));
                    ensure!(is_lost || self.is_lost, RequestsEnd, "regained what was not lost");
                    self.is_lost = is_lost;
                }
                LumiOutput::Missed { from, reason } => {
                    let is_theirs = matches!(received, Some(Message::Locate(locate)) if locate.from == *from);
                    ensure!(is_theirs, Refusals, "told that {from} asked at {cause:?}");
                    ensure!(
                        self.refusal(from, is_busy) == Some(*reason),
                        Refusals,
                        "told that {from} was refused: {reason}"
                    );
                    let last = self.missed.insert((*from, *reason), now);
                    ensure!(
                        last.is_none_or(|last| now - last >= MISSED_EVERY),
                        Refusals,
                        "told twice that {from} was refused: {reason}"
                    );
                }
                other => unreachable!("{other:?} is new"),
            }
        }
        if let Cause::Received(from, bytes) = cause {
            self.answers_questions(now, (from, bytes), received, is_busy, outputs)?;
        }
        self.are_in_time(now)
    }

    /// Checks that no request is older than it may be.
    pub(in crate::simulation) fn are_in_time(&self, now: Duration) -> Result<(), Violation> {
        for Running { id, kind, deadline, .. } in &self.running {
            ensure!(now <= *deadline, RequestsEnd, "{id:?}, {kind:?} should have ended at {deadline:?}");
        }
        Ok(())
    }

    fn sent(&mut self, now: Duration, message: &Message) -> Result<(), Violation> {
        let bytes = message.encode();
        ensure!(bytes.len() <= MAX_MESSAGE, ShortMessages, "{bytes:?}");
        let kind = match message {
            Message::Locate(locate) => {
                ensure!(locate.from == self.address, RightAnswer, "it asks as {}", locate.from);
                LumiRequest::Locate(locate.to)
            }
            Message::Deregister(_) => LumiRequest::Deregister,
            Message::Register(_) => return self.registered(now),
            Message::RequestChallenge { verb, address } => {
                let is_own = *address == self.address && self.proofs.is_some();
                ensure!(is_own, RightAnswer, "it asks for a challenge to {address}");
                let leaves = self.running.iter().any(|running| running.kind == LumiRequest::Deregister);
                ensure!(leaves || *verb == Verb::Register, RequestsEnd, "nobody asked for {bytes:?}");
                return Ok(());
            }
            _ => return Ok(()),
        };
        let running = self.running.iter_mut().filter(|running| running.kind == kind);
        let Some(running) = running.max_by_key(|running| running.may_be_sent) else {
            ensure!(false, RequestsEnd, "{bytes:?} is sent, and nobody asked for it");
            return Ok(());
        };
        ensure!(running.may_be_sent > 0, RequestsEnd, "{bytes:?} is sent once too often");
        running.may_be_sent -= 1;
        let passed = running.last_sent.replace(now).map(|last| now - last);
        ensure!(
            passed.is_none_or(|passed| passed >= running.schedule.interval),
            RequestsEnd,
            "{bytes:?} is sent again after {passed:?}"
        );
        Ok(())
    }

    /// It sent a `PR`, perhaps to refresh its registration.
    fn registered(&mut self, now: Duration) -> Result<(), Violation> {
        let passed = self.registered_last.replace(now).map(|last| now - last);
        // Its user may ask for one at any time.
        let is_asked = self.running.iter().any(|running| running.kind == LumiRequest::Register);
        ensure!(
            is_asked || passed.is_none_or(|passed| passed >= self.schedule.interval),
            RequestsEnd,
            "it registers again after {passed:?}"
        );
        Ok(())
    }

    fn ended(
        &mut self,
        now: Duration,
        id: RequestId,
        answer: LumiAnswer,
        cause: Cause<'_>,
        received: Option<Message>,
    ) -> Result<(), Violation> {
        let Some(position) = self.running.iter().position(|running| running.id == id) else {
            ensure!(false, RequestsEnd, "{id:?} ends, and is not under way");
            return Ok(());
        };
        let Running { kind, deadline, may_be_sent, .. } = self.running.swap_remove(position);
        ensure!(now <= deadline, RequestsEnd, "{kind:?} ends at {now:?}, after {deadline:?}");
        let proves = self.proofs.is_some();
        let is_right = match (answer, received) {
            (LumiAnswer::NotAdmitted | LumiAnswer::KeyNotKnown, _) => proves && kind == LumiRequest::Register,
            (LumiAnswer::SeenElsewhere(_), Some(message)) => {
                let own = self.proofs.as_ref().map(ProofLaws::own);
                message.challenge().is_some_and(|(_, challenge)| own.is_some_and(|own| own != challenge.seen))
            }
            // A deregistration ends the registrations under way.
            (LumiAnswer::None, _) => !matches!(cause, Cause::Received(..)),
            // It was asked for the last time an interval ago or more, and the node was heard since.
            (LumiAnswer::PeerSilent, _) => {
                let heard = self.heard.is_some_and(|heard| now - heard < self.schedule.interval);
                matches!(kind, LumiRequest::Locate(_)) && may_be_sent == 0 && heard
            }
            (LumiAnswer::Register(code), Some(Message::RegisterReply { code: said, .. })) => {
                kind == LumiRequest::Register && code == said
            }
            (LumiAnswer::Deregister(code), Some(Message::DeregisterReply { code: said, .. })) => {
                kind == LumiRequest::Deregister && code == said
            }
            (
                LumiAnswer::Locate { outcome, .. },
                Some(Message::LocateReply { locate, outcome: said, .. }),
            ) => locate.from == self.address && kind == LumiRequest::Locate(locate.to) && outcome == said,
            (LumiAnswer::Malformed(_), None) => {
                matches!(cause, Cause::Received(from, _) if from == self.node)
                    && matches!(kind, LumiRequest::Locate(_))
            }
            _ => false,
        };
        ensure!(is_right, RightAnswer, "{kind:?} ended with {answer:?} at {cause:?}");
        Ok(())
    }

    /// Returns the longest time that a request takes. After a location request, the node has one more
    /// interval to show that it answers.
    fn longest(&self, kind: LumiRequest, schedule: RequestSchedule) -> Duration {
        let asks_node = u32::from(matches!(kind, LumiRequest::Locate(_)));
        let plain = schedule.interval * (u32::from(schedule.attempts.get()) + asks_node);
        if self.proofs.is_some() && asks_node == 0 { plain + ProofLaws::LONGEST } else { plain }
    }

    fn refusal(&self, asker: &MiAddress, is_busy: bool) -> Option<Refusal> {
        let is_blocked = self.blocked.contains(asker);
        is_blocked.then_some(Refusal::Blocked).or(is_busy.then_some(Refusal::Busy))
    }

    fn answers_questions(
        &mut self,
        now: Duration,
        (from, bytes): (SocketAddrV4, &[u8]),
        received: Option<Message>,
        is_busy: bool,
        outputs: &[LumiOutput],
    ) -> Result<(), Violation> {
        let may_refresh = matches!(
            received,
            Some(Message::LocateReply { outcome: LocateOutcome::NoSuchUser | LocateOutcome::Offline, .. })
        );
        let sent: Vec<_> = outputs
            .iter()
            .filter(|output| !may_refresh || !matches!(output, LumiOutput::Transmit(Message::Register(_))))
            .filter_map(|output| match output {
                LumiOutput::Transmit(Message::RequestChallenge { .. }) => None,
                LumiOutput::Transmit(message) => Some(message.encode().to_vec()),
                LumiOutput::Prove { .. } | LumiOutput::Proved | LumiOutput::Unproved => None,
                LumiOutput::Done(..) | LumiOutput::Registration(_) | LumiOutput::Missed { .. } => None,
                other => unreachable!("{other:?} is new"),
            })
            .collect();
        let expected = match received {
            Some(Message::Locate(locate)) if locate.to.user() == self.address.user() => {
                let refusal = self.refusal(&locate.from, is_busy);
                let is_told = sent.first().is_some_and(|answer| answer.starts_with(b"RL0"));
                ensure!(
                    !is_told || !matches!(refusal, Some(Refusal::Blocked)),
                    Refusals,
                    "{} is blocked, and told where",
                    locate.from
                );
                let found = LocateOutcome::Found(self.listening);
                let outcome = refusal.map_or(found, |_| LocateOutcome::Busy);
                let is_offered = sent.first().is_some_and(|answer| answer.ends_with(b":T"));
                let extension = match self.offers.as_mut().filter(|_| refusal.is_none()) {
                    Some(offers) => {
                        let offers_now = offers.expects(now, &locate).unwrap_or(is_offered);
                        offers.answered(now, locate, offers_now);
                        if offers_now { Extension::new(b"T").expect("it is short") } else { Extension::NONE }
                    }
                    None => Extension::NONE,
                };
                vec![Message::LocateReply { locate, outcome, extension }.encode().to_vec()]
            }
            _ => Vec::new(),
        };
        ensure!(
            sent == expected,
            AgentsAnswer,
            "to {} from {from}, it said {:?}",
            bytes.escape_ascii(),
            sent.iter().map(|bytes| bytes.escape_ascii().to_string()).collect::<Vec<_>>()
        );
        Ok(())
    }
}

/// The time for which a refusal is not reported again.
const MISSED_EVERY: Duration = Duration::from_secs(60);
