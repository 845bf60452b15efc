//! Our node with agents of L and S.

use std::net::Ipv4Addr;

use integration_tests::emulators::Program::{L, S};
use integration_tests::emulators::sockets::{EmulatedAgent, fence};
use integration_tests::network::{TestNode, bind_again, directory, local_address};
use integration_tests::trace::Trace;
use tokio::net::UdpSocket;

use super::{BOTH, converse};

#[tokio::test]
async fn they_register_locate_talk_and_leave_in_every_pairing() {
    for (caller_is, callee_is) in [(L, L), (L, S), (S, L), (S, S)] {
        let trace = Trace::start();
        let node = TestNode::start("bb", &["u1", "u2"], directory(&[])).await;
        let mut u1 = EmulatedAgent::start(caller_is, "u1@bb", node.address).await;
        let mut u2 = EmulatedAgent::start(callee_is, "u2@bb", node.address).await;
        converse(&mut u1, &mut u2).await;
        u1.deregister().await;
        u2.deregister().await;

        let name = |program, user: &str| if program == L { format!("{user}@bb") } else { user.to_owned() };
        let (u1_name, u2_name) = (name(caller_is, "u1"), name(callee_is, "u2"));
        let said = match callee_is {
            L => u2.listening.to_string(),
            S => format!("0.0.0.0:{}", u2.listening.port()),
        };
        let expected = [
            format!("R PR{u1_name}"),
            "E RR0".into(),
            format!("R PR{u2_name}"),
            "E RR0".into(),
            "R PLu1@bb:u2@bb".into(),
            "E PLu1@bb:u2@bb".into(),
            format!("R RL0u1@bb:u2@bb:{said}"),
            format!("E RL0u1@bb:u2@bb:{}", u2.listening),
            format!("R PD{u1_name}"),
            "E RD0".into(),
            format!("R PD{u2_name}"),
            "E RD0".into(),
        ];
        assert_eq!(trace.messages("bb"), expected, "{caller_is:?} calls {callee_is:?}");
        u1.end().await;
        u2.end().await;
    }
}

#[tokio::test]
async fn a_user_who_is_not_in_the_roster_is_told_so() {
    let node = TestNode::start("bb", &["u1"], directory(&[])).await;
    for program in BOTH {
        for address in ["nobody@bb", "u1@cc"] {
            if (program, address) == (S, "u1@cc") {
                continue; // It does not say which domain.
            }
            let localhost = Ipv4Addr::LOCALHOST;
            let mut agent = EmulatedAgent::set_up(localhost, localhost, program, address, node.address).await;
            agent.register().await;
            assert_eq!(agent.expect("failed Register: ").await, "Code('1')");
            agent.end().await;
        }
    }
}

#[tokio::test]
async fn every_reason_why_a_user_is_not_found_comes_once() {
    let node = TestNode::start("bb", &["u1", "off"], directory(&[])).await;
    for program in BOTH {
        let mut agent = EmulatedAgent::start(program, "u1@bb", node.address).await;
        for (to, code) in [("off@bb", "Code('3')"), ("nobody@bb", "Code('2')"), ("x@-.invalid", "Code('2')")]
        {
            assert_eq!(agent.fail_to_reach(to).await, code, "{program:?} {to}");
        }
        fence(node.address, "bb").await;
        assert_eq!(agent.all("R RL").len(), 3, "one answer each");
        agent.deregister().await;
        agent.end().await;
    }
}

/// S says where it is even while it is busy. That is passed on like any extension, and L ignores it.
#[tokio::test]
async fn busy_agents_say_so() {
    let node = TestNode::start("bb", &["u1", "u2", "u3", "u4"], directory(&[])).await;
    let mut u1 = EmulatedAgent::start(L, "u1@bb", node.address).await;
    let mut u2 = EmulatedAgent::start(S, "u2@bb", node.address).await;
    let mut u3 = EmulatedAgent::start(L, "u3@bb", node.address).await;
    let mut u4 = EmulatedAgent::start(S, "u4@bb", node.address).await;
    u1.talk_to("u2@bb").await;
    u2.expect("begun ").await;
    for caller in [&mut u3, &mut u4] {
        for engaged in ["u1@bb", "u2@bb"] {
            assert_eq!(caller.fail_to_reach(engaged).await, "Code('1')");
        }
        let caller_is = &caller.address;
        let of_s = format!("{caller_is}:u2@bb:0.0.0.0:{}", u2.listening.port());
        assert_eq!(caller.all("R RL1"), [format!("{caller_is}:u1@bb"), of_s]);
    }
    assert_eq!(u2.all("S RL1")[0], format!("u3@bb:u2@bb:0.0.0.0:{}", u2.listening.port()));
    u1.say("still here").await;
    assert_eq!(u2.expect("heard ").await, "still here");
    u2.hang_up().await;
    u1.expect("closed").await;
    for agent in [u1, u2, u3, u4] {
        agent.end().await;
    }
}

#[tokio::test]
async fn the_node_says_where_agents_are_that_do_not_know() {
    let node = TestNode::start("bb", &["u1", "u2"], directory(&[])).await;
    let mut caller = EmulatedAgent::start(L, "u1@bb", node.address).await;
    for (program, ip) in [(L, Ipv4Addr::new(127, 0, 0, 8)), (S, Ipv4Addr::new(127, 0, 0, 7))] {
        let mut callee =
            EmulatedAgent::start_at(ip, Ipv4Addr::UNSPECIFIED, program, "u2@bb", node.address).await;
        caller.call("u2@bb").await;
        assert_eq!(caller.expect("located u2@bb at ").await, callee.listening.to_string());
        caller.expect("begun u2").await;
        callee.expect("begun u1").await;
        callee.hang_up().await;
        caller.expect("closed").await;
        callee.deregister().await;
        callee.end().await;
    }
    caller.end().await;
}

/// The callee is sent one copy of a question, unless they come at a distance, and answers it as often. One
/// answer goes to an L that reads any second one as a question.
#[tokio::test]
async fn duplicated_datagrams_lead_to_one_answer() {
    for callee_is in BOTH {
        let node = TestNode::start("bb", &["u1", "u2"], directory(&[])).await;
        let mut caller = EmulatedAgent::start(L, "u1@bb", node.address).await;
        let mut callee = EmulatedAgent::start(callee_is, "u2@bb", node.address).await;
        caller.repeat(3).await;
        callee.repeat(3).await;
        converse(&mut caller, &mut callee).await;
        callee.read_all().await;
        fence(node.address, "bb").await;
        caller.read_all().await;
        assert_eq!(caller.all("R RL0").len(), 1, "{}", *caller);
        assert!((1..=3).contains(&callee.all("R PL").len()), "{}", *callee);
        caller.end().await;
        callee.end().await;
    }
}

/// An L that waits mistakes the other's question for its answer; each reports to its user that the call
/// failed. Neither that nor a call to itself is more than that.
#[tokio::test]
async fn agents_that_call_each_other_at_once_go_on() {
    let node = TestNode::start("bb", &["u1", "u2"], directory(&[])).await;
    let mut u1 = EmulatedAgent::start(L, "u1@bb", node.address).await;
    let mut u2 = EmulatedAgent::start(L, "u2@bb", node.address).await;
    u1.call("u2@bb").await;
    u2.call("u1@bb").await;
    assert_eq!(
        u1.expect("failed Locate").await,
        r#"("u2@bb"): Misread([80, 76, 117, 50, 64, 98, 98, 58, 117, 49, 64, 98, 98])"#
    );
    u2.expect("failed Locate").await;
    u1.call("u1@bb").await;
    u1.expect("failed Locate").await;
    fence(node.address, "bb").await;
    converse(&mut u1, &mut u2).await;
    u2.assert_alive();
    u1.assert_alive();
}

/// Neither what strangers send to the node nor what an L makes of a stray is answered or goes further.
#[tokio::test]
async fn garbage_is_met_by_silence() {
    let node = TestNode::start("bb", &["u1", "u2"], directory(&[])).await;
    let mut u1 = EmulatedAgent::start(L, "u1@bb", node.address).await;
    let mut u2 = EmulatedAgent::start(S, "u2@bb", node.address).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let too_long = format!("PRu1@bb{}", "x".repeat(100));
    for garbage in [
        "",
        "P",
        "RR0",
        "RD0",
        "PLu1@bb",
        "PLu1@bb:",
        "PL:u2@bb",
        "PLu1@bb:u2@bb:",
        "RL00u1@bb:u2@bb:127.0.0.1:4000:127.0.0.1:4001",
        "RL00:127.0.0.1:4000",
        "RL0u1@bb:u2@bb:127.0.0.1:4000",
        "RL2u1@bb:u2@bb",
        "RL9u1@bb:u2@bb",
        "PRu1@",
        "PRu1@bb\0",
        "PRu1@bb\n",
        "XX",
        &too_long,
        "PLu1@bb:x@cc",
    ] {
        stranger.send_to(garbage.as_bytes(), node.address).await.expect("sent");
        if garbage.starts_with("RL") {
            u1.send(garbage).await;
            u2.send(garbage).await;
        }
    }
    u1.read_all().await;
    u2.read_all().await;
    fence(node.address, "bb").await;
    let answered = stranger.try_recv(&mut [0; 100]);
    assert_eq!(answered.expect_err("silence").kind(), std::io::ErrorKind::WouldBlock);
    for agent in [&u1, &u2] {
        agent.read_all().await;
        assert_eq!(agent.all("R "), ["RR0"]);
    }
    converse(&mut u1, &mut u2).await;
    u1.end().await;
    u2.end().await;
}

#[tokio::test]
async fn an_agent_that_is_started_again_elsewhere_is_found_there() {
    let node = TestNode::start("bb", &["u1", "u2"], directory(&[])).await;
    let mut caller = EmulatedAgent::start(L, "u1@bb", node.address).await;
    let mut first = EmulatedAgent::start(L, "u2@bb", node.address).await;
    converse(&mut caller, &mut first).await;
    for program in BOTH {
        // The one before is gone without a word.
        first.end().await;
        first = EmulatedAgent::start(program, "u2@bb", node.address).await;
        converse(&mut caller, &mut first).await;
    }
    first.end().await;
    caller.end().await;
}

/// A conversation is not the node's business, and the ICMP error of a closed port ends an L only if it sends.
#[tokio::test]
async fn a_node_that_ends_and_begins_again_is_not_noticed_by_who_asks_nothing() {
    let node = TestNode::start("bb", &["u1", "u2", "u3"], directory(&[])).await;
    let at = node.address;
    let mut u1 = EmulatedAgent::start(L, "u1@bb", at).await;
    let mut u2 = EmulatedAgent::start(L, "u2@bb", at).await;
    let mut u3 = EmulatedAgent::start(S, "u3@bb", at).await;
    u1.talk_to("u2@bb").await;
    u2.expect("begun ").await;
    node.stop().await;
    u1.say("still here").await;
    assert_eq!(u2.expect("heard ").await, "still here");
    u2.hang_up().await;
    u1.expect("closed").await;

    let socket = bind_again(at).await;
    assert_eq!(local_address(&socket), at);
    let _node = TestNode::start_on(socket, "bb", &["u1", "u2", "u3"], directory(&[])).await;
    assert_eq!(u1.fail_to_reach("u3@bb").await, "Code('3')", "it knows nobody any more");
    u3.register().await;
    u3.expect("registered").await;
    u1.register().await;
    u1.expect("registered").await;
    converse(&mut u1, &mut u3).await;
    for agent in [u1, u2, u3] {
        agent.end().await;
    }
}
