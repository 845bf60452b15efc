//! The rules for admitting callers: agents of ours, L and S that may not hear "busy", in order, and live.

use std::net::SocketAddr;

use integration_tests::emulators::Program::{L, S};
use integration_tests::emulators::sockets::EmulatedAgent;
use integration_tests::network::{TestNode, directory};
use mi_agent_core::{Admission, CallError, Event, Events, LocateError, Refusal};
use plumi_proto::MiAddress;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::conversation::{incoming, next, soon};

const USERS: [&str; 4] = ["pere", "laura", "joya", "anna"];

#[tokio::test]
async fn who_is_blocked_hears_busy_and_others_call_as_ever() {
    let node = TestNode::start("bb.com", &USERS, directory(&[])).await;
    let admission = blocks(&["laura@bb.com"]);
    let (pere, mut events) = node.agent("pere").admission(admission).start().await.expect("registered");
    let (laura, _) = node.agent("laura").start().await.expect("registered");
    let (anna, _) = node.agent("anna").start().await.expect("registered");

    let error = laura.call(pere.address()).await.expect_err("blocked");
    assert!(matches!(error, CallError::Locate(LocateError::Busy)), "{error}");
    assert_eq!(missed(&mut events).await, (laura.address(), Refusal::Blocked));
    // One that has it noted down where pere is.
    laura.locate(pere.address()).await.expect_err("blocked");
    let mut noted = TcpStream::connect(SocketAddr::V4(pere.listening().into())).await.expect("a connection");
    noted.write_all(b"N05lauraL04hola").await.expect("written");
    let mut said = Vec::new();
    soon(noted.read_to_end(&mut said)).await.expect("FIN");
    assert_eq!(said, b"N04pereL54busy: in another conversation, please call again later");
    match soon(events.next()).await {
        Some(Event::Refused { nickname, address, reason, .. }) => {
            assert_eq!((nickname.raw(), address), ("laura", Some(laura.address())));
            assert_eq!(reason, Refusal::Blocked);
        }
        event => panic!("{event:?}, and a refusal is told once a minute"),
    }

    let anna_talks = anna.call(pere.address()).await.expect("anna may");
    let mut talk = incoming(&mut events).await;
    assert_eq!(talk.peer().address, Some(anna.address()));
    // A block does not end a conversation that has begun.
    pere.set_admission(blocks(&["anna@bb.com"]));
    anna_talks.send("hola").await.expect("sent");
    assert_eq!(next(&mut talk).await, "hola");
    drop((talk, anna_talks));
    pere.set_admission(Admission::default());
    laura.call(pere.address()).await.expect("from the next question on");
    assert_eq!(incoming(&mut events).await.peer().address, Some(laura.address()));
}

/// Laura asks where pere is just before anna calls, so that the call would get her name.
#[tokio::test]
async fn a_caller_that_may_be_one_of_several_is_let_in_if_each_of_them_may_call() {
    let node = TestNode::start("bb.com", &USERS, directory(&[])).await;
    let (pere, mut events) = node.agent("pere").conversations(3).start().await.expect("registered");
    let (laura, _) = node.agent("laura").start().await.expect("registered");
    let (anna, _) = node.agent("anna").start().await.expect("registered");
    laura.locate(pere.address()).await.expect("told");
    let _annas = anna.call(pere.address()).await.expect("a conversation");
    let talk = incoming(&mut events).await;
    assert_eq!(talk.peer().address, None);
    assert_eq!(talk.peer().candidates, [laura.address(), anna.address()]);

    // Both of them may still call.
    pere.set_admission(blocks(&["laura@bb.com"]));
    let mut noted = TcpStream::connect(SocketAddr::V4(pere.listening().into())).await.expect("a connection");
    noted.write_all(b"N04anna").await.expect("written");
    let mut said = Vec::new();
    soon(noted.read_to_end(&mut said)).await.expect("FIN");
    assert!(said.ends_with(b"please call again later"), "{}", said.escape_ascii());
    match soon(events.next()).await {
        Some(Event::Refused { address: None, reason: Refusal::Blocked, .. }) => {}
        event => panic!("{event:?}"),
    }
}

/// They ask their node first, or have it noted down; each goes back to its menu and goes on.
#[tokio::test]
async fn deployed_agents_that_are_blocked_live() {
    let node = TestNode::start("bb.com", &USERS, directory(&[])).await;
    for program in [L, S] {
        let (pere, mut events) = node.agent("pere").start().await.expect("registered");
        pere.set_admission(blocks(&["joya@bb.com"]));
        let joya = "joya@bb.com".parse().expect("an address");
        let mut caller = EmulatedAgent::start(program, "joya@bb.com", node.address).await;
        for round in 0..2 {
            assert_eq!(caller.fail_to_reach("pere@bb.com").await, "Code('1')");
            if round == 0 {
                assert_eq!(missed(&mut events).await, (joya, Refusal::Blocked));
            }
            caller.dial(pere.listening().into()).await;
            assert_eq!(caller.expect("begun ").await, "pere");
            assert!(caller.expect("heard ").await.starts_with("busy: "));
            caller.expect("closed").await;
            match soon(events.next()).await {
                Some(Event::Refused { address, reason: Refusal::Blocked, .. }) => {
                    assert_eq!(address, Some(joya));
                }
                event => panic!("{event:?}"),
            }
        }
        pere.set_admission(Admission::default());
        caller.talk_to("pere@bb.com").await;
        let mut talk = incoming(&mut events).await;
        caller.say("hola").await;
        assert_eq!(next(&mut talk).await, "hola");
        drop(talk);
        caller.expect("closed").await;
        caller.deregister().await;
        caller.end().await;
        soon(pere.shutdown()).await.expect("pere deregisters");
    }
}

#[tokio::test]
async fn if_only_some_may_call_others_and_unknown_callers_may_not() {
    let node = TestNode::start("bb.com", &USERS, directory(&[])).await;
    let mut admission = Admission::default();
    admission.allow_only(["laura@bb.com".parse().expect("an address")]).expect("room");
    let builder = node.agent("pere").admission(admission.clone()).conversations(2);
    let (pere, mut events) = builder.start().await.expect("registered");
    let (laura, _) = node.agent("laura").start().await.expect("registered");
    let (anna, _) = node.agent("anna").start().await.expect("registered");

    let mut unknown =
        TcpStream::connect(SocketAddr::V4(pere.listening().into())).await.expect("a connection");
    unknown.write_all(b"N05laura").await.expect("written");
    match soon(events.next()).await {
        Some(Event::Refused { address: None, reason: Refusal::NotAllowed, .. }) => {}
        event => panic!("{event:?}"),
    }
    let _talk = laura.call(pere.address()).await.expect("laura may");
    let _other_end = incoming(&mut events).await;
    anna.locate(pere.address()).await.expect_err("anna may not");
    assert_eq!(missed(&mut events).await, (anna.address(), Refusal::NotAllowed));
    admission.allow_everybody();
    pere.set_admission(admission);
    anna.locate(pere.address()).await.expect("there is room");
}

/// Most do not call then: the user hears of them, too.
#[tokio::test]
async fn who_asks_while_the_user_is_busy_is_told_of() {
    let node = TestNode::start("bb.com", &USERS, directory(&[])).await;
    let (pere, mut events) = node.agent("pere").start().await.expect("registered");
    let (laura, _) = node.agent("laura").start().await.expect("registered");
    let (anna, _) = node.agent("anna").start().await.expect("registered");
    let _talk = laura.call(pere.address()).await.expect("a conversation");
    let _other_end = incoming(&mut events).await;
    for _ in 0..3 {
        anna.locate(pere.address()).await.expect_err("busy");
    }
    laura.locate(pere.address()).await.expect_err("busy");
    assert_eq!(missed(&mut events).await, (anna.address(), Refusal::Busy));
    assert_eq!(missed(&mut events).await, (laura.address(), Refusal::Busy), "and anna once");
}

async fn missed(events: &mut Events) -> (MiAddress, Refusal) {
    match soon(events.next()).await {
        Some(Event::Missed { from, reason }) => (from, reason),
        event => panic!("{event:?}"),
    }
}

fn blocks(addresses: &[&str]) -> Admission {
    let mut admission = Admission::default();
    for address in addresses {
        admission.block(address.parse().expect("an address")).expect("room");
    }
    admission
}
