//! Several conversations at once, of a user who waits for none of them.

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
