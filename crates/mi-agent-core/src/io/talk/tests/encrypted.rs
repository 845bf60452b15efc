//! Conversations in TLS, in memory and on a paused clock: how they end.

use std::io;

use mi_proto::Nickname;

use super::super::testing::{REMOTE, carry_on_with};
use super::*;
use crate::io::callee_stream::CalleeStream;
use crate::io::tls::{SecretKey, Tls, TlsStream};
use crate::state::conversation_events::GreetingFailure;
use crate::state::conversation_times::GREETING_TIMEOUT;

type Peer = TlsStream<DuplexStream>;

fn tls(address: &str) -> Tls {
    Tls::new(&SecretKey::generate().unwrap(), &address.parse().unwrap(), None)
}

/// A conversation on one `side`, at the pace that deployed programs need, and its peer, which has given its
/// nickname.
async fn talking(side: Side) -> (Conversation, Peer, Arc<Semaphore>, Shutdown) {
    let (ours, theirs) = tokio::io::duplex(1024);
    let slots = Arc::new(Semaphore::new(1));
    let slot = Arc::clone(&slots).try_acquire_owned().unwrap();
    let shutdown = Shutdown::new();
    let pace = Duration::from_millis(20);
    let nickname = Nickname::new("ours").unwrap();
    let mut handshake = match side {
        Side::Callee => tls("u2@cc.com").connect(&"u1@bb.com".parse().unwrap(), theirs).unwrap(),
        Side::Caller => tls("u2@cc.com").accept(theirs),
    };
    let greets = async {
        handshake.shake().await.unwrap();
        let mut peer = handshake.into_stream().unwrap();
        peer.write_all(b"N02u2").await.unwrap();
        peer.flush().await.unwrap();
        peer.read_exact(&mut [0; 7]).await.unwrap();
        peer
    };
    let (talk, peer) = match side {
        Side::Callee => {
            let stream = CalleeStream::new(ours, Some(tls("u1@bb.com")), |_| None, || ());
            let encryption = stream.encryption();
            let connection = Connection::new(stream, REMOTE.into(), side, nickname, pace, None);
            let connection = connection.encrypted(Some(encryption));
            tokio::join!(carry_on_with(connection, &shutdown, slot), greets)
        }
        Side::Caller => {
            let calls = async {
                let mut handshake = tls("u1@bb.com").connect(&"u2@cc.com".parse().unwrap(), ours).unwrap();
                handshake.shake().await.unwrap();
                let stream = handshake.into_stream().unwrap();
                let mut connection = Connection::new(stream, REMOTE.into(), side, nickname, pace, None);
                connection.state.set_encrypted();
                carry_on_with(connection, &shutdown, slot).await
            };
            tokio::join!(calls, greets)
        }
    };
    (talk, peer, slots, shutdown)
}

/// Reads until close_notify, and the FIN after it. Without close_notify, it fails.
async fn read_to_both_ends(peer: &mut Peer) -> String {
    let mut heard = Vec::new();
    peer.read_to_end(&mut heard).await.unwrap();
    assert_eq!(peer.get_mut().read(&mut [0; 8]).await.unwrap(), 0, "FIN");
    String::from_utf8(heard).unwrap()
}

/// No empty line precedes the end, no frame keeps its distance, and what the peer still says is heard.
#[tokio::test(start_paused = true)]
async fn who_hangs_up_says_so_and_goes_on_reading() {
    for side in [Side::Caller, Side::Callee] {
        for lines in [0, 100] {
            let (talk, mut peer, slots, _shutdown) = talking(side).await;
            let start = Instant::now();
            let says = async {
                for _ in 0..lines {
                    talk.send("hola").await.unwrap();
                }
                talk.hang_up()
            };
            let (mut receiver, heard) = tokio::join!(says, read_to_both_ends(&mut peer));
            assert_eq!(heard, "L04hola".repeat(lines));
            assert_eq!(start.elapsed(), Duration::ZERO);
            for _ in 0..3 {
                peer.write_all(b"L04adeu").await.unwrap();
            }
            peer.shutdown().await.unwrap();
            for _ in 0..3 {
                assert_eq!(receiver.next_line().await.unwrap().unwrap(), "adeu");
            }
            assert_eq!(receiver.next_line().await.unwrap(), None);
            assert_eq!(slots.available_permits(), 1);
        }
    }
}

/// More than the stream holds was handed over before the peer ended the conversation.
#[tokio::test(start_paused = true)]
async fn who_is_hung_up_on_sends_what_was_handed_over_and_then_says_so() {
    for side in [Side::Caller, Side::Callee] {
        let (mut talk, mut peer, slots, _shutdown) = talking(side).await;
        for _ in 0..50 {
            talk.send(&"x".repeat(99)).await.unwrap();
        }
        peer.shutdown().await.unwrap();
        let heard = read_to_both_ends(&mut peer).await;
        assert_eq!(heard, format!("L99{}", "x".repeat(99)).repeat(50));
        assert_eq!(talk.next_line().await.unwrap(), None);
        assert_eq!(slots.available_permits(), 1);
    }
}

/// Its host was cut off, somebody in between ended the connection, or changed what passes.
#[tokio::test(start_paused = true)]
async fn an_end_that_the_peer_does_not_say_is_a_loss() {
    for side in [Side::Caller, Side::Callee] {
        for rubbish in [None, Some(&b"\x17\x03\x03\x00\x20nothing that our key has encrypted"[..])] {
            let (mut talk, mut peer, slots, _shutdown) = talking(side).await;
            peer.write_all(b"L04hola").await.unwrap();
            peer.flush().await.unwrap();
            assert_eq!(talk.next_line().await.unwrap().unwrap(), "hola");
            if let Some(rubbish) = rubbish {
                peer.get_mut().write_all(rubbish).await.unwrap();
            }
            peer.get_mut().shutdown().await.unwrap();
            let lost = talk.next_line().await.unwrap_err();
            let ConversationError::Lost(reason) = &lost else { panic!("{lost}") };
            let kind =
                if rubbish.is_some() { io::ErrorKind::InvalidData } else { io::ErrorKind::UnexpectedEof };
            assert_eq!(reason.kind(), kind, "{reason}");
            assert_eq!(talk.next_line().await.unwrap(), None);
            assert_eq!(slots.available_permits(), 1);
        }
    }
}

/// The agent ends, in order or in a hurry.
#[tokio::test(start_paused = true)]
async fn an_agent_that_ends_says_so_inside() {
    for is_hurried in [false, true] {
        let (mut talk, mut peer, slots, shutdown) = talking(Side::Callee).await;
        shutdown.begin(is_hurried);
        assert_eq!(read_to_both_ends(&mut peer).await, "");
        peer.shutdown().await.unwrap();
        assert_eq!(talk.next_line().await.unwrap(), None);
        assert_eq!(slots.available_permits(), 1);
    }
}

/// It has proved a key, or has not gone so far, and gives no nickname in time: nothing is said to it, only
/// that it ends.
#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_no_nickname_gets_none() {
    for proves_key in [false, true] {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let (tap, mut traffic) = crate::traffic();
        let stream = CalleeStream::new(ours, Some(tls("u1@bb.com")), |_| None, || ());
        let encryption = stream.encryption();
        let nickname = Nickname::new("ours").unwrap();
        let pace = Duration::from_millis(20);
        let connection = Connection::new(stream, REMOTE.into(), Side::Callee, nickname, pace, Some(tap));
        let mut connection = connection.encrypted(Some(encryption));
        let start = Instant::now();
        let gives_up = async {
            let failed = ConversationOutput::Failed(GreetingFailure::TimedOut);
            assert_eq!(connection.next().await, failed);
            assert_eq!(start.elapsed(), GREETING_TIMEOUT, "the handshake counts");
            connection.finish(Shutdown::new().watch()).await;
        };
        let waits = async {
            if !proves_key {
                theirs.write_all(b"\x16").await.unwrap();
                let mut heard = Vec::new();
                theirs.read_to_end(&mut heard).await.unwrap();
                assert_eq!(heard.len(), 7, "an alert: {heard:?}");
                return;
            }
            time::sleep(GREETING_TIMEOUT / 2).await;
            let mut handshake = tls("u2@cc.com").connect(&"u1@bb.com".parse().unwrap(), theirs).unwrap();
            handshake.shake().await.unwrap();
            let mut peer = handshake.into_stream().unwrap();
            assert_eq!(read_to_both_ends(&mut peer).await, "");
            peer.shutdown().await.unwrap();
        };
        tokio::join!(gives_up, waits);
        drop(connection);
        assert!(traffic.next().await.is_none(), "nothing is shown that was not sent");
    }
}
