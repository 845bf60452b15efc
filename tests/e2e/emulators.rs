//! Our nodes and agents beside the deployed programs L and S, over real sockets: each user sees what belongs
//! there, and no emulator ends (protocol.md §7). An emulator that ends fails its test wherever it is dropped.

mod agent_and_nodes;
mod calls;
mod conversations;
mod node_and_agents;
mod node_and_late_answers;
mod node_and_nodes;
mod programs;
mod proofs;

use std::net::{Ipv4Addr, SocketAddrV4};

use integration_tests::emulators::Program;
use integration_tests::emulators::sockets::{EmulatedAgent, EmulatedNode};
use integration_tests::network::{TestNode, directory, quick_schedule};
use mi_agent_core::{Agent, AgentBuilder};
use plumi_proto::MiAddress;
use tokio::task::JoinSet;

/// They wait for what takes seconds, so they do it together.
#[tokio::test]
async fn scenarios_in_which_somebody_waits() {
    let mut scenarios = JoinSet::new();
    scenarios.spawn(node_and_late_answers::an_agent_that_does_not_answer_is_offline_at_the_fifth_question());
    scenarios.spawn(node_and_late_answers::an_agent_that_answers_after_the_second_question_is_reached_once());
    scenarios.spawn(node_and_late_answers::the_quick_tries_of_s_get_one_answer());
    scenarios.spawn(node_and_late_answers::only_who_was_asked_can_answer());
    scenarios.spawn(node_and_late_answers::what_comes_after_the_callee_has_left_is_dropped());
    scenarios.spawn(node_and_late_answers::what_comes_after_the_callee_was_removed_is_dropped());
    scenarios.spawn(node_and_late_answers::an_answer_that_comes_when_nobody_waits_any_more_is_dropped());
    scenarios.spawn(node_and_nodes::who_does_not_answer_is_offline_for_the_other_domain_too());
    scenarios.spawn(node_and_nodes::a_node_that_is_slow_is_heard_once());
    scenarios.spawn(node_and_nodes::a_node_that_answers_too_late_is_not_heard());
    scenarios.spawn(node_and_nodes::a_node_that_is_gone_gives_no_answer());
    scenarios.spawn(node_and_nodes::the_answer_of_a_removed_user_does_not_cross_the_border());
    scenarios.spawn(agent_and_nodes::a_node_that_stands_still_is_told_and_lives_when_it_goes_on());
    scenarios.spawn(agent_and_nodes::a_registration_is_refreshed_and_nobody_minds());
    scenarios.spawn(conversations::three_hundred_lines_each_way_arrive());
    while let Some(ended) = scenarios.join_next().await {
        ended.expect("no assertion fails");
    }
}

const BOTH: [Program; 2] = [Program::L, Program::S];

/// Our node of aa, with the users u1 to u4 and "off". It knows the address of `peer`, a node of bb, and is
/// known there.
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
