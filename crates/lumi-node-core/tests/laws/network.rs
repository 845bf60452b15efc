//! A little network of nodes with arbitrary DNS answers, with agents, duplicates, losses and delays.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use lumi_dns::{FoundNode, LookupError};
use lumi_node_core::{LookupId, Node, NodeSettings, Output};
use plumi_proto::{Domain, Locate, Message, NODE_PORT};
use proptest::prelude::*;

use crate::{drain, node};

proptest! {
    /// Names may lead anywhere: a question goes from one node to another at most once, and the asker hears at
    /// most one answer for each time that the question came.
    #[test]
    fn a_question_makes_one_hop_and_has_one_answer(
        nodes in 2..6_usize,
        aliases in proptest::collection::vec(0..12_usize, 5 * NAMES.len()),
        questions in proptest::collection::vec(question(), 1..40),
        seed in any::<u64>(),
    ) {
        let mut network = Network::new(nodes, &aliases, seed);
        for Question { asker, user, name, after } in questions {
            network.run_for(after);
            network.ask(asker % network.agents.len(), user, NAMES[name]);
        }
        network.run_for(Duration::from_secs(60));
        prop_assert!(network.events.is_empty(), "it comes to rest");
        for node in &mut network.nodes {
            node.handle_timeout(network.now);
            prop_assert_eq!((node.pending_count(), node.lookups_in_flight(), node.poll_timeout()), (0, 0, None));
        }
    }
}

/// A message in the name of another node leads to nothing, or to one answer that is dropped.
#[test]
fn no_message_makes_two_nodes_talk_to_each_other() {
    for message in [
        "PRu@n0.x",
        "PRu",
        "PRnobody",
        "PDu@n0.x",
        "PDu",
        "RR0",
        "RR1",
        "RD0",
        "RD1",
        "RL0u@n0.x:u@n1.x:192.0.2.1:4000",
        "RL1u@n1.x:u@n0.x",
        "RL2u@n1.x:u@n0.x",
        "RL3u@n0.x:u@n1.x",
        "PLu@n1.x:nobody@n0.x",
        "PLu@n1.x:u@n0.x",
        "PLu@n0.x:u@n0.x",
        "PLu@n0.x:u@n1.x",
        "PLu@n1.x:u@a.x",
        "PLnobody@n0.x:nobody@n1.x",
        "",
        "hello",
    ] {
        let mut network = Network::new(2, &[0, 1, 2, 3, 0, 1, 0, 1].repeat(2), 0);
        network.is_reliable = true;
        network.send(Duration::ZERO, node_address(1), node_address(0), message.as_bytes());
        network.run_for(Duration::from_secs(60));
        // Users of n0.x ask for themselves.
        let is_question = message.starts_with("PL") && !message.starts_with("PLu@n0.x");
        let is_answered = is_question && message.ends_with("@n0.x");
        assert_eq!(network.between_nodes, 1 + u32::from(is_answered), "{message}");
        for (n, &agent) in network.agents.iter().enumerate() {
            let user = ["u", "v"][n % 2].parse().expect("a name");
            assert_eq!(network.nodes[n / 2].address_of(&user), Some(agent), "{message}");
        }
    }
}

#[derive(Clone, Debug)]
struct Question {
    asker: usize,
    user: &'static str,
    name: usize,
    after: Duration,
}

fn question() -> impl Strategy<Value = Question> {
    let user = prop_oneof![Just("u"), Just("v"), Just("nobody")];
    let after = (0..3_000_u64).prop_map(Duration::from_millis);
    (0..10_usize, user, 0..NAMES.len(), after).prop_map(|(asker, user, name, after)| Question {
        asker,
        user,
        name,
        after,
    })
}

struct Network {
    now: Instant,
    nodes: Vec<Node>,
    agents: Vec<SocketAddrV4>,
    /// The answers of DNS to each node, which need not be the same.
    names: Vec<HashMap<Domain, usize>>,
    events: BTreeMap<(Instant, u64), Event>,
    random: u64,
    is_reliable: bool,
    between_nodes: u32,
    /// The number of times that agents asked this of their nodes, and one node of another.
    asked: HashMap<Locate, u32>,
    relayed: HashMap<Locate, u32>,
    /// The number of times that each asker asked each node this, less the number of answers.
    unanswered: HashMap<(usize, SocketAddrV4, Locate), u32>,
}

enum Event {
    Arrives { from: SocketAddrV4, to: SocketAddrV4, bytes: Vec<u8> },
    Resolved { node: usize, id: LookupId, answer: Result<FoundNode, LookupError> },
}

impl Network {
    /// Each node has the users u and v, both online. `aliases` says, for one node after the other, to which
    /// node each of [`NAMES`] leads; a number without a node is where it ought to lead.
    fn new(nodes: usize, aliases: &[usize], seed: u64) -> Self {
        let at = |n| node(&format!("n{n}.x\nu\nv\n"), node_address(n), NodeSettings::default());
        let names = |aliases: &[usize]| {
            let leads_to = |(n, (name, &to)): (usize, (&&str, &usize))| {
                (name.parse().expect("a domain"), if to < nodes { to } else { n })
            };
            NAMES.iter().zip(aliases).enumerate().map(leads_to).collect()
        };
        let mut network = Self {
            now: tokio::time::Instant::now().into_std(),
            nodes: (0..nodes).map(at).collect(),
            agents: (0..2 * nodes).map(agent_address).collect(),
            names: aliases.chunks(NAMES.len()).map(names).collect(),
            events: BTreeMap::new(),
            random: seed,
            is_reliable: false,
            between_nodes: 0,
            asked: HashMap::new(),
            relayed: HashMap::new(),
            unanswered: HashMap::new(),
        };
        for (n, &agent) in network.agents.iter().enumerate() {
            let register = ["PRu", "PRv"][n % 2];
            let home = &mut network.nodes[n / 2];
            home.handle_datagram(network.now, agent, register.as_bytes()).expect("registered");
            drain(home);
        }
        network
    }

    /// The agent asks its node three times, a second apart.
    fn ask(&mut self, agent: usize, user: &str, name: &str) {
        let question = format!("PL{}@n{}.x:{user}@{name}", ["u", "v"][agent % 2], agent / 2);
        for seconds in 0..3 {
            let home = node_address(agent / 2);
            self.send(Duration::from_secs(seconds), self.agents[agent], home, question.as_bytes());
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(entry) = self.events.first_entry()
            && entry.key().0 <= end
        {
            let ((now, _), event) = entry.remove_entry();
            self.now = now;
            match event {
                Event::Arrives { from, to, bytes } => match node_at(to) {
                    Some(n) => self.arrive_at_node(n, from, &bytes),
                    None => self.arrive_at_agent(from, to, &bytes),
                },
                Event::Resolved { node, id, answer } => {
                    self.nodes[node].handle_resolved(now, id, &answer);
                    self.carry_out(node);
                }
            }
        }
        self.now = end;
    }

    fn arrive_at_node(&mut self, n: usize, from: SocketAddrV4, bytes: &[u8]) {
        if let Ok(Message::Locate(locate)) = Message::decode(bytes) {
            *self.unanswered.entry((n, from, locate)).or_default() += 1;
            if node_at(from).is_none() {
                *self.asked.entry(locate).or_default() += 1;
            }
        }
        // A dropped message leads to nothing, which is what the law looks at.
        _ = self.nodes[n].handle_datagram(self.now, from, bytes);
        self.carry_out(n);
    }

    fn carry_out(&mut self, n: usize) {
        for output in drain(&mut self.nodes[n]) {
            match output {
                Output::Transmit { to, message, .. } => {
                    self.check(n, to, &message);
                    self.send(Duration::ZERO, node_address(n), to, &message.encode());
                }
                Output::Resolve { id, domain, .. } => {
                    let to = self.names[n].get(&domain).filter(|&&to| to < self.nodes.len()).copied();
                    let valid_for = Duration::from_secs(self.random(10));
                    let answer = match (to, self.random(4)) {
                        (Some(to), 1..) => Ok(FoundNode::new(node_address(to), false, valid_for)),
                        (Some(_), 0) => Err(LookupError::NoAnswer),
                        (None, _) => Err(LookupError::NotFound),
                    };
                    let delay = Duration::from_millis(self.random(6_000));
                    self.later(delay, Event::Resolved { node: n, id, answer });
                }
                output => panic!("{output:?} without an administrator"),
            }
        }
    }

    fn check(&mut self, n: usize, to: SocketAddrV4, message: &Message) {
        match message {
            Message::Locate(locate) if node_at(to).is_some() => {
                let relayed = self.relayed.entry(*locate).or_default();
                *relayed += 1;
                assert!(
                    *relayed <= self.asked.get(locate).copied().unwrap_or(0),
                    "node {n} relays {locate:?}"
                );
            }
            Message::LocateReply { locate, .. } => {
                let left = self.unanswered.get_mut(&(n, to, *locate)).expect("it was asked");
                *left = left.checked_sub(1).expect("one answer for a question");
            }
            _ => {}
        }
    }

    fn arrive_at_agent(&mut self, from: SocketAddrV4, at: SocketAddrV4, bytes: &[u8]) {
        if let Some(names) = bytes.strip_prefix(b"PL") {
            let delay = Duration::from_millis(self.random(3_000));
            self.send(delay, at, from, &[b"RL0", names, b":0.0.0.0:4456"].concat());
        }
    }

    /// Sends it after `delay`: half of what is sent comes twice, a tenth is lost, and all of it takes its
    /// time.
    fn send(&mut self, delay: Duration, from: SocketAddrV4, to: SocketAddrV4, bytes: &[u8]) {
        self.between_nodes += u32::from(node_at(from).is_some() && node_at(to).is_some());
        let copies = match self.random(10) {
            _ if self.is_reliable => 1,
            0 => 0,
            1..5 => 1,
            _ => 2,
        };
        for _ in 0..copies {
            let travel = Duration::from_millis(self.random(800));
            self.later(delay + travel, Event::Arrives { from, to, bytes: bytes.to_vec() });
        }
    }

    fn later(&mut self, delay: Duration, event: Event) {
        let number = self.random(u64::MAX);
        self.events.insert((self.now + delay, number), event);
    }

    /// A number below `limit`, the same ones for the same seed (SplitMix64).
    fn random(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn node_at(address: SocketAddrV4) -> Option<usize> {
    (0..6).find(|&n| node_address(n) == address)
}

fn node_address(n: usize) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, number(n)), NODE_PORT)
}

fn agent_address(n: usize) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, number(n)), 5_000)
}

fn number(n: usize) -> u8 {
    u8::try_from(n + 1).expect("there are few")
}

/// The domains that are asked for: those of the nodes, in other forms too, and names that are nobody's.
const NAMES: [&str; 8] = ["n0.x", "N1.X.", "n2.x", "n3.x", "a.x", "b.x", "10.0.0.1", "localhost"];
