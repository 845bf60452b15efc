//! Our nodes and agents beside the deployed programs L and S, over real sockets: each user sees what belongs there,
//! and no emulator ends (protocol.md §7). An emulator that ends fails its test wherever it is dropped.

mod agent_and_nodes;
mod calls;
mod conversations;
mod node_and_agents;
mod node_and_late_answers;
mod node_and_nodes;
mod programs;

use std::net::{Ipv4Addr, SocketAddrV4};

use integration_tests::emulators::Program;
use integration_tests::emulators::sockets::{EmulatedAgent, EmulatedNode};
use integration_tests::network::{TestNode, directory, quick_schedule};
use mi_agent_core::{Agent, AgentBuilder};
use plumi_proto::MiAddress;

const BOTH: [Program; 2] = [Program::L, Program::S];

/// Our node of aa, with the users u1 to u4 and "off", who knows where `peer`, a node of bb, is; and is known there.
async fn node_beside(peer: &EmulatedNode) -> TestNode {
    let node =
        TestNode::start("aa", &["u1", "u2", "u3", "u4", "off"], directory(&[("bb", peer.address)])).await;
    peer.add_peer("aa", node.address).await;
    node
}

/// A node of L or S of bb, with the users x1 to x4 and "off".
async fn peer(program: Program) -> EmulatedNode {
    EmulatedNode::start(program, "bb", &["x1", "x2", "x3", "x4", "off"]).await
}

/// An agent at a node that passes on what it publishes as it stands: one of S has to know where it is.
async fn agent_at(program: Program, address: &str, node: SocketAddrV4) -> EmulatedAgent {
    EmulatedAgent::start_at(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST, program, address, node).await
}

/// Our agent of `address` at the node at `node`, which may be an emulated one.
fn ours(address: &str, node: SocketAddrV4) -> AgentBuilder {
    Agent::builder(mi(address)).node(node).schedule(quick_schedule())
}

/// `caller` calls `callee`, they talk both ways, `caller` ends it.
async fn converse(caller: &mut EmulatedAgent, callee: &mut EmulatedAgent) {
    caller.talk_to(&callee.address).await;
    callee.expect("begun ").await;
    caller.say("Hola u2!").await;
    assert_eq!(callee.expect("heard ").await, "Hola u2!");
    callee.say("Hola! Que tal?").await;
    assert_eq!(caller.expect("heard ").await, "Hola! Que tal?");
    caller.hang_up().await;
    caller.expect("closed").await;
    callee.expect("closed").await;
}

fn mi(address: &str) -> MiAddress {
    address.parse().expect("an address")
}
