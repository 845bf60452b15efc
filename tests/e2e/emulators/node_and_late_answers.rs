//! Our node with agents of L and S that are slow, frozen or gone: no answer comes twice, late, or after
//! another.

use std::time::Duration;

use integration_tests::emulators::Program::{L, S};
use integration_tests::emulators::sockets::{EmulatedAgent, fence};
use integration_tests::network::{TestNode, directory};
use tokio::net::UdpSocket;

use super::{BOTH, converse};

/// L asks five times, a second apart; with the fifth question without an answer the callee is offline.
pub(super) async fn an_agent_that_does_not_answer_is_offline_at_the_fifth_question() {
    let frozen_and_thawed = async |callee_is| {
        let node = TestNode::start("bb", &["u1", "u2"], directory(&[])).await;
        let mut caller = EmulatedAgent::start(L, "u1@bb", node.address).await;
        let mut callee = EmulatedAgent::start(callee_is, "u2@bb", node.address).await;
        callee.freeze().await;
        assert_eq!(caller.fail_to_reach("u2@bb").await, "Code('3')");
        // It answers what came meanwhile; its asker has been answered, and hears nothing of it.
        callee.thaw().await;
        callee.read_all().await;
        fence(node.address, "bb").await;
        assert_eq!(callee.all("R PL").len(), 4, "the fifth was not sent on");
        // Its answers show that it is there again.
        converse(&mut caller, &mut callee).await;
        caller.end().await;
        callee.end().await;
    };
    let gone = async || {
        let node = TestNode::start("bb", &["u1", "u2", "u3"], directory(&[])).await;
        let mut caller = EmulatedAgent::start(L, "u1@bb", node.address).await;
        let callee = EmulatedAgent::start(L, "u2@bb", node.address).await;
        let mut other = EmulatedAgent::start(S, "u3@bb", node.address).await;
        // Its ports are closed: our node is sent ICMP errors.
        drop(callee);
        assert_eq!(caller.fail_to_reach("u2@bb").await, "Code('3')");
        converse(&mut other, &mut caller).await;
        caller.end().await;
        other.end().await;
    };
    tokio::join!(frozen_and_thawed(L), frozen_and_thawed(S), gone());
}

/// The caller has asked twice by then, and the callee answers twice.
pub(super) async fn an_agent_that_answers_after_the_second_question_is_reached_once() {
    let slow = async |callee_is| {
        let node = TestNode::start("bb", &["u1", "u2"], directory(&[])).await;
        let mut caller = EmulatedAgent::start(L, "u1@bb", node.address).await;
        let mut callee = EmulatedAgent::start(callee_is, "u2@bb", node.address).await;
        callee.freeze().await;
        caller.call("u2@bb").await;
        caller.expect("E PL").await;
        caller.expect("E PL").await;
        fence(node.address, "bb").await;
        callee.thaw().await;
        caller.expect("begun u2").await;
        callee.expect("begun u1").await;
        caller.say("hola").await;
        assert_eq!(callee.expect("heard ").await, "hola");
        callee.read_all().await;
        fence(node.address, "bb").await;
        caller.read_all().await;
        assert_eq!((callee.all("R PL").len(), caller.all("R RL0").len()), (2, 1));
        caller.hang_up().await;
        callee.expect("closed").await;
        caller.end().await;
        callee.end().await;
    };
    tokio::join!(slow(L), slow(S));
}

/// S asks each 200 ms: a callee that is slow for less than that five times is reached, by as many answers as
/// questions at most.
pub(super) async fn the_quick_tries_of_s_get_one_answer() {
    for callee_is in BOTH {
        let node = TestNode::start("bb", &["u1", "u2"], directory(&[])).await;
        let mut caller = EmulatedAgent::start(S, "u1@bb", node.address).await;
        let mut callee = EmulatedAgent::start(callee_is, "u2@bb", node.address).await;
        callee.freeze().await;
        caller.call("u2@bb").await;
        for _ in 0..3 {
            caller.expect("S PL").await;
        }
        fence(node.address, "bb").await;
        callee.thaw().await;
        caller.expect("begun u2").await;
        callee.read_all().await;
        fence(node.address, "bb").await;
        caller.say("adeu").await;
        caller.hang_up().await;
        callee.expect("closed").await;
        caller.end().await;
        callee.end().await;
    }
}

/// L takes the first datagram of any kind for its answer, and what comes after that for a question: so
/// neither what a stranger says nor what another user does may reach it.
pub(super) async fn only_who_was_asked_can_answer() {
    let node = TestNode::start("bb", &["u1", "u2", "u3"], directory(&[])).await;
    let mut caller = EmulatedAgent::start(L, "u1@bb", node.address).await;
    let mut callee = EmulatedAgent::start(L, "u2@bb", node.address).await;
    let other = EmulatedAgent::start(S, "u3@bb", node.address).await;
    callee.freeze().await;
    caller.call("u2@bb").await;
    caller.expect("E PL").await;
    fence(node.address, "bb").await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    for answer in ["RL0u1@bb:u2@bb:127.0.0.1:4000", "RL1u1@bb:u2@bb", "RL2u1@bb:u2@bb", "RL3u1@bb:u2@bb"] {
        stranger.send_to(answer.as_bytes(), node.address).await.expect("sent");
        other.send(answer).await;
    }
    other.read_all().await;
    fence(node.address, "bb").await;
    callee.thaw().await;
    assert_eq!(caller.expect("located u2@bb at ").await, callee.listening.to_string());
    caller.expect("begun u2").await;
    callee.expect("begun u1").await;
    caller.say("adeu").await;
    caller.hang_up().await;
    callee.expect("closed").await;
    fence(node.address, "bb").await;
    for agent in [caller, callee, other] {
        agent.end().await;
    }
}

pub(super) async fn what_comes_after_the_callee_has_left_is_dropped() {
    let node = TestNode::start("bb", &["u1", "u2"], directory(&[])).await;
    let mut caller = EmulatedAgent::start(L, "u1@bb", node.address).await;
    let callee = EmulatedAgent::start(S, "u2@bb", node.address).await;
    callee.freeze().await;
    caller.call("u2@bb").await;
    caller.expect("E PL").await;
    fence(node.address, "bb").await;
    callee.send("PDu2").await;
    assert_eq!(caller.expect("failed Locate").await, r#"("u2@bb"): Code('3')"#);
    callee.send("RL0u1@bb:u2@bb:127.0.0.1:4000").await;
    callee.read_all().await;
    fence(node.address, "bb").await;
    caller.end().await;
}

pub(super) async fn what_comes_after_the_callee_was_removed_is_dropped() {
    let node = TestNode::start("bb", &["u1", "u2"], directory(&[])).await;
    let mut caller = EmulatedAgent::start(L, "u1@bb", node.address).await;
    let callee = EmulatedAgent::start(L, "u2@bb", node.address).await;
    callee.freeze().await;
    caller.call("u2@bb").await;
    caller.expect("E PL").await;
    fence(node.address, "bb").await;
    node.administrator.remove_user("u2".parse().expect("a name")).await.expect("saved");
    // The answer that it would have given comes before and after the asker has heard that there is no such
    // user.
    let answer = format!("RL0u1@bb:u2@bb:{}", callee.listening);
    callee.send(&answer).await;
    assert_eq!(caller.expect("failed Locate").await, r#"("u2@bb"): Code('2')"#);
    callee.send(&answer).await;
    callee.read_all().await;
    fence(node.address, "bb").await;
    caller.end().await;
    callee.thaw().await;
    callee.end().await;
}

/// 5 s after its last repetition a question has no answer any more: S has given up, and would not know what
/// it is.
pub(super) async fn an_answer_that_comes_when_nobody_waits_any_more_is_dropped() {
    let node = TestNode::start("bb", &["u1", "u2"], directory(&[])).await;
    let mut caller = EmulatedAgent::start(L, "u1@bb", node.address).await;
    let mut callee = EmulatedAgent::start(L, "u2@bb", node.address).await;
    callee.freeze().await;
    // Asked once and no more.
    caller.send("PLu1@bb:u2@bb").await;
    fence(node.address, "bb").await;
    tokio::time::sleep(PENDING_LIFE).await;
    callee.thaw().await;
    callee.expect("E RL0").await;
    fence(node.address, "bb").await;
    caller.read_all().await;
    assert_eq!(caller.all("R "), ["RR0"]);
    converse(&mut caller, &mut callee).await;
    caller.end().await;
    callee.end().await;
}

/// protocol.md §9, and a little.
const PENDING_LIFE: Duration = Duration::from_millis(5_050);
