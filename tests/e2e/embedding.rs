//! Promises to programs that embed an agent: several tasks, several runtimes, calls that are given up.

use std::future::Future;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use integration_tests::network::{TestNode, directory};
use integration_tests::programs::DEADLINE;
use lumi_node_core::{Roster, RosterFileError, ServeError};
use mi_agent_core::{
    Agent, CallError, Conversation, ConversationError, Conversations, DeregisterError, DirectoryError, Event,
    Events, Heard, IncomingError, LocateError, Refusal, RequestSchedule, SendError, StartError,
};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::conversation::{incoming, next, soon};

/// Laura and pere, at a node.
struct Pair {
    node: TestNode,
    laura: Agent,
    pere: Agent,
    events: Events,
}

impl Pair {
    async fn start() -> Self {
        let node = TestNode::start("bb.com", &["laura", "pere", "joya"], directory(&[])).await;
        let (laura, _) = node.agent("laura").pace(Duration::ZERO).start().await.expect("registered");
        let (pere, events) = node.agent("pere").start().await.expect("registered");
        Self { node, laura, pere, events }
    }

    async fn talking() -> (Self, Conversation, Conversation) {
        let mut pair = Self::start().await;
        let talk = pair.laura.call(pair.pere.address()).await.expect("a conversation");
        let heard = incoming(&mut pair.events).await;
        (pair, talk, heard)
    }
}

/// An executor that knows nothing of tokio.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(ready) => return ready,
            Poll::Pending => thread::park_timeout(DEADLINE),
        }
    }
}

/// Registers joan, to be found at `listener` from now on.
async fn answer_as_joan(node: &TestNode, listener: &TcpListener) {
    let at = listener.local_addr().expect("bound");
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket.connect(node.address).await.expect("there is a way");
    socket.send(b"PRjoan@bb.com").await.expect("sent");
    let mut message = [0; 100];
    let length = soon(socket.recv(&mut message)).await.expect("an answer");
    assert_eq!(&message[..length], b"RR0");
    tokio::spawn(async move {
        while let Ok(length) = socket.recv(&mut message).await {
            let question = String::from_utf8_lossy(&message[..length]);
            let names = question.strip_prefix("PL").expect("a question");
            socket.send(format!("RL0{names}:{at}").as_bytes()).await.expect("sent");
        }
    });
}

#[tokio::test]
async fn lines_that_several_tasks_send_at_the_same_time_do_not_mix() {
    let (_pair, talk, mut heard) = Pair::talking().await;
    let (_, sender, _lines) = talk.split();
    let saying: Vec<_> = (b'a'..=b'h')
        .map(|letter| {
            let sender = sender.clone();
            tokio::spawn(async move {
                for line in 0..20 {
                    let text = char::from(letter).to_string().repeat(99 * 2);
                    sender.send(&format!("{text}{line:02}")).await.expect("sent");
                }
            })
        })
        .collect();
    for _ in 0..8 * 20 {
        let first = next(&mut heard).await;
        let letter = &first[..1];
        assert_eq!(first, letter.repeat(99));
        assert_eq!(next(&mut heard).await, letter.repeat(99), "no line comes between");
        next(&mut heard).await.parse::<u8>().expect("the end of the line");
    }
    for said in saying {
        said.await.expect("no panic");
    }
}

/// The peer hears all of a line or nothing of it, however long its sender waited.
#[tokio::test]
async fn a_send_that_is_given_up_leaves_no_part_of_a_line() {
    let node = TestNode::start("bb.com", &["laura", "pere"], directory(&[])).await;
    let (laura, _) = node.agent("laura").pace(Duration::from_millis(1)).start().await.expect("registered");
    let (pere, mut events) = node.agent("pere").start().await.expect("registered");
    let talk = laura.call(pere.address()).await.expect("a conversation");
    let mut heard = incoming(&mut events).await;
    let saying = tokio::spawn(async move {
        let mut said = Vec::new();
        for line in 0..20 {
            let text = format!("{line:03}").repeat(33 * 40);
            if let Ok(sent) = timeout(Duration::from_millis(15), talk.send(&text)).await {
                sent.expect("the conversation goes on");
                said.push(format!("{line:03}"));
            }
        }
        said
    });
    let mut lines = Vec::new();
    while let Some(piece) = soon(heard.next_line()).await.expect("no loss") {
        lines.push(piece.raw().to_owned());
    }
    let said = saying.await.expect("no panic");
    assert!(!said.is_empty() && said.len() < 20, "some are given up: {}", said.len());
    let whole: Vec<_> = said.iter().flat_map(|line| vec![line.repeat(33); 40]).collect();
    assert_eq!(lines, whole);
}

/// The callee accepts the connection and gives no nickname.
#[tokio::test]
async fn a_call_that_is_given_up_leaves_the_agent_free() {
    let node = TestNode::start("bb.com", &["laura", "pere", "joan"], directory(&[])).await;
    let (laura, _laura_events) = node.agent("laura").start().await.expect("registered");
    let (pere, mut events) = node.agent("pere").start().await.expect("registered");
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    answer_as_joan(&node, &silent).await;
    let given_up =
        timeout(Duration::from_millis(200), laura.call("joan@bb.com".parse().expect("an address")));
    given_up.await.expect_err("no nickname comes");
    assert_eq!(laura.conversations(), 0);
    let found = pere.locate(laura.address()).await;
    found.expect("laura is not busy");
    let talk = laura.call(pere.address()).await.expect("a conversation");
    talk.send("hola").await.expect("sent");
    assert_eq!(next(&mut incoming(&mut events).await).await, "hola");
}

/// The callee gives no nickname, so each connection takes its time to end. Later calls wait for that.
#[tokio::test]
async fn connections_of_calls_that_are_given_up_are_few() {
    let node = TestNode::start("bb.com", &["laura", "joan"], directory(&[])).await;
    let (laura, _events) = node.agent("laura").start().await.expect("registered");
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    answer_as_joan(&node, &silent).await;
    let (mut open, mut most) = (Vec::new(), 0);
    for _ in 0..120 {
        let laura = laura.clone();
        let calling =
            tokio::spawn(async move { laura.call("joan@bb.com".parse().expect("an address")).await });
        let (stream, _) = soon(silent.accept()).await.expect("a connection");
        calling.abort();
        calling.await.expect_err("given up");
        open.push(stream.into_std().expect("a socket"));
        open.retain(|stream| !has_ended(stream));
        most = most.max(open.len());
    }
    // The limit is 64, and the end of one may take a moment to arrive.
    assert!(most < 90, "{most}");
}

/// Returns whether the FIN of the peer has come.
fn has_ended(mut stream: &std::net::TcpStream) -> bool {
    loop {
        match stream.read(&mut [0; 100]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                return false;
            }
        }
    }
}

/// Their requests are not repeated, and keep no room from others.
#[tokio::test]
async fn calls_that_are_given_up_hold_nobody_up() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let SocketAddr::V4(at) = silent.local_addr().expect("an address") else { unreachable!("it is bound so") };
    let node = TestNode::start("bb.com", &["laura"], directory(&[("cc.com", at)])).await;
    let schedule = RequestSchedule::new(RequestSchedule::default().attempts, Duration::from_secs(10));
    let (laura, _events) = node.agent("laura").schedule(schedule).start().await.expect("registered");
    let joya = "joya@cc.com".parse().expect("an address");
    let waits = tokio::spawn({
        let laura = laura.clone();
        async move { laura.locate(joya).await }
    });
    for _ in 0..100 {
        timeout(Duration::from_millis(1), laura.call(joya)).await.expect_err("her node is silent");
    }
    let nobody = laura.locate("nobody@bb.com".parse().expect("an address")).await;
    assert!(matches!(nobody, Err(LocateError::NoSuchUser)), "{nobody:?}");
    assert!(!waits.is_finished(), "it came only after all the others");
}

#[tokio::test]
async fn a_shutdown_may_take_as_long_as_it_likes() {
    let node = TestNode::start("bb.com", &["laura"], directory(&[])).await;
    let (laura, _events) = node.agent("laura").start().await.expect("registered");
    laura.shutdown_within(Duration::MAX).await.expect("deregistered");
}

#[tokio::test]
async fn after_a_call_that_failed_the_next_one_is_tried() {
    let node = TestNode::start("bb.com", &["laura", "joan"], directory(&[])).await;
    let (laura, _events) = node.agent("laura").start().await.expect("registered");
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    answer_as_joan(&node, &closed).await;
    drop(closed);
    for _ in 0..60 {
        let error =
            laura.call("joan@bb.com".parse().expect("an address")).await.expect_err("nobody is there");
        assert!(matches!(error, CallError::NotAccepted { .. }), "{error}");
        assert!(error.is_transient());
    }
}

/// The runtime on which a call is awaited does nothing afterwards, and is gone before the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_lives_on_the_runtime_of_its_agent() {
    let mut pair = Pair::start().await;
    let (laura, to) = (pair.laura.clone(), pair.pere.address());
    let talk = thread::spawn(move || {
        let other = Builder::new_current_thread().enable_all().build().expect("a runtime");
        other.block_on(laura.call(to)).expect("a conversation")
    });
    let mut heard = incoming(&mut pair.events).await;
    let talk = talk.join().expect("no panic");
    talk.send("hola").await.expect("sent");
    assert_eq!(next(&mut heard).await, "hola");
    heard.send("que tal?").await.expect("sent");
    let mut talk = talk;
    assert_eq!(next(&mut talk).await, "que tal?");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_works_from_a_thread_without_a_runtime() {
    let node = TestNode::start("bb.com", &["laura", "pere"], directory(&[])).await;
    let (pere, mut events) = node.agent("pere").start().await.expect("registered");
    let to = pere.address();
    let builder = node.agent("laura").runtime(tokio::runtime::Handle::current());
    let without = thread::spawn(move || {
        block_on(async {
            let (laura, _events) = builder.start().await.expect("registered");
            assert!(laura.is_registered() && !laura.is_closed());
            let mut talk = laura.call(to).await.expect("a conversation");
            assert_eq!(laura.conversations(), 1);
            talk.send("hola").await.expect("sent");
            let answer = talk.next_line().await.expect("no loss").expect("a line");
            assert_eq!(answer, "adeu");
            let mut talks = Conversations::new().with_last_words_within(Duration::from_millis(1));
            let id = talks.add(talk);
            assert!(talks.hang_up(id));
            assert!(matches!(talks.next().await, (_, Heard::Ended { unsaid: 0 })));
            let first = laura.shutdown().await;
            assert_eq!(first, Ok(()));
            assert_eq!(laura.shutdown().await, first, "a second one has the same result");
            assert!(!laura.is_registered() && laura.is_closed());
            laura.closed().await;
            laura
        })
    });
    let mut heard = incoming(&mut events).await;
    assert_eq!(next(&mut heard).await, "hola");
    heard.send("adeu").await.expect("sent");
    assert_eq!(soon(heard.next_line()).await.expect("no loss"), None);
    drop(heard);
    let laura = tokio::task::spawn_blocking(move || without.join().expect("no panic")).await.expect("joined");
    assert!(matches!(laura.call(to).await, Err(CallError::Locate(LocateError::Ended))));
}

/// Both are errors, and none is a panic.
#[test]
fn the_end_of_the_runtime_is_an_end_of_the_agent() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (node, laura) = runtime.block_on(async {
        let node = TestNode::start("bb.com", &["laura", "pere"], directory(&[])).await;
        let (laura, _) = node.agent("laura").start().await.expect("registered");
        (node, laura)
    });
    runtime.shutdown_timeout(DEADLINE);
    let to = "pere@bb.com".parse().expect("an address");
    assert!(matches!(block_on(laura.call(to)), Err(CallError::Locate(LocateError::Ended))));
    assert_eq!(block_on(laura.shutdown()), Err(DeregisterError::Ended));
    drop(node);
}

#[tokio::test]
async fn who_takes_no_calls_is_busy_for_everybody() {
    let pair = Pair::start().await;
    drop(pair.events);
    let error = pair.laura.locate(pair.pere.address()).await.expect_err("it takes no calls");
    assert!(matches!(error, LocateError::Busy), "{error}");
}

#[tokio::test]
async fn after_the_shutdown_a_call_is_told_so_whatever_is_held() {
    let (pair, talk, heard) = Pair::talking().await;
    drop(heard);
    pair.laura.shutdown().await.expect("deregistered");
    let error = pair.laura.call(pair.pere.address()).await.expect_err("it has ended");
    assert!(matches!(error, CallError::Locate(LocateError::Ended)), "{error}");
    assert_eq!(talk.send("hola").await, Err(SendError::Ended));
}

#[tokio::test]
async fn a_shutdown_that_is_dropped_goes_on() {
    let pair = Pair::start().await;
    {
        let shutdown = pair.laura.shutdown();
        let mut shutdown = pin!(shutdown);
        assert!(futures_util::poll!(&mut shutdown).is_pending());
    }
    soon(pair.laura.closed()).await;
    let error = pair.pere.locate(pair.laura.address()).await.expect_err("she has left");
    assert!(matches!(error, LocateError::Offline), "{error}");
}

/// The caller learns it as an error, and not as a line.
#[tokio::test]
async fn a_caller_can_be_refused() {
    for is_dropped in [false, true] {
        let mut pair = Pair::start().await;
        let mut talk = pair.laura.call(pair.pere.address()).await.expect("the nicknames are exchanged");
        talk.send("hola?").await.expect("sent");
        let Some(Event::Incoming(caller)) = soon(pair.events.next()).await else { panic!("no call") };
        assert_eq!(caller.peer().address, Some(pair.laura.address()));
        assert_eq!(pair.pere.conversations(), 1);
        if is_dropped {
            drop(caller);
        } else {
            caller.refuse();
        }
        let error = soon(talk.next_line()).await.expect_err("refused");
        assert!(matches!(error, ConversationError::Refused(_)), "{error}");
        // The line may be reported as not read.
        while soon(talk.next_line()).await.is_err() {}
        assert_eq!(pair.pere.conversations(), 0);
        assert!(pair.events.try_next().is_none(), "the program knows what it refused");
        let again = pair.laura.call(pair.pere.address()).await;
        again.expect("both are free again");
    }
}

/// Lines that a caller sends before it is accepted are not lost.
#[tokio::test]
async fn a_caller_waits_for_the_decision() {
    let mut pair = Pair::start().await;
    let talk = pair.laura.call(pair.pere.address()).await.expect("the nicknames are exchanged");
    for n in 0..100 {
        talk.send(&n.to_string()).await.expect("sent");
    }
    talk.hang_up();
    let Some(Event::Incoming(caller)) = soon(pair.events.next()).await else { panic!("no call") };
    let other = pair.node.agent("joya").start().await.expect("registered").0;
    let busy = other.locate(pair.pere.address()).await.expect_err("somebody waits already");
    assert!(matches!(busy, LocateError::Busy), "{busy}");
    assert!(matches!(pair.events.try_next(), Some(Event::Missed { reason: Refusal::Busy, .. })));
    let mut heard = caller.accept().expect("a conversation");
    for n in 0..100 {
        assert_eq!(next(&mut heard).await, n.to_string());
    }
    assert_eq!(soon(heard.next_line()).await.expect("no loss"), None);
}

/// Nobody has decided, and the agent is free again at once. What a caller has said would wait.
#[tokio::test]
async fn a_caller_that_leaves_gives_its_place_back() {
    let mut pair = Pair::start().await;
    let at = SocketAddr::V4(pair.pere.listening().into());
    for is_reset in [Some(false), Some(true), None] {
        let (ours, theirs) = match is_reset {
            Some(_) => {
                let mut stream = TcpStream::connect(at).await.expect("a connection");
                stream.write_all(b"N04joan").await.expect("written");
                stream.read_exact(&mut [0; 7]).await.expect("a nickname");
                (None, Some(stream))
            }
            None => (Some(pair.laura.call(pair.pere.address()).await.expect("the nicknames")), None),
        };
        let Some(Event::Incoming(mut caller)) = soon(pair.events.next()).await else { panic!("no call") };
        assert_eq!(pair.pere.conversations(), 1);
        if let (Some(stream), Some(true)) = (&theirs, is_reset) {
            SockRef::from(stream).set_linger(Some(Duration::ZERO)).expect("set");
        }
        drop((ours, theirs));
        assert_eq!(soon(caller.withdrawn()).await, IncomingError::CallerLeft);
        assert_eq!(pair.pere.conversations(), 0);
        let found = pair.laura.locate(pair.pere.address()).await;
        found.expect("he is not busy");
        assert_eq!(caller.accept().expect_err("it has left"), IncomingError::CallerLeft);
    }
}

#[tokio::test]
async fn a_caller_of_an_agent_that_ends_is_not_accepted() {
    let mut pair = Pair::start().await;
    let mut talk = pair.laura.call(pair.pere.address()).await.expect("the nicknames are exchanged");
    let Some(Event::Incoming(caller)) = soon(pair.events.next()).await else { panic!("no call") };
    drop(pair.laura.clone());
    pair.pere.shutdown().await.expect("deregistered");
    assert!(matches!(caller.accept(), Err(IncomingError::Ended)));
    assert_eq!(soon(talk.next_line()).await.expect("an orderly end"), None);
}

#[test]
fn an_error_names_its_cause_once() {
    let cause = || io::Error::from_raw_os_error(111);
    let path = || "nodelumi.cfg".into();
    let wrong = Roster::parse(b"bb.com\nlaura@\n").expect_err("no name");
    let errors: Vec<Box<dyn std::error::Error>> = vec![
        Box::new(StartError::Listen { address: "127.0.0.1:0".parse().expect("an address"), error: cause() }),
        Box::new(StartError::Unreachable {
            node: "127.0.0.1:3344".parse().expect("an address"),
            error: cause(),
        }),
        Box::new(ServeError::LocalAddress(cause())),
        Box::new(ServeError::Options(cause())),
        Box::new(RosterFileError::Read { path: path(), error: cause() }),
        Box::new(RosterFileError::Wrong { path: path(), error: wrong }),
        Box::new(RosterFileError::Write { path: path(), error: cause() }),
        Box::new(DirectoryError::Client(Box::new(cause()))),
        Box::new(ConversationError::Lost(cause())),
        Box::new(StartError::Socket(cause())),
        Box::new(CallError::NotAccepted { to: "pere@bb.com".parse().expect("an address"), error: cause() }),
    ];
    for error in errors {
        let source = error.source().expect("the cause").to_string();
        assert!(!error.to_string().contains(&source), "{error}: {source}");
    }
}
