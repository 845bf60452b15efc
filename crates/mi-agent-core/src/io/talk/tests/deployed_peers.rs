//! Conversations with a simulated deployed program, in memory and on a paused clock.
//!
//! It takes each `recv` for one frame and ends on anything else, as deployed programs do (protocol.md §7,
//! rows 10 to 12).

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;
use tokio::time;

use super::super::testing::{begin, call};
use super::super::*;
use crate::io::shutdown::Shutdown;
use crate::state::conversation_events::Side;
use crate::state::conversation_times::LINGER;

/// A TCP connection in memory.
#[derive(Default)]
struct Wire {
    /// Bytes that we wrote and that the peer has not received yet.
    to_peer: Vec<u8>,
    fin_to_peer: bool,
    to_us: VecDeque<u8>,
    fin_to_us: bool,
    /// We closed with bytes unread, or bytes came after we had closed: the peer's next `recv` fails.
    is_reset: bool,
    is_closed: bool,
    reader: Option<Waker>,
}

/// Our end of the connection.
struct Ours(Arc<Mutex<Wire>>);

impl Ours {
    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap()
    }
}

impl AsyncRead for Ours {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut wire = self.wire();
        if wire.to_us.is_empty() && !wire.fin_to_us {
            wire.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let length = wire.to_us.len().min(buffer.remaining());
        wire.to_us.drain(..length).for_each(|byte| buffer.put_slice(&[byte]));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Ours {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.wire();
        assert!(!wire.fin_to_peer, "nothing is written after a FIN");
        wire.to_peer.extend(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire().fin_to_peer = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        let mut wire = self.wire();
        wire.is_closed = true;
        wire.fin_to_peer = true;
        wire.is_reset |= !wire.to_us.is_empty();
    }
}

/// A deployed program. It receives every few milliseconds, sends its lines, and keeps the lines it receives.
struct Peer {
    wire: Arc<Mutex<Wire>>,
    /// The frames that it sends, and the number of rounds that it waits after each.
    says: VecDeque<(Vec<u8>, u32)>,
    /// Set if it ends the conversation after its last frame, instead of waiting until we do.
    ends_it: bool,
}

/// The texts that it received until the end. Bytes that are not one frame, and anything else that ends it,
/// are an error.
type Heard = Result<Vec<String>, String>;

impl Peer {
    fn start(self) -> JoinHandle<Heard> {
        tokio::spawn(self.run())
    }

    async fn run(mut self) -> Heard {
        let mut heard = Vec::new();
        let mut pause = 0;
        loop {
            time::sleep(ROUND).await;
            match self.receive(&mut heard) {
                Ok(false) => {}
                ended => {
                    self.end();
                    return ended.map(|_| heard);
                }
            }
            pause = match pause {
                0 => match self.says.pop_front() {
                    Some((frame, rounds)) => {
                        self.send(&frame);
                        rounds
                    }
                    None => {
                        if self.ends_it {
                            self.end();
                        }
                        0
                    }
                },
                rounds => rounds - 1,
            };
        }
    }

    /// Does one `recv`. Returns whether it was the end.
    fn receive(&self, heard: &mut Vec<String>) -> Result<bool, String> {
        let mut wire = self.wire.lock().unwrap();
        let received = std::mem::take(&mut wire.to_peer);
        match &received[..] {
            _ if wire.is_reset => Err("it ends on RST".into()),
            [] if wire.fin_to_peer && heard.is_empty() => {
                Err("it ends as it was closed before a nickname".into())
            }
            [] => Ok(wire.fin_to_peer),
            [b'N' | b'L', tens @ b'0'..=b'9', ones @ b'0'..=b'9', text @ ..]
                if usize::from((tens - b'0') * 10 + ones - b'0') == text.len() =>
            {
                heard.push(String::from_utf8(text.into()).unwrap());
                Ok(false)
            }
            other => Err(format!("it ends on {}", other.escape_ascii())),
        }
    }

    fn send(&self, frame: &[u8]) {
        let mut wire = self.wire.lock().unwrap();
        wire.is_reset |= wire.is_closed;
        wire.to_us.extend(frame);
        if let Some(reader) = wire.reader.take() {
            reader.wake();
        }
    }

    fn end(&self) {
        let mut wire = self.wire.lock().unwrap();
        wire.fin_to_us = true;
        if let Some(reader) = wire.reader.take() {
            reader.wake();
        }
    }
}

/// Starts a peer that sends `lines` after its nickname, and returns our connection with it.
fn connected(lines: &[String], ends_it: bool) -> (JoinHandle<Heard>, Ours) {
    let wire = Arc::default();
    // The lines come in bursts, and overall a little faster or slower than ours, so that the side that ends
    // has sent and received everything.
    let pauses = if ends_it { [0, 0, 7, 0, 3] } else { [0, 0, 2, 0, 1] };
    let says = lines.iter().zip((0..5).cycle()).map(|(line, n)| (frame('L', line), pauses[n]));
    let says = std::iter::once((frame('N', "u2"), 0)).chain(says).collect();
    let peer = Peer { wire: Arc::clone(&wire), says, ends_it }.start();
    (peer, Ours(wire))
}

fn frame(kind: char, text: &str) -> Vec<u8> {
    format!("{kind}{:02}{text}", text.len()).into_bytes()
}

fn lines(of: &str) -> Vec<String> {
    (0..LINES).map(|n| format!("{of} {n}")).collect()
}

fn same(heard: &[String], said: &[String]) {
    for (heard, said) in heard.iter().zip(said) {
        assert_eq!(heard, said);
    }
    assert_eq!(heard.len(), said.len());
}

async fn converse(ends_it: bool) {
    let (peer, stream) = connected(&lines("theirs"), ends_it);
    let shutdown = Shutdown::new();
    let slots = Arc::new(Semaphore::new(1));
    let slot = Arc::clone(&slots).try_acquire_owned().unwrap();
    let (theirs, sender, mut receiver) = call(stream, PACE, &shutdown, slot).await.split();
    assert_eq!(theirs.nickname, "u2");
    let saying = tokio::spawn(async move {
        for line in lines("ours") {
            if sender.send(&line).await.is_err() {
                break;
            }
        }
        if ends_it {
            // Hang up when the peer does.
            sender.closed().await;
        }
    });
    let mut heard = Vec::new();
    while let Some(line) = receiver.next_line().await.unwrap() {
        heard.push(line.raw().to_owned());
    }
    saying.await.unwrap();
    let peer_heard = peer.await.unwrap().unwrap_or_else(|death| panic!("{death}"));
    assert_eq!(peer_heard[0], "ours");
    same(&peer_heard[1..], &lines("ours"));
    same(&heard, &lines("theirs"));
    assert_eq!(slots.available_permits(), 1);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_lines_each_way_are_said_and_heard() {
    converse(false).await;
}

#[tokio::test(start_paused = true)]
async fn the_peer_may_end_it() {
    converse(true).await;
}

/// Proves that this peer would notice: it ends if frames follow each other without a pause.
#[tokio::test(start_paused = true)]
async fn such_a_peer_dies_of_two_frames_at_once() {
    let (peer, stream) = connected(&[], false);
    let shutdown = Shutdown::new();
    let slot = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let talk = call(stream, Duration::ZERO, &shutdown, slot).await;
    talk.send("one").await.unwrap();
    talk.send("two").await.unwrap();
    assert_eq!(peer.await.unwrap().unwrap_err(), "it ends on L03oneL03two");
}

/// An agent that ends sends FIN, and reads everything from a peer that goes on talking.
///
/// It does so in order and in a hurry.
#[tokio::test(start_paused = true)]
async fn the_end_of_an_agent_is_no_reset() {
    for hurried in [false, true] {
        let (peer, stream) = connected(&lines("theirs")[..50], true);
        let shutdown = Shutdown::new();
        let slot = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let talk = begin(stream, Side::Callee, PACE, &shutdown, slot).await;
        talk.send("hola").await.unwrap();
        // Nobody takes the received lines.
        time::sleep(2 * PACE).await;
        shutdown.begin(hurried);
        shutdown.ended(LINGER).await;
        let heard = peer.await.unwrap().unwrap_or_else(|death| panic!("{death}"));
        assert_eq!(heard, ["ours", "hola"]);
    }
}

/// Enough lines to make chance unlikely.
const LINES: usize = 10_000;

/// The agents' default pause between frames.
const PACE: Duration = Duration::from_millis(20);

/// The time that such a program needs before it receives again.
const ROUND: Duration = Duration::from_millis(9);
