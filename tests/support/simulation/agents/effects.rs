//! The effects of an agent, carried out.

use std::net::SocketAddrV4;

use message_log::Direction;
use mi_agent_core::{LumiAnswer, LumiOutput, LumiRequest, RequestId};
use plumi_proto::{LocateOutcome, RegisterCode};

use super::names::{answer_name, failure_name, request_name};
use super::{Process, Stage};
use crate::emulators::{Death, Effect, Request};
use crate::simulation::laws::{Cause, Violation, ensure};
use crate::simulation::network::{Datagram, Sender};
use crate::simulation::world::World;

/// Returns whether the fifth field of an `RL0`, behind two users, an address and a port, is `T` (protocol.md
/// §11).
fn offers_tls_in(answer: &[u8]) -> bool {
    answer.split(|byte| *byte == b':').nth(4) == Some(b"T")
}

impl World {
    pub(super) fn our_agent_did(
        &mut self,
        number: usize,
        cause: Cause<'_>,
        led: Option<&Datagram>,
    ) -> Result<(), Violation> {
        let now = self.now;
        let agent = &mut self.agents[number];
        let Some(Process::Ours { client, laws, .. }) = &mut agent.process else { return Ok(()) };
        let outputs: Vec<_> = std::iter::from_fn(|| client.poll_output()).collect();
        laws.did(now, cause, agent.is_talking, &outputs)?;
        let (from, to, address) = (agent.at, agent.node, agent.plan.address);
        for output in outputs {
            match output {
                LumiOutput::Transmit(message) => {
                    let bytes = message.encode().to_vec();
                    self.log.write(address.as_str(), Direction::Sent, to, &bytes)?;
                    let (content, cause) = led.map(|led| (led.content, led.cause)).unwrap_or_default();
                    self.send(Datagram { from, to, bytes, sender: Sender::Agent(number), content, cause });
                }
                LumiOutput::Done(id, answer) => self.request_ended(number, id, answer, led)?,
                LumiOutput::Missed { from, reason } => {
                    self.trace.note(now, format_args!("agent {address}: {from} was refused: {reason}"));
                }
                LumiOutput::Prove { node, verb, challenge } => {
                    let prover = self.agents[number].prover.as_ref().expect("it has a key");
                    let bytes = prover.prove(verb, &address, &challenge).encode().to_vec();
                    let to = SocketAddrV4::new(node.ip(), node.port());
                    self.log.write(address.as_str(), Direction::Sent, to, &bytes)?;
                    let (content, cause) = led.map(|led| (led.content, led.cause)).unwrap_or_default();
                    self.send(Datagram { from, to, bytes, sender: Sender::Agent(number), content, cause });
                }
                LumiOutput::Proved => {
                    if let Some(prover) = &mut self.agents[number].prover {
                        prover.is_enrolled = true;
                    }
                }
                LumiOutput::Unproved => {
                    self.trace.note(now, format_args!("agent {address}: nobody asked for a proof"));
                }
                LumiOutput::Registration(change) => {
                    self.trace.note(now, format_args!("agent {address}: {change:?}"));
                }
                other => unreachable!("{other:?} is new"),
            }
        }
        let agent = &self.agents[number];
        let Some(Process::Ours { client, .. }) = &agent.process else { return Ok(()) };
        let due = client.poll_timeout().map(|instant| self.time_of(instant));
        self.agent_is_due(number, due);
        Ok(())
    }

    fn request_ended(
        &mut self,
        number: usize,
        id: RequestId,
        answer: LumiAnswer,
        led: Option<&Datagram>,
    ) -> Result<(), Violation> {
        let agent = &mut self.agents[number];
        let Some(Process::Ours { requests, .. }) = &mut agent.process else { return Ok(()) };
        let Some(position) = requests.iter().position(|(other, _)| *other == id) else { return Ok(()) };
        let (_, kind) = requests.swap_remove(position);
        let (asked, outcome) = (request_name(kind), answer_name(answer));
        *self.statistics.requests.entry(format!("{asked}: {outcome}")).or_default() += 1;
        self.trace.note(self.now, format_args!("agent {}: {kind:?}: {answer:?}", agent.plan.address));
        match (kind, answer) {
            (LumiRequest::Register, LumiAnswer::Register(RegisterCode::Registered)) => {
                agent.stage = if agent.stage == Stage::Leaving { Stage::Leaving } else { Stage::On };
                Ok(())
            }
            (LumiRequest::Deregister, _) => {
                self.stop_agent(number);
                Ok(())
            }
            (
                LumiRequest::Locate(to),
                LumiAnswer::Locate { outcome: LocateOutcome::Found(found), offers_tls },
            ) => {
                let found = found.into();
                let is_offer = led.is_some_and(|led| offers_tls_in(&led.bytes));
                ensure!(is_offer == offers_tls, RightAnswer, "an offer of {to} was misread: {led:?}");
                let is_clean = led.is_some_and(|led| !led.content.attacker && !led.content.altered);
                let callee = self.agents.iter().find(|agent| agent.plan.address == to);
                ensure!(
                    !is_clean || callee.is_some_and(|agent| agent.listened.contains(&found)),
                    RightAddress,
                    "{to} was found at {found}, where it never was"
                );
                self.found(number, to.as_str(), found, offers_tls)
            }
            (LumiRequest::Locate(to), answer) => self.not_found(number, to.as_str(), &format!("{answer:?}")),
            (LumiRequest::Register, _) => Ok(()),
            other => unreachable!("{other:?} is new"),
        }
    }

    pub(super) fn emulated_agent_did(
        &mut self,
        number: usize,
        led: Option<&Datagram>,
    ) -> Result<(), Violation> {
        while let Some(Process::Emulated(emulator)) = &mut self.agents[number].process {
            let Some(effect) = emulator.poll_output() else { break };
            let agent = &mut self.agents[number];
            match effect {
                Effect::Send(to, bytes) => {
                    let (from, sender) = (agent.at, Sender::Agent(number));
                    let (content, cause) = led.map(|led| (led.content, led.cause)).unwrap_or_default();
                    self.send(Datagram { from, to, bytes, sender, content, cause });
                }
                Effect::Registered => agent.stage = Stage::On,
                Effect::Deregistered | Effect::Failed(Request::Deregister, _) => self.stop_agent(number),
                Effect::Located { to, at } => self.found(number, &to, at, false)?,
                Effect::Failed(Request::Locate(to), failure) => {
                    self.not_found(number, &to, &failure_name(&failure))?;
                }
                Effect::Failed(Request::Register, _) | Effect::Odd(_) => {}
                Effect::Died(death) => self.emulated_agent_dies(number, &death, led)?,
            }
        }
        let due = match &self.agents[number].process {
            Some(Process::Emulated(emulator)) => emulator.poll_timeout(),
            _ => None,
        };
        let due = due.map(|instant| self.time_of(instant));
        self.agent_is_due(number, due);
        Ok(())
    }

    pub(in crate::simulation) fn emulated_agent_dies(
        &mut self,
        number: usize,
        death: &Death,
        led: Option<&Datagram>,
    ) -> Result<(), Violation> {
        self.emulator_died(Sender::Agent(number), death, led)?;
        self.stop_agent(number);
        self.restart_later(Sender::Agent(number));
        Ok(())
    }
}
