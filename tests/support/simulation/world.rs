//! The world of one seed: its parties, its clock and its event queue.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use fastrand::Rng;
use lumi_dns::{FoundNode, LookupError};
use lumi_node_core::LookupId;
use plumi_proto::Message;

use super::agents::Agent;
use super::attackers::{Attackers, ProofAttackers};
use super::dns::Dns;
use super::ending::Ending;
use super::faults::Remedy;
use super::key_changes::KeyChanges;
use super::keys::Keyring;
use super::laws::{Violation, ensure};
use super::log::Log;
use super::middle::Middle;
use super::network::{Datagram, Network, Sender};
use super::nodes::Node;
use super::proofs::{Prover, keys_of};
use super::report::Statistics;
use super::scenario::{Dangers, Program, Scenario, UserPlan};
use super::stores::Store;
use super::trace::Trace;

/// The state of the world at one moment. Times count from the beginning.
#[derive(Debug)]
pub(super) struct World {
    start: Instant,
    pub(super) now: Duration,
    /// The number of events so far at this very time.
    at_once: u32,
    pub(super) rng: Rng,
    queue: BTreeMap<(Duration, u64), Event>,
    queued: u64,
    /// Datagrams in `queue`: sent but not delivered yet.
    in_flight: usize,
    pub(super) nodes: Vec<Node>,
    pub(super) agents: Vec<Agent>,
    /// The party that is bound to each UDP address.
    pub(super) sockets: BTreeMap<SocketAddrV4, Sender>,
    pub(super) network: Network,
    pub(super) dns: Dns,
    pub(super) attackers: Attackers,
    pub(super) proof_attackers: ProofAttackers,
    pub(super) key_changes: KeyChanges,
    pub(super) middle: Middle,
    pub(super) dangers: Dangers,
    pub(super) ending: Ending,
    pub(super) log: Log,
    pub(super) trace: Trace,
    pub(super) statistics: Statistics,
}

/// An event at a certain time.
#[derive(Debug)]
pub(super) enum Event {
    /// A datagram arrives.
    Arrives(Datagram),
    /// ICMP reports a closed port to the party at this address.
    Refused(SocketAddrV4),
    /// The timeout of a node or an agent is due.
    Timeout(Sender),
    /// DNS answers this node. The answer is lost if the node was restarted meanwhile.
    Resolved { node: usize, life: u32, id: LookupId, answer: Result<FoundNode, LookupError> },
    /// The store of this node commits. Its changes are lost if the node was restarted meanwhile.
    Commits { node: usize, life: u32 },
    /// The user of this agent does something.
    User(usize),
    /// The user of this agent asks for several others at a time.
    Asks(usize),
    /// A conversation between these agents ends, unless one of them was restarted meanwhile.
    HangUp([(usize, u32); 2]),
    /// Something breaks.
    Fault,
    /// A fault is repaired.
    Mended(Remedy),
    /// Attackers act.
    Attack,
    /// An administrator changes the keys of a user.
    Keys,
    /// The network heals, or the next phase of the ending begins.
    Ending,
}

impl World {
    /// Draws the world of `seed`, in which nothing has happened yet.
    pub(super) fn new(seed: u64, is_traced: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut scenario = Scenario::draw(&mut rng);
        let mut key_changes = KeyChanges::draw(Rng::with_seed(seed ^ KEY_CHANGES));
        key_changes.draw_auth(&mut scenario.domains, &scenario.users);
        let mut dns = Dns::new(rng.fork(), scenario.is_dns_slow);
        for plan in &scenario.domains {
            dns.add(&plan.domain, plan.node);
        }
        for (alias, node) in &scenario.aliases {
            dns.add(alias, *node);
        }
        let aliases = scenario.aliases.iter().map(|(alias, _)| *alias).collect();
        let attackers = Attackers::new(rng.fork(), &scenario.domains, &scenario.users, aliases);
        let mut proofs = Rng::with_seed(seed ^ PROOFS);
        let provers = scenario.users.iter().map(|user| {
            let home = &scenario.domains[user.home];
            Prover::draw(&mut proofs, user, home)
        });
        let provers: Vec<_> = provers.collect();
        let mut stores = Rng::with_seed(seed ^ STORES);
        let is_calm = !scenario.dangers.crashes && !scenario.dangers.freezes;
        let new_node = |(home, plan)| {
            let keys = keys_of(&mut proofs, home, &scenario.users, &provers);
            Node::new(plan, &scenario.users, keys, Store::draw(stores.fork(), is_calm))
        };
        let nodes: Vec<_> = scenario.domains.into_iter().enumerate().map(new_node).collect();
        let mut middle = Middle::draw(Rng::with_seed(!seed));
        let new_agent = |(plan, prover): (UserPlan, _)| {
            let keys = Keyring::draw(&mut middle.rng, plan.program);
            Agent::new(&nodes, plan, keys, prover)
        };
        let agents = scenario.users.into_iter().zip(provers).map(new_agent).collect();
        let mut world = Self {
            start: tokio::time::Instant::now().into_std(),
            now: Duration::ZERO,
            at_once: 0,
            queue: BTreeMap::new(),
            queued: 0,
            in_flight: 0,
            nodes,
            agents,
            sockets: BTreeMap::new(),
            network: Network::new(rng.fork(), scenario.weather),
            dns,
            attackers,
            proof_attackers: ProofAttackers::new(proofs),
            key_changes,
            middle,
            dangers: scenario.dangers,
            ending: Ending::default(),
            log: Log::start(),
            trace: Trace::new(is_traced),
            statistics: Statistics { seeds: 1, ..Statistics::default() },
            rng,
        };
        world.draw_acquaintances();
        world.begin(scenario.chaos);
        world
    }

    fn begin(&mut self, chaos: Duration) {
        for number in 0..self.nodes.len() {
            self.start_node(number).expect("nothing is promised yet");
        }
        for number in 0..self.agents.len() {
            let after = self.milliseconds(0..2_000);
            self.after(after, Event::User(number));
        }
        self.after(Duration::from_secs(1), Event::Fault);
        self.after(Duration::from_secs(1), Event::Attack);
        self.begin_key_changes();
        self.after(chaos, Event::Ending);
    }

    /// Runs the world to its end or until a law is broken.
    ///
    /// A run of more than `limit`, in real time, breaks [`Law::SeedTimeout`](super::laws::Law::SeedTimeout).
    /// The clock is read between two events.
    pub(super) fn run(&mut self, limit: Duration) -> Result<(), Violation> {
        let begun = tokio::time::Instant::now();
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.at_once = if at == self.now { self.at_once + 1 } else { 0 };
            ensure!(self.at_once < MAX_AT_ONCE, Bounds, "there is no end to what happens at once");
            ensure!(self.in_flight <= MAX_IN_FLIGHT, InFlight, "{} datagrams are in flight", self.in_flight);
            ensure!(begun.elapsed() <= limit, SeedTimeout, "it has taken more than {limit:?}");
            self.now = at;
            self.statistics.events += 1;
            match event {
                Event::Arrives(datagram) => {
                    self.in_flight -= 1;
                    self.arrives(datagram)?;
                }
                Event::Refused(address) => self.refused(address)?,
                Event::Timeout(Sender::Node(number)) => self.node_timeout(number)?,
                Event::Timeout(Sender::Agent(number)) => self.agent_timeout(number)?,
                Event::Timeout(Sender::Attacker) => {}
                Event::Resolved { node, life, id, answer } => self.resolved(node, life, id, answer)?,
                Event::Commits { node, life } => self.store_commits(node, life)?,
                Event::User(number) => self.user_acts(number)?,
                Event::Asks(number) => self.user_asks(number)?,
                Event::HangUp(both) => self.hang_up(both)?,
                Event::Fault => self.fault()?,
                Event::Mended(remedy) => self.mended(remedy)?,
                Event::Attack => self.attack(),
                Event::Keys => self.change_keys()?,
                Event::Ending => self.goes_on_to_the_end()?,
            }
            if self.ending.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// The beginning of the world, on the clock of the programs.
    pub(super) fn start(&self) -> Instant {
        self.start
    }

    /// The current time, on the clock of the programs.
    pub(super) fn instant(&self) -> Instant {
        self.start + self.now
    }

    /// Converts a time that a program named. A time in the past becomes the present.
    pub(super) fn time_of(&self, instant: Instant) -> Duration {
        (instant - self.start).max(self.now)
    }

    pub(super) fn after(&mut self, time: Duration, event: Event) {
        self.at(self.now + time, event);
    }

    pub(super) fn at(&mut self, time: Duration, event: Event) {
        self.queued += 1;
        self.in_flight += usize::from(matches!(event, Event::Arrives(_)));
        self.queue.insert((time, self.queued), event);
    }

    pub(super) fn milliseconds(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(range))
    }

    /// Sends a datagram over the network.
    pub(super) fn send(&mut self, mut datagram: Datagram) {
        datagram.content.attacker |= self.is_misled(&datagram);
        if let Some(deed) = self.middle.tampers(&mut datagram) {
            self.statistics.fault(deed);
        }
        self.trace.passes(self.now, &datagram, false);
        self.statistics.datagrams += 1;
        self.attackers.overhear(&datagram);
        self.proof_attackers.overhear(&datagram);
        self.attackers_hurry(&datagram);
        for (takes, arriving) in self.network.carry(datagram, &mut self.statistics) {
            self.after(takes, Event::Arrives(arriving));
        }
    }

    /// Returns whether `sender` runs a program of ours.
    pub(super) fn is_ours(&self, sender: Sender) -> bool {
        match sender {
            Sender::Node(number) => self.nodes[number].program() == Program::Ours,
            Sender::Agent(number) => self.agents[number].program() == Program::Ours,
            Sender::Attacker => false,
        }
    }

    /// Returns whether a `PL` goes to an agent that is not the user it asks for.
    ///
    /// An attacker registered that user from the agent's address, and some agents answer all the same.
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
            // A node ignores every socket error that a remote party can cause.
            Some(Sender::Node(_) | Sender::Attacker) | None => Ok(()),
        }
    }
}

/// Makes another sequence of a seed, so that keys change nothing else in a world.
const PROOFS: u64 = 0x7072_6f6f_6673;

/// Makes another one for changes of keys.
const KEY_CHANGES: u64 = 0x006b_6579_7321;

/// And another, so that stores change nothing else in a world.
const STORES: u64 = 0x7374_6f72_6573;

/// More events than any moment has, unless a program keeps setting its timeout to the present.
const MAX_AT_ONCE: u32 = 10_000;

/// More datagrams than are ever in flight in a world that ends. A deluge sends 4,320 at once.
const MAX_IN_FLIGHT: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::laws::Law;
    use crate::simulation::network::Taint;

    #[test]
    fn more_datagrams_in_flight_than_the_bound_break_a_law() {
        let in_time = Duration::MAX;
        assert!(world_with_in_flight(MAX_IN_FLIGHT).run(in_time).is_ok());
        let broken = world_with_in_flight(MAX_IN_FLIGHT + 1).run(in_time).expect_err("they are too many");
        assert_eq!(broken.law, Law::InFlight);
    }

    /// A new world with `count` datagrams in flight. They go to an address where no program runs.
    fn world_with_in_flight(count: usize) -> World {
        let mut world = World::new(0, false);
        let nowhere = "10.9.9.9:9".parse().expect("an address");
        for microsecond in (0..).take(count) {
            world.at(
                Duration::from_micros(microsecond),
                Event::Arrives(Datagram {
                    from: nowhere,
                    to: nowhere,
                    bytes: Vec::new(),
                    sender: Sender::Attacker,
                    content: Taint::default(),
                    cause: Taint::default(),
                }),
            );
        }
        world
    }
}
