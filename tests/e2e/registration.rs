//! A registration is kept, whatever becomes of the node: started again, gone for long, gone for a moment.

use std::net::{SocketAddr, SocketAddrV4};
use std::time::Duration;

use integration_tests::network::{TestNode, bind_again, directory};
use integration_tests::programs::DEADLINE;
use integration_tests::trace::Trace;
use integration_tests::wire::Wire;
use mi_agent_core::{
    Event, Events, LocateError, LossReason, LumiAnswer, LumiRequest, MAX_EVENTS, RETRY, RefreshError,
    RegistrationChange,
};
use plumi_proto::{LocateOutcome, MiAddress, RegisterCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time;

const BB: &str = "127.0.0.2:3344";
const LAURA: &str = "127.0.0.1:5001";
const PERE: &str = "127.0.0.1:5002";
const ROSTER: &str = "bb.com\nlaura\npere\n";

/// The wire with the node of bb.com and its two users, both online.
fn wire() -> Wire {
    let mut wire = Wire::new();
    wire.add_node(BB, ROSTER);
    for (at, address) in [(LAURA, "laura@bb.com"), (PERE, "pere@bb.com")] {
        wire.add_agent(at, address, "127.0.0.1:3500");
        let id = wire.request(at, LumiRequest::Register);
        assert_eq!(wire.answer(at, id), Some(LumiAnswer::Register(RegisterCode::Registered)));
    }
    wire
}

fn finds_pere(wire: &mut Wire) -> Option<LumiAnswer> {
    let id = wire.request(LAURA, LumiRequest::Locate(address("pere@bb.com")));
    wire.pass(Duration::from_secs(5));
    wire.answer(LAURA, id)
}

#[test]
fn users_are_found_again_after_their_node_was_started_again() {
    let mut wire = wire();
    wire.pass(Duration::from_secs(30));
    wire.remove_node(BB);
    wire.add_node(BB, ROSTER);
    // The asker is registered by asking; the other user, by the next refresh at the latest.
    assert_eq!(
        finds_pere(&mut wire),
        Some(LumiAnswer::Locate { outcome: LocateOutcome::Offline, offers_tls: false })
    );
    wire.pass(Duration::from_secs(30));
    assert!(matches!(
        finds_pere(&mut wire),
        Some(LumiAnswer::Locate { outcome: LocateOutcome::Found(_), .. })
    ));
    assert_eq!(wire.registrations(LAURA), [], "nobody noticed");
}

#[test]
fn a_node_that_was_gone_for_long_is_registered_at_within_seconds() {
    let mut wire = wire();
    wire.remove_node(BB);
    wire.pass(Duration::from_secs(3600));
    let lost = RegistrationChange::Lost(LossReason::NoAnswer);
    assert_eq!(wire.registrations(PERE), [lost]);
    wire.add_node(BB, ROSTER);
    wire.pass(RETRY);
    assert_eq!(wire.registrations(PERE), [lost, RegistrationChange::Regained]);
    assert!(matches!(
        finds_pere(&mut wire),
        Some(LumiAnswer::Locate { outcome: LocateOutcome::Found(_), .. })
    ));
    let sent = wire.log("pere@bb.com").iter().filter(|line| line.starts_with("E: ")).count();
    assert!(sent < 10 + 3600 / 5, "{sent} messages in an hour");
}

#[test]
fn a_user_who_is_no_longer_in_the_roster_is_told_so() {
    let mut wire = wire();
    wire.remove_node(BB);
    wire.add_node(BB, "bb.com\nlaura\n");
    wire.pass(Duration::from_secs(120));
    assert_eq!(wire.registrations(PERE), [RegistrationChange::Lost(LossReason::NoSuchUser)]);
    assert_eq!(wire.registrations(LAURA), []);
    wire.remove_node(BB);
    wire.add_node(BB, ROSTER);
    wire.pass(RETRY);
    assert_eq!(wire.registrations(PERE)[1..], [RegistrationChange::Regained]);
}

/// The agent that registers last has the user, for a minute: the other one registers, too. Each was
/// registered whenever it asked, so neither is told anything.
#[test]
fn two_agents_of_one_user_take_turns() {
    const OTHER: &str = "127.0.0.1:5003";
    let mut wire = wire();
    wire.pass(Duration::from_secs(30));
    wire.add_agent(OTHER, "pere@bb.com", "127.0.0.1:3600");
    wire.request(OTHER, LumiRequest::Register);
    let mut found = Vec::new();
    for _ in 0..4 {
        match finds_pere(&mut wire) {
            Some(LumiAnswer::Locate { outcome: LocateOutcome::Found(at), .. }) => found.push(at.to_string()),
            answer => panic!("{answer:?}"),
        }
        wire.pass(Duration::from_secs(25));
    }
    assert_eq!(found, ["127.0.0.1:3600", "127.0.0.1:3500", "127.0.0.1:3600", "127.0.0.1:3500"]);
    assert_eq!((wire.registrations(PERE), wire.registrations(OTHER)), (&[][..], &[][..]));
}

#[tokio::test]
async fn two_hundred_users_are_online_again_after_their_node_was_started_again() {
    let names: Vec<_> = (0..200).map(|n| format!("u{n}")).collect();
    let users: Vec<_> = names.iter().map(String::as_str).collect();
    let node = TestNode::start("bb.com", &users, directory(&[])).await;
    let mut agents = Vec::new();
    for user in &users {
        agents.push(node.agent(user).refresh(Some(RETRY)).start().await.expect("registered"));
    }
    assert_eq!(online(&node).await, 200);
    let node = start_again(node, &users).await;
    until(async || online(&node).await == 200).await;
}

#[tokio::test]
async fn a_program_is_told_that_its_registration_is_lost_and_regained() {
    let node = TestNode::start("bb.com", &["laura", "pere"], directory(&[])).await;
    let at = node.address;
    let (laura, mut events) = node.agent("laura").start().await.expect("registered");
    node.stop().await;
    // A question in vain shows it, long before the next refresh.
    laura.locate(address("pere@bb.com")).await.expect_err("the node is gone");
    assert_eq!(lost(&mut events).await, RefreshError::NoAnswer { node: at.into(), unsent: None });
    let socket = bind_again(at).await;
    let node = TestNode::start_on(socket, "bb.com", &["pere"], directory(&[])).await;
    assert_eq!(lost(&mut events).await, RefreshError::NoSuchUser);
    node.administrator.add_user("laura".parse().expect("a name")).await.expect("saved");
    match events.next().await {
        Some(Event::RegistrationRegained) => {}
        event => panic!("{event:?}"),
    }
    assert_eq!(online(&node).await, 1);
    laura.shutdown().await.expect("deregistered");
    assert_eq!(online(&node).await, 0);
    assert!(events.next().await.is_none());
}

/// A program that does not read its events misses none that still matters, and holds nobody up.
#[tokio::test]
async fn what_is_told_late_is_what_holds() {
    for is_regained in [false, true] {
        let node = TestNode::start("bb.com", &["laura"], directory(&[])).await;
        let (laura, mut events) = node.agent("laura").pace(Duration::ZERO).start().await.expect("registered");
        // One conversation, and as many refused as fit behind it.
        let listening = SocketAddr::V4(laura.listening().into());
        let mut talk = TcpStream::connect(listening).await.expect("a connection");
        talk.write_all(b"N04joya").await.expect("written");
        talk.read_exact(&mut [0; 8]).await.expect("a nickname");
        for _ in 1..MAX_EVENTS {
            let mut refused = TcpStream::connect(listening).await.expect("a connection");
            refused.write_all(b"N04joan").await.expect("written");
            refused.read_to_end(&mut Vec::new()).await.expect("FIN");
        }
        let at = node.address;
        let trace = Trace::start();
        node.stop().await;
        laura.locate(laura.address()).await.expect_err("the node is gone");
        let tried = |message: &String| message == "E PRlaura@bb.com";
        // Five before it is lost, and one after.
        until(async || trace.messages("laura@bb.com").iter().filter(|message| tried(message)).count() > 5)
            .await;
        let mut node = None;
        if is_regained {
            let socket = bind_again(at).await;
            let started = TestNode::start_on(socket, "bb.com", &["laura"], directory(&[])).await;
            until(async || online(&started).await == 1).await;
            let busy =
                laura.locate(laura.address()).await.expect_err("all is well, but for the conversation");
            assert!(matches!(busy, LocateError::Busy));
            node = Some(started);
        }
        for _ in 0..MAX_EVENTS {
            assert!(matches!(events.next().await, Some(Event::Incoming(_) | Event::Refused { .. })));
        }
        match node {
            Some(_node) => {
                laura.shutdown().await.expect("deregistered");
                assert!(events.next().await.is_none(), "what was lost has been regained");
            }
            None => {
                assert_eq!(lost(&mut events).await, RefreshError::NoAnswer { node: at.into(), unsent: None });
            }
        }
    }
}

/// A program that takes no calls keeps its registration nevertheless.
#[tokio::test]
async fn who_drops_the_events_stays_registered() {
    let node = TestNode::start("bb.com", &["laura"], directory(&[])).await;
    let (laura, _) = node.agent("laura").start().await.expect("registered");
    let at = node.address;
    node.stop().await;
    laura.locate(laura.address()).await.expect_err("the node is gone");
    let socket = bind_again(at).await;
    let node = TestNode::start_on(socket, "bb.com", &["laura"], directory(&[])).await;
    until(async || online(&node).await == 1).await;
}

/// The port is closed, so the system says so (ICMP): each such answer is one lost try, and the others stand.
#[tokio::test]
async fn a_node_that_is_started_again_in_time_answers_every_request() {
    let trace = Trace::start();
    let node = TestNode::start("bb.com", &["laura"], directory(&[])).await;
    let (laura, _events) = node.agent("laura").start().await.expect("registered");
    let at = node.address;

    node.stop().await;
    let tried = "E PLlaura@bb.com:laura@bb.com";
    let locating = tokio::spawn({
        let laura = laura.clone();
        async move { laura.locate(laura.address()).await }
    });
    let node = start_when(&trace, tried, at).await;
    let found = match locating.await.expect("no panic") {
        // The node came so late that it was asked before the agent had registered again.
        Err(LocateError::Offline) => {
            until(async || online(&node).await == 1).await;
            laura.locate(laura.address()).await
        }
        found => found,
    };
    assert_eq!(found.expect("a later try succeeds"), laura.listening());

    node.stop().await;
    let ending = tokio::spawn(async move { laura.shutdown().await });
    let _node = start_when(&trace, "E PDlaura@bb.com", at).await;
    ending.await.expect("no panic").expect("deregistered by a later try");
}

/// Starts the node of laura once her agent has sent `message`.
async fn start_when(trace: &Trace, message: &str, at: SocketAddrV4) -> TestNode {
    until(async || trace.messages("laura@bb.com").iter().any(|sent| sent == message)).await;
    let socket = bind_again(at).await;
    TestNode::start_on(socket, "bb.com", &["laura"], directory(&[])).await
}

async fn start_again(node: TestNode, users: &[&str]) -> TestNode {
    let at = node.address;
    node.stop().await;
    let socket = bind_again(at).await;
    TestNode::start_on(socket, "bb.com", users, directory(&[])).await
}

/// Waits until it `is_so`.
async fn until(is_so: impl AsyncFn() -> bool) {
    let looking = async {
        while !is_so().await {
            time::sleep(Duration::from_millis(10)).await;
        }
    };
    time::timeout(DEADLINE, looking).await.expect("it becomes so");
}

/// Returns the number of users that are online.
async fn online(node: &TestNode) -> usize {
    let users = node.administrator.list().await.expect("a list");
    users.iter().filter(|user| user.presence.is_some()).count()
}

async fn lost(events: &mut Events) -> RefreshError {
    match events.next().await {
        Some(Event::RegistrationLost { reason }) => reason,
        event => panic!("{event:?}"),
    }
}

fn address(text: &str) -> MiAddress {
    text.parse().expect("an address")
}
