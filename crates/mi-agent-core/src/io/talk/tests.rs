//! The task of a conversation, on streams in memory and a paused clock.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::*;
use crate::io::shutdown::Shutdown;
use crate::io::tapped::TappedCodec;

mod deployed_peers;

/// A stream that records each write and its time.
#[derive(Clone)]
struct Recorder {
    start: Instant,
    writes: Arc<Mutex<Vec<Write>>>,
}

type Write = (Duration, Vec<u8>);

impl Recorder {
    fn keep(&self, bytes: &[u8]) {
        self.writes.lock().unwrap().push((self.start.elapsed(), bytes.to_vec()));
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.keep(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.keep(b"FIN");
        Poll::Ready(Ok(()))
    }
}

/// Deployed programs read one segment as one frame, and lose the rest of the segment.
#[tokio::test(start_paused = true)]
async fn every_frame_is_one_write_and_has_its_time() {
    let expected = [(20, "L03one"), (40, "L03two"), (60, "L05three"), (60, "FIN")]
        .map(|(at, bytes)| (Duration::from_millis(at), bytes.as_bytes().to_vec()));
    assert_eq!(writes(Duration::from_millis(20)).await, expected);
}

#[tokio::test(start_paused = true)]
async fn without_a_pause_every_frame_is_one_write_and_none_waits() {
    // Timers count whole milliseconds: between two, even a timer that is due would wait for the next.
    time::advance(Duration::from_micros(500)).await;
    let expected = ["L03one", "L03two", "L05three", "FIN"].map(|bytes| (Duration::ZERO, bytes.into()));
    assert_eq!(writes(Duration::ZERO).await, expected);
}

/// Returns the writes for three lines that were sent at once.
async fn writes(pace: Duration) -> Vec<Write> {
    let recorder = Recorder { start: Instant::now(), writes: Arc::default() };
    let (lines, outgoing) = mpsc::channel(MAX_OUTGOING as usize);
    let shutdown = Shutdown::new();
    let (_peer_ended, wait_for_peer) = oneshot::channel();
    let (ended, wait_for_end) = oneshot::channel();
    for text in ["one", "two", "three"] {
        lines.send(Line::new(text).unwrap()).await.unwrap();
    }
    drop(lines);
    let sink = Outgoing::new(recorder.clone(), TappedCodec::new(REMOTE, None), Default::default());
    let options = ConversationOptions { pace, shutdown: shutdown.watch(), tap: None };
    write(sink, outgoing, options, wait_for_peer, ended).await;
    assert_eq!(wait_for_end.await.unwrap(), LINGER);
    std::mem::take(&mut *recorder.writes.lock().unwrap())
}

/// A peer that never closes gets its time and no more.
#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_close_is_waited_for_so_long() {
    let start = Instant::now();
    let (incoming, _lines) = mpsc::channel(MAX_INCOMING);
    let (peer_ended, _wait_for_peer) = oneshot::channel();
    let (ended, wait_for_end) = oneshot::channel();
    ended.send(LINGER).unwrap();
    read(futures_util::stream::pending(), &incoming, peer_ended, wait_for_end).await;
    assert_eq!(start.elapsed(), 2 * LINGER);
}

/// The part that came is shown, the conversation is lost, and the peer sees a FIN in time.
#[tokio::test(start_paused = true)]
async fn a_line_that_is_begun_and_not_ended_ends_the_conversation() {
    let (ours, mut peer) = tokio::io::duplex(1024);
    let connection = Connection::over(ours, REMOTE, None);
    let shutdown = Shutdown::new();
    let options = ConversationOptions { pace: Duration::ZERO, shutdown: shutdown.watch(), tap: None };
    let slots = Arc::new(Semaphore::new(1));
    let slot = Arc::clone(&slots).try_acquire_owned().unwrap();
    let mut talk = start(connection, PeerText::new("u2"), None, options, slot);
    peer.write_all(b"N02u2L04holaL99ad").await.unwrap();
    assert_eq!(talk.next_line().await.unwrap().unwrap(), "hola");
    assert_eq!(talk.next_line().await.unwrap().unwrap(), "ad");
    let lost = talk.next_line().await.unwrap_err();
    assert_eq!(lost.to_string(), "connection lost: the peer began a line and did not end it");
    assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 0, "FIN");
    // The peer goes on sending, and that is read.
    for _ in 0..100 {
        peer.write_all(&[b'x'; 99]).await.unwrap();
    }
    assert_eq!(talk.next_line().await.unwrap(), None);
    assert_eq!(slots.available_permits(), 1);
}

/// Unread bytes turn the FIN of a socket that is closed into an RST.
#[tokio::test(start_paused = true)]
async fn what_nobody_takes_is_read_to_the_end_all_the_same() {
    let mut left = 3 * MAX_INCOMING;
    let lines = futures_util::stream::poll_fn(|_| {
        Poll::Ready(left.checked_sub(1).map(|fewer| {
            left = fewer;
            Ok(Received::Line("hola".into()))
        }))
    });
    let (incoming, _untaken) = mpsc::channel(MAX_INCOMING);
    let (peer_ended, _wait_for_peer) = oneshot::channel();
    let (ended, wait_for_end) = oneshot::channel();
    ended.send(LINGER).unwrap();
    read(lines, &incoming, peer_ended, wait_for_end).await;
    assert_eq!(left, 0);
}

const REMOTE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 4456);
