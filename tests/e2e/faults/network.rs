//! Networks that lose, double and reorder datagrams, and connections that come apart.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use integration_tests::fault_proxy::{
    Arrival, Direction, Lateness, RandomFaults, StreamFaults, TcpProxy, UdpProxy,
};
use integration_tests::network::{TestNode, directory, spaced_schedule};
use integration_tests::trace::Trace;
use mi_agent_core::{
    Agent, CallError, Conversation, ConversationError, DeregisterError, Event, LocateError, RequestSchedule,
    StartError,
};
use plumi_proto::MiAddress;

/// Each request, and each answer, lost as often as it may be and once more.
#[tokio::test]
async fn of_five_tries_four_may_be_lost() {
    let cases = ["PR", "RR", "PL", "RL", "PD", "RD"].map(|message| async move {
        for lost in [4, 5] {
            let node = TestNode::start("bb.com", &["laura", "pere"], directory(&[])).await;
            let proxy = UdpProxy::start(node.address, losing(message, lost)).await;
            let outcome = requests(&node, &proxy).await;
            match (message, lost) {
                ("PR" | "RR", 5) => assert!(matches!(outcome, Err(Unanswered::Registration)), "{outcome:?}"),
                ("PL" | "RL", 5) => assert!(matches!(outcome, Err(Unanswered::Location)), "{outcome:?}"),
                ("PD" | "RD", 5) => {
                    assert!(matches!(outcome, Err(Unanswered::Deregistration)), "{outcome:?}");
                }
                _ => assert!(outcome.is_ok(), "{message}: {outcome:?}"),
            }
        }
    });
    futures_util::future::join_all(cases).await;
}

/// The request that was not answered.
#[derive(Debug)]
enum Unanswered {
    Registration,
    Location,
    Deregistration,
}

/// Registers laura through `proxy`, has her find pere, and deregisters her.
async fn requests(node: &TestNode, proxy: &UdpProxy) -> Result<(), Unanswered> {
    let (pere, _events) = node.agent("pere").start().await.expect("pere has a network that works");
    let laura = node.agent("laura").node(proxy.address()).schedule(PATIENT).refresh(None).start().await;
    let (laura, _events) = laura.map_err(|error| {
        assert!(matches!(error, StartError::NoAnswer { .. }), "{error}");
        Unanswered::Registration
    })?;
    let found = laura.locate(pere.address()).await.map_err(|error| {
        assert!(matches!(error, LocateError::NoAnswer { .. }), "{error}");
        Unanswered::Location
    })?;
    assert_eq!(found, pere.listening());
    laura.shutdown().await.map_err(|error| {
        assert!(matches!(error, DeregisterError::NoAnswer { .. }), "{error}");
        Unanswered::Deregistration
    })
}

/// Loses the first `lost` datagrams that begin with `message`.
fn losing(message: &'static str, mut lost: usize) -> impl FnMut(Direction, &[u8]) -> Vec<Arrival> + Send {
    move |_, datagram| {
        if lost > 0 && datagram.starts_with(message.as_bytes()) {
            lost -= 1;
            return Vec::new();
        }
        vec![Arrival::whole(datagram)]
    }
}

/// The agent that asks makes up for a message that is lost between two nodes, too.
#[tokio::test]
async fn what_is_lost_between_nodes_is_asked_again() {
    for (lost, is_found) in [(4, true), (5, false)] {
        for message in ["PL", "RL"] {
            let cc = TestNode::start("cc.com", &["joya"], directory(&[])).await;
            let proxy = UdpProxy::start(cc.address, losing(message, lost)).await;
            let bb = TestNode::start("bb.com", &["laura"], directory(&[("cc.com", proxy.address())])).await;
            let (joya, _joya_events) = cc.agent("joya").start().await.expect("joya registers");
            let laura = bb.agent("laura").schedule(spaced_schedule());
            let (laura, _laura_events) = laura.start().await.expect("laura registers");
            let found = laura.locate(joya.address()).await;
            assert_eq!(found.is_ok(), is_found, "{message} lost {lost} times: {found:?}");
        }
    }
}

/// Three of ten lost, three of ten doubled, three of ten out of order, on every way of two domains.
#[tokio::test]
async fn a_bad_network_is_worked_through() {
    let trace = Trace::start();
    let faults = RandomFaults { loss: 30, duplication: 30, reordering: 30, ..RandomFaults::default() };
    // Nothing is lost between nodes, as each of the five tries would have to come through six times.
    let between = RandomFaults { loss: 0, ..faults };
    let cc = TestNode::start("cc.com", &["joya"], directory(&[])).await;
    let to_cc = UdpProxy::start(cc.address, between.seeded(1)).await;
    let bb = TestNode::start("bb.com", &["laura"], directory(&[("cc.com", to_cc.address())])).await;
    let to_bb = UdpProxy::start(bb.address, faults.seeded(2)).await;
    let (joya, mut joya_events) = cc.agent("joya").start().await.expect("joya registers");
    let (laura, _laura_events) = loop {
        match bb.agent("laura").node(to_bb.address()).start().await {
            Ok(started) => break started,
            Err(error) => assert!(matches!(error, StartError::NoAnswer { .. }), "{error}"),
        }
    };
    let mut found = 0;
    for _ in 0..LOCATIONS {
        match laura.locate(joya.address()).await {
            Ok(at) => {
                assert_eq!(at, joya.listening());
                found += 1;
            }
            Err(error) => assert!(is_unanswered(&error), "{error}"),
        }
    }
    // One of two tries comes through, so all five of one in thirty fail.
    assert!(found > LOCATIONS / 2, "{found} of {LOCATIONS}");
    let laura_talks = loop {
        match laura.call(joya.address()).await {
            Ok(talk) => break talk,
            Err(CallError::Locate(error)) => assert!(is_unanswered(&error), "{error}"),
            Err(error) => panic!("{error}"),
        }
    };
    let Some(Event::Incoming(called)) = joya_events.next().await else { panic!("no call") };
    let joya_talks = called.accept().expect("a conversation");
    assert_talk_is_whole(laura_talks, joya_talks, 10).await;

    // A question may be doubled on its way any number of times: no node gives more answers than it was asked.
    for node in ["bb.com", "cc.com"] {
        let messages = trace.messages(node);
        let count = |start: &str| messages.iter().filter(|message| message.starts_with(start)).count();
        let (asked, answered) =
            (count("R PLlaura@bb.com:joya@cc.com"), count("E RL0laura@bb.com:joya@cc.com"));
        assert!(asked > LOCATIONS && answered <= asked, "{node}: {answered} answers to {asked}");
    }
}

/// Returns whether every try was lost, with the `PR` after them or without.
fn is_unanswered(error: &LocateError) -> bool {
    matches!(error, LocateError::NoAnswer { .. } | LocateError::PeerSilent { .. })
}

/// Two answers in the wrong order.
#[tokio::test]
async fn answers_out_of_order_are_told_apart() {
    let node = TestNode::start("bb.com", &["laura", "pere", "joan"], directory(&[])).await;
    let fate = |direction, datagram: &[u8]| {
        let is_first =
            direction == Direction::ToClient && datagram.starts_with(b"RL0laura@bb.com:pere@bb.com");
        let lateness = if is_first { Lateness::BehindNext } else { Lateness::None };
        vec![Arrival { lateness, ..Arrival::whole(datagram) }]
    };
    let proxy = UdpProxy::start(node.address, fate).await;
    let (pere, _pere_events) = node.agent("pere").start().await.expect("pere registers");
    let (joan, _joan_events) = node.agent("joan").start().await.expect("joan registers");
    let laura = node.agent("laura").node(proxy.address()).start().await;
    let (laura, _laura_events) = laura.expect("laura registers");
    for _ in 0..10 {
        let (to_pere, to_joan) = (pere.address(), joan.address());
        let (at_pere, at_joan) = tokio::join!(laura.locate(to_pere), laura.locate(to_joan));
        assert_eq!(at_pere.expect("found"), pere.listening());
        assert_eq!(at_joan.expect("found"), joan.listening());
    }
}

#[tokio::test]
async fn a_conversation_byte_by_byte_loses_nothing() {
    let faults = StreamFaults {
        segment: NonZeroUsize::new(1),
        delay: Duration::from_millis(1),
        ..StreamFaults::default()
    };
    let pair = Pair::start(faults, faults).await;
    // Few lines: the side that hangs up waits 4 s for the rest, and a busy machine takes much longer than 1
    // ms for each byte.
    assert_talk_is_whole(pair.laura_talks, pair.pere_talks, 3).await;
}

/// RST within a frame and behind it: it is told that the connection was lost, to both sides, and then that it
/// is over.
///
/// An RST before the frame may come before the caller is accepted. Embedding programs are tested with one.
#[tokio::test]
async fn a_connection_reset_anywhere_is_lost_and_not_ended() {
    for offset in 1..=FRAME.len() {
        let faults = StreamFaults { reset_after: Some(NICKNAME.len() + offset), ..StreamFaults::default() };
        let pair = Pair::start(StreamFaults::default(), faults).await;
        // It may be gone before this is said.
        _ = pair.pere_talks.send("hola").await;
        for (mut talk, hears_it) in [(pair.laura_talks, offset == FRAME.len()), (pair.pere_talks, false)] {
            if hears_it {
                assert_eq!(talk.next_line().await.expect("a line").expect("a line"), "hola");
            }
            let error = talk.next_line().await.expect_err("the connection is lost");
            assert!(matches!(error, ConversationError::Lost(_)), "at {offset}: {error}");
            while let Err(error) = talk.next_line().await {
                assert!(matches!(error, ConversationError::Unsent(_)), "at {offset}: {error}");
            }
        }
    }
}

/// laura and pere, talking through a proxy.
struct Pair {
    laura_talks: Conversation,
    pere_talks: Conversation,
    _running: (TestNode, TcpProxy, Agent, Agent),
}

impl Pair {
    async fn start(to_pere: StreamFaults, to_laura: StreamFaults) -> Self {
        let node = TestNode::start("bb.com", &["laura", "pere"], directory(&[])).await;
        // He publishes the address of the proxy, at the port that he has on another.
        let local = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let pere = node.agent("pere").listen(local).advertise(PROXY).start().await;
        let (pere, mut pere_events) = pere.expect("pere registers");
        let published = SocketAddrV4::from(pere.listening());
        let listening = SocketAddrV4::new(Ipv4Addr::LOCALHOST, published.port());
        let proxy = TcpProxy::start(published, listening, to_pere, to_laura).await;
        let (laura, _) = node.agent("laura").start().await.expect("laura registers");
        let (called, event) = tokio::join!(call(&laura, pere.address()), pere_events.next());
        let Some(Event::Incoming(incoming)) = event else { panic!("no call") };
        let pere_talks = incoming.accept().expect("a conversation");
        Self { laura_talks: called, pere_talks, _running: (node, proxy, laura, pere) }
    }
}

async fn call(agent: &Agent, to: MiAddress) -> Conversation {
    agent.call(to).await.expect("a conversation")
}

/// Both say so many lines at the same time, one of them hangs up, and every line is heard.
async fn assert_talk_is_whole(one: Conversation, mut other: Conversation, lines: usize) {
    let lines: Vec<_> =
        (0..lines).map(|number| format!("línia {number}: {}", "à".repeat(number * 4))).collect();
    let mut one_hears = Vec::new();
    let one_says = async {
        for line in &lines {
            one.send(line).await.expect("sent");
        }
        let mut rest = one.hang_up();
        while let Some(line) = rest.next_line().await.expect("nothing is lost") {
            one_hears.push(line.raw().to_owned());
        }
    };
    let mut other_hears = Vec::new();
    let other_says = async {
        for line in &lines {
            other.send(line).await.expect("sent");
        }
        while let Some(line) = other.next_line().await.expect("nothing is lost") {
            other_hears.push(line.raw().to_owned());
        }
        drop(other);
    };
    tokio::join!(one_says, other_says);
    assert_eq!(other_hears, lines);
    assert_eq!(one_hears, lines);
}

/// The five tries of the protocol, with more time for an answer: on a busy machine a second may not be
/// enough.
const PATIENT: RequestSchedule =
    RequestSchedule::new(NonZeroU8::new(5).expect("is not 0"), Duration::from_secs(2));

/// The address of the proxies of conversations.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 70);

/// The first frame that Pere sends.
const NICKNAME: &[u8] = b"N04pere";

/// The next frame that Pere sends.
const FRAME: &[u8] = b"L04hola";

const LOCATIONS: usize = 20;
