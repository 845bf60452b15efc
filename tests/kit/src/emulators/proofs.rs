//! Every message of proved registrations (protocol.md §12), sent once to each of the emulators.
//!
//! Our codec writes them here, as our programs do. The emulators read them by themselves.

use std::net::SocketAddrV4;

use plumi_proto::{
    Challenge, DeregisterCode, HANDLE_LENGTH, KEY_LENGTH, KeyAndMac, MAC_LENGTH, Message, MiAddress, Nonce,
    Proof, RegisterCode, SIGNATURE_LENGTH, UdpAddress, Verb,
};

use super::testing::{addr, effects, now, sent};
use super::{
    AgentEmulator, Death, Effect, Emulator, Failure, LAgent, LNode, NodeEmulator, Request, SAgent, SNode,
};

const AGENT: &str = "10.0.0.1:51189";
const NODE: &str = "10.0.0.3:3344";

/// One message of each form.
struct Forms {
    ask: [Vec<u8>; 2],
    enrol: Vec<u8>,
    proofs: [Vec<u8>; 2],
    challenges: [Vec<u8>; 2],
    enrolled: Vec<u8>,
}

fn forms() -> Forms {
    let address: MiAddress = "u1@PC-c".parse().expect("an address");
    let at = addr(AGENT);
    let challenge = Challenge { nonce: Nonce::new([7; 12]), seen: UdpAddress::new(*at.ip(), at.port()) };
    let (extension, hint) = (challenge.extension(), challenge.nonce.hint());
    let key = KeyAndMac { key: [5; KEY_LENGTH], mac: [6; MAC_LENGTH] };
    let bytes = |message: Message| message.encode().to_vec();
    let verbs = [Verb::Register, Verb::Deregister];
    let proof = |verb| Proof { verb, hint, handle: [3; HANDLE_LENGTH], signature: [4; SIGNATURE_LENGTH] };
    let forms = Forms {
        ask: verbs.map(|verb| bytes(Message::RequestChallenge { verb, address })),
        enrol: bytes(Message::Enrol { address, key }),
        proofs: verbs.map(|verb| bytes(Message::Prove(proof(verb)))),
        challenges: [
            bytes(Message::RegisterReply { code: RegisterCode::NoSuchUser, extension }),
            bytes(Message::DeregisterReply { code: DeregisterCode::NoSuchUser, extension }),
        ],
        enrolled: bytes(Message::RegisterReply {
            code: RegisterCode::Registered,
            extension: key.extension(),
        }),
    };
    let lengths = [&forms.ask[0], &forms.proofs[0], &forms.challenges[0], &forms.enrolled].map(Vec::len);
    assert_eq!(lengths, [32, 98, 29, 64]);
    forms
}

impl Forms {
    /// Those that an agent sends, and those that a node sends.
    fn all(&self) -> [Vec<&[u8]>; 2] {
        let of_agents = self.ask.iter().chain([&self.enrol]).chain(&self.proofs);
        let of_nodes = self.challenges.iter().chain([&self.enrolled]);
        [of_agents.map(Vec::as_slice).collect(), of_nodes.map(Vec::as_slice).collect()]
    }
}

/// Sends a new node of each program one datagram. u1 is registered at [`NODE`], which is nobody's socket
/// here.
fn at_nodes(datagram: &[u8]) -> [(Vec<Effect>, Option<SocketAddrV4>); 2] {
    let (users, from) = (&["u1"][..], addr(AGENT));
    let told = |node: &mut dyn NodeEmulator, register: &[u8]| {
        node.datagram(now(), addr(NODE), register);
        while node.poll_output().is_some() {}
        node.datagram(now(), from, datagram);
        (std::iter::from_fn(|| node.poll_output()).collect(), node.address_of("u1"))
    };
    [
        told(&mut LNode::new("PC-c", users, &[]), b"PRu1@PC-c"),
        told(&mut SNode::new("PC-c", users, &[]), b"PRu1"),
    ]
}

#[test]
fn nodes_take_a_request_for_a_challenge_and_an_enrolment_for_a_plain_one() {
    let Forms { ask: [registers, deregisters], enrol, .. } = forms();
    let (agent, before) = (addr(AGENT), Some(addr(NODE)));
    for (request, of_l, at_l, of_s) in [
        (registers, "RR0", Some(agent), "RR1"),
        (deregisters, "RD0", None, "RD1"),
        (enrol, "RR0", Some(agent), "RR1"),
    ] {
        let [l, s] = at_nodes(&request);
        assert_eq!(l, (vec![sent(agent, of_l)], at_l), "{}", request.escape_ascii());
        assert_eq!(s, (vec![sent(agent, of_s)], before), "{}", request.escape_ascii());
    }
}

#[test]
fn a_proof_and_what_a_node_says_end_a_node_of_l_and_not_one_of_s() {
    let forms = forms();
    let [_, of_nodes] = forms.all();
    for datagram in forms.proofs.iter().map(Vec::as_slice).chain(of_nodes) {
        let [(l, _), (s, at_s)] = at_nodes(datagram);
        assert_eq!(l, [Effect::Died(Death::UnknownType(datagram.to_vec()))]);
        assert_eq!((s, at_s), (vec![Effect::Odd(datagram.to_vec())], Some(addr(NODE))));
    }
}

fn agents() -> [Box<dyn AgentEmulator>; 2] {
    let (node, at) = (addr(NODE), addr("10.0.0.1:4000"));
    [Box::new(LAgent::new("u1@PC-c", node, at)), Box::new(SAgent::new("u1@PC-c", node, at))]
}

/// The effects of a datagram of the node on an agent that `asks` for something, behind the request itself.
fn at_waiting(
    mut agent: Box<dyn AgentEmulator>,
    asks: impl Fn(&mut dyn AgentEmulator),
    datagram: &[u8],
) -> Vec<Effect> {
    asks(&mut *agent);
    assert!(matches!(agent.poll_output(), Some(Effect::Send(..))));
    agent.datagram(now(), addr(NODE), datagram);
    std::iter::from_fn(|| agent.poll_output()).collect()
}

/// Nobody asks for a challenge here, and yet one that comes is read as the refusal that it is.
#[test]
fn agents_that_wait_read_a_challenge_as_a_refusal() {
    let Forms { challenges: [of_register, of_deregister], enrolled, .. } = forms();
    let register = |agent: &mut dyn AgentEmulator| agent.start(now());
    let deregister = |agent: &mut dyn AgentEmulator| agent.deregister(now());
    for agent in agents() {
        let refused = [Effect::Failed(Request::Register, Failure::Code('1'))];
        assert_eq!(at_waiting(agent, register, &of_register), refused);
    }
    for agent in agents() {
        let refused = [Effect::Failed(Request::Deregister, Failure::Code('1'))];
        assert_eq!(at_waiting(agent, deregister, &of_deregister), refused);
    }
    for agent in agents() {
        assert_eq!(at_waiting(agent, register, &enrolled), [Effect::Registered]);
    }
}

#[test]
fn agents_take_what_is_for_nodes_as_any_other_stray() {
    let forms = forms();
    let [of_agents, _] = forms.all();
    for stray in of_agents {
        let odd = Effect::Odd(stray.to_vec());
        let misread = Effect::Failed(Request::Register, Failure::Misread(stray.to_vec()));
        let [l, s] = agents();
        assert_eq!(at_waiting(l, |agent| agent.start(now()), stray), [odd.clone(), misread]);
        assert_eq!(at_waiting(s, |agent| agent.start(now()), stray), [odd]);
    }
}

#[test]
fn idle_agents_survive_every_form() {
    for stray in forms().all().concat() {
        let (node, at) = (addr(NODE), addr("10.0.0.1:4000"));
        let mut l = LAgent::new("u1@PC-c", node, at);
        l.datagram(now(), node, stray);
        let garbage = [b"RL0", &stray[2..], b":10.0.0.1:4000"].concat();
        assert_eq!(effects(&mut l), [Effect::Odd(stray.to_vec()), Effect::Send(node, garbage)]);
        assert_eq!(l.death(), None);
        let mut s = SAgent::new("u1@PC-c", node, at);
        s.datagram(now(), node, stray);
        assert_eq!((effects(&mut s), s.death()), (vec![Effect::Odd(stray.to_vec())], None));
    }
}
