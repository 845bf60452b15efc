//! The tap of an agent, beside its message log and what peers of raw bytes wrote and read.

use std::net::SocketAddr;

use integration_tests::network::{ScriptedNode, TestNode, directory, quick_schedule};
use integration_tests::trace::Trace;
use mi_agent_core::{Agent, Content, Direction, MessageCounts, Passed, StartError, Traffic, traffic};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::conversation::{incoming, next, soon};

/// The traffic from the registration to the deregistration has a conversation, a refused caller and a
/// stranger.
#[tokio::test]
async fn the_tap_tells_what_the_log_and_the_sockets_saw_in_order() {
    let trace = Trace::start();
    let (tap, mut traffic) = traffic();
    let node = TestNode::start("bb.com", &["pere", "laura"], directory(&[])).await;
    let (pere, mut events) = node.agent("pere").traffic(tap).start().await.expect("registered");
    let (laura, _) = node.agent("laura").start().await.expect("registered");
    let at = SocketAddr::V4(pere.listening().into());

    laura.locate(pere.address()).await.expect("pere is there");
    let mut joan = TcpStream::connect(at).await.expect("a connection");
    write(&mut joan, b"N04").await;
    write(&mut joan, b"joan").await;
    let mut talk = incoming(&mut events).await;
    write(&mut joan, b"L04holaL00").await;
    assert_eq!([next(&mut talk).await, next(&mut talk).await], ["hola", ""]);
    talk.send("què tal?").await.expect("sent");
    let said = "N04pereL09què tal?";
    let mut heard = vec![0; said.len()];
    soon(joan.read_exact(&mut heard)).await.expect("a nickname and a line");
    assert_eq!(heard, said.as_bytes());
    // The bytes of a long line of a deployed program, and of something that is no frame.
    let long = [b"L150", &[b'x'; 149][..]].concat();
    write(&mut joan, &long).await;
    assert_eq!(next(&mut talk).await.len(), 149);
    write(&mut joan, b"\xff\x1b").await;
    next(&mut talk).await;

    let mut anna = TcpStream::connect(at).await.expect("a connection");
    write(&mut anna, b"N04annaL05hola?").await;
    anna.shutdown().await.expect("shut down");
    let mut busy = Vec::new();
    soon(anna.read_to_end(&mut busy)).await.expect("FIN");
    let busy = busy.strip_prefix(b"N04pere").expect("a nickname first");

    let mut stranger = TcpStream::connect(at).await.expect("a connection");
    write(&mut stranger, b"GET / HTTP/1.1\r\n").await;
    stranger.shutdown().await.expect("shut down");
    soon(stranger.read_to_end(&mut Vec::new())).await.expect("FIN");

    let joan_at = joan.local_addr().expect("its address");
    drop(joan);
    assert_eq!(soon(talk.next_line()).await.expect("no loss"), None);
    soon(pere.shutdown()).await.expect("pere deregisters");
    let passed = rest(&mut traffic).await;
    assert_eq!(traffic.missed(), 0);

    let plumi = shown(&passed, |passed| matches!(passed.content, Content::Plumi(_)));
    assert_eq!(plumi, trace.messages("pere@bb.com"));
    assert_eq!(pere.messages(), MessageCounts::new(3, 3));
    assert!(plumi[0].starts_with("E PRpere@bb.com") && plumi[5].starts_with("R RD0"), "{plumi:?}");
    assert!(
        passed.iter().all(|one| one.remote == node.address.into() || matches!(one.content, Content::Pmi(..)))
    );

    let with_joan = pmi_with(&passed, joan_at);
    let expected = [
        "R N04joan",
        "E N04pere",
        "R L04hola",
        "R L00",
        "E L09què tal?",
        &format!("R {}", String::from_utf8_lossy(&long)),
        "R \u{fffd}\x1b",
    ];
    assert_eq!(with_joan, expected);
    let with_anna = pmi_with(&passed, anna.local_addr().expect("its address"));
    let busy = format!("E {}", String::from_utf8_lossy(busy));
    assert_eq!(with_anna, ["R N04anna", "E N04pere", "R L05hola?", &busy]);
    let with_stranger = pmi_with(&passed, stranger.local_addr().expect("its address"));
    assert_eq!(with_stranger, ["R GET / HTTP/1.1\r\n", "E N04pere"]);
    assert_eq!(passed.len(), 6 + 7 + 4 + 2);
}

/// The conversation of a caller with a tap, too.
#[tokio::test]
async fn a_call_is_told_from_its_first_frame_on() {
    let node = TestNode::start("bb.com", &["pere", "laura"], directory(&[])).await;
    let (tap, mut traffic) = traffic();
    let (laura, _) = node.agent("laura").traffic(tap).start().await.expect("registered");
    let (pere, mut events) = node.agent("pere").start().await.expect("registered");
    let talk = laura.call(pere.address()).await.expect("a conversation");
    let mut other_end = incoming(&mut events).await;
    talk.send("hola").await.expect("sent");
    assert_eq!(next(&mut other_end).await, "hola");
    drop(talk);
    assert_eq!(other_end.next_line().await.expect("FIN"), None);
    drop(other_end);
    // The handle is still there.
    soon(laura.shutdown()).await.expect("laura deregisters");
    let passed = rest(&mut traffic).await;
    let frames = pmi_with(&passed, SocketAddr::V4(pere.listening().into()));
    assert_eq!(frames, ["E N05laura", "R N04pere", "E L04hola"]);
}

#[tokio::test]
async fn a_registration_that_fails_is_told() {
    for (answers, expected) in [
        (&[("PR", "RR1")][..], &["E PRlaura@bb.com", "R RR1"][..]),
        (&[], &["E PRlaura@bb.com"; 5]),
        (&[("PR", "what?")], &["E PRlaura@bb.com", "R what?"].repeat(5)),
    ] {
        let node = ScriptedNode::start(answers).await;
        let (tap, mut traffic) = traffic();
        let builder = Agent::builder("laura@bb.com".parse().expect("an address"));
        let failed = builder.node(node.address).schedule(quick_schedule()).traffic(tap).start().await;
        assert!(matches!(failed, Err(StartError::NoSuchUser | StartError::NoAnswer { .. })));
        assert_eq!(shown(&rest(&mut traffic).await, |_| true), expected);
    }
}

/// Returns everything that passed until the agent had ended.
async fn rest(traffic: &mut Traffic) -> Vec<Passed> {
    let mut passed = Vec::new();
    while let Some(one) = soon(traffic.next()).await {
        passed.push(one);
    }
    passed
}

fn pmi_with(passed: &[Passed], remote: SocketAddr) -> Vec<String> {
    shown(passed, |passed| matches!(passed.content, Content::Pmi(..)) && passed.remote == remote)
}

/// Returns the traffic as a trace shows it.
fn shown(passed: &[Passed], is_wanted: impl Fn(&Passed) -> bool) -> Vec<String> {
    let shown = |passed: &Passed| {
        let letter = if passed.direction == Direction::Sent { 'E' } else { 'R' };
        format!("{letter} {}", String::from_utf8_lossy(passed.content.bytes()))
    };
    passed.iter().filter(|passed| is_wanted(passed)).map(shown).collect()
}

async fn write(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).await.expect("written");
}
