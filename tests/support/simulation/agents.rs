//! An agent: its program, ours or an emulator, and the host it runs on.

mod effects;
mod names;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU8;
use std::time::Duration;

use message_log::Direction;
use mi_agent_core::{Admission, ClientSettings, LumiClient, LumiRequest, RequestId, RequestSchedule};
use plumi_proto::{MiAddress, MiSocketAddress};

use super::keys::Keyring;
use super::laws::{AgentLaws, Cause, Violation};
use super::network::{Datagram, Sender};
use super::nodes::Node;
use super::proofs::Prover;
use super::scenario::{Program, UserPlan};
use super::world::{Event, World};
use crate::emulators::{AgentEmulator, LAgent, SAgent};

/// An agent, its user and its host.
#[derive(Debug)]
pub(super) struct Agent {
    plan: UserPlan,
    node: SocketAddrV4,
    /// It has to register as `PRuser`.
    is_bare: bool,
    /// The datagrams that wait for it while it is frozen.
    held: Option<Vec<Datagram>>,
    /// The number of times that it has been started.
    life: u32,
    at: SocketAddrV4,
    /// The address that it publishes.
    listening: SocketAddrV4,
    /// Everything that a lookup of its user could truthfully give so far.
    listened: BTreeSet<SocketAddrV4>,
    timeout: Option<Duration>,
    stage: Stage,
    is_talking: bool,
    pub(super) keys: Keyring,
    pub(super) prover: Option<Prover>,
    pub(super) process: Option<Process>,
}

/// The program, while it runs.
#[derive(Debug)]
pub(super) enum Process {
    Ours { client: Box<LumiClient>, laws: Box<AgentLaws>, requests: Vec<(RequestId, LumiRequest)> },
    Emulated(Box<dyn AgentEmulator>),
}

/// The registration of an agent, as its user knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The program does not run.
    Off,
    /// It has not been registered yet.
    Starting,
    /// It was registered.
    On,
    /// Its user has asked to leave.
    Leaving,
}

impl Agent {
    pub(super) fn new(nodes: &[Node], plan: UserPlan, keys: Keyring, prover: Option<Prover>) -> Self {
        let home = &nodes[plan.home];
        let nowhere = SocketAddrV4::new(plan.host, 0);
        Self {
            node: home.at(),
            is_bare: home.program() == Program::S,
            keys,
            prover,
            process: None,
            held: None,
            life: 0,
            at: nowhere,
            listening: nowhere,
            listened: BTreeSet::new(),
            timeout: None,
            stage: Stage::Off,
            is_talking: false,
            plan,
        }
    }

    pub(super) fn program(&self) -> Program {
        self.plan.program
    }

    pub(super) fn address(&self) -> MiAddress {
        self.plan.address
    }

    pub(super) fn home(&self) -> usize {
        self.plan.home
    }

    pub(super) fn host(&self) -> Ipv4Addr {
        self.plan.host
    }

    pub(super) fn at(&self) -> SocketAddrV4 {
        self.at
    }

    pub(super) fn life(&self) -> u32 {
        self.life
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    pub(super) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.held.is_some()
    }

    pub(super) fn is_talking(&self) -> bool {
        self.is_talking
    }

    /// Returns whether a caller that was told `found` and dials it gets this agent.
    pub(super) fn listens_at(&self, found: SocketAddrV4) -> bool {
        self.is_running()
            && found.port() == self.listening.port()
            && (*found.ip() == self.plan.host || found.ip().is_unspecified())
    }

    /// Returns whether its user can ask for something now.
    pub(super) fn may_ask(&self) -> bool {
        !self.is_frozen()
            && match &self.process {
                None => false,
                Some(Process::Ours { client, .. }) => client.has_room(),
                Some(Process::Emulated(emulator)) => !emulator.is_waiting(),
            }
    }

    /// Returns whether it asks for `to`, or to be registered, already.
    pub(super) fn is_asking(&self, kind: LumiRequest) -> bool {
        match &self.process {
            Some(Process::Ours { requests, .. }) => requests.iter().any(|(_, other)| *other == kind),
            Some(Process::Emulated(emulator)) => emulator.is_waiting(),
            None => false,
        }
    }
}

impl World {
    /// Starts the agent at new ports; it registers.
    pub(super) fn start_agent(&mut self, number: usize) -> Result<(), Violation> {
        let (port, listening) = (self.free_port(self.agents[number].plan.host), self.rng.u16(1_024..));
        let agent = &mut self.agents[number];
        agent.keys.restart(&mut self.middle.rng);
        let offers_tls = agent.keys.offered().is_some();
        let UserPlan { address, program, host, knows_no_address, refresh, .. } = agent.plan;
        let published = if knows_no_address { Ipv4Addr::UNSPECIFIED } else { host };
        agent.at = SocketAddrV4::new(host, port);
        agent.listening = SocketAddrV4::new(published, listening);
        // Its node may put its address in the place of 0.0.0.0.
        agent.listened.extend([agent.listening, SocketAddrV4::new(host, listening)]);
        let (name, node) = (address.as_str(), agent.node);
        agent.process = Some(match program {
            Program::Ours => {
                let listening = MiSocketAddress::new(agent.listening).expect("a port");
                let schedule = RequestSchedule::default();
                let proves = agent.prover.as_ref().filter(|_| !agent.is_bare);
                let own = proves.map(|_| agent.at);
                let laws = AgentLaws::new(address, node, listening, schedule, offers_tls).proves_at(own);
                let mut settings = ClientSettings::new(address, node.into(), listening);
                (settings.bare, settings.refresh) = (agent.is_bare, Some(refresh));
                settings.offers_tls = offers_tls;
                settings.proofs =
                    proves.map(|prover| prover.settings(&mut self.proof_attackers.rng, agent.at));
                let (client, laws) = (Box::new(LumiClient::new(settings)), Box::new(laws));
                Process::Ours { client, laws, requests: Vec::new() }
            }
            Program::L => Process::Emulated(Box::new(LAgent::new(name, node, agent.listening))),
            Program::S => Process::Emulated(Box::new(SAgent::new(name, node, agent.listening))),
        });
        agent.life += 1;
        agent.stage = Stage::Starting;
        agent.timeout = None;
        self.sockets.insert(agent.at, Sender::Agent(number));
        self.trace.note(self.now, format_args!("agent {name} starts at {}", agent.at));
        self.ask(number, LumiRequest::Register)
    }

    /// The agent's process is gone.
    pub(super) fn stop_agent(&mut self, number: usize) {
        let agent = &mut self.agents[number];
        if agent.process.take().is_some() {
            self.sockets.remove(&agent.at);
            self.trace.note(self.now, format_args!("agent {} is gone", agent.plan.address));
        }
        agent.held = None;
        agent.stage = Stage::Off;
        agent.is_talking = false;
    }

    /// The agent's process stands still, and its socket does not.
    pub(super) fn freeze_agent(&mut self, number: usize) {
        self.trace.note(self.now, format_args!("agent {} is frozen", self.agents[number].plan.address));
        self.agents[number].held.get_or_insert_default();
    }

    pub(super) fn thaw_agent(&mut self, number: usize) -> Result<(), Violation> {
        let now = self.now;
        let agent = &mut self.agents[number];
        let Some(held) = agent.held.take() else { return Ok(()) };
        if let Some(Process::Ours { laws, .. }) = &mut agent.process {
            laws.thawed(now);
        }
        self.trace.note(now, format_args!("agent {} thaws", agent.plan.address));
        // A process may see either of the two first.
        let is_time_first = self.rng.bool();
        if is_time_first {
            self.agents[number].timeout = Some(now);
            self.agent_timeout(number)?;
        }
        for datagram in held {
            self.agent_receives(number, datagram)?;
        }
        self.agents[number].timeout = Some(now);
        self.agent_timeout(number)
    }

    /// The agent's user asks for something.
    pub(super) fn ask(&mut self, number: usize, kind: LumiRequest) -> Result<(), Violation> {
        self.ask_by(number, kind, None)
    }

    /// The agent's user, who has asked to leave, is in a hurry.
    pub(super) fn hurry(&mut self, number: usize) -> Result<(), Violation> {
        let attempts = NonZeroU8::new(2).expect("is not 0");
        let schedule = RequestSchedule::new(attempts, Duration::from_millis(300));
        self.ask_by(number, LumiRequest::Deregister, Some(schedule))
    }

    fn ask_by(
        &mut self,
        number: usize,
        kind: LumiRequest,
        schedule: Option<RequestSchedule>,
    ) -> Result<(), Violation> {
        let (now, instant) = (self.now, self.instant());
        let agent = &mut self.agents[number];
        match kind {
            LumiRequest::Locate(_) => self.statistics.lookups += 1,
            LumiRequest::Deregister => agent.stage = Stage::Leaving,
            LumiRequest::Register => {}
            other => unreachable!("{other:?} is new"),
        }
        match &mut agent.process {
            None => Ok(()),
            Some(Process::Ours { client, laws, requests }) => {
                let id = client.request(instant, kind, schedule);
                laws.asked(now, id, kind, schedule);
                requests.push((id, kind));
                self.our_agent_did(number, Cause::Asked, None)
            }
            Some(Process::Emulated(emulator)) => {
                match kind {
                    LumiRequest::Register => emulator.start(instant),
                    LumiRequest::Deregister => emulator.deregister(instant),
                    LumiRequest::Locate(to) => emulator.locate(instant, to.as_str()),
                    other => unreachable!("{other:?} is new"),
                }
                self.emulated_agent_did(number, None)
            }
        }
    }

    pub(super) fn agent_receives(&mut self, number: usize, datagram: Datagram) -> Result<(), Violation> {
        let instant = self.instant();
        let agent = &mut self.agents[number];
        if let Some(held) = &mut agent.held {
            if held.len() < MAX_HELD {
                held.push(datagram);
            }
            return Ok(());
        }
        let Datagram { from, bytes, .. } = &datagram;
        match &mut agent.process {
            None => Ok(()),
            Some(Process::Ours { client, .. }) => {
                self.log.write(agent.plan.address.as_str(), Direction::Received, *from, bytes)?;
                client.handle_datagram(instant, (*from).into(), bytes);
                self.our_agent_did(number, Cause::Received(*from, bytes), Some(&datagram))
            }
            Some(Process::Emulated(emulator)) => {
                emulator.datagram(instant, *from, bytes);
                self.emulated_agent_did(number, Some(&datagram))
            }
        }
    }

    pub(super) fn agent_timeout(&mut self, number: usize) -> Result<(), Violation> {
        let (now, instant) = (self.now, self.instant());
        let agent = &mut self.agents[number];
        if agent.timeout != Some(now) || agent.held.is_some() {
            return Ok(());
        }
        agent.timeout = None;
        match &mut agent.process {
            None => Ok(()),
            Some(Process::Ours { client, .. }) => {
                client.handle_timeout(instant);
                self.our_agent_did(number, Cause::Timeout, None)
            }
            Some(Process::Emulated(emulator)) => {
                emulator.timeout(instant);
                self.emulated_agent_did(number, None)
            }
        }
    }

    /// ICMP says that a port is closed, to which the agent sent something.
    pub(super) fn agent_refused(&mut self, number: usize) -> Result<(), Violation> {
        let agent = &mut self.agents[number];
        self.statistics.fault("refused datagram to an agent");
        match &mut agent.process {
            // A lost try, of which the client is not told.
            None | Some(Process::Ours { .. }) => Ok(()),
            Some(Process::Emulated(emulator)) => {
                emulator.icmp_refused();
                self.emulated_agent_did(number, None)
            }
        }
    }

    /// The agent is in a conversation from now on, or is not.
    pub(super) fn set_talking(&mut self, number: usize, is_talking: bool) {
        let agent = &mut self.agents[number];
        agent.is_talking = is_talking;
        match &mut agent.process {
            None => {}
            Some(Process::Ours { client, .. }) => client.set_busy(is_talking),
            Some(Process::Emulated(emulator)) => emulator.set_busy(is_talking),
        }
    }

    /// The agent's user blocks these, and nobody else.
    pub(super) fn block(&mut self, number: usize, blocked: Vec<MiAddress>) {
        if let Some(Process::Ours { client, laws, .. }) = &mut self.agents[number].process {
            let mut admission = Admission::default();
            for address in &blocked {
                admission.block(*address).expect("they are few");
            }
            client.set_admission(admission);
            laws.blocks(blocked);
        }
    }

    /// Returns whether the agent has told its user that it is not registered, and not that it is again.
    pub(super) fn is_lost(&self, number: usize) -> bool {
        matches!(&self.agents[number].process, Some(Process::Ours { laws, .. }) if laws.is_lost())
    }

    /// Checks that all requests of our agents have ended that should have.
    pub(super) fn requests_are_in_time(&self) -> Result<(), Violation> {
        for agent in self.agents.iter().filter(|agent| !agent.is_frozen()) {
            if let Some(Process::Ours { laws, .. }) = &agent.process {
                laws.are_in_time(self.now)?;
            }
        }
        Ok(())
    }

    fn agent_is_due(&mut self, number: usize, due: Option<Duration>) {
        if due != self.agents[number].timeout {
            self.agents[number].timeout = due;
            if let Some(due) = due {
                self.at(due, Event::Timeout(Sender::Agent(number)));
            }
        }
    }

    /// A UDP port that nobody has on this host, and that is no node's.
    fn free_port(&mut self, host: Ipv4Addr) -> u16 {
        loop {
            let port = self.rng.u16(4_000..);
            if !self.sockets.contains_key(&SocketAddrV4::new(host, port)) {
                return port;
            }
        }
    }
}

/// Datagrams that the socket of a frozen process keeps: what 208 KiB hold of small ones.
const MAX_HELD: usize = 256;
