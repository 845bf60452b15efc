//! Our node beside nodes of L and S, each with agents of its own.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Deref;
use std::time::Duration;

use integration_tests::emulators::Program::{self, L, S};
use integration_tests::emulators::sockets::{EmulatedAgent, fence};
use integration_tests::network::{TestNode, directory};
use mi_agent_core::LocateError;
use tokio::net::UdpSocket;

use super::{BOTH, agent_at, converse, mi, node_beside, ours, peer};
use crate::conversation::soon;

#[tokio::test]
async fn users_of_two_domains_talk_both_ways() {
    for theirs in BOTH {
        let peer = peer(theirs).await;
        let node = node_beside(&peer).await;
        let mut u1 = EmulatedAgent::start(L, "u1@aa", node.address).await;
        let mut u2 = EmulatedAgent::start(S, "u2@aa", node.address).await;
        let mut x1 = agent_at(theirs, "x1@bb", peer.address).await;
        for ours in [&mut u1, &mut u2] {
            converse(ours, &mut x1).await;
            converse(&mut x1, ours).await;
        }
        for mut agent in [u1, u2, x1] {
            agent.deregister().await;
            agent.end().await;
        }
        assert_eq!(peer.all("R PL").len(), 4, "one question each: {}", *peer);
        assert_eq!(peer.all("R RL0").len(), 4, "one answer each: {}", *peer);
        peer.end().await;
    }
}

#[tokio::test]
async fn every_reason_why_a_user_is_not_found_crosses_the_border() {
    for theirs in BOTH {
        let peer = peer(theirs).await;
        let node = node_beside(&peer).await;
        let mut u1 = EmulatedAgent::start(L, "u1@aa", node.address).await;
        let mut u2 = EmulatedAgent::start(S, "u2@aa", node.address).await;
        let mut u3 = EmulatedAgent::start(S, "u3@aa", node.address).await;
        let mut x1 = agent_at(theirs, "x1@bb", peer.address).await;
        let mut x2 = agent_at(theirs, "x2@bb", peer.address).await;
        for (caller, domain) in [(&mut u1, "bb"), (&mut u2, "bb"), (&mut x1, "aa")] {
            for (user, code) in [("nobody", "Code('2')"), ("off", "Code('3')")] {
                assert_eq!(caller.fail_to_reach(&format!("{user}@{domain}")).await, code);
            }
            assert_eq!(caller.fail_to_reach("x@-.invalid").await, "Code('2')");
        }
        u3.talk_to("x1@bb").await;
        x1.expect("begun u3").await;
        for (caller, engaged) in [(&mut u1, "x1@bb"), (&mut u2, "x1@bb"), (&mut x2, "u3@aa")] {
            assert_eq!(caller.fail_to_reach(engaged).await, "Code('1')", "{theirs:?}");
        }
        x1.say("adeu").await;
        x1.hang_up().await;
        u3.expect("closed").await;
        fence(node.address, "aa").await;
        for agent in [u1, u2, u3, x1, x2] {
            agent.end().await;
        }
        peer.end().await;
    }
}

/// L asks five times, a second apart. At the fifth question the callee is taken for gone; what it answers to
/// the others then must not cross the border, where an idle L would make of it what ends its node.
pub(super) async fn who_does_not_answer_is_offline_for_the_other_domain_too() {
    let at_theirs = async |theirs| {
        let peer = peer(theirs).await;
        let node = node_beside(&peer).await;
        let mut u1 = EmulatedAgent::start(L, "u1@aa", node.address).await;
        let x1 = agent_at(theirs, "x1@bb", peer.address).await;
        x1.freeze().await;
        assert_eq!(u1.fail_to_reach("x1@bb").await, "Code('3')", "{theirs:?}");
        x1.thaw().await;
        x1.read_all().await;
        // Their node passes all of it on, and ours none.
        peer.fence().await;
        fence(node.address, "aa").await;
        assert_eq!(peer.all("R RL0").len(), 4);
        u1.end().await;
        x1.end().await;
        peer.end().await;
    };
    let at_ours = async |callee_is| {
        let peer = peer(L).await;
        let node = node_beside(&peer).await;
        let u1 = EmulatedAgent::start(callee_is, "u1@aa", node.address).await;
        let mut x1 = agent_at(L, "x1@bb", peer.address).await;
        u1.freeze().await;
        assert_eq!(x1.fail_to_reach("u1@aa").await, "Code('3')", "{callee_is:?}");
        u1.thaw().await;
        u1.read_all().await;
        fence(node.address, "aa").await;
        assert_eq!(u1.all("R PL").len(), 4);
        peer.fence().await;
        assert_eq!(peer.all("R RL"), ["3x1@bb:u1@aa"]);
        u1.end().await;
        x1.end().await;
        peer.end().await;
    };
    tokio::join!(at_theirs(L), at_theirs(S), at_ours(L), at_ours(S));
}

/// Two questions wait in it; it answers both, and our asker hears one.
pub(super) async fn a_node_that_is_slow_is_heard_once() {
    let scenario = async |theirs| {
        let peer = peer(theirs).await;
        let node = node_beside(&peer).await;
        let mut u1 = EmulatedAgent::start(L, "u1@aa", node.address).await;
        let mut x1 = agent_at(theirs, "x1@bb", peer.address).await;
        peer.freeze().await;
        u1.call("x1@bb").await;
        u1.expect("E PL").await;
        u1.expect("E PL").await;
        fence(node.address, "aa").await;
        peer.thaw().await;
        u1.expect("begun x1").await;
        x1.expect("begun u1").await;
        x1.read_all().await;
        peer.fence().await;
        fence(node.address, "aa").await;
        u1.read_all().await;
        assert_eq!((peer.all("R RL0").len(), u1.all("R RL0").len()), (2, 1), "{theirs:?}");
        x1.hang_up().await;
        u1.expect("closed").await;
        u1.end().await;
        x1.end().await;
        peer.end().await;
    };
    tokio::join!(scenario(L), scenario(S));
}

/// S has given up after 2 s. What a node answers more than 5 s after the last question is dropped.
pub(super) async fn a_node_that_answers_too_late_is_not_heard() {
    let scenario = async |theirs| {
        let peer = peer(theirs).await;
        let node = node_beside(&peer).await;
        let mut u1 = EmulatedAgent::start(S, "u1@aa", node.address).await;
        let mut x1 = agent_at(theirs, "x1@bb", peer.address).await;
        peer.freeze().await;
        assert_eq!(u1.fail_to_reach("x1@bb").await, "NoAnswer");
        tokio::time::sleep(PENDING_LIFE).await;
        peer.thaw().await;
        peer.fence().await;
        x1.read_all().await;
        peer.fence().await;
        fence(node.address, "aa").await;
        u1.read_all().await;
        assert!(!x1.all("R PL").is_empty());
        assert_eq!(u1.all("R "), ["RR0"], "{theirs:?}");
        // Once it has registered again, the user is reached after ten vain questions.
        x1.register().await;
        x1.expect("registered").await;
        converse(&mut u1, &mut x1).await;
        u1.end().await;
        x1.end().await;
        peer.end().await;
    };
    tokio::join!(scenario(L), scenario(S));
}

/// The host of the other domain is there, but no node: ICMP errors come to ours, which serves on.
pub(super) async fn a_node_that_is_gone_gives_no_answer() {
    let peer = peer(L).await;
    let node = node_beside(&peer).await;
    peer.end().await;
    let mut u1 = EmulatedAgent::start(S, "u1@aa", node.address).await;
    let mut u2 = EmulatedAgent::start(L, "u2@aa", node.address).await;
    assert_eq!(u1.fail_to_reach("x1@bb").await, "NoAnswer");
    assert_eq!(u1.all("S PL").len(), 10);
    converse(&mut u1, &mut u2).await;
    u1.end().await;
    u2.end().await;
}

#[tokio::test]
async fn what_another_node_sends_unasked_is_met_by_silence() {
    for theirs in BOTH {
        let peer = peer(theirs).await;
        let node = node_beside(&peer).await;
        let u1 = EmulatedAgent::start(L, "u1@aa", node.address).await;
        for message in [
            "",
            "RR0",
            "RR1",
            "RD0",
            "garbage",
            "PLx1@bb",
            "PLx@cc:y@dd",
            "PLx1@bb:y@dd",
            "RL0u1@aa:x1@bb:127.0.0.1:4000",
            "RL2u1@aa:x1@bb",
            "RL3x1@bb:u1@aa",
            "RL00u1@aa:x1@bb:127.0.0.1:4000:127.0.0.1:4001",
        ] {
            peer.send(node.address, message.as_bytes()).await;
        }
        peer.fence().await;
        fence(node.address, "aa").await;
        peer.fence().await;
        u1.read_all().await;
        assert_eq!(peer.all("R "), ["PDnobody@bb", "PDnobody@bb"], "nothing but the fences");
        assert_eq!(u1.all("R "), ["RR0"]);
        u1.end().await;
        peer.end().await;
    }
}

/// The network, or the other node, delivers answers three times: each passes once.
#[tokio::test]
async fn answers_that_are_duplicated_cross_the_border_once() {
    for theirs in BOTH {
        let peer = peer(theirs).await;
        let node = node_beside(&peer).await;
        let mut u1 = EmulatedAgent::start(L, "u1@aa", node.address).await;
        let mut x1 = agent_at(theirs, "x1@bb", peer.address).await;
        x1.repeat(3).await;
        u1.call("x1@bb").await;
        u1.expect("begun x1").await;
        x1.read_all().await;
        peer.fence().await;
        fence(node.address, "aa").await;
        u1.read_all().await;
        assert_eq!((peer.all("R RL0").len(), u1.all("R RL0").len()), (3, 1));
        u1.say("adeu").await;
        u1.hang_up().await;
        x1.expect("closed").await;

        x1.repeat(1).await;
        u1.repeat(3).await;
        x1.call("u1@aa").await;
        x1.expect("begun u1").await;
        u1.read_all().await;
        fence(node.address, "aa").await;
        peer.fence().await;
        assert_eq!(peer.all("R RL0x1@bb:u1@aa").len(), 1, "{}", *peer);
        x1.say("adeu").await;
        x1.hang_up().await;
        u1.expect("closed").await;
        u1.end().await;
        x1.end().await;
        peer.end().await;
    }
}

/// Their asker has been told that there is no such user; the answer that follows would end its node.
pub(super) async fn the_answer_of_a_removed_user_does_not_cross_the_border() {
    for theirs in BOTH {
        let peer = peer(theirs).await;
        let node = node_beside(&peer).await;
        let u1 = EmulatedAgent::start(L, "u1@aa", node.address).await;
        let mut x1 = agent_at(theirs, "x1@bb", peer.address).await;
        u1.freeze().await;
        x1.call("u1@aa").await;
        x1.wait_for(|line| line.contains(" PL")).await;
        peer.fence().await;
        fence(node.address, "aa").await;
        node.administrator.remove_user("u1".parse().expect("a name")).await.expect("saved");
        assert_eq!(x1.expect("failed Locate").await, r#"("u1@aa"): Code('2')"#);
        u1.thaw().await;
        u1.read_all().await;
        fence(node.address, "aa").await;
        peer.fence().await;
        assert_eq!(peer.all("R RL"), ["2x1@bb:u1@aa"]);
        u1.end().await;
        x1.end().await;
        peer.end().await;
    }
}

/// A domain by another case, and a user with letters beyond ASCII: answered by the names that were asked for.
#[tokio::test]
async fn names_come_back_as_they_were_sent() {
    let peer = peer(L).await;
    let node = TestNode::start("PC-c", &["u1", "ñandú"], directory(&[("bb", peer.address)])).await;
    for name in ["PC-c", "pc-C"] {
        peer.add_peer(name, node.address).await;
    }
    let mut u1 = EmulatedAgent::start(L, "u1@PC-c", node.address).await;
    let mut other = EmulatedAgent::start(L, "ñandú@pc-C", node.address).await;
    let mut x1 = agent_at(L, "x1@bb", peer.address).await;
    u1.talk_to("ñandú@PC-C").await;
    assert_eq!(u1.all("R RL"), [format!("0u1@PC-c:ñandú@PC-C:{}", other.listening)]);
    u1.say("adeu").await;
    u1.hang_up().await;
    other.expect("closed").await;
    x1.talk_to("u1@pc-C").await;
    assert_eq!(x1.all("R RL"), [format!("0x1@bb:u1@pc-C:{}", u1.listening)]);
    x1.say("adeu").await;
    x1.hang_up().await;
    u1.expect("closed").await;
    for agent in [u1, other, x1] {
        agent.end().await;
    }
    peer.end().await;
}

/// An extension goes through chains of nodes as it came, and no program minds it (protocol.md §7, row 15).
#[tokio::test]
async fn an_extension_of_an_answer_crosses_the_border() {
    for theirs in BOTH {
        let peer = peer(theirs).await;
        let node = node_beside(&peer).await;
        let (agent, _events) = ours("u3@aa", node.address).start().await.expect("registered");
        let mut u1 = EmulatedAgent::start(L, "u1@aa", node.address).await;
        let mut u2 = EmulatedAgent::start(S, "u2@aa", node.address).await;
        let mut x1 = agent_at(theirs, "x1@bb", peer.address).await;

        // Their callee, their node, our node, and our asker or one of theirs.
        let x2 = Extender::start("x2@bb", theirs, peer.address).await;
        let (found, answer) = tokio::join!(agent.locate(mi("x2@bb")), x2.answer("u3@aa", "RL0", ":T:more"));
        assert_eq!(found.expect("located").to_string(), x2.listening.to_string(), "{answer}");
        for caller in [&mut u1, &mut u2] {
            caller.call("x2@bb").await;
            let answer = x2.answer(&caller.address, "RL0", ":T:more").await;
            assert_eq!(caller.expect("located x2@bb at ").await, x2.listening.to_string());
            assert_eq!(caller.all("R RL0"), [&answer[3..]]);
            caller.expect("begun x2").await;
            x2.say("adeu").await;
            x2.hang_up().await;
            caller.expect("closed").await;
        }
        let (busy, _) = tokio::join!(agent.locate(mi("x2@bb")), x2.answer("u3@aa", "RL1", ":"));
        assert!(matches!(busy, Err(LocateError::Busy)), "{busy:?}");

        // Our callee, our node, their node, their asker.
        let u4 = Extender::start("u4@aa", L, node.address).await;
        x1.call("u4@aa").await;
        let answer = u4.answer("x1@bb", "RL0", ":").await;
        assert_eq!(x1.expect("located u4@aa at ").await, u4.listening.to_string());
        assert_eq!(x1.all("R RL0"), [&answer[3..]]);
        x1.expect("begun u4").await;
        u4.say("adeu").await;
        u4.hang_up().await;
        x1.expect("closed").await;

        soon(agent.shutdown()).await.expect("deregistered");
        for agent in [u1, u2, x1] {
            agent.end().await;
        }
        peer.end().await;
    }
}

/// A callee that extends its answers, as programs of later versions do.
struct Extender {
    address: &'static str,
    udp: UdpSocket,
    /// Takes the calls.
    callee: EmulatedAgent,
}

impl Extender {
    /// Registers in the form that a node of `program` knows.
    async fn start(address: &'static str, program: Program, node: SocketAddrV4) -> Self {
        let ip = Ipv4Addr::LOCALHOST;
        let callee = EmulatedAgent::set_up(ip, ip, program, address, node).await;
        let udp = UdpSocket::bind((ip, 0)).await.expect("a socket");
        udp.connect(node).await.expect("a loopback address");
        let registrant = if program == S { address.split('@').next().unwrap_or_default() } else { address };
        let extender = Self { address, udp, callee };
        extender.udp.send(format!("PR{registrant}").as_bytes()).await.expect("sent");
        extender.wait_for("RR0").await;
        extender
    }

    /// Answers the question of `asker`. Returns the answer.
    async fn answer(&self, asker: &str, code: &str, extension: &str) -> String {
        let names = format!("{asker}:{}", self.address);
        self.wait_for(&format!("PL{names}")).await;
        let found = if code == "RL0" { format!(":{}", self.callee.listening) } else { String::new() };
        let answer = format!("{code}{names}{found}{extension}");
        self.udp.send(answer.as_bytes()).await.expect("sent");
        answer
    }

    async fn wait_for(&self, message: &str) {
        let mut buffer = [0; 101];
        loop {
            let length = soon(self.udp.recv(&mut buffer)).await.expect("its node is there");
            if buffer[..length] == *message.as_bytes() {
                return;
            }
        }
    }
}

impl Deref for Extender {
    type Target = EmulatedAgent;

    fn deref(&self) -> &EmulatedAgent {
        &self.callee
    }
}

/// protocol.md §9, and a little.
const PENDING_LIFE: Duration = Duration::from_millis(5_050);
