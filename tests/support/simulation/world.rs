//! The world of one seed: everybody in it, the time, and what happens next.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use fastrand::Rng;
use lumi_dns::{FoundNode, LookupError};
use lumi_node_core::LookupId;
use plumi_proto::Message;

use super::agents::Agent;
use super::attackers::Attackers;
use super::dns::Dns;
use super::ending::Ending;
use super::faults::Remedy;
use super::laws::{Violation, ensure};
use super::log::Log;
use super::network::{Datagram, Network, Sender};
use super::nodes::Node;
use super::report::Statistics;
use super::scenario::{Dangers, Program, Scenario};
use super::trace::Trace;

/// Everybody and everything, at one moment. Times count from the beginning.
#[derive(Debug)]
pub(super) struct World {
    start: Instant,
    pub(super) now: Duration,
    /// How much has happened at this very time.
    at_once: u32,
    pub(super) rng: Rng,
    queue: BTreeMap<(Duration, u64), Event>,
    queued: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) agents: Vec<Agent>,
    /// Who is bound to a UDP address.
    pub(super) sockets: BTreeMap<SocketAddrV4, Sender>,
    pub(super) network: Network,
    pub(super) dns: Dns,
    pub(super) attackers: Attackers,
    pub(super) dangers: Dangers,
    pub(super) ending: Ending,
    pub(super) log: Log,
    pub(super) trace: Trace,
    pub(super) statistics: Statistics,
}

/// What happens at a certain time.
#[derive(Debug)]
pub(super) enum Event {
    /// A datagram is there.
    Arrives(Datagram),
    /// ICMP tells who is bound to this address that a port is closed.
    Refused(SocketAddrV4),
    /// The time that a node or an agent named has come.
    Timeout(Sender),
    /// DNS answers this node in this of its lives.
    Resolved { node: usize, life: u32, id: LookupId, answer: Result<FoundNode, LookupError> },
    /// The user of this agent does something.
    User(usize),
    /// A conversation of these agents, in these of their lives, ends.
    HangUp([(usize, u32); 2]),
    /// Something breaks.
    Fault,
    /// Something that broke is mended.
    Mended(Remedy),
    /// Strangers do something.
    Attack,
    /// The network heals, and what follows from that.
    Ending,
}

impl World {
    /// The world that `seed` draws, in which nothing has happened.
    pub(super) fn new(seed: u64, is_traced: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let scenario = Scenario::draw(&mut rng);
        let mut dns = Dns::new(rng.fork(), scenario.is_dns_slow);
        for plan in &scenario.domains {
            dns.add(&plan.domain, plan.node);
        }
        for (alias, node) in &scenario.aliases {
            dns.add(alias, *node);
        }
        let aliases = scenario.aliases.iter().map(|(alias, _)| *alias).collect();
        let attackers = Attackers::new(rng.fork(), &scenario.domains, &scenario.users, aliases);
        let nodes: Vec<_> =
            scenario.domains.into_iter().map(|plan| Node::new(plan, &scenario.users)).collect();
        let agents = scenario.users.into_iter().map(|plan| Agent::new(&nodes, plan)).collect();
        let mut world = Self {
            start: tokio::time::Instant::now().into_std(),
            now: Duration::ZERO,
            at_once: 0,
            queue: BTreeMap::new(),
            queued: 0,
            nodes,
            agents,
            sockets: BTreeMap::new(),
            network: Network::new(rng.fork(), scenario.weather),
            dns,
            attackers,
            dangers: scenario.dangers,
            ending: Ending::default(),
            log: Log::start(),
            trace: Trace::new(is_traced),
            statistics: Statistics { seeds: 1, ..Statistics::default() },
            rng,
        };
        world.begin(scenario.chaos);
        world
    }

    fn begin(&mut self, chaos: Duration) {
        for number in 0..self.nodes.len() {
            self.start_node(number);
        }
        for number in 0..self.agents.len() {
            let after = self.milliseconds(0..2_000);
            self.after(after, Event::User(number));
        }
        self.after(Duration::from_secs(1), Event::Fault);
        self.after(Duration::from_secs(1), Event::Attack);
        self.after(chaos, Event::Ending);
    }

    /// Lets everything happen, up to the end or the first law that is broken.
    pub(super) fn run(&mut self) -> Result<(), Violation> {
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.at_once = if at == self.now { self.at_once + 1 } else { 0 };
            ensure!(self.at_once < MAX_AT_ONCE, Bounds, "there is no end to what happens at once");
            self.now = at;
            self.statistics.events += 1;
            match event {
                Event::Arrives(datagram) => self.arrives(datagram)?,
                Event::Refused(address) => self.refused(address)?,
                Event::Timeout(Sender::Node(number)) => self.node_timeout(number)?,
                Event::Timeout(Sender::Agent(number)) => self.agent_timeout(number)?,
                Event::Timeout(Sender::Attacker) => {}
                Event::Resolved { node, life, id, answer } => self.resolved(node, life, id, answer)?,
                Event::User(number) => self.user_acts(number)?,
                Event::HangUp(both) => self.hang_up(both)?,
                Event::Fault => self.fault()?,
                Event::Mended(remedy) => self.mended(remedy)?,
                Event::Attack => self.attack(),
                Event::Ending => self.goes_on_to_the_end()?,
            }
            if self.ending.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// The beginning, as programs see it.
    pub(super) fn start(&self) -> Instant {
        self.start
    }

    /// The time as programs see it.
    pub(super) fn instant(&self) -> Instant {
        self.start + self.now
    }

    /// A time that a program named, which may be over.
    pub(super) fn time_of(&self, instant: Instant) -> Duration {
        (instant - self.start).max(self.now)
    }

    pub(super) fn after(&mut self, time: Duration, event: Event) {
        self.at(self.now + time, event);
    }

    pub(super) fn at(&mut self, time: Duration, event: Event) {
        self.queued += 1;
        self.queue.insert((time, self.queued), event);
    }

    pub(super) fn milliseconds(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(range))
    }

    /// Puts a datagram on the wire.
    pub(super) fn send(&mut self, mut datagram: Datagram) {
        datagram.content.attacker |= self.is_misled(&datagram);
        self.trace.passes(self.now, &datagram, false);
        self.statistics.datagrams += 1;
        self.attackers.overhear(&datagram);
        for (takes, arriving) in self.network.carry(datagram, &mut self.statistics) {
            self.after(takes, Event::Arrives(arriving));
        }
    }

    /// Whether what `sender` sends is sent by a program of ours.
    pub(super) fn is_ours(&self, sender: Sender) -> bool {
        match sender {
            Sender::Node(number) => self.nodes[number].program() == Program::Ours,
            Sender::Agent(number) => self.agents[number].program() == Program::Ours,
            Sender::Attacker => false,
        }
    }

    /// Whether a question goes to an agent that never registered as who is asked for: somebody else did so under its
    /// address, and some agents answer all the same.
    fn is_misled(&self, datagram: &Datagram) -> bool {
        let Ok(Message::Locate(locate)) = Message::decode(&datagram.bytes) else { return false };
        match self.sockets.get(&datagram.to) {
            Some(&Sender::Agent(number)) => self.agents[number].address() != locate.to,
            _ => false,
        }
    }

    fn arrives(&mut self, datagram: Datagram) -> Result<(), Violation> {
        let Datagram { from, to, .. } = &datagram;
        self.trace.passes(self.now, &datagram, true);
        match self.sockets.get(to) {
            Some(&Sender::Node(number)) => self.node_receives(number, datagram),
            Some(&Sender::Agent(number)) => self.agent_receives(number, datagram),
            Some(Sender::Attacker) => unreachable!("attackers bind no sockets"),
            None if self.attackers.are_at(*to) => {
                self.attackers_receive(&datagram);
                Ok(())
            }
            None => {
                if self.network.reaches(*from.ip(), *to.ip()) {
                    let takes = self.network.transit();
                    self.after(takes, Event::Refused(*from));
                }
                Ok(())
            }
        }
    }

    fn refused(&mut self, address: SocketAddrV4) -> Result<(), Violation> {
        match self.sockets.get(&address) {
            Some(&Sender::Agent(number)) => self.agent_refused(number),
            // No error of the socket that others can cause changes anything for a node.
            Some(Sender::Node(_) | Sender::Attacker) | None => Ok(()),
        }
    }
}

/// More than one moment ever has, unless a program wants its time to come again and again.
const MAX_AT_ONCE: u32 = 10_000;
