//! Calls between our agent and agents of L and S that go another way than usual.

use std::net::Ipv4Addr;
use std::time::Duration;

use integration_tests::emulators::Program::{L, S};
use integration_tests::emulators::sockets::EmulatedAgent;
use integration_tests::network::{TestNode, directory};
use mi_agent_core::{CallError, ConversationError, Event, LocateError, SendError};

use super::{BOTH, mi, ours};
use crate::conversation::{called, incoming, next, soon};

const USERS: [&str; 6] = ["u1", "u2", "u3", "u4", "u5", "u6"];

#[tokio::test]
async fn who_calls_an_engaged_agent_is_told_and_goes_back_to_its_menu() {
    let node = TestNode::start("bb", &USERS, directory(&[])).await;
    let (u1, mut u1_events) = ours("u1@bb", node.address).start().await.expect("registered");
    let (u2, mut u2_events) = ours("u2@bb", node.address).start().await.expect("registered");
    let talk = u1.call(u2.address()).await.expect("a conversation");
    let mut other_end = incoming(&mut u2_events).await;
    for program in BOTH {
        let mut caller = EmulatedAgent::start(program, "u3@bb", node.address).await;
        assert_eq!(caller.fail_to_reach("u1@bb").await, "Code('1')");
        // One that heard where it is just before, or has it noted down.
        for (engaged, events) in [(&u1, &mut u1_events), (&u2, &mut u2_events)] {
            caller.dial(engaged.listening().into()).await;
            assert_eq!(caller.expect("begun ").await, engaged.address().user().as_str());
            assert!(caller.expect("heard ").await.starts_with("busy: "));
            caller.expect("closed").await;
            match called(events).await {
                Some(Event::Refused { nickname, .. }) => assert_eq!(nickname, "u3"),
                event => panic!("{event:?}"),
            }
        }
        caller.deregister().await;
        caller.end().await;
    }
    talk.send("still here").await.expect("sent");
    assert_eq!(next(&mut other_end).await, "still here");
}

#[tokio::test]
async fn of_five_who_call_at_once_one_talks_and_the_others_are_told() {
    let node = TestNode::start("bb", &USERS, directory(&[])).await;
    let (u1, mut events) = ours("u1@bb", node.address).start().await.expect("registered");
    let mut callers = Vec::new();
    for (n, program) in [(2, L), (3, S), (4, L), (5, S), (6, L)] {
        // Each at home: of one address, few may have yet to give their nickname.
        let ip = Ipv4Addr::new(127, 0, 0, n);
        let address = format!("u{n}@bb");
        callers.push(EmulatedAgent::start_at(ip, ip, program, &address, node.address).await);
    }
    for caller in &callers {
        caller.dial(u1.listening().into()).await;
    }
    let mut talk = None;
    let mut refused = 0;
    while talk.is_none() || refused < 4 {
        match called(&mut events).await {
            Some(Event::Incoming(incoming)) => {
                let begun = incoming.accept().expect("a conversation");
                assert!(talk.replace(begun).is_none(), "one");
            }
            Some(Event::Refused { .. }) => refused += 1,
            event => panic!("{event:?}"),
        }
    }
    let talk = talk.expect("one talks");
    let lucky = talk.peer().nickname.raw().to_owned() + "@bb";
    talk.send("hola").await.expect("sent");
    for caller in &mut callers {
        let heard = caller.expect("heard ").await;
        if caller.address == lucky {
            assert_eq!(heard, "hola");
        } else {
            assert!(heard.starts_with("busy: "));
            caller.expect("closed").await;
        }
    }
    soon(u1.shutdown()).await.expect("deregistered");
    for mut caller in callers {
        if caller.address == lucky {
            caller.expect("closed").await;
        }
        caller.end().await;
    }
}

#[tokio::test]
async fn an_emulator_that_is_engaged_is_not_dialled() {
    for program in BOTH {
        let node = TestNode::start("bb", &USERS, directory(&[])).await;
        let (u1, _events) = ours("u1@bb", node.address).start().await.expect("registered");
        let mut u2 = EmulatedAgent::start(program, "u2@bb", node.address).await;
        let mut u3 = EmulatedAgent::start(program, "u3@bb", node.address).await;
        u2.talk_to("u3@bb").await;
        u3.expect("begun ").await;
        for engaged in ["u2@bb", "u3@bb"] {
            let error = u1.call(mi(engaged)).await.expect_err("busy");
            assert!(matches!(error, CallError::Locate(LocateError::Busy)), "{error}");
        }
        u2.say("adeu").await;
        u2.hang_up().await;
        u3.expect("closed").await;
        u1.call(mi("u2@bb")).await.expect("free again");
        u2.expect("begun u1").await;
        u2.expect("closed").await;
        u2.end().await;
        u3.end().await;
    }
}

/// Its host loses it, or somebody ends its program: ours says so, and goes on.
#[tokio::test]
async fn a_conversation_that_breaks_is_lost_for_ours_alone() {
    for program in BOTH {
        let node = TestNode::start("bb", &USERS, directory(&[])).await;
        let (u1, _events) = ours("u1@bb", node.address).start().await.expect("registered");
        let mut u2 = EmulatedAgent::start(program, "u2@bb", node.address).await;
        for _ in 0..3 {
            let mut talk = soon(u1.call(mi("u2@bb"))).await.expect("a conversation");
            u2.expect("begun ").await;
            u2.say("hola").await;
            assert_eq!(next(&mut talk).await, "hola");
            u2.reset().await;
            let lost = soon(talk.next_line()).await.expect_err("RST");
            assert!(matches!(lost, ConversationError::Lost(_)), "{lost}");
            assert_eq!(soon(talk.next_line()).await.expect("once"), None);
            assert_eq!(talk.send("hola?").await, Err(SendError::Ended));
        }
        let mut talk = soon(u1.call(mi("u2@bb"))).await.expect("a conversation");
        u2.expect("begun ").await;
        drop(u2);
        assert_eq!(soon(talk.next_line()).await.expect("FIN"), None);
        let mut u3 = EmulatedAgent::start(program, "u3@bb", node.address).await;
        let talk = soon(u1.call(mi("u3@bb"))).await.expect("it goes on");
        u3.expect("begun ").await;
        drop(talk);
        u3.expect("closed").await;
        u3.end().await;
    }
}

/// It closes while lines are on their way to it, and reads none of them.
#[tokio::test]
async fn who_ends_it_in_the_middle_of_what_ours_says_is_called_again() {
    for program in BOTH {
        let node = TestNode::start("bb", &USERS, directory(&[])).await;
        let (u1, _events) = ours("u1@bb", node.address).start().await.expect("registered");
        let mut u2 = EmulatedAgent::start(program, "u2@bb", node.address).await;
        let mut talk = soon(u1.call(mi("u2@bb"))).await.expect("a conversation");
        for n in 0..30 {
            talk.send(&format!("line {n}")).await.expect("handed over");
        }
        u2.expect("heard line 4").await;
        u2.hang_up().await;
        u2.expect("closed").await;
        // Lines that were written go nowhere, and the others are reported.
        match soon(talk.next_line()).await {
            Ok(None) | Err(ConversationError::Unsent(_) | ConversationError::Lost(_)) => {}
            other => panic!("{other:?}"),
        }
        drop(talk);
        let talk = soon(u1.call(mi("u2@bb"))).await.expect("again");
        u2.expect("begun ").await;
        drop(talk);
        u2.expect("closed").await;
        u2.end().await;
    }
}

/// The callee sits in its menu: it accepts when its user is there.
#[tokio::test]
async fn a_callee_that_takes_its_time_is_waited_for() {
    for program in BOTH {
        let node = TestNode::start("bb", &USERS, directory(&[])).await;
        let (u1, _events) = ours("u1@bb", node.address).start().await.expect("registered");
        let mut u2 = EmulatedAgent::start(program, "u2@bb", node.address).await;
        u2.freeze_when_called().await;
        let calling = async { u1.call(mi("u2@bb")).await.expect("a conversation") };
        let accepting = async {
            u2.expect("accepted").await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            u2.thaw().await;
            u2.expect("begun u1").await;
        };
        let (mut talk, ()) = tokio::join!(calling, accepting);
        u2.say("perdona").await;
        assert_eq!(next(&mut talk).await, "perdona");
        drop(talk);
        u2.expect("closed").await;
        u2.end().await;
    }
}

/// The callee finds a nickname in the connection and then its end: a conversation that ends at once.
#[tokio::test]
async fn a_call_that_is_given_up_is_met_by_a_nickname_and_an_orderly_end() {
    for (program, agent_ends) in [(L, false), (L, true), (S, false), (S, true)] {
        let node = TestNode::start("bb", &USERS, directory(&[])).await;
        let (u1, _events) = ours("u1@bb", node.address).start().await.expect("registered");
        let mut u2 = EmulatedAgent::start(program, "u2@bb", node.address).await;
        u2.freeze_when_called().await;
        let calling = tokio::spawn({
            let u1 = u1.clone();
            async move { u1.call(mi("u2@bb")).await }
        });
        u2.expect("accepted").await;
        let ending = if agent_ends {
            let u1 = u1.clone();
            Some(tokio::spawn(async move { u1.shutdown().await }))
        } else {
            calling.abort();
            None
        };
        u2.thaw().await;
        assert_eq!(u2.expect("begun ").await, "u1");
        u2.expect("closed").await;
        assert!(!matches!(soon(calling).await, Ok(Ok(_))), "it was given up");
        match ending {
            Some(ending) => ending.await.expect("no panic").expect("deregistered"),
            None => {
                // It has a place for a conversation again once the first has ended on both sides.
                let talk = loop {
                    match u1.call(mi("u2@bb")).await {
                        Err(CallError::Engaged) => tokio::task::yield_now().await,
                        called => break called.expect("it goes on"),
                    }
                };
                drop(talk);
                u2.expect("begun u1").await;
                u2.expect("closed").await;
            }
        }
        u2.end().await;
    }
}

/// Our agent leaves between the connection of a caller and the caller's nickname.
#[tokio::test]
async fn a_caller_of_an_agent_that_leaves_is_greeted_and_let_go() {
    let scenario = async |program| {
        let node = TestNode::start("bb", &USERS, directory(&[])).await;
        let (u1, _events) = ours("u1@bb", node.address).start().await.expect("registered");
        let mut u2 = EmulatedAgent::start(program, "u2@bb", node.address).await;
        u2.dial_slowly(u1.listening().into(), Duration::from_millis(500)).await;
        u2.expect("dialled").await;
        soon(u1.shutdown()).await.expect("deregistered");
        assert_eq!(u2.expect("begun ").await, "u1");
        u2.expect("closed").await;
        u2.end().await;
    };
    tokio::join!(scenario(L), scenario(S));
}

/// Everything that was said goes out first, and what the other says meanwhile is read.
#[tokio::test]
async fn an_agent_that_leaves_in_a_conversation_leaves_the_other_at_its_menu() {
    for program in BOTH {
        let node = TestNode::start("bb", &USERS, directory(&[])).await;
        let (u1, _events) = ours("u1@bb", node.address).start().await.expect("registered");
        let mut u2 = EmulatedAgent::start(program, "u2@bb", node.address).await;
        let talk = soon(u1.call(mi("u2@bb"))).await.expect("a conversation");
        let lines: Vec<_> = (0..20).map(|n| format!("line {n}")).collect();
        for line in &lines {
            talk.send(line).await.expect("handed over");
            u2.say("and back").await;
        }
        soon(u1.shutdown()).await.expect("deregistered");
        u2.expect("closed").await;
        assert_eq!(u2.heard(), lines);
        u2.end().await;
    }
}

/// The call may end at any moment once it is told where to call: the callee either sees no call, or one with
/// a nickname and an end.
#[tokio::test]
async fn an_agent_may_leave_at_any_step_of_a_call() {
    for program in BOTH {
        let node = TestNode::start("bb", &USERS, directory(&[])).await;
        let mut u2 = EmulatedAgent::start(program, "u2@bb", node.address).await;
        // Chance decides which of two events a task sees first, so each step comes more than once.
        for steps in (0..6).cycle().take(60) {
            let (u1, _events) = ours("u1@bb", node.address).start().await.expect("registered");
            let calling = tokio::spawn({
                let u1 = u1.clone();
                async move { u1.call(mi("u2@bb")).await }
            });
            u2.wait_for(|line| line.contains(" RL0u1")).await;
            for _ in 0..steps {
                tokio::task::yield_now().await;
            }
            soon(u1.shutdown()).await.expect("deregistered");
            let called = soon(calling).await.expect("no panic");
            u2.read_all().await;
            let calls = u2.all("accepted").len();
            while u2.all("closed").len() < calls {
                u2.expect("closed").await;
            }
            assert!(called.is_err() || calls > 0, "after {steps} steps");
            assert_eq!(u2.all("begun").len(), calls, "after {steps} steps: {}", *u2);
        }
        u2.end().await;
    }
}
