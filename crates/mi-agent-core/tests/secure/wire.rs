//! Tests of what is seen, and can be done, between two agents.

use futures_util::future::join_all;
use lumi_testkit::network::TestNode;
use mi_agent_core::{Agent, CallError, Conversation, ConversationError, Events, NotSecure, Security};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::relay::{Relay, Wiretap};
use super::{User, call, socket_of, within};

/// Laura and Joya, in a conversation that is passed on.
struct Tapped {
    _node: TestNode,
    _relay: Relay,
    wiretap: Wiretap,
    _laura: Agent,
    _joya: (Agent, Events),
    here: Conversation,
    there: Conversation,
}

impl Tapped {
    async fn start() -> Self {
        let node = TestNode::alone("bb.com", &["laura", "joya"]).await;
        let (laura, joya) = (User::new("laura"), User::new("joya"));
        let (of_joya, mut events) = joya.comes(&node, Security::Offer).await;
        let wiretap = Wiretap::start(socket_of(&of_joya)).await;
        let port = wiretap.address.port();
        let relay = Relay::start(node.address.into(), move |datagram| {
            if datagram.starts_with(b"RL0") {
                let text = String::from_utf8(datagram.clone()).expect("a text");
                let mut fields: Vec<_> = text.split(':').map(str::to_owned).collect();
                fields[3] = port.to_string();
                *datagram = fields.join(":").into_bytes();
            }
            true
        })
        .await;
        let builder = laura.builder(&node, Security::Encrypted).node(relay.node);
        let (of_laura, _) = builder.start().await.expect("registered");
        let (here, there) = call(&of_laura, &of_joya, &mut events).await;
        let _joya = (of_joya, events);
        Self { _node: node, _relay: relay, wiretap, _laura: of_laura, _joya, here, there }
    }
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn nothing_of_a_conversation_can_be_read_on_the_way() {
    let mut tapped = Tapped::start().await;
    tapped.here.send("hola, joya").await.expect("sent");
    assert_eq!(tapped.there.next_line().await.expect("heard").expect("a line"), "hola, joya");
    tapped.there.send("adeu, laura").await.expect("sent");
    assert_eq!(tapped.here.next_line().await.expect("heard").expect("a line"), "adeu, laura");
    let mut here = tapped.here.hang_up();
    assert!(tapped.there.next_line().await.expect("an end").is_none());
    drop(tapped.there);
    assert!(here.next_line().await.expect("an end").is_none());
    for bytes in tapped.wiretap.bytes() {
        assert_eq!(bytes[0], 0x16);
        for said in ["hola", "adeu", "laura", "joya", "N05", "N04", "L10"] {
            assert!(!has(&bytes, said), "{said}: {}", bytes.escape_ascii());
        }
    }
}

/// Returns the number of TLS records with data in these bytes.
fn records(mut bytes: &[u8]) -> usize {
    let mut records = 0;
    while let [kind, _, _, high, low, rest @ ..] = bytes {
        records += usize::from(*kind == 0x17);
        bytes = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..).unwrap_or_default();
    }
    records
}

/// The peer reads a stream, so what is said at once needs no record for each frame.
#[tokio::test]
async fn frames_that_wait_are_encrypted_together() {
    let mut tapped = Tapped::start().await;
    let before = records(&tapped.wiretap.bytes()[0]);
    let frames: Vec<_> = (0..60).map(|n| format!("{n:02}{}", "x".repeat(97))).collect();
    tapped.here.send(&frames.concat()).await.expect("sent");
    for frame in frames {
        assert_eq!(tapped.there.next_line().await.expect("heard").expect("a line"), frame.as_str());
    }
    // 60 * 102 bytes, in batches of 4 KiB.
    assert_eq!(records(&tapped.wiretap.bytes()[0]) - before, 2);
}

/// Nobody has hung up, so the last lines may be missing, and both users have to know.
#[tokio::test]
async fn a_conversation_that_somebody_cuts_is_lost_on_both_sides() {
    let Tapped { wiretap, here, there, _laura, _joya, .. } = Tapped::start().await;
    wiretap.cut().await;
    for mut talk in [here, there] {
        let error = within(talk.next_line()).await.expect_err("a loss");
        assert!(matches!(error, ConversationError::Lost(_)), "{error:?}");
        assert!(talk.next_line().await.expect("an end").is_none());
    }
}

/// Each row: the first bytes of a caller that then sends unexpected data.
#[tokio::test]
async fn a_caller_whose_handshake_does_not_come_is_told_so_in_order() {
    let node = TestNode::alone("bb.com", &["joya"]).await;
    let (of_joya, _events) = User::new("joya").comes(&node, Security::Offer).await;
    let at = socket_of(&of_joya);
    let begins = async |said: &[u8]| {
        let mut caller = TcpStream::connect(at).await.expect("connected");
        caller.write_all(said).await.expect("sent");
        let mut heard = Vec::new();
        // A reset would be an error.
        within(caller.read_to_end(&mut heard)).await.expect("a FIN");
        heard
    };
    // The head of a record, and a part of it.
    let long = [&b"\x16\x03\x01\x3f\x00\x01"[..], &[0; 5_000]].concat();
    let (silent, slow) = tokio::join!(begins(b"\x16"), begins(&long));
    assert_eq!(silent, CLOSE_NOTIFY);
    assert_eq!(slow, CLOSE_NOTIFY);
    let rubbish = begins(b"\x16\x03\x01\x00\x05hello").await;
    assert_eq!((&rubbish[..5], rubbish.len()), (&CLOSE_NOTIFY[..5], 7), "an alert");
}

/// The agent ends as a call comes in: that is no answer in plain text.
#[tokio::test]
async fn an_agent_that_ends_answers_no_handshake_in_plain_text() {
    let ends = async || {
        let node = TestNode::alone("bb.com", &["joya"]).await;
        let (of_joya, _events) = User::new("joya").comes(&node, Security::Offer).await;
        let mut caller = TcpStream::connect(socket_of(&of_joya)).await.expect("connected");
        caller.write_all(b"\x16").await.expect("sent");
        of_joya.shutdown().await.expect("deregistered");
        let mut heard = Vec::new();
        within(caller.read_to_end(&mut heard)).await.expect("a FIN");
        assert_eq!(heard, CLOSE_NOTIFY);
    };
    // The agent may see the end or the first byte first. Each waits for its caller to the last.
    join_all((0..20).map(|_| ends())).await;
}

/// Calls an agent that is said to encrypt, and that says this. Returns the error, and what the agent heard.
async fn call_to(answer: Option<&[u8]>) -> (CallError, Vec<u8>) {
    let node = TestNode::alone("bb.com", &["laura", "joya"]).await;
    let (of_joya, _events) = User::new("joya").comes(&node, Security::Offer).await;
    let callee = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let port = callee.local_addr().expect("its address").port();
    let relay = Relay::start(node.address.into(), move |datagram| {
        if datagram.starts_with(b"RL0") {
            *datagram = format!("RL0laura@bb.com:joya@bb.com:127.0.0.1:{port}:T").into_bytes();
        }
        true
    })
    .await;
    let builder = User::new("laura").builder(&node, Security::Offer).node(relay.node);
    let (of_laura, _) = builder.start().await.expect("registered");
    let answers = async {
        let (mut caller, _) = callee.accept().await.expect("a call");
        if let Some(answer) = answer {
            caller.write_all(answer).await.expect("sent");
            caller.shutdown().await.expect("a FIN");
        }
        let mut heard = Vec::new();
        caller.read_to_end(&mut heard).await.expect("a FIN");
        heard
    };
    let (called, heard) = within(async { tokio::join!(of_laura.call(of_joya.address()), answers) }).await;
    (called.expect_err("nobody answers"), heard)
}

/// After a ClientHello nothing is said in plain text, whatever comes.
#[tokio::test]
async fn a_callee_that_does_not_encrypt_as_it_said_is_reported() {
    let (silent, plain, gone, unwilling) = tokio::join!(
        call_to(None),
        call_to(Some(b"N04joya")),
        call_to(Some(b"")),
        call_to(Some(b"\x15\x03\x03\x00\x02\x02\x28"))
    );
    for (error, heard) in [&silent, &plain, &gone, &unwilling] {
        assert_eq!(heard[0], 0x16, "{error}");
        assert!(!has(heard, "N05laura") && !has(heard, "laura"), "{error}: {}", heard.escape_ascii());
    }
    assert!(silent.0.is_transient() && gone.0.is_transient(), "{silent:?} {gone:?}");
    assert!(silent.1.ends_with(&CLOSE_NOTIFY), "{}", silent.1.escape_ascii());
    assert!(matches!(plain.0, CallError::NotSecure(NotSecure::AnswersPlain)), "{plain:?}");
    assert!(matches!(unwilling.0, CallError::NotSecure(NotSecure::NoAgreement)), "{unwilling:?}");
}

/// The alert before any key is agreed on (RFC 8446 §6.1).
const CLOSE_NOTIFY: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x01, 0x00];
