//! SIGINT and SIGTERM, in the middle of everything.

use std::net::UdpSocket;

use fastrand::Rng;
use integration_tests::programs::{AgentProgram, DEADLINE, NodeProgram, Signal};
use integration_tests::raw_user::{RawUser, uninterrupted};

use super::changes::{Changes, Users, beside_the_roster};
use super::load::Load;
use super::{LANES, in_lanes};

#[test]
fn a_node_told_to_end_under_load_leaves_everything_whole() {
    in_lanes(|lane| {
        let mut rng = Rng::with_seed(lane);
        for round in 0..NODES / LANES {
            let users = Users::numbered(IN_FLIGHT);
            let mut node = users.start(&["--rate-limit", "off"]);
            let mut load = Load::start(&users, &node);
            load.turn(rng.usize(..IN_FLIGHT));
            let changes = Changes::type_at(&mut node, &users, &mut rng, CHANGES);
            changes.wait_for(&mut node, rng.usize(..CHANGES));
            load.turn(rng.usize(..IN_FLIGHT));
            node.signal(signal(round));
            assert_eq!(node.wait_exit(), 0);
            load.assert_logged(&node);
            assert!(node.log_text().ends_with('\n'), "the log ends within a line");
            changes.saved(&node, node.folder());
            assert_eq!(beside_the_roster(node.folder()), [""; 0]);
        }
    });
}

#[test]
fn an_agent_told_to_end_deregisters_whatever_it_is_at() {
    in_lanes(|lane| {
        let mut node = NodeProgram::start("bb.com", &["laura", "pere", "joan"], &[]);
        for round in 0..AGENTS / 4 / LANES {
            let signal = signal(round + lane);
            in_a_conversation(&mut node, signal);
            calling(&mut node, signal);
            starting(signal);
        }
    });
}

/// Ends the caller, and then the callee.
fn in_a_conversation(node: &mut NodeProgram, signal: Signal) {
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    pere.expect_line("* listening");
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
    laura.type_line("/call pere@bb.com");
    laura.type_line("hola");
    laura.type_line(&"x".repeat(10_000));
    pere.expect_line("<laura> hola");
    laura.signal(signal);
    ends_well(&mut laura, "laura", node);
    pere.expect_line("* conversation with laura ended");
    pere.signal(signal);
    ends_well(&mut pere, "pere", node);
}

/// Ends an agent that waits for an answer that never comes.
fn calling(node: &mut NodeProgram, signal: Signal) {
    let silent = RawUser::new(node.address());
    assert_eq!(silent.ask("PRjoan@bb.com"), "RR0");
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
    laura.type_line("/call joan@bb.com");
    assert_eq!(silent.hear(), "PLlaura@bb.com:joan@bb.com");
    laura.signal(signal);
    ends_well(&mut laura, "laura", node);
}

/// Ends an agent that waits for its registration, at a node that answers late.
fn starting(signal: Signal) {
    let node = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    node.set_read_timeout(Some(DEADLINE)).expect("it is not 0");
    let at = node.local_addr().expect("it is bound");
    let mut laura = AgentProgram::start("laura@bb.com", at, &[]);
    let mut buffer = [0; 100];
    let mut hear = |expected: &str| loop {
        let (length, from) = uninterrupted(|| node.recv_from(&mut buffer)).expect("a message");
        if &buffer[..length] == expected.as_bytes() {
            return from;
        }
        // The request is repeated meanwhile.
        assert_eq!(&buffer[..length], b"PRlaura@bb.com");
    };
    let agent = hear("PRlaura@bb.com");
    laura.signal(signal);
    node.send_to(b"RR0", agent).expect("sent");
    hear("PDlaura@bb.com");
    node.send_to(b"RD0", agent).expect("sent");
    let code = laura.wait_exit();
    // The answer may have come before the signal.
    let told = laura.stdout().last().cloned().unwrap_or_default();
    match code {
        0 => assert_eq!(told, "* deregistered laura@bb.com"),
        code => assert_eq!((code, &*told), (1, "! cannot register laura@bb.com: interrupted")),
    }
    assert!(laura.log_text().ends_with('\n'));
}

fn ends_well(agent: &mut AgentProgram, user: &str, node: &mut NodeProgram) {
    assert_eq!(agent.wait_exit(), 0);
    let address = format!("{user}@bb.com");
    assert_eq!(agent.stdout().last(), Some(&format!("* deregistered {address}")));
    assert!(agent.log_text().ends_with('\n'), "the log ends within a line");
    let deregistration = format!(", PD{address}, {}", 2 + address.len());
    let came = node.log().iter().rev().any(|line| line.starts_with("R: ") && line.ends_with(&deregistration));
    assert!(came, "the node was not told");
    assert!(!node.is_online(user));
}

fn signal(round: u64) -> Signal {
    if round.is_multiple_of(2) { Signal::Terminate } else { Signal::Interrupt }
}

/// The nodes; with [`AGENTS`], they are a hundred programs.
const NODES: u64 = 52;

const AGENTS: u64 = 48;

/// Requests under way at a time.
const IN_FLIGHT: usize = 64;

/// Changes that are typed at once.
const CHANGES: usize = 6;
