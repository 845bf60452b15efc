//! Our agent at nodes of L and S.

use std::net::Ipv4Addr;

use integration_tests::emulators::Program::{L, S};
use integration_tests::emulators::sockets::EmulatedAgent;
use mi_agent_core::{DeregisterError, LocateError, RETRY, StartError};

use super::{BOTH, agent_at, mi, ours, peer};
use crate::conversation::{incoming, next, soon};

#[tokio::test]
async fn it_registers_locates_is_located_and_leaves() {
    for theirs in BOTH {
        let mut node = peer(theirs).await;
        let (agent, _events) =
            ours("x1@bb", node.address).bare_user(theirs == S).start().await.expect("registered");
        let mut x2 = agent_at(theirs, "x2@bb", node.address).await;
        let found = agent.locate(mi("x2@bb")).await.expect("located");
        assert_eq!(found.to_string(), x2.listening.to_string());
        x2.call("x1@bb").await;
        assert_eq!(x2.expect("located x1@bb at ").await, agent.listening().to_string());
        x2.expect("begun x1").await;
        soon(agent.shutdown()).await.expect("deregistered");
        x2.expect("closed").await;
        assert_eq!(node.address_of("x1").await, None);
        let name = if theirs == S { "x1" } else { "x1@bb" };
        node.expect(&format!("R PR{name}")).await;
        node.expect("R PLx1@bb:x2@bb").await;
        node.expect(&format!("R RL0x2@bb:x1@bb:{}", agent.listening())).await;
        node.expect(&format!("R PD{name}")).await;
        x2.end().await;
        node.end().await;
    }
}

/// The bare form ends a node of L. So it is never tried unless the user says so.
#[tokio::test]
async fn a_node_of_s_that_refuses_the_full_form_is_not_asked_in_the_other() {
    let node = peer(S).await;
    let error = ours("x1@bb", node.address).start().await.expect_err("RR1");
    assert!(matches!(error, StartError::NoSuchUser), "{error}");
    node.fence().await;
    assert_eq!(node.all("R PR"), ["x1@bb"]);
    node.end().await;

    let mut node = peer(L).await;
    let error = ours("x1@bb", node.address).bare_user(true).start().await.expect_err("it ends");
    assert!(matches!(error, StartError::NoAnswer { .. }), "{error}");
    assert_eq!(node.expect_death().await, "no domain: PRx1 (protocol.md §7, row 2)");
}

#[tokio::test]
async fn every_reason_why_a_user_is_not_found_is_told() {
    for theirs in BOTH {
        let node = peer(theirs).await;
        let (agent, _events) =
            ours("x1@bb", node.address).bare_user(theirs == S).start().await.expect("registered");
        let mut x2 = agent_at(theirs, "x2@bb", node.address).await;
        let mut x3 = agent_at(theirs, "x3@bb", node.address).await;
        x2.talk_to("x3@bb").await;
        x3.expect("begun x2").await;
        let locate = async |to| agent.locate(mi(to)).await.expect_err("not found");
        assert!(matches!(locate("off@bb").await, LocateError::Offline));
        assert!(matches!(locate("nobody@bb").await, LocateError::NoSuchUser));
        assert!(matches!(locate("x@cc").await, LocateError::NoSuchUser));
        // A node of S passes on the address that its agent adds.
        assert!(matches!(locate("x2@bb").await, LocateError::Busy));
        let added = if theirs == S { format!(":{}", x2.listening) } else { String::new() };
        let told = node.all("R RL1");
        assert_eq!(told, [format!("x1@bb:x2@bb{added}")]);
        x2.say("adeu").await;
        x2.hang_up().await;
        x3.expect("closed").await;
        soon(agent.shutdown()).await.expect("deregistered");
        x2.end().await;
        x3.end().await;
        node.end().await;
    }
}

#[tokio::test]
async fn an_agent_that_does_not_know_where_it_is_is_not_dialled() {
    for theirs in BOTH {
        let node = peer(theirs).await;
        let (agent, _events) =
            ours("x1@bb", node.address).bare_user(theirs == S).start().await.expect("registered");
        let (here, nowhere) = (Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED);
        let x2 = EmulatedAgent::start_at(here, nowhere, theirs, "x2@bb", node.address).await;
        let error = soon(agent.call(mi("x2@bb"))).await.expect_err("nowhere");
        let port = x2.listening.port();
        assert_eq!(
            error.to_string(),
            format!("the user's agent gave 0.0.0.0:{port} as its address, which cannot be called")
        );
        assert_eq!(x2.all("accepted"), [""; 0]);
        soon(agent.shutdown()).await.expect("deregistered");
        x2.end().await;
        node.end().await;
    }
}

/// It is asked five times, and bears that it then reads them all at once.
pub(super) async fn a_node_that_stands_still_is_told_and_lives_when_it_goes_on() {
    for theirs in BOTH {
        let node = peer(theirs).await;
        let bare = theirs == S;
        let (agent, _events) = ours("x1@bb", node.address).bare_user(bare).start().await.expect("registered");
        node.freeze().await;
        let x3 = mi("x3@bb");
        let (registered, located) =
            tokio::join!(ours("x2@bb", node.address).bare_user(bare).start(), agent.locate(x3));
        let error = registered.expect_err("nobody answers");
        assert!(matches!(error, StartError::NoAnswer { .. }), "{error}");
        assert!(matches!(located, Err(LocateError::NoAnswer { .. })));
        let error = soon(agent.shutdown()).await.expect_err("nobody answers");
        assert!(matches!(error, DeregisterError::NoAnswer { .. }), "{error}");
        node.thaw().await;
        node.fence().await;
        assert_eq!(node.all("R PLx1@bb:x3@bb").len(), 5);
        assert_eq!(node.address_of("x1").await, None);
        node.end().await;
    }
}

/// An L node would end on an answer to any of them.
#[tokio::test]
async fn strays_from_the_node_are_met_by_silence_and_a_question_by_an_answer() {
    for theirs in BOTH {
        let mut node = peer(theirs).await;
        let (agent, _events) =
            ours("x1@bb", node.address).bare_user(theirs == S).start().await.expect("registered");
        let at = node.address_of("x1").await.expect("online");
        let x2 = agent_at(theirs, "x2@bb", node.address).await;
        x2.freeze().await;
        let too_long = "x".repeat(300);
        let strays = [
            "",
            "RR0",
            "RR1",
            "RD0",
            "RD1",
            "RL0x1@bb:x3@bb:127.0.0.1:4000",
            "RL3x4@bb:x2@bb",
            "RL00x1@bb:x2@bb:127.0.0.1:4000:127.0.0.1:4001",
            "PLx2@bb",
            "PLx2@bb:",
            "PLx2@bb:x3@bb",
            "xx",
            &too_long,
        ];
        // Idle, and again while it waits for an answer.
        for stray in strays {
            node.send(at, stray.as_bytes()).await;
        }
        let x2_answers = async {
            node.expect("R PLx1@bb:x2@bb").await;
            for stray in strays {
                node.send(at, stray.as_bytes()).await;
            }
            node.send(at, b"PLx4@bb:x1@bb").await;
            node.expect("R RL0x4@bb:x1@bb:").await;
            x2.thaw().await;
        };
        let to = mi("x2@bb");
        let (found, ()) = tokio::join!(agent.locate(to), x2_answers);
        assert_eq!(found.expect("located").to_string(), x2.listening.to_string());
        node.fence().await;
        soon(agent.shutdown()).await.expect("deregistered");
        node.fence().await;
        assert_eq!(node.all("R RL0").iter().filter(|answer| answer.starts_with("x4@bb")).count(), 1);
        x2.end().await;
        node.end().await;
    }
}

/// Both learn the other's name, though each of them waits for its node when it is asked.
#[tokio::test]
async fn two_who_look_for_each_other_at_once_find_each_other() {
    for theirs in BOTH {
        let node = peer(theirs).await;
        let bare = theirs == S;
        let (x1, _x1_events) = ours("x1@bb", node.address).bare_user(bare).start().await.expect("registered");
        let (x2, _x2_events) = ours("x2@bb", node.address).bare_user(bare).start().await.expect("registered");
        let (to_x2, to_x1) = (x2.address(), x1.address());
        let (found_x2, found_x1) = tokio::join!(x1.locate(to_x2), x2.locate(to_x1));
        assert_eq!(found_x2.expect("located"), x2.listening());
        assert_eq!(found_x1.expect("located"), x1.listening());
        soon(x1.shutdown()).await.expect("deregistered");
        soon(x2.shutdown()).await.expect("deregistered");
        node.end().await;
    }
}

/// A call that is given up, and an agent that is dropped: the node hears the end of it, and nothing odd.
#[tokio::test]
async fn an_agent_that_is_dropped_leaves_its_node_in_order() {
    for theirs in BOTH {
        let mut node = peer(theirs).await;
        let (agent, events) =
            ours("x1@bb", node.address).bare_user(theirs == S).start().await.expect("registered");
        node.freeze().await;
        let calling = tokio::spawn({
            let agent = agent.clone();
            async move { agent.call(mi("x2@bb")).await }
        });
        tokio::task::yield_now().await;
        calling.abort();
        drop((agent, events));
        node.thaw().await;
        node.expect("R PD").await;
        node.fence().await;
        assert_eq!(node.address_of("x1").await, None);
        soon(calling).await.expect_err("given up");
        node.end().await;
    }
}

/// The registration is refreshed in a conversation too: no node minds, and one that was started again knows
/// its user soon.
pub(super) async fn a_registration_is_refreshed_and_nobody_minds() {
    let scenario = async |theirs| {
        let mut node = peer(theirs).await;
        // The refresh is as frequent as can be.
        let agent = ours("x1@bb", node.address).bare_user(theirs == S).refresh(Some(RETRY));
        let (agent, mut events) = agent.start().await.expect("registered");
        let mut x2 = agent_at(theirs, "x2@bb", node.address).await;
        x2.talk_to("x1@bb").await;
        let mut talk = incoming(&mut events).await;
        node.restart().await;
        node.expect("R PRx1").await;
        node.expect("R PRx1").await;
        node.fence().await;
        assert_eq!(node.address_of("x2").await, None);
        x2.say("hola").await;
        assert_eq!(next(&mut talk).await, "hola");
        x2.hang_up().await;
        assert_eq!(soon(talk.next_line()).await.expect("no loss"), None);

        x2.register().await;
        x2.expect("registered").await;
        x2.talk_to("x1@bb").await;
        x2.hang_up().await;
        soon(agent.shutdown()).await.expect("deregistered");
        node.fence().await;
        assert_eq!(node.address_of("x1").await, None);
        x2.end().await;
        node.end().await;
    };
    tokio::join!(scenario(L), scenario(S));
}
