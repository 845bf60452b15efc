//! Conversations over real TCP: between two of our agents, and with peers that write and read raw bytes.

mod breaks;
mod several;
mod strangers;

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use integration_tests::network::{ScriptedNode, TestNode, directory, local_address};
use integration_tests::programs::DEADLINE;
use mi_agent_core::{
    Agent, CallError, Conversation, ConversationError, Event, Events, LocateError, Refusal, SendError,
};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

#[tokio::test]
async fn two_agents_talk_both_ways_and_either_ends_it() {
    let node = TestNode::start("bb.com", &["laura", "pere"], directory(&[])).await;
    let (laura, mut laura_events) =
        node.agent("laura").nickname("La Laura").start().await.expect("registered");
    let (pere, mut pere_events) = node.agent("pere").start().await.expect("registered");

    let mut laura_talks = laura.call(pere.address()).await.expect("a conversation");
    let mut pere_talks = incoming(&mut pere_events).await;
    assert_eq!(laura_talks.peer().nickname, "pere");
    assert_eq!(laura_talks.peer().address, Some(pere.address()));
    assert_eq!(pere_talks.peer().nickname, "La Laura");
    assert_eq!(pere_talks.peer().address, Some(laura.address()));
    laura_talks.send("hola").await.expect("sent");
    pere_talks.send("").await.expect("sent");
    assert_eq!(next(&mut pere_talks).await, "hola");
    assert_eq!(next(&mut laura_talks).await, "");
    let mut rest = laura_talks.hang_up();
    assert_eq!(pere_talks.next_line().await.expect("no loss"), None);
    assert_eq!(pere_talks.send("too late").await, Err(SendError::Ended));
    assert_eq!(rest.next_line().await.expect("no loss"), None);

    let mut pere_talks = pere.call(laura.address()).await.expect("again, the other way round");
    let laura_talks = incoming(&mut laura_events).await;
    drop(laura_talks);
    assert_eq!(pere_talks.next_line().await.expect("no loss"), None);
}

#[tokio::test]
async fn a_long_line_travels_in_pieces() {
    let node = TestNode::start("bb.com", &["laura", "pere"], directory(&[])).await;
    let (laura, _laura_events) = node.agent("laura").pace(Duration::ZERO).start().await.expect("registered");
    let (pere, mut pere_events) = node.agent("pere").start().await.expect("registered");
    let laura_talks = laura.call(pere.address()).await.expect("a conversation");
    let mut pere_talks = incoming(&mut pere_events).await;
    let line = "això és llarg: ".repeat(40);
    laura_talks.send(&line).await.expect("sent");
    assert_eq!(
        laura_talks.send("one\ntwo").await.expect_err("two lines").to_string(),
        r"the line has '\n' at byte 4, which may not stand there"
    );
    drop(laura_talks);
    let mut heard = String::new();
    while let Some(piece) = pere_talks.next_line().await.expect("no loss") {
        assert!(piece.raw().len() <= 99);
        heard.push_str(piece.raw());
    }
    assert_eq!(heard, line, "and nothing of the two lines");
}

#[tokio::test]
async fn what_was_sent_before_the_end_arrives() {
    let node = TestNode::start("bb.com", &["laura", "pere"], directory(&[])).await;
    let (laura, _laura_events) = node.agent("laura").pace(Duration::ZERO).start().await.expect("registered");
    let (pere, mut pere_events) = node.agent("pere").start().await.expect("registered");
    let laura_talks = laura.call(pere.address()).await.expect("a conversation");
    let mut pere_talks = incoming(&mut pere_events).await;
    let sending = async {
        for n in 0..500 {
            laura_talks.send(&format!("line {n}")).await.expect("sent");
        }
        laura.shutdown().await.expect("laura deregisters");
    };
    let hearing = async {
        let mut lines = Vec::new();
        while let Some(line) = pere_talks.next_line().await.expect("no loss") {
            lines.push(line.raw().to_owned());
        }
        lines
    };
    let ((), lines) = tokio::join!(sending, hearing);
    assert_eq!(lines, (0..500).map(|n| format!("line {n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_caller_of_an_engaged_agent_is_told_so_and_let_go_in_order() {
    let node = TestNode::start("bb.com", &["laura", "pere"], directory(&[])).await;
    let (laura, _laura_events) = node.agent("laura").start().await.expect("registered");
    let (pere, mut pere_events) = node.agent("pere").start().await.expect("registered");
    let _laura_talks = laura.call(pere.address()).await.expect("a conversation");
    let _pere_talks = incoming(&mut pere_events).await;

    let mut third = RawPeer::connect(&pere).await;
    third.write(b"N04joan").await;
    let said = third.read_to_end().await;
    assert!(said.starts_with(b"N04pereL"), "{}", said.escape_ascii());
    assert!(said.ends_with(b"busy: in another conversation, please call again later"));
    match pere_events.next().await {
        Some(Event::Refused { nickname, address: None, reason: Refusal::Busy, .. }) => {
            assert_eq!(nickname, "joan");
        }
        event => panic!("{event:?}"),
    }
}

#[tokio::test]
async fn an_agent_may_have_several_conversations() {
    let node = TestNode::start("bb.com", &["laura", "pere"], directory(&[])).await;
    let (pere, mut pere_events) = node.agent("pere").conversations(2).start().await.expect("registered");
    let (laura, _laura_events) = node.agent("laura").start().await.expect("registered");
    let mut raw = RawPeer::connect(&pere).await;
    raw.write(b"N04joan").await;
    let mut first = incoming(&mut pere_events).await;
    assert_eq!(first.peer().address, None, "nobody asked in the name of a caller who just came");
    laura.call(pere.address()).await.expect("there is room for one more");
    raw.write(b"L04hola").await;
    assert_eq!(next(&mut first).await, "hola");
}

#[tokio::test]
async fn strangers_are_answered_and_closed_in_order() {
    let node = TestNode::start("bb.com", &["pere"], directory(&[])).await;
    let (pere, mut events) = node.agent("pere").start().await.expect("registered");
    for greeting in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"L04hola", b"N9", b"N0xjoan", b""] {
        let mut stranger = RawPeer::connect(&pere).await;
        stranger.write(greeting).await;
        stranger.shut_down().await;
        assert_eq!(stranger.read_to_end().await, b"N04pere", "{}", greeting.escape_ascii());
    }
    let mut honest = RawPeer::connect(&pere).await;
    honest.write(b"N04joan").await;
    assert_eq!(incoming(&mut events).await.peer().nickname, "joan");
}

/// A peer of which nothing is read must still see FIN, not RST.
#[tokio::test]
async fn the_end_is_a_fin_even_when_nothing_was_read() {
    let node = TestNode::start("bb.com", &["pere"], directory(&[])).await;
    let (pere, mut events) = node.agent("pere").start().await.expect("registered");
    let mut raw = RawPeer::connect(&pere).await;
    raw.write(b"N04joan").await;
    let talk = incoming(&mut events).await;
    for _ in 0..1000 {
        raw.write(b"L08bla bla ").await;
    }
    talk.send("adéu").await.expect("sent");
    drop(talk);
    assert_eq!(raw.read_to_end().await, "N04pereL05adéu".as_bytes());
}

#[tokio::test]
async fn a_connection_that_breaks_is_lost_and_not_ended() {
    let node = TestNode::start("bb.com", &["pere"], directory(&[])).await;
    let (pere, mut events) = node.agent("pere").start().await.expect("registered");
    let mut raw = RawPeer::connect(&pere).await;
    raw.write(b"N04joan").await;
    let mut talk = incoming(&mut events).await;
    raw.write(b"L04hola").await;
    assert_eq!(next(&mut talk).await, "hola");
    raw.reset();
    let lost = talk.next_line().await.expect_err("RST");
    assert!(matches!(lost, ConversationError::Lost(_)), "{lost}");
    assert_eq!(talk.next_line().await.expect("once"), None);
}

/// The callee gets what a deployed program sends for a line of 150 characters, and bytes that are no text.
#[tokio::test]
async fn odd_bytes_are_shown_and_the_conversation_goes_on() {
    let node = TestNode::start("bb.com", &["pere"], directory(&[])).await;
    let (pere, mut events) = node.agent("pere").start().await.expect("registered");
    let mut raw = RawPeer::connect(&pere).await;
    raw.write(b"N03u\xff1").await;
    let mut talk = incoming(&mut events).await;
    assert_eq!(talk.peer().nickname, "u\u{fffd}1");
    let long = "x".repeat(149);
    raw.write(format!("L150{long}").as_bytes()).await;
    assert_eq!(next(&mut talk).await, long);
    raw.write(b"L03\x1b[m").await;
    assert_eq!(talk.next_line().await.expect("no loss").expect("a line").to_string(), r"\x1b[m");
    raw.write(b"what is this?").await;
    assert_eq!(next(&mut talk).await, "what is this?");
    raw.write(b"L04hola").await;
    assert_eq!(next(&mut talk).await, "hola");
}

#[tokio::test]
async fn whoever_does_not_take_the_call_is_named() {
    // Nobody listens; somebody listens, and closes; somebody listens, and speaks something else.
    for greeting in [None, Some(&b""[..]), Some(b"SSH-2.0-OpenSSH_9.9\r\n"), Some(b"L04hola")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let at = listener.local_addr().expect("its address");
        let answer = format!("RL0laura@bb.com:joya@cc.com:{at}");
        let node = ScriptedNode::start(&[("PR", "RR0"), ("PL", &answer)]).await;
        let (laura, _events) = Agent::builder("laura@bb.com".parse().expect("an address"))
            .node(node.address)
            .start()
            .await
            .expect("registered");
        let callee = async {
            let Some(greeting) = greeting else { return drop(listener) };
            let (mut stream, _) = listener.accept().await.expect("a call");
            let mut nickname = [0; 8];
            stream.read_exact(&mut nickname).await.expect("a nickname");
            assert_eq!(&nickname, b"N05laura");
            stream.write_all(greeting).await.expect("sent");
        };
        let joya = "joya@cc.com".parse().expect("an address");
        let ((), called) = tokio::join!(callee, laura.call(joya));
        let error = called.expect_err("no conversation");
        assert!(matches!(error, CallError::NotAccepted { .. }));
        assert_eq!(error.to_string(), "joya@cc.com does not accept the connection");
    }
}

/// A call that is given up, by its program or because the agent ends, still ends in order: its callee has
/// sent a nickname that nobody reads.
#[tokio::test]
async fn a_call_that_is_given_up_ends_in_order() {
    for agent_ends in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let at = listener.local_addr().expect("its address");
        let answer = format!("RL0laura@bb.com:joya@cc.com:{at}");
        let node = ScriptedNode::start(&[("PR", "RR0"), ("PL", &answer), ("PD", "RD0")]).await;
        let (laura, _) = Agent::builder("laura@bb.com".parse().expect("an address"))
            .node(node.address)
            .start()
            .await
            .expect("registered");
        let calling = tokio::spawn({
            let laura = laura.clone();
            async move { laura.call("joya@cc.com".parse().expect("an address")).await }
        });
        let (stream, _) = listener.accept().await.expect("a call");
        let mut callee = RawPeer(stream);
        callee.read_exactly(b"N05laura").await;
        let mut ending = None;
        if agent_ends {
            let laura = laura.clone();
            ending = Some(tokio::spawn(async move { laura.shutdown().await }));
            let error = calling.await.expect("no panic").expect_err("the agent ends");
            assert!(matches!(error, CallError::Locate(LocateError::Ended)), "{error}");
        } else {
            calling.abort();
            assert!(calling.await.expect_err("given up").is_cancelled());
        }
        callee.write(b"N04joya").await;
        callee.write(b"L04hola").await;
        assert_eq!(callee.read_to_end().await, b"L00");
        if let Some(ending) = ending {
            ending.await.expect("no panic").expect("laura deregisters");
        }
        if !agent_ends {
            laura.locate("joya@cc.com".parse().expect("an address")).await.expect("laura goes on");
        }
    }
}

/// A caller that has connected when an agent ends is greeted, and its connection ends in order.
#[tokio::test]
async fn callers_in_the_queue_of_an_agent_that_ends_are_let_go_in_order() {
    let node = TestNode::start("bb.com", &["pere"], directory(&[])).await;
    let (pere, _events) = node.agent("pere").start().await.expect("registered");
    // Connected by the kernel: the agent's tasks have no chance to run before the shutdown begins.
    let at = SocketAddr::V4(pere.listening().into());
    let callers: Vec<_> = (0..20)
        .map(|n| {
            let mut stream = std::net::TcpStream::connect(at).expect("a connection");
            if n % 2 == 0 {
                stream.write_all(b"N04joanL04hola").expect("written");
            }
            stream.set_nonblocking(true).expect("set");
            RawPeer(TcpStream::from_std(stream).expect("within the runtime"))
        })
        .collect();
    let seeing = async {
        for (n, caller) in callers.into_iter().enumerate() {
            // Those with a nickname hear an empty line, which some of them need.
            let expected: &[u8] = if n % 2 == 0 { b"N04pereL00" } else { b"N04pere" };
            assert_eq!(caller.read_to_end().await, expected);
        }
    };
    let (ended, ()) = tokio::join!(pere.shutdown(), seeing);
    ended.expect("pere deregisters");
}

/// The slot is free again only when the end has been heard: no conversation takes the place of one that still
/// has something to say.
#[tokio::test]
async fn the_next_caller_waits_until_the_last_one_was_heard() {
    let node = TestNode::start("bb.com", &["pere"], directory(&[])).await;
    let (pere, mut events) = node.agent("pere").start().await.expect("registered");
    let mut first = RawPeer::connect(&pere).await;
    first.write(b"N03oneL04holaL04ad\xc3\xa9").await;
    let mut talk = incoming(&mut events).await;
    first.shut_down().await;
    assert_eq!(first.read_to_end().await, b"N04pere");
    let mut second = RawPeer::connect(&pere).await;
    second.write(b"N03two").await;
    second.read_exactly(b"N04pereL").await;
    assert!(matches!(events.next().await, Some(Event::Refused { .. })));
    assert_eq!(next(&mut talk).await, "hola");
    assert_eq!(next(&mut talk).await, "adé");
    assert_eq!(talk.next_line().await.expect("no loss"), None);
    let mut third = RawPeer::connect(&pere).await;
    third.write(b"N05three").await;
    assert_eq!(incoming(&mut events).await.peer().nickname, "three");
}

#[tokio::test]
async fn what_was_not_sent_is_told() {
    let node = TestNode::start("bb.com", &["pere"], directory(&[])).await;
    let (pere, mut events) = node.agent("pere").start().await.expect("registered");
    let mut raw = RawPeer::connect(&pere).await;
    raw.write(b"N04joan").await;
    let mut talk = incoming(&mut events).await;
    for n in 0..40 {
        talk.send(&format!("line {n}")).await.expect("handed over");
    }
    raw.read_exactly(b"N04pere").await;
    // Closed for good: what comes then is refused.
    drop(raw);
    let error = talk.next_line().await.expect_err("much was not sent");
    assert!(matches!(error, ConversationError::Unsent(1..)), "{error}");
    assert_eq!(talk.next_line().await.expect("once"), None);
}

/// A peer that reads and writes bytes as it likes.
struct RawPeer(TcpStream);

impl RawPeer {
    async fn connect(agent: &Agent) -> Self {
        Self(TcpStream::connect(SocketAddr::V4(agent.listening().into())).await.expect("a connection"))
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("written");
    }

    async fn read_exactly(&mut self, expected: &[u8]) {
        let mut bytes = vec![0; expected.len()];
        self.0.read_exact(&mut bytes).await.expect("they come");
        assert_eq!(bytes, expected);
    }

    async fn shut_down(&mut self) {
        self.0.shutdown().await.expect("shut down");
    }

    /// Everything up to the FIN. An RST is an error.
    async fn read_to_end(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(DEADLINE, self.0.read_to_end(&mut bytes)).await;
        read.expect("an end").expect("FIN");
        bytes
    }

    /// Closes the connection with RST.
    fn reset(self) {
        SockRef::from(&self.0).set_linger(Some(Duration::ZERO)).expect("set");
    }
}

pub(crate) async fn incoming(events: &mut Events) -> Conversation {
    match called(events).await {
        Some(Event::Incoming(incoming)) => incoming.accept().expect("a conversation"),
        event => panic!("{event:?}"),
    }
}

/// The next event, except those of askers that were told busy.
pub(crate) async fn called(events: &mut Events) -> Option<Event> {
    loop {
        match soon(events.next()).await {
            Some(Event::Missed { reason: Refusal::Busy, .. }) => {}
            event => return event,
        }
    }
}

pub(crate) async fn next(talk: &mut Conversation) -> String {
    soon(talk.next_line()).await.expect("no loss").expect("a line").raw().to_owned()
}

/// Waits for something that has to happen, for [`DEADLINE`] at most.
pub(crate) async fn soon<T>(happening: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, happening).await.expect("what has to happen does")
}
