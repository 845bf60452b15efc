//! The registrations and deregistrations that a client proves (protocol.md §12).

use std::time::Instant;

use plumi_proto::{DeregisterCode, HostIp, NodeAddress, RegisterCode, Verb};

use super::{LumiClient, Whereabouts};
use crate::state::client_settings::ProofSettings;
use crate::state::output::{LossReason, LumiOutput};
use crate::state::proving::{End, Proving, Reaction, Reply, pause};
use crate::state::request::{LumiAnswer, LumiRequest, RequestSchedule};
use crate::state::source::ExpectedSource;

/// The proofs of a client that has a key.
#[derive(Debug)]
pub(super) struct Proofs {
    /// The node knows the user's key, as far as the client can tell.
    is_enrolled: bool,
    source: Option<ExpectedSource>,
    random: u64,
    /// The dialogue that is under way. There is one at most: a deregistration ends registrations.
    proving: Option<Proving>,
}

impl Proofs {
    pub(super) fn new(settings: ProofSettings) -> Self {
        let ProofSettings { is_enrolled, source, seed } = settings;
        Self { is_enrolled, source, random: seed, proving: None }
    }

    /// Returns the next random bits (SplitMix64).
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ self.random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

impl LumiClient {
    /// Sets this host's address on the way to the node, at which the node has to see this client from now on.
    ///
    /// Nothing changes if the node may see it anywhere, or at an address that the program named.
    pub fn set_own_ip(&mut self, ip: HostIp) {
        if let Some(Proofs { source: Some(source @ ExpectedSource { is_any_port: false, .. }), .. }) =
            &mut self.proofs
        {
            source.ip = ip;
        }
    }

    /// Begins a request that the node wants proved. Returns `false` if it is sent in its plain form.
    pub(super) fn proves_from_the_start(
        &mut self,
        now: Instant,
        kind: LumiRequest,
        schedule: RequestSchedule,
        in_a_hurry: bool,
    ) -> bool {
        let verb = match kind {
            LumiRequest::Register => Verb::Register,
            LumiRequest::Deregister => Verb::Deregister,
            LumiRequest::Locate(_) => return false,
        };
        let Some(proofs) = &mut self.proofs else { return false };
        let is_enrolled = proofs.is_enrolled;
        let replaced = proofs.proving.take_if(|proving| proving.verb() != verb);
        // A request of a user that has not enrolled joins the dialogue that decides about an earlier one.
        let is_under_way = proofs.proving.is_some();
        if is_enrolled {
            // The challenge and its proof share the time of one request.
            let interval = if in_a_hurry { schedule.interval / 2 } else { schedule.interval };
            self.prove(now, verb, RequestSchedule { interval, ..schedule }, false);
            self.leave_requests_to_proof(&kind);
        }
        if replaced.is_some() {
            self.end_requests(|other| *other != kind && !is_locate(other), LumiAnswer::None);
        }
        is_enrolled || is_under_way
    }

    /// Answers the refusal of a plain `PR` by a request for a challenge. Returns `false` if there was no such
    /// `PR`, or if nothing can be proved.
    pub(super) fn proves_after_refusal(&mut self, now: Instant) -> bool {
        if self.proofs.is_none() {
            return false;
        }
        let has_asked = self.leave_requests_to_proof(&LumiRequest::Register)
            || self.refresh.is_asking_plainly() && self.refresh.leave_to_proof(now);
        if has_asked {
            self.prove(now, Verb::Register, self.schedule, true);
        }
        has_asked
    }

    /// Registers a registered user again at once, by a proof if the node wants one.
    pub(super) fn register_at_once(&mut self, now: Instant) {
        if !self.is_enrolled() {
            self.refresh.ask_at_once(now, &mut self.outputs);
        } else if self.refresh.leave_to_proof(now) {
            self.prove(now, Verb::Register, self.schedule, false);
        }
    }

    /// Registers a registered user at another address of the node, before anything is asked of it.
    pub(super) fn register_at_another(&mut self, now: Instant) {
        let is_under_way = self.proofs.as_ref().is_some_and(|proofs| proofs.proving.is_some());
        if is_under_way {
            // The request that is due is for a challenge, and goes there.
        } else if self.is_enrolled() {
            self.register_at_once(now);
        } else {
            self.refresh.repeat(now, &mut self.outputs);
        }
    }

    /// Handles an `RR` or `RD`. `None`: no dialogue is about that.
    pub(super) fn handle_proof_reply(
        &mut self,
        now: Instant,
        from: NodeAddress,
        verb: Verb,
        reply: Reply,
    ) -> Option<bool> {
        let proofs = self.proofs.as_mut()?;
        let (random, source) = (proofs.next_random(), proofs.source);
        let proving = proofs.proving.as_mut().filter(|proving| proving.verb() == verb)?;
        match proving.handle_reply(now, from, reply, source, pause(random), &mut self.outputs) {
            Reaction::Stray => return Some(false),
            Reaction::GoesOn => {}
            Reaction::Over(end) => {
                proofs.proving = None;
                self.proof_ended(now, verb, end, from);
            }
        }
        // The host that asks for a proof is the one that will have the user.
        self.nodes.stay_at(from);
        Some(true)
    }

    pub(super) fn handle_proof_timeout(&mut self, now: Instant) {
        let Some(Proofs { proving: proving_now @ Some(_), .. }) = &mut self.proofs else { return };
        let Some(proving) = proving_now else { return };
        let (nodes, verb) = (&mut self.nodes, proving.verb());
        let count = nodes.count();
        let turn = || nodes.turn(now, std::time::Duration::ZERO);
        if let Some(end) = proving.handle_timeout(now, count, turn, &mut self.outputs) {
            *proving_now = None;
            self.proof_ended(now, verb, end, self.node());
        }
    }

    pub(super) fn proof_timeout(&self) -> Option<Instant> {
        self.proofs.as_ref()?.proving.as_ref().map(Proving::poll_timeout)
    }

    /// Returns whether a request for a challenge is due to be sent again.
    pub(super) fn repeats_challenge_request(&self, now: Instant) -> bool {
        let proving = self.proofs.as_ref().and_then(|proofs| proofs.proving.as_ref());
        proving.is_some_and(|proving| proving.is_repeated(now))
    }

    fn is_enrolled(&self) -> bool {
        self.proofs.as_ref().is_some_and(|proofs| proofs.is_enrolled)
    }

    fn prove(&mut self, now: Instant, verb: Verb, schedule: RequestSchedule, follows_refusal: bool) {
        let Some(proofs) = &mut self.proofs else { return };
        let proving = Proving::begin(now, verb, self.address, schedule, &mut self.outputs);
        proofs.proving = Some(if follows_refusal { proving.after_refusal() } else { proving });
    }

    /// Leaves the requests of this kind to the dialogue. Returns whether there are any.
    fn leave_requests_to_proof(&mut self, kind: &LumiRequest) -> bool {
        let mut are_any = false;
        for request in self.requests.iter_mut().filter(|request| request.kind == *kind) {
            request.is_proving = true;
            are_any = true;
        }
        are_any
    }

    fn proof_ended(&mut self, now: Instant, verb: Verb, end: End, from: NodeAddress) {
        match verb {
            Verb::Register => self.registration_ended(now, end, from),
            Verb::Deregister => {
                let answer = match end {
                    End::Accepted { .. } => LumiAnswer::Deregister(DeregisterCode::Deregistered),
                    End::Refused { .. } => LumiAnswer::Deregister(DeregisterCode::NoSuchUser),
                    End::Silent => LumiAnswer::None,
                    End::SeenElsewhere(elsewhere) => LumiAnswer::SeenElsewhere(elsewhere),
                };
                self.registered &= !matches!(end, End::Accepted { .. } | End::Refused { .. });
                self.end_requests(|kind| *kind == LumiRequest::Deregister, answer);
            }
        }
    }

    fn registration_ended(&mut self, now: Instant, end: End, from: NodeAddress) {
        let (answer, outcome) = match end {
            End::Accepted { .. } => (LumiAnswer::Register(RegisterCode::Registered), Ok(())),
            End::Refused { has_proved: true } => (LumiAnswer::KeyNotKnown, Err(LossReason::KeyNotKnown)),
            End::Refused { has_proved: false } => (LumiAnswer::NotAdmitted, Err(LossReason::NoSuchUser)),
            End::Silent => (LumiAnswer::None, Err(LossReason::NoAnswer)),
            End::SeenElsewhere(elsewhere) => {
                (LumiAnswer::SeenElsewhere(elsewhere), Err(LossReason::SeenElsewhere(elsewhere)))
            }
        };
        if let (End::Accepted { is_proved }, Some(proofs)) = (end, &mut self.proofs) {
            proofs.is_enrolled |= is_proved;
            self.outputs.push_back(if is_proved { LumiOutput::Proved } else { LumiOutput::Unproved });
            self.nodes.stay_at(from);
            self.registered_at = Some(Whereabouts { node: from, listening: self.listening });
        }
        // The node may still have the user, although it does not answer.
        self.registered = outcome.is_ok() || self.registered && end == End::Silent;
        if !self.end_requests(|kind| *kind == LumiRequest::Register, answer) {
            self.refresh.proof_ended(now, outcome, &mut self.outputs);
        } else if end != End::Silent {
            let code = outcome.map_or(RegisterCode::NoSuchUser, |()| RegisterCode::Registered);
            self.refresh.decided(now, code, &mut self.outputs);
        }
    }
}

fn is_locate(kind: &LumiRequest) -> bool {
    matches!(kind, LumiRequest::Locate(_))
}
