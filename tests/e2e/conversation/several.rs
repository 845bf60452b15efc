//! Several conversations at once, of a user that waits for none of them.

use integration_tests::network::{TestNode, directory};
use mi_agent_core::{Conversations, Heard, LocateError};

use super::*;

/// One calls, two are called; a fourth is told that the user is busy, until one of them has ended.
#[tokio::test]
async fn three_conversations_at_once() {
    let others = ["laura", "joan", "anna"];
    let node = TestNode::start("bb.com", &["pere", "laura", "joan", "anna", "toni"], directory(&[])).await;
    let (pere, mut events) = node.agent("pere").conversations(3).start().await.expect("registered");
    let (toni, _) = node.agent("toni").start().await.expect("registered");
    let mut talks = Conversations::new();
    let (mut agents, mut theirs) = (Vec::new(), Vec::new());
    for user in others {
        let (agent, mut incoming_calls) = node.agent(user).start().await.expect("registered");
        if user == "laura" {
            talks.add(pere.call(agent.address()).await.expect("a conversation"));
            theirs.push(incoming(&mut incoming_calls).await);
        } else {
            theirs.push(agent.call(pere.address()).await.expect("a conversation"));
            talks.add(incoming(&mut events).await);
        }
        agents.push(agent);
    }
    let ids: Vec<_> = talks.ids().collect();
    for (&id, user) in ids.iter().zip(others) {
        assert_eq!(talks.peer(id).expect("it goes on").nickname, user);
        talks.say(id, &format!("hola, {user}")).expect("queued");
    }
    for (their, user) in theirs.iter_mut().zip(others) {
        assert_eq!(next(their).await, format!("hola, {user}"));
        their.send(&format!("sóc {user}")).await.expect("sent");
    }
    let mut heard = Vec::new();
    while heard.len() < 3 {
        match soon(talks.next()).await {
            (id, Heard::Line(line)) => heard.push((id, line.to_string())),
            (id, other) => panic!("{id}: {other:?}"),
        }
    }
    heard.sort();
    let expected: Vec<_> = ids.iter().zip(others).map(|(&id, user)| (id, format!("sóc {user}"))).collect();
    assert_eq!(heard, expected);

    let busy = toni.locate(pere.address()).await.expect_err("three are all there may be");
    assert!(matches!(busy, LocateError::Busy), "{busy}");
    talks.say(ids[1], "adéu").expect("queued");
    assert!(talks.hang_up(ids[1]));
    assert_eq!(next(&mut theirs[1]).await, "adéu");
    assert_eq!(theirs[1].next_line().await.expect("no loss"), None);
    match soon(talks.next()).await {
        (id, Heard::Ended { unsaid: 0 }) => assert_eq!(id, ids[1]),
        (id, other) => panic!("{id}: {other:?}"),
    }
    assert_eq!(talks.ids().collect::<Vec<_>>(), [ids[0], ids[2]]);
    toni.call(pere.address()).await.expect("there is room again");
    // The agent ends, and the others with it.
    let (ended, ()) = tokio::join!(pere.shutdown(), async {
        while !talks.is_empty() {
            let (id, heard) = soon(talks.next()).await;
            assert!(matches!(heard, Heard::Ended { unsaid: 0 }), "{id}: {heard:?}");
        }
    });
    ended.expect("pere deregisters");
}

/// A conversation that ends for a new caller is over for the program before the new one begins, also with one
/// slot.
#[tokio::test]
async fn a_silent_conversation_ends_before_the_next_begins() {
    let node = TestNode::start("bb.com", &["pere", "laura", "joan"], directory(&[])).await;
    let pere = node.agent("pere").idle(Some(Duration::ZERO));
    let (pere, mut events) = pere.start().await.expect("registered");
    let (laura, _laura_events) = node.agent("laura").start().await.expect("registered");
    let (joan, _joan_events) = node.agent("joan").start().await.expect("registered");
    let mut lauras = laura.call(pere.address()).await.expect("a conversation");
    let mut silent = incoming(&mut events).await;
    let mut joans = joan.call(pere.address()).await.expect("there is no other slot");
    // Nobody is heard of before the program has taken the end.
    assert!(matches!(soon(silent.next_line()).await, Err(ConversationError::GaveWay(_))));
    assert!(events.try_next().is_none());
    assert_eq!(silent.next_line().await.expect("it has ended"), None);
    let mut talk = incoming(&mut events).await;
    assert_eq!(talk.peer().address, Some(joan.address()));
    assert_eq!(lauras.next_line().await.expect("no loss"), None);
    joans.send("hola").await.expect("sent");
    assert_eq!(next(&mut talk).await, "hola");
    talk.send("hola").await.expect("sent");
    assert_eq!(next(&mut joans).await, "hola");
    assert_eq!(pere.conversations(), 1);

    // A call of the user itself never gives way.
    drop(talk);
    assert_eq!(joans.next_line().await.expect("no loss"), None);
    let calling = async {
        loop {
            match pere.call(laura.address()).await {
                // The connection with joan is still being closed.
                Err(CallError::Engaged) => tokio::task::yield_now().await,
                called => break called,
            }
        }
    };
    let _called = soon(calling).await.expect("a conversation");
    assert!(matches!(joan.locate(pere.address()).await, Err(LocateError::Busy)));
}
