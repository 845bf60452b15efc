//! The time that an agent takes to end, by a clock that is held: nothing that ends it comes from a socket.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::thread;
use std::time::Duration;

use mi_agent_core::{
    Agent, AgentBuilder, CallError, DeregisterError, Event, Events, IncomingError, LocateError, StartError,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime;
use tokio::time::{self, Instant};

const LIMIT: Duration = Duration::from_millis(600);

/// Conversations with peers that read nothing, write without end, or do neither, and never close; callers
/// that say nothing; a call that nobody answers; a node that is silent. The agent ends all the same, and in
/// time.
#[tokio::test]
async fn a_hurried_shutdown_ends_in_time_whatever_the_others_do() {
    let node = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let (agent, mut events) = registered_at(&node).await;
    let at = SocketAddr::V4(agent.listening().into());
    let mut peers = Vec::new();
    let mut talks = Vec::new();
    for flood in [false, true] {
        let mut peer = TcpStream::connect(at).await.expect("a connection");
        peer.write_all(b"N04joya").await.expect("written");
        peer.read_exact(&mut [0; 8]).await.expect("a nickname");
        let Some(Event::Incoming(caller)) = events.next().await else { panic!("no call") };
        let talk = caller.accept().expect("a conversation");
        // More than leaves in time, and more than TCP takes.
        for _ in 0..50 {
            talk.send("a line that waits").await.expect("handed over");
        }
        while flood && peer.try_write(&[b'x'; 1024]).is_ok() {
            tokio::task::yield_now().await;
        }
        peers.push(peer);
        talks.push(talk);
    }
    let mut silent_caller = TcpStream::connect(at).await.expect("a connection");
    let deaf = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let answer = format!("RL0laura@bb.com:joya@cc.com:{}", deaf.local_addr().expect("its address"));
    let calling = tokio::spawn({
        let agent = agent.clone();
        async move { agent.call("joya@cc.com".parse().expect("an address")).await }
    });
    let (_, laura) = node.recv_from(&mut [0; 100]).await.expect("PL");
    node.send_to(answer.as_bytes(), laura).await.expect("sent");
    let (_called, _) = deaf.accept().await.expect("a call");

    time::pause();
    let start = Instant::now();
    let error = agent.shutdown_within(LIMIT).await.expect_err("the node is silent");
    assert!(matches!(error, DeregisterError::NoAnswer { .. }));
    took(start, LIMIT);
    time::resume();
    let error = calling.await.expect("no panic").expect_err("the agent has ended");
    // The callee did nothing wrong.
    assert!(matches!(error, CallError::Locate(LocateError::Ended)), "{error}");
    assert!(!error.is_transient());
    for _ in 0..2 {
        assert_eq!(receive(&node).await, "PDlaura@bb.com");
    }
    // The caller that had said nothing got an answer.
    silent_caller.read_exact(&mut [0; 8]).await.expect("a nickname");
    assert_eq!(silent_caller.read(&mut [0; 8]).await.expect("FIN"), 0);
}

/// A shutdown that takes its time can be hurried: the node gets two more messages, not as many as before.
#[tokio::test]
async fn a_shutdown_can_be_hurried() {
    let node = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let (agent, _events) = registered_at(&node).await;
    time::pause();
    {
        let mut patient = pin!(agent.shutdown());
        tokio::select! {
            _ = &mut patient => panic!("the node is silent"),
            () = time::sleep(Duration::from_millis(2500)) => {}
        }
        let start = Instant::now();
        let (hurried, patient) = tokio::join!(agent.shutdown_within(LIMIT), patient);
        hurried.expect_err("the node is silent");
        patient.expect_err("the node is silent");
        took(start, LIMIT);
    }
    time::resume();
    for _ in 0..5 {
        assert_eq!(receive(&node).await, "PDlaura@bb.com");
    }
    assert!(node.try_recv(&mut [0; 100]).is_err(), "three before, two after");
}

/// Another agent of the user goes on, whichever way this one ends.
#[tokio::test]
async fn an_agent_that_stays_registered_says_nothing_to_its_node() {
    for ending in 0..3 {
        let node = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let (agent, mut events) = registered_at(&node).await;
        agent.stay_registered();
        match ending {
            0 => agent.shutdown().await.expect("nobody is asked"),
            1 => agent.shutdown_within(LIMIT).await.expect("nobody is asked"),
            _ => {}
        }
        drop(agent);
        assert!(events.next().await.is_none(), "its tasks have ended");
        assert!(node.try_recv(&mut [0; 100]).is_err());
    }
}

#[tokio::test]
async fn a_start_that_is_interrupted_ends_in_time() {
    let node = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    time::pause();
    let start = Instant::now();
    let interrupted = time::sleep(Duration::from_millis(1500));
    let error = builder(&node).start_unless(interrupted, LIMIT).await.expect_err("interrupted");
    assert!(matches!(error, StartError::Interrupted));
    took(start, Duration::from_millis(1500) + LIMIT);
    time::resume();
    for expected in ["PRlaura@bb.com", "PRlaura@bb.com", "PDlaura@bb.com", "PDlaura@bb.com"] {
        assert_eq!(receive(&node).await, expected);
    }
    assert!(node.try_recv(&mut [0; 100]).is_err());
}

/// A start that fails lets its callers go in order before it returns, because the runtime may end then.
#[test]
fn a_start_that_fails_leaves_nobody_behind() {
    let node = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let SocketAddr::V4(node_at) = node.local_addr().expect("its address") else { panic!("not IPv4") };
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    let SocketAddr::V4(at) = free.local_addr().expect("its address") else { panic!("not IPv4") };
    drop(free);
    let calling = thread::spawn(move || {
        let (_, laura) = node.recv_from(&mut [0; 100]).expect("PR");
        let mut caller = std::net::TcpStream::connect(at).expect("a connection");
        caller.write_all(b"N04joanL04hola").expect("written");
        node.send_to(b"RR1", laura).expect("sent");
        let mut heard = Vec::new();
        caller.read_to_end(&mut heard).expect("FIN");
        heard
    });
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let start = Agent::builder("laura@bb.com".parse().expect("an address")).node(node_at).listen(at).start();
    let error = runtime.block_on(start).expect_err("no such user");
    runtime.shutdown_background();
    assert!(matches!(error, StartError::NoSuchUser));
    assert_eq!(calling.join().expect("no panic"), b"N05lauraL00");
}

/// The caller hears that the user is busy, and the program learns it from its decision.
#[tokio::test]
async fn a_decision_that_takes_more_than_30_s_is_too_late() {
    let node = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let (agent, mut events) = registered_at(&node).await;
    let mut peer = TcpStream::connect(SocketAddr::V4(agent.listening().into())).await.expect("a connection");
    peer.write_all(b"N04joya").await.expect("written");
    let Some(Event::Incoming(caller)) = events.next().await else { panic!("no call") };
    time::pause();
    let start = Instant::now();
    let mut heard = [0; 65];
    peer.read_exact(&mut heard).await.expect("a refusal");
    assert_eq!(heard.as_slice(), b"N05lauraL54busy: in another conversation, please call again later");
    assert!(start.elapsed() >= Duration::from_secs(29), "{:?}", start.elapsed());
    assert_eq!(caller.accept().expect_err("it was refused"), IncomingError::TooLate);
    assert_eq!(agent.conversations(), 0);
}

/// Its runtime is gone, and nothing says that it goes on.
#[test]
fn an_agent_without_its_runtime_is_closed() {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (agent, caller, _events, _peer) = runtime.block_on(async {
        let node = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let (agent, mut events) = registered_at(&node).await;
        let at = SocketAddr::V4(agent.listening().into());
        let mut peer = TcpStream::connect(at).await.expect("a connection");
        peer.write_all(b"N04joya").await.expect("written");
        let Some(Event::Incoming(caller)) = events.next().await else { panic!("no call") };
        (agent, caller, events, peer)
    });
    assert!(!agent.is_closed());
    drop(runtime);
    pollster::block_on(agent.closed());
    assert!(agent.is_closed());
    assert_eq!(caller.accept().expect_err("nobody takes the decision"), IncomingError::Ended);
}

/// Many requests wait for their answers; the end does not wait for theirs.
#[tokio::test]
async fn a_deregistration_does_not_wait_for_room() {
    let node = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let (agent, _events) = registered_at(&node).await;
    let asked: Vec<_> = (0..40)
        .map(|n| {
            let agent = agent.clone();
            tokio::spawn(
                async move { agent.locate(format!("u{n}@cc.com").parse().expect("an address")).await },
            )
        })
        .collect();
    for _ in 0..16 {
        assert!(receive(&node).await.starts_with("PL"));
    }
    let (_, next) = tokio::join!(agent.shutdown_within(LIMIT), receive(&node));
    assert_eq!(next, "PDlaura@bb.com");
    time::pause();
    for asked in asked {
        asked.await.expect("no panic").expect_err("the agent has ended");
    }
}

fn builder(node: &UdpSocket) -> AgentBuilder {
    let SocketAddr::V4(at) = node.local_addr().expect("its address") else { panic!("not IPv4") };
    Agent::builder("laura@bb.com".parse().expect("an address")).node(at).conversations(3)
}

/// The agent of laura@bb.com, registered by a test that stands for its node and has taken all its requests.
async fn registered_at(node: &UdpSocket) -> (Agent, Events) {
    let serving = async {
        let (_, laura) = node.recv_from(&mut [0; 100]).await.expect("PR");
        node.send_to(b"RR0", laura).await.expect("sent");
    };
    let (started, ()) = tokio::join!(builder(node).start(), serving);
    started.expect("registered")
}

/// Each of tokio's timers may be a millisecond late.
fn took(start: Instant, expected: Duration) {
    let late = start.elapsed().checked_sub(expected).expect("not before its time");
    assert!(late <= Duration::from_millis(5), "{late:?} late");
}

async fn receive(node: &UdpSocket) -> String {
    let mut buffer = [0; 100];
    let (length, _) = node.recv_from(&mut buffer).await.expect("a message");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}
