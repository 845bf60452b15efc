//! An encrypted conversation of two agents, as Wireshark shows it with and without its keys.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};

use integration_tests::network::TestNode;
use integration_tests::programs::DEADLINE;
use mi_agent_core::{
    AgentBuilder, Content, Conversation, Event, Identity, KeyLog, PeerSecurity, RequestSchedule, traffic,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::capture::{Capture, Connection, Side};
use crate::tshark::{Packet, Tshark, flag_names};
use crate::{LAURA, NODE};

/// Without the keys it shows that they talk, and when it ends. It shows none of the text.
#[tokio::test]
async fn nothing_is_read_without_the_keys() {
    let Some(tshark) = Tshark::find() else { return };
    let capture = encrypted_conversation(None).await;
    let (flags, fields) = (flag_names(), ["plumi.offers_tls", "tls.handshake.type", "pmi.line"]);
    let packets = tshark.read(&capture, &[&fields[..], &flags].concat());
    let offer = packets.iter().find(|packet| packet["_ws.col.Protocol"] == *"PLUMI").expect("an RL0");
    let [.., "offers TLS"] = offer.info().split(", ").collect::<Vec<_>>()[..] else {
        panic!("{}", offer.info())
    };
    assert_eq!(&offer["plumi.offers_tls"], "1");
    assert_eq!(said_until_the_end(&packets, ["the caller", "the callee"]), [""; 0]);
    let handshakes = packets.iter().filter(|packet| !packet["tls.handshake.type"].is_empty());
    assert!(handshakes.count() >= 2, "a ClientHello and a ServerHello");
    for packet in &packets {
        assert_eq!(&packet["pmi.line"], "", "{}", packet.info());
    }
    assert_unflagged(&packets);
    let sent = capture.file();
    for text in ["N05laura", "N04joya", "hola", "adeu"] {
        assert!(!sent.windows(text.len()).any(|bytes| bytes == text.as_bytes()), "{text} is plain");
    }
}

#[tokio::test]
async fn with_the_keys_it_is_read_as_a_plain_one() {
    let Some(tshark) = Tshark::find() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys.log");
    let capture = encrypted_conversation(Some(KeyLog::open(&keys).expect("a new file"))).await;
    let flags = flag_names();
    let fields = ["pmi.caller", "pmi.callee", "pmi.announced_in", "pmi.line"];
    let decrypted = format!("tls.keylog_file:{}", keys.display());
    let packets = tshark.read_as(&capture, &[&fields[..], &flags].concat(), &["-o", &decrypted]);
    assert_eq!(
        said_until_the_end(&packets, ["laura", "joya"]),
        ["laura calls", "joya takes the call", "laura says: hola, què tal?", "joya says: adeu"]
    );
    let lines = packets.iter().filter(|packet| !packet["pmi.line"].is_empty());
    for packet in lines {
        let who = ["pmi.caller", "pmi.callee", "pmi.announced_in"].map(|field| &packet[field]);
        assert_eq!(who, ["laura@bb.com", "joya@bb.com", "1"], "{}", packet.info());
    }
    assert_unflagged(&packets);
}

/// Nothing is odd but that the question is not in the capture.
fn assert_unflagged(packets: &[Packet]) {
    for flag in flag_names().into_iter().filter(|&flag| flag != "plumi.no_request") {
        for packet in packets {
            assert_eq!(&packet[flag], "", "{flag}: {}", packet.info());
        }
    }
}

/// The lines about the conversation before `sides` end it. The answer to close_notify may come before the FIN
/// behind it.
fn said_until_the_end<'a>(packets: &'a [Packet], sides: [&str; 2]) -> Vec<&'a str> {
    let told = packets.iter().filter(|packet| packet["_ws.col.Protocol"] == *"PMI").map(Packet::info);
    let mut said: Vec<_> = told.collect();
    let end = said.split_off(said.len().saturating_sub(2));
    let in_order = |first: &str, second: &str| {
        end == [format!("{first} ends the conversation"), format!("{second} ends it, too")]
    };
    let [caller, callee] = sides;
    assert!(in_order(caller, callee) || in_order(callee, caller), "{said:?} {end:?}");
    said
}

/// Laura calls Joya, each says a line, and Laura ends it. The capture has the answer to her question, and the
/// connection; Laura's agent writes the `keys`.
async fn encrypted_conversation(keys: Option<KeyLog>) -> Capture {
    let node = TestNode::alone("bb.com", &["laura", "joya"]).await;
    let (tap, mut passed) = traffic();
    let mut laura = agent(&node, "laura").traffic(tap);
    if let Some(keys) = keys {
        laura = laura.key_log(keys);
    }
    let (laura, _) = laura.start().await.expect("registered");
    let (joya, mut events) = agent(&node, "joya")
        .listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))
        .advertise(Ipv4Addr::from([127, 0, 0, 2]))
        .start()
        .await
        .expect("registered");
    let callee = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 2), joya.listening().port.into());
    let tape = Tape::start(callee, SocketAddrV4::new(Ipv4Addr::LOCALHOST, callee.port())).await;
    let accepting = async {
        loop {
            if let Some(Event::Incoming(caller)) = events.next().await {
                return caller.accept().expect("a conversation");
            }
        }
    };
    let (called, mut there) = tokio::join!(laura.call(joya.address()), accepting);
    let mut here = called.expect("a conversation");
    assert!(matches!(here.peer().security, PeerSecurity::Tls { .. }), "{:?}", here.peer());
    say(&here, &mut there, "hola, què tal?").await;
    say(&there, &mut here, "adeu").await;
    let mut last_words = here.hang_up();
    assert!(there.next_line().await.expect("an end").is_none());
    drop(there);
    assert!(last_words.next_line().await.expect("an end").is_none());
    let mut capture = Capture::new();
    while let Some(passed) = passed.try_next() {
        if let Content::Plumi(message) = passed.content
            && message.starts_with(b"RL0")
        {
            capture.udp(NODE, LAURA, &message);
        }
    }
    tape.stop(callee, &mut capture).await;
    capture
}

/// The agent of a user with an identity. It repeats no question: the answer to a repetition offers no
/// encryption.
fn agent(node: &TestNode, user: &str) -> AgentBuilder {
    let identity = Identity::generate().expect("randomness");
    node.agent(user)
        .schedule(RequestSchedule::new(RequestSchedule::default().attempts, DEADLINE))
        .identity(identity)
}

async fn say(from: &Conversation, to: &mut Conversation, text: &str) {
    from.send(text).await.expect("sent");
    assert_eq!(to.next_line().await.expect("heard").expect("a line").raw(), text);
}

/// A relay of one TCP connection that records what passes.
struct Tape {
    relay: JoinHandle<()>,
    pieces: Pieces,
}

/// The bytes that each side sent, in order; no bytes are its end.
type Pieces = Arc<Mutex<Vec<(Side, Vec<u8>)>>>;

impl Tape {
    /// Waits at `address` for a connection to `target`, which is the same agent's.
    async fn start(address: SocketAddrV4, target: SocketAddrV4) -> Self {
        let listener = TcpListener::bind(address).await.expect("nobody else has this address and port");
        let pieces = Pieces::default();
        let recorded = Arc::clone(&pieces);
        let relay = tokio::spawn(async move {
            let (caller, _) = listener.accept().await.expect("a caller");
            let callee = TcpStream::connect(target).await.expect("the agent listens");
            let ((from_caller, to_caller), (from_callee, to_callee)) =
                (caller.into_split(), callee.into_split());
            tokio::join!(
                pass(from_caller, to_callee, Side::Caller, &recorded),
                pass(from_callee, to_caller, Side::Callee, &recorded)
            );
        });
        Self { relay, pieces }
    }

    /// Waits for the end of the connection, and adds it to `capture`.
    async fn stop(self, callee: SocketAddrV4, capture: &mut Capture) {
        tokio::time::timeout(DEADLINE, self.relay)
            .await
            .expect("both sides end")
            .expect("the relay ended well");
        let mut connection = Connection::open(capture, CALLER, &callee.to_string());
        for (side, piece) in self.pieces.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            match &piece[..] {
                [] => connection.finish(capture, side),
                piece => connection.say(capture, side, piece),
            };
        }
    }
}

/// Passes on what `side` sends, until it ends.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, side: Side, pieces: &Pieces) {
    let mut buffer = [0; 4096];
    loop {
        let length = from.read(&mut buffer).await.expect("it is ended, not reset");
        pieces.lock().unwrap_or_else(PoisonError::into_inner).push((side, buffer[..length].to_vec()));
        if length == 0 {
            return to.shutdown().await.expect("the other side is there");
        }
        to.write_all(&buffer[..length]).await.expect("the other side is there");
    }
}

/// Laura's agent, at the address where it asks from.
const CALLER: &str = "10.0.0.1:50000";
