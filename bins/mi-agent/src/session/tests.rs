//! Sessions beside a node on loopback sockets, in the process of the test.

use std::net::UdpSocket;
use std::pin::pin;

use futures_util::FutureExt;
use integration_tests::network::{TestNode, directory};
use integration_tests::programs::DEADLINE;
use mi_agent_core::{DeregisterError, Refusal, SayError, StartError};
use plumi_proto::udp_address;
use tokio::time;

use super::*;
use crate::signals::HURRY;
use crate::store::folder::DataFolder;
use crate::store::history::{Entry, History, Talk, Way};

impl Session {
    /// Returns the next event.
    async fn soon(&mut self) -> Happened {
        time::timeout(DEADLINE, self.next()).await.expect("something happens")
    }
}

async fn node() -> TestNode {
    TestNode::start("bb.com", &["laura", "pere", "joan"], directory(&[])).await
}

/// Starts Laura's session, and waits until she is registered.
async fn started(builder: AgentBuilder) -> Session {
    let mut session = Session::start(builder, None);
    let started = session.soon().await;
    assert!(matches!(started, Happened::Started { .. }), "{started:?}");
    session
}

/// A conversation that Laura began with Pere, and Pere's end of it.
async fn talking(node: &TestNode, builder: AgentBuilder) -> (Session, ConversationId, (Agent, Conversation)) {
    let (pere, mut events) = node.agent("pere").start().await.expect("registered");
    let mut session = started(builder).await;
    let Ok(Done::Calling(called)) = session.carry_out(Wish::Call(pere.address())) else { panic!("a call") };
    let begun = session.soon().await;
    let Happened::Begun { id, peer, call: Some(call) } = begun else { panic!("{begun:?}") };
    assert_eq!((call, peer.address), (called, Some(pere.address())));
    let Some(Event::Incoming(caller)) = events.next().await else { panic!("a call comes") };
    let theirs = caller.accept().expect("a conversation");
    (session, id, (pere, theirs))
}

fn say(id: ConversationId, text: &str) -> Wish {
    Wish::Say { id, text: text.into() }
}

#[tokio::test]
async fn a_conversation_is_carried_out_from_the_call_to_the_end() {
    let node = node().await;
    let (mut session, id, (pere, mut theirs)) = talking(&node, node.agent("laura")).await;
    assert_eq!(session.carry_out(say(id, "hola")), Ok(Done::Queued { waiting: 1 }));
    assert!(matches!(session.soon().await, Happened::HandedOver(of) if of == id));
    assert_eq!(theirs.next_line().await.expect("no loss").expect("a line"), "hola");
    assert!(matches!(session.carry_out(say(id, "a\nb")), Err(Refused::NotSaid(SayError::Text(_)))));
    theirs.send("bon dia").await.expect("sent");
    let line = session.soon().await;
    let Happened::Line { id: of, nickname, text } = line else { panic!("{line:?}") };
    assert_eq!((of, nickname.raw(), text.raw()), (id, "pere", "bon dia"));

    assert_eq!(session.carry_out(Wish::HangUp(id)), Ok(Done::AtOnce));
    assert_eq!(session.carry_out(Wish::HangUp(id)), Err(Refused::NoConversation), "it is ending");
    assert_eq!(session.carry_out(say(id, "hola?")), Err(Refused::NotSaid(SayError::Ended)));
    assert_eq!(theirs.next_line().await.expect("no loss"), None);
    drop(theirs);
    let ended = session.soon().await;
    assert!(matches!(ended, Happened::Ended { end: End::ByYou, unsaid: 0, .. }), "{ended:?}");
    assert_eq!(session.carry_out(say(id, "hola?")), Err(Refused::NoConversation));
    pere.shutdown().await.expect("deregistered");
    session.leave(Leave::InOrder);
    assert!(matches!(session.soon().await, Happened::Left(Ok(()))));
}

/// Lines are said one at a time, as in line mode. TCP slows down a sender that is faster than its reader.
#[tokio::test]
async fn ten_thousand_lines_arrive_in_order() {
    let node = node().await;
    let (mut session, id, (_pere, mut theirs)) =
        talking(&node, node.agent("laura").pace(Duration::ZERO)).await;
    let hearing = tokio::spawn(async move {
        for n in 0..10_000 {
            let line = theirs.next_line().await.expect("no loss").expect("a line");
            assert_eq!(line.raw(), format!("line {n}"));
        }
        theirs
    });
    for n in 0..10_000 {
        assert_eq!(session.carry_out(say(id, &format!("line {n}"))), Ok(Done::Queued { waiting: 1 }));
        assert!(matches!(session.soon().await, Happened::HandedOver(_)));
    }
    let mut theirs = hearing.await.expect("all are heard");
    session.leave(Leave::InOrder);
    let left = async {
        assert!(matches!(session.soon().await, Happened::Ended { unsaid: 0, .. }));
        assert!(matches!(session.soon().await, Happened::Left(Ok(()))));
    };
    let ((), end) = tokio::join!(left, async { theirs.next_line().await.map(|end| drop((end, theirs))) });
    end.expect("no loss");
}

/// Pere has begun a conversation, and Laura leaves before it is reported to her.
#[tokio::test]
async fn a_conversation_that_begins_while_the_user_leaves_is_hung_up() {
    for how in [Leave::InOrder, Leave::Hurried] {
        let node = node().await;
        let (mut session, _, (_pere, theirs)) = talking(&node, node.agent("laura").conversations(2)).await;
        let (joan, _) = node.agent("joan").start().await.expect("registered");
        let laura = "laura@bb.com".parse().expect("an address");
        let mut joans = joan.call(laura).await.expect("a conversation");
        session.leave(how);
        assert_eq!(session.carry_out(Wish::Call(laura)), Err(Refused::NotNow));
        // Each of them ends its side when it sees the end of the other.
        let peers = tokio::spawn(async move {
            assert_eq!(joans.next_line().await.expect("no loss"), None);
            drop((joans, theirs));
        });
        let (mut begun, mut ended) = (0, 0);
        loop {
            match session.soon().await {
                Happened::Begun { call: None, .. } => begun += 1,
                Happened::Ended { end: End::ByPeer | End::ByYou, .. } => ended += 1,
                Happened::Left(left) => break left.expect("deregistered"),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((begun, ended), (1, 2), "{how:?}");
        peers.await.expect("joan saw the end");
    }
}

/// Otherwise callers that take turns would keep the user registered indefinitely.
#[tokio::test]
async fn a_caller_does_not_keep_the_user_from_leaving() {
    let node = node().await;
    let (mut session, id, (_pere, theirs)) = talking(&node, node.agent("laura").conversations(2)).await;
    let (joan, _) = node.agent("joan").start().await.expect("registered");
    let joans = joan.call("laura@bb.com".parse().expect("an address")).await.expect("a conversation");
    session.leave(Leave::InOrder);
    drop(theirs);
    let (mut has_begun, mut has_ended) = (false, false);
    while !(has_begun && has_ended) {
        match session.soon().await {
            Happened::Begun { call: None, .. } => has_begun = true,
            Happened::Ended { id: ended, .. } if ended == id => has_ended = true,
            other => panic!("{other:?}"),
        }
    }
    assert!(session.next().now_or_never().is_none(), "the node has not answered yet");
    assert!(matches!(session.phase, Phase::Deregistering { .. }), "joan is not waited for");
    drop(joans);
    while !session.soon().await.is_last() {}
}

/// The last words of a peer are returned before the end of the session.
#[tokio::test]
async fn in_a_hurry_peers_are_heard_out() {
    let node = node().await;
    let (mut session, _, (_pere, theirs)) = talking(&node, node.agent("laura")).await;
    theirs.send("adeu").await.expect("sent");
    drop(theirs);
    session.leave(Leave::Hurried);
    assert!(session.is_in_a_hurry());
    assert!(matches!(session.soon().await, Happened::Line { .. }));
    assert!(matches!(session.soon().await, Happened::Ended { .. }));
    assert!(matches!(session.soon().await, Happened::Left(Ok(()))));
    assert!(session.next().now_or_never().is_none(), "that was the last");
}

/// A leaving user does not wait for a peer that does not read.
#[tokio::test]
async fn lines_that_nobody_reads_are_counted() {
    let node = node().await;
    let (mut session, id, (_pere, theirs)) = talking(&node, node.agent("laura").pace(Duration::ZERO)).await;
    // Together they are more than the buffers of the kernel take.
    let long = "x".repeat(mi_agent_core::MAX_LINE);
    for _ in 0..16 {
        session.carry_out(say(id, &long)).expect("it is queued");
    }
    let start = Instant::now();
    session.leave(Leave::Soon);
    let lines = loop {
        match session.soon().await {
            Happened::NotSent { id: of, lines, .. } if of == id => break lines,
            Happened::HandedOver(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!((1..=16).contains(&lines), "{lines}");
    // A peer that does not read its end is not waited for either.
    let left = loop {
        match session.soon().await {
            Happened::Ended { end: End::ByYou, .. } => {}
            other => break other,
        }
    };
    assert!(matches!(left, Happened::Left(Ok(()))), "{left:?}");
    assert!(start.elapsed() > Duration::from_secs(2), "{:?}", start.elapsed());
    drop(theirs);
}

/// Each line leaves in less time than that, and all of them would take a minute.
#[tokio::test]
async fn a_user_who_leaves_does_not_wait_for_many_lines() {
    let node = node().await;
    let (mut session, id, (_pere, mut theirs)) = talking(&node, node.agent("laura")).await;
    // 100 frames take 2 s at the pace of an agent.
    let long = "x".repeat(100 * 99);
    for _ in 0..30 {
        session.carry_out(say(id, &long)).expect("it is queued");
    }
    let hearing = tokio::spawn(async move { while let Ok(Some(_)) = theirs.next_line().await {} });
    session.leave(Leave::Soon);
    let lines = loop {
        match session.soon().await {
            Happened::NotSent { lines, .. } => break lines,
            // No line waits, because the conversation takes no more.
            Happened::HandedOver(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!((1..=30).contains(&lines), "{lines}");
    let mut last = session.soon().await;
    while !last.is_last() {
        last = session.soon().await;
    }
    assert!(matches!(last, Happened::Left(Ok(()))), "{last:?}");
    hearing.await.expect("no panic");
}

/// A node that the test controls.
struct PlayedNode(tokio::net::UdpSocket);

impl PlayedNode {
    async fn start() -> Self {
        Self(tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket"))
    }

    fn builder(&self) -> AgentBuilder {
        let at = udp_address(self.0.local_addr().expect("bound")).expect("IPv4");
        Agent::builder("laura@bb.com".parse().expect("an address")).node(at)
    }

    /// Receives a message with this beginning, and skips others.
    async fn receive(&self, start: &str) -> std::net::SocketAddr {
        let receive = async {
            let mut buffer = [0; 100];
            loop {
                let (length, from) = self.0.recv_from(&mut buffer).await.expect("a message");
                if buffer[..length].starts_with(start.as_bytes()) {
                    return from;
                }
            }
        };
        time::timeout(DEADLINE, receive).await.expect("it comes")
    }

    async fn send(&self, message: &str, to: std::net::SocketAddr) {
        self.0.send_to(message.as_bytes(), to).await.expect("sent");
    }

    /// Starts a session that is registered here.
    async fn session(&self) -> Session {
        let mut session = Session::start(self.builder(), None);
        let ((), started) = tokio::join!(
            async {
                let at = self.receive("PRlaura@bb.com").await;
                self.send("RR0", at).await;
            },
            session.soon()
        );
        assert!(matches!(started, Happened::Started { .. }), "{started:?}");
        session
    }
}

/// A front end that is blocked at its output asks for no events. The node is asked nevertheless.
#[tokio::test]
async fn a_hurry_begins_at_once() {
    let node = PlayedNode::start().await;
    let mut session = node.session().await;
    session.leave(Leave::Hurried);
    let at = node.receive("PDlaura@bb.com").await;
    node.send("RD0", at).await;
    assert!(matches!(session.soon().await, Happened::Left(Ok(()))));
}

#[tokio::test]
async fn who_leaves_in_order_can_be_hurried_still() {
    let node = PlayedNode::start().await;
    let mut session = node.session().await;
    session.leave(Leave::InOrder);
    tokio::select! {
        _ = node.receive("PDlaura@bb.com") => {}
        left = session.next() => panic!("{left:?}"),
    }
    assert!(session.is_leaving() && !session.is_in_a_hurry());
    let start = Instant::now();
    session.leave(Leave::Hurried);
    session.leave(Leave::InOrder);
    assert!(session.is_in_a_hurry(), "a hurry stays one");
    let left = session.soon().await;
    assert!(matches!(left, Happened::Left(Err(DeregisterError::NoAnswer { .. }))), "{left:?}");
    assert!(start.elapsed() >= HURRY);
}

#[tokio::test]
async fn a_session_that_has_not_begun_to_register_asks_nobody() {
    let node = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    node.set_nonblocking(true).expect("set");
    let at = udp_address(node.local_addr().expect("bound")).expect("IPv4");
    let builder = Agent::builder("laura@bb.com".parse().expect("an address")).node(at);
    let mut session = Session::start(builder, None);
    session.leave(Leave::InOrder);
    assert!(matches!(session.soon().await, Happened::NotStarted(StartError::Interrupted)));
    assert!(!session.is_in_a_hurry());
    let nothing = node.recv(&mut [0; 100]).expect_err("nothing came");
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
}

/// Leaves after the node has received the registration, and has answered it if it `answers`.
///
/// Returns whether the session started nevertheless.
async fn starts_though_interrupted(answers: bool) -> bool {
    let node = PlayedNode::start().await;
    let mut session = Session::start(node.builder(), None);
    let at = tokio::select! {
        at = node.receive("PRlaura@bb.com") => at,
        happened = session.next() => panic!("{happened:?}"),
    };
    if answers {
        node.send("RR0", at).await;
        // The agent answers this question only after it has read the `RR0`.
        node.send("PLpere@bb.com:laura@bb.com", at).await;
        node.receive("RL").await;
    }
    session.leave(Leave::Hurried);
    let leaving = async {
        let mut has_started = false;
        loop {
            match session.soon().await {
                Happened::Started { .. } => has_started = true,
                Happened::NotStarted(StartError::Interrupted) if !has_started => return false,
                Happened::Left(Ok(())) if has_started => return true,
                other => panic!("{other:?}"),
            }
        }
    };
    let (has_started, ()) = tokio::join!(leaving, async {
        let at = node.receive("PDlaura@bb.com").await;
        node.send("RD0", at).await;
    });
    has_started
}

#[tokio::test]
async fn an_interrupted_start_leaves_nobody_registered() {
    assert!(!starts_though_interrupted(false).await);
    // Both come at the same moment, and either is taken.
    let mut started = 0;
    for _ in 0..30 {
        started += usize::from(starts_though_interrupted(true).await);
    }
    assert!((1..30).contains(&started), "{started}");
}

#[tokio::test]
async fn calls_are_given_up_and_bounded() {
    let node = node().await;
    let (pere, _events) = node.agent("pere").start().await.expect("registered");
    let silent = integration_tests::raw_user::RawUser::new(node.address);
    silent.say("PRjoan@bb.com");
    let mut session = started(node.agent("laura")).await;
    let joan: MiAddress = "joan@bb.com".parse().expect("an address");
    let mut calls = Vec::new();
    loop {
        match session.carry_out(Wish::Call(joan)) {
            Ok(Done::Calling(call)) => calls.push(call),
            other => break assert_eq!(other, Err(Refused::TooManyCalls)),
        }
    }
    assert_eq!(calls.len(), 16);
    for call in calls {
        assert_eq!(session.carry_out(Wish::GiveUp(call)), Ok(Done::AtOnce));
    }
    let called = session.carry_out(Wish::Call(pere.address()));
    // The calls that were given up give no event.
    let begun = session.soon().await;
    let Happened::Begun { call: Some(call), .. } = begun else { panic!("{begun:?}") };
    assert_eq!(called, Ok(Done::Calling(call)));
}

#[tokio::test]
async fn an_admission_of_before_the_start_holds_after_it() {
    let node = node().await;
    let (pere, _) = node.agent("pere").start().await.expect("registered");
    let mut admission = Admission::default();
    admission.block(pere.address()).expect("there is room");
    let mut session = Session::start(node.agent("laura"), None);
    assert_eq!(session.carry_out(Wish::SetAdmission(admission)), Ok(Done::AtOnce));
    assert!(matches!(session.soon().await, Happened::Started { .. }));
    let laura = "laura@bb.com".parse().expect("an address");
    let mut locating = pin!(pere.locate(laura));
    let missed = tokio::select! {
        missed = session.soon() => missed,
        _ = &mut locating => session.soon().await,
    };
    assert!(matches!(missed, Happened::Missed { reason: Refusal::Blocked, is_news: true, .. }), "{missed:?}");
}

#[tokio::test]
async fn what_is_said_is_kept_if_there_is_a_keeper() {
    let node = node().await;
    let (_data, folder) = DataFolder::temporary();
    let peer: MiAddress = "pere@bb.com".parse().expect("an address");
    let at = "2026-11-25T15:42:00Z".parse().expect("a time");
    let (nick, text) = ("Laura".into(), "hola".into());
    let entry = Entry { at, way: Way::Sent, nick, text, continues: false, candidates: Vec::new() };
    let keeper = Keeper::start(None, Some(History::of(&folder)));
    let mut session = Session::start(node.agent("laura"), Some(keeper));
    let talk = Talk { id: 1.into(), peer: Some(peer), is_known: true, is_sure: true };
    for wish in [Wish::Remember { talk, entry: entry.clone() }, Wish::Recall(peer)] {
        assert_eq!(session.carry_out(wish), Ok(Done::AtOnce));
    }
    loop {
        match session.soon().await {
            Happened::Started { .. } => {}
            Happened::Recalled(of, recalled) => {
                break assert_eq!((of, recalled.entries), (peer, vec![entry]));
            }
            other => panic!("{other:?}"),
        }
    }
    session.finish().expect("the disk is quick");
}
