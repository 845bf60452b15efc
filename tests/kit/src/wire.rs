//! A network in memory: the state machines of nodes, agents and conversations as they ship, a queue for the
//! wire, a clock that moves when it is told to.
//!
//! An agent locates another and talks with it, while nobody waits for anything:
//!
//! ```
//! use std::time::Duration;
//!
//! use lumi_testkit::wire::Wire;
//! use mi_agent_core::{LumiAnswer, LumiRequest, Side};
//! use plumi_proto::LocateOutcome;
//!
//! let mut wire = Wire::new();
//! wire.add_node("10.0.0.9:3344", "bb.com\nlaura\njoya\n");
//! for (at, address, listening) in [
//!     ("10.0.0.1:4500", "laura@bb.com", "10.0.0.1:4456"),
//!     ("10.0.0.2:4500", "joya@bb.com", "10.0.0.2:4456"),
//! ] {
//!     wire.add_agent(at, address, listening);
//!     wire.request(at, LumiRequest::Register);
//! }
//! let request = wire.request("10.0.0.1:4500", LumiRequest::Locate("joya@bb.com".parse()?));
//! let Some(LumiAnswer::Locate { outcome: LocateOutcome::Found(at), .. }) = wire.answer("10.0.0.1:4500", request) else {
//!     panic!("joya is not found");
//! };
//!
//! let talk = wire.connect("10.0.0.1:4500", at);
//! wire.pass(Duration::from_secs(1));
//! for line in ["hola", "Que tal?"] {
//!     wire.say(talk, Side::Caller, line);
//! }
//! assert_eq!(wire.heard(talk, Side::Callee), ["hola"]);
//! wire.pass(Duration::from_millis(20));
//! assert_eq!(wire.heard(talk, Side::Callee), ["hola", "Que tal?"], "frames keep their distance");
//!
//! wire.hang_up(talk, Side::Callee);
//! wire.pass(Duration::from_secs(1));
//! assert!(wire.has_ended(talk, Side::Caller) && wire.has_ended(talk, Side::Callee));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use lumi_dns::{FoundNode, LookupError, MAX_TTL};
use lumi_node_core::{KeyOrigin, Keys, Node, NodeSettings, Output, PublicKey, Roster, UserKey};
use lumi_proof::Signer;
use message_log::{Direction, Entry};
use mi_agent_core::{
    ClientSettings, ExpectedSource, LumiAnswer, LumiClient, LumiOutput, LumiRequest, ProofSettings,
    RegistrationChange, RequestId, Side,
};
use plumi_proto::{Domain, Message, MiAddress, MiSocketAddress};

use crate::conversation::Pair;

/// Nodes and agents at made-up addresses. Datagrams arrive in the order in which they were sent.
#[derive(Debug)]
pub struct Wire {
    now: Instant,
    nodes: BTreeMap<SocketAddrV4, Node>,
    agents: BTreeMap<SocketAddrV4, (MiAddress, LumiClient)>,
    domains: HashMap<Domain, SocketAddrV4>,
    /// The users with a key, which their nodes know.
    signers: BTreeMap<MiAddress, Signer>,
    in_flight: VecDeque<(SocketAddrV4, SocketAddrV4, Vec<u8>)>,
    answers: HashMap<(SocketAddrV4, RequestId), LumiAnswer>,
    registrations: HashMap<SocketAddrV4, Vec<RegistrationChange>>,
    logs: HashMap<String, Vec<String>>,
    /// The agents that listen for conversations, by where they listen.
    listening: HashMap<SocketAddrV4, SocketAddrV4>,
    conversations: Vec<Talk>,
}

/// A conversation on a [`Wire`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TalkId(usize);

#[derive(Debug)]
struct Talk {
    agents: [SocketAddrV4; 2],
    pair: Pair,
}

impl Wire {
    /// Nobody is on it.
    pub fn new() -> Self {
        Self {
            now: tokio::time::Instant::now().into_std(),
            nodes: BTreeMap::new(),
            agents: BTreeMap::new(),
            domains: HashMap::new(),
            signers: BTreeMap::new(),
            in_flight: VecDeque::new(),
            answers: HashMap::new(),
            registrations: HashMap::new(),
            logs: HashMap::new(),
            listening: HashMap::new(),
            conversations: Vec::new(),
        }
    }

    /// Adds a node with this roster, which DNS knows.
    pub fn add_node(&mut self, at: &str, roster: &str) {
        let at = socket(at);
        let roster = Roster::parse(roster.as_bytes()).expect("a roster");
        self.domains.insert(*roster.domain(), at);
        let mut node = Node::new(roster, at.into(), NodeSettings::default());
        node.challenge_with(self.now, &SECRET);
        node.handle_keys(&self.keys_of(node.domain()));
        self.nodes.insert(at, node);
    }

    /// Gives a user a key, by the seed of its secret. The node of the user's domain knows it from now on, and
    /// agents of the user that are added afterwards prove their registrations with it.
    pub fn add_key(&mut self, address: &str, seed: [u8; 32]) {
        let address: MiAddress = address.parse().expect("an address");
        self.signers.insert(address, Signer::from_seed(&seed).expect("any bytes are a seed"));
        let keys = self.keys_of(&address.domain());
        let at = self.domains[&address.domain()];
        if let Some(node) = self.nodes.get_mut(&at) {
            node.handle_keys(&keys);
        }
    }

    fn keys_of(&self, domain: &Domain) -> Keys {
        let mut keys = Keys::default();
        for (address, signer) in self.signers.iter().filter(|(address, _)| address.domain() == *domain) {
            let key = UserKey::new(PublicKey(signer.public_key()), "2026-11-29", KeyOrigin::Added);
            keys.add(address.user(), key).expect("one key for each user");
        }
        keys
    }

    /// Takes the node at `at` off the wire, as when its program was ended. With [`Wire::add_node`] it starts
    /// again.
    pub fn remove_node(&mut self, at: &str) {
        self.nodes.remove(&socket(at));
    }

    /// Adds the agent of `address`, which listens for conversations at `listening`. Its node must be there.
    pub fn add_agent(&mut self, at: &str, address: &str, listening: &str) {
        let address: MiAddress = address.parse().expect("an address");
        let listening = MiSocketAddress::new(socket(listening)).expect("a port");
        let node = self.domains[&address.domain()];
        let mut settings = ClientSettings::new(address, node.into(), listening);
        let at_socket = socket(at);
        let source = ExpectedSource { ip: *at_socket.ip(), port: at_socket.port(), is_any_port: false };
        settings.proofs = self.signers.get(&address).map(|_| ProofSettings::new(Some(source), 0));
        self.agents.insert(at_socket, (address, LumiClient::new(settings)));
        self.listening.insert(listening.into(), socket(at));
    }

    /// Takes the agent off the wire, as when its program was killed. Its conversations go on.
    pub fn remove_agent(&mut self, at: &str) {
        self.agents.remove(&socket(at));
        self.listening.retain(|_, agent| *agent != socket(at));
    }

    /// The agent asks its node, and everything happens that follows from it at once.
    pub fn request(&mut self, agent: &str, request: LumiRequest) -> RequestId {
        let at = socket(agent);
        let id = self.agents.get_mut(&at).expect("an agent").1.request(self.now, request, None);
        self.settle();
        id
    }

    /// Returns the outcome of an agent's request, if it has ended.
    pub fn answer(&self, agent: &str, id: RequestId) -> Option<LumiAnswer> {
        self.answers.get(&(socket(agent), id)).copied()
    }

    /// Returns the changes that an agent reported of its registration, in order.
    pub fn registrations(&self, agent: &str) -> &[RegistrationChange] {
        self.registrations.get(&socket(agent)).map_or(&[], Vec::as_slice)
    }

    /// The agent at `caller` dials the one that listens at `to`, which accepts the call.
    ///
    /// Their nicknames are the names of their users. Frames keep a distance of 20 ms. Both agents are busy
    /// until the conversation has ended.
    ///
    /// # Panics
    /// Nobody listens there.
    pub fn connect(&mut self, caller: &str, to: MiSocketAddress) -> TalkId {
        let callee = *self.listening.get(&to.into()).expect("an agent that listens there");
        let agents = [socket(caller), callee];
        let users = agents.map(|agent| self.agents[&agent].0.user());
        let pair = Pair::new(self.now, [users[0].as_str(), users[1].as_str()], PACE);
        self.conversations.push(Talk { agents, pair });
        self.settle();
        TalkId(self.conversations.len() - 1)
    }

    /// One side says a line.
    pub fn say(&mut self, talk: TalkId, side: Side, line: &str) {
        self.conversations[talk.0].pair.say(side, line);
        self.settle();
    }

    /// One side ends the conversation.
    pub fn hang_up(&mut self, talk: TalkId, side: Side) {
        self.conversations[talk.0].pair.hang_up(self.now, side);
        self.settle();
    }

    /// Returns the lines that one side has heard. A line of more than 99 bytes comes in several.
    pub fn heard(&self, talk: TalkId, side: Side) -> &[String] {
        self.conversations[talk.0].pair.heard(side)
    }

    /// Returns whether the conversation has ended on this side.
    pub fn has_ended(&self, talk: TalkId, side: Side) -> bool {
        self.conversations[talk.0].pair.has_ended(side)
    }

    /// Lets time pass, in steps to whatever is due next.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due_nodes = self.nodes.values().filter_map(Node::poll_timeout);
            let due_agents = self.agents.values().filter_map(|(_, client)| client.poll_timeout());
            let due_talks = self.conversations.iter().filter_map(|talk| talk.pair.poll_timeout());
            let due = due_nodes.chain(due_agents).chain(due_talks).min();
            let Some(due) = due.filter(|&due| due <= end) else { break };
            self.now = self.now.max(due);
            for node in self.nodes.values_mut() {
                node.handle_timeout(self.now);
            }
            for (_, client) in self.agents.values_mut() {
                client.handle_timeout(self.now);
            }
            self.settle();
        }
        self.now = end;
    }

    /// The message log of a node, by its domain, or of an agent, by its address.
    pub fn log(&self, party: &str) -> &[String] {
        self.logs.get(party).map_or(&[], Vec::as_slice)
    }

    /// Carries out what nodes and agents want done, until nothing is left to do.
    fn settle(&mut self) {
        self.settle_talks();
        loop {
            self.drain_nodes();
            self.drain_agents();
            let Some((from, to, bytes)) = self.in_flight.pop_front() else { break };
            if let Some(node) = self.nodes.get_mut(&to) {
                let party = node.domain().to_string();
                write_line(&mut self.logs, &party, Direction::Received, from, &bytes);
                // A dropped message changes nothing, which is what tests look at.
                _ = node.handle_datagram(self.now, from, &bytes);
            } else if let Some((address, client)) = self.agents.get_mut(&to) {
                write_line(&mut self.logs, address.as_str(), Direction::Received, from, &bytes);
                client.handle_datagram(self.now, from.into(), &bytes);
            }
        }
    }

    fn settle_talks(&mut self) {
        let mut busy = BTreeSet::new();
        for Talk { agents, pair } in &mut self.conversations {
            pair.settle(self.now);
            let sides = agents.iter().zip([Side::Caller, Side::Callee]);
            busy.extend(sides.filter(|(_, side)| !pair.has_ended(*side)).map(|(agent, _)| *agent));
        }
        for (at, (_, client)) in &mut self.agents {
            client.set_busy(busy.contains(at));
        }
    }

    fn drain_nodes(&mut self) {
        for (&at, node) in &mut self.nodes {
            while let Some(output) = node.poll_output() {
                match output {
                    Output::Transmit { to, message, .. } => {
                        let bytes = message.encode().to_vec();
                        let party = node.domain().to_string();
                        write_line(&mut self.logs, &party, Direction::Sent, to, &bytes);
                        self.in_flight.push_back((at, to, bytes));
                    }
                    Output::Resolve { id, domain, .. } => {
                        let answer = match self.domains.get(&domain) {
                            Some(&address) => Ok(FoundNode::new(address, false, MAX_TTL)),
                            None => Err(LookupError::NotFound),
                        };
                        node.handle_resolved(self.now, id, &answer);
                    }
                    output => panic!("{output:?} without an administrator"),
                }
            }
        }
    }

    fn drain_agents(&mut self) {
        for (&at, (address, client)) in &mut self.agents {
            let node = self.domains[&address.domain()];
            while let Some(output) = client.poll_output() {
                match output {
                    LumiOutput::Transmit(message) => {
                        let bytes = message.encode().to_vec();
                        write_line(&mut self.logs, address.as_str(), Direction::Sent, node, &bytes);
                        self.in_flight.push_back((at, node, bytes));
                    }
                    LumiOutput::Prove { verb, challenge, .. } => {
                        let signer = &self.signers[address];
                        let proof = signer.prove(verb, address, &challenge);
                        let bytes = Message::Prove(proof).encode().to_vec();
                        write_line(&mut self.logs, address.as_str(), Direction::Sent, node, &bytes);
                        self.in_flight.push_back((at, node, bytes));
                    }
                    LumiOutput::Done(id, answer) => {
                        let before = self.answers.insert((at, id), answer);
                        assert_eq!(before, None, "a request ends once");
                    }
                    // Tests look at what is sent.
                    LumiOutput::Missed { .. } | LumiOutput::Proved | LumiOutput::Unproved => {}
                    LumiOutput::Registration(change) => {
                        self.registrations.entry(at).or_default().push(change);
                    }
                    other => unreachable!("{other:?} is new"),
                }
            }
        }
    }
}

impl Default for Wire {
    fn default() -> Self {
        Self::new()
    }
}

fn write_line(
    logs: &mut HashMap<String, Vec<String>>,
    party: &str,
    direction: Direction,
    remote: SocketAddrV4,
    message: &[u8],
) {
    let entry = Entry::new(party, direction, remote, message);
    logs.entry(party.to_owned()).or_default().push(entry.to_string());
}

fn socket(text: &str) -> SocketAddrV4 {
    text.parse().expect("a socket address")
}

/// The secret of every node's challenges. Nobody guesses here.
const SECRET: [u8; 32] = [9; 32];

/// The default distance of frames (protocol.md §7, row 10).
const PACE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use plumi_proto::RegisterCode::{NoSuchUser, Registered};

    use super::*;

    const OWN: &str = "10.0.0.1:4500";
    const OTHER: &str = "10.0.0.2:4500";

    #[test]
    fn a_user_with_a_key_is_registered_by_a_proof_and_nobody_is_without_one() {
        let mut wire = Wire::new();
        wire.add_node("10.0.0.9:3344", "bb.com\nlaura\n");
        // An agent that knows of no key.
        wire.add_agent(OTHER, "laura@bb.com", "10.0.0.2:4456");
        wire.add_key("laura@bb.com", [7; 32]);
        wire.add_agent(OWN, "laura@bb.com", "10.0.0.1:4456");
        for (agent, code) in [(OTHER, NoSuchUser), (OWN, Registered), (OTHER, NoSuchUser)] {
            let request = wire.request(agent, LumiRequest::Register);
            assert_eq!(wire.answer(agent, request), Some(LumiAnswer::Register(code)), "{agent}");
        }
        let proofs = wire.log("bb.com").iter().filter(|line| line.starts_with("R: 10.0.0.1:UDP:4500, PK"));
        assert_eq!(proofs.count(), 1);

        // A node that starts again knows the key, and not the user.
        wire.remove_node("10.0.0.9:3344");
        wire.add_node("10.0.0.9:3344", "bb.com\nlaura\n");
        let request = wire.request(OTHER, LumiRequest::Register);
        assert_eq!(wire.answer(OTHER, request), Some(LumiAnswer::Register(NoSuchUser)));
        wire.pass(Duration::from_secs(61));
        assert!(wire.registrations(OWN).is_empty(), "it has noticed nothing");
        let leaves = wire.request(OWN, LumiRequest::Deregister);
        let code = plumi_proto::DeregisterCode::Deregistered;
        assert_eq!(wire.answer(OWN, leaves), Some(LumiAnswer::Deregister(code)));
    }
}
