//! Conversations over streams in memory, on a paused clock.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Semaphore;
use tokio::task;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::conversation::MAX_WAITING_LINES;
use crate::io::shutdown::Shutdown;
use crate::io::talk::testing;

/// Conversations, and the agent that they belong to.
struct Desk {
    talks: Conversations,
    shutdown: Shutdown,
    slots: Arc<Semaphore>,
}

impl Desk {
    fn new() -> Self {
        let slots = Arc::new(Semaphore::new(MOST));
        Self { talks: Conversations::new(), shutdown: Shutdown::new(), slots }
    }

    /// Begins another conversation, and returns the peer's end of it.
    async fn begin(&mut self, nickname: &str) -> (ConversationId, DuplexStream) {
        let (ours, mut theirs) = tokio::io::duplex(256);
        let hello = format!("N{:02}{nickname}", nickname.len());
        theirs.write_all(hello.as_bytes()).await.unwrap();
        let slot = Arc::clone(&self.slots).try_acquire_owned().unwrap();
        let talk = testing::call(ours, Duration::ZERO, &self.shutdown, slot).await;
        let mut ours = [0; 7];
        theirs.read_exact(&mut ours).await.unwrap();
        assert_eq!(&ours, b"N04ours");
        (self.talks.add(talk), theirs)
    }

    async fn next(&mut self) -> (ConversationId, Heard) {
        timeout(Duration::from_secs(60), self.talks.next()).await.expect("there is something to hear")
    }

    /// Returns the next event as text.
    async fn heard(&mut self) -> String {
        let (id, heard) = self.next().await;
        match heard {
            Heard::Line(line) => format!("{id}: {line}"),
            Heard::Trouble(error) => format!("{id}: {error}"),
            Heard::HandedOver => format!("{id} takes more"),
            Heard::Ended { unsaid } => format!("{id} ended, {unsaid} unsaid"),
        }
    }
}

/// The frames of this number of lines.
fn frames(lines: usize) -> String {
    (0..lines).map(|n| format!("L03{n:03}")).collect()
}

async fn read_to_end(peer: &mut DuplexStream) -> String {
    let mut read = String::new();
    peer.read_to_string(&mut read).await.unwrap();
    read
}

#[tokio::test(start_paused = true)]
async fn each_has_its_turn_and_its_number() {
    let mut desk = Desk::new();
    let (one, mut chatty) = desk.begin("u1").await;
    let (two, mut quiet) = desk.begin("u2").await;
    assert_eq!((one.to_string(), two.to_string()), ("1".into(), "2".into()));
    chatty.write_all(frames(20).as_bytes()).await.unwrap();
    quiet.write_all(b"L04hola").await.unwrap();
    task::yield_now().await;
    let heard = [desk.heard().await, desk.heard().await, desk.heard().await];
    assert_eq!(heard, ["1: 000", "2: hola", "1: 001"]);

    drop(quiet);
    while desk.heard().await != "2 ended, 0 unsaid" {}
    assert!(desk.talks.peer(two).is_none());
    assert_eq!(desk.talks.say(two, "hola"), Err(SayError::Ended));
    let (three, _peer) = desk.begin("u3").await;
    assert_eq!(desk.talks.ids().collect::<Vec<_>>(), [one, three]);
    assert_eq!((desk.talks.len(), three.to_string()), (2, "3".into()));
    assert_eq!(desk.talks.peer(three).unwrap().nickname, "u3");
}

#[tokio::test(start_paused = true)]
async fn saying_never_waits_and_what_waits_has_a_bound() {
    let mut desk = Desk::new();
    let (slow, mut peer) = desk.begin("u1").await;
    let (other, mut listens) = desk.begin("u2").await;
    let error = desk.talks.say(slow, "a\nb").unwrap_err();
    assert_eq!(error.to_string(), r"the line has '\n' at byte 2, which may not stand there");
    assert_eq!(desk.talks.waiting(slow), 0);
    // The task of the conversation runs only when this one waits.
    for n in 0..MAX_WAITING_LINES {
        desk.talks.say(slow, &format!("{n:03}")).unwrap();
    }
    assert_eq!(desk.talks.say(slow, "too much"), Err(SayError::Full));
    assert_eq!(desk.talks.waiting(slow), MAX_WAITING_LINES);
    // The line leaves although nobody calls `next`.
    desk.talks.say(other, "hola").unwrap();
    let mut line = [0; 7];
    listens.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"L04hola");
    let waits = desk.talks.waiting(slow);
    assert!((1..MAX_WAITING_LINES).contains(&waits), "the conversation took some, but not all: {waits}");

    let mut said = [0; 6 * MAX_WAITING_LINES];
    peer.read_exact(&mut said).await.unwrap();
    assert_eq!(&said[..], frames(MAX_WAITING_LINES).as_bytes());
    assert_eq!(desk.talks.waiting(slow), 0);
    desk.talks.say(slow, "").unwrap();
}

/// A program that says one line at a time need not know the limit of waiting lines.
#[tokio::test(start_paused = true)]
async fn it_is_told_once_that_nothing_waits() {
    let mut desk = Desk { talks: Conversations::new().with_handed_over(), ..Desk::new() };
    let (id, mut peer) = desk.begin("u1").await;
    desk.talks.say(id, "one").unwrap();
    desk.talks.say(id, "two").unwrap();
    let start = Instant::now();
    assert!(matches!(desk.next().await, (_, Heard::HandedOver)));
    assert_eq!((desk.talks.waiting(id), start.elapsed()), (0, Duration::ZERO));
    peer.write_all(b"L04hola").await.unwrap();
    assert!(matches!(desk.next().await, (_, Heard::Line(_))), "that was told");

    // This is much more than a conversation takes over while the peer does not read.
    desk.talks.say(id, &"x".repeat(99 * 200)).unwrap();
    timeout(Duration::from_secs(10), desk.talks.next()).await.expect_err("it waits");
    assert_eq!(desk.talks.waiting(id), 1);
    // The peer ends it, and reads on a little.
    peer.shutdown().await.unwrap();
    let start = Instant::now();
    let reading = tokio::spawn(async move {
        peer.read_exact(&mut [0; 30 * 102]).await.unwrap();
        peer
    });
    assert!(matches!(desk.next().await, (_, Heard::HandedOver)));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(desk.talks.say(id, "more"), Err(SayError::Ended));
    drop(reading.await.unwrap());
    assert!(matches!(desk.next().await, (_, Heard::Trouble(ConversationError::Unsent(_)))));
    assert!(matches!(desk.next().await, (_, Heard::Ended { unsaid: 1 })));
}

#[tokio::test(start_paused = true)]
async fn what_was_said_before_the_end_goes_out_and_the_end_makes_room() {
    let mut desk = Desk::new();
    let (id, mut peer) = desk.begin("u1").await;
    for n in 0..MAX_WAITING_LINES {
        desk.talks.say(id, &format!("{n:03}")).unwrap();
    }
    assert!(desk.talks.hang_up(id));
    assert!(!desk.talks.hang_up(id));
    assert_eq!(desk.talks.say(id, "more"), Err(SayError::Ended));
    assert_eq!(read_to_end(&mut peer).await, frames(MAX_WAITING_LINES));
    peer.write_all(b"L05adeu!").await.unwrap();
    assert_eq!(desk.heard().await, "1: adeu!");
    drop(peer);
    // The connection is gone by now, but the end has not been returned.
    sleep(Duration::from_secs(10)).await;
    assert_eq!(desk.slots.available_permits(), MOST - 1);
    assert_eq!(desk.heard().await, "1 ended, 0 unsaid");
    assert_eq!(desk.slots.available_permits(), MOST);
    assert!(desk.talks.is_empty());
    timeout(Duration::from_secs(60), desk.talks.next()).await.expect_err("there is nobody to hear");
}

/// A line is sent, left in the conversation, or left in the queue. Each is counted once.
#[tokio::test(start_paused = true)]
async fn what_was_not_said_is_counted() {
    for agent_ends in [false, true] {
        let mut desk = Desk::new();
        let (id, mut peer) = desk.begin("u1").await;
        for n in 0..MAX_WAITING_LINES {
            desk.talks.say(id, &format!("{n:03}")).unwrap();
        }
        let mut first = [0; 6];
        peer.read_exact(&mut first).await.unwrap();
        // The next lines now wait for room in the conversation.
        sleep(Duration::from_secs(1)).await;
        if agent_ends {
            desk.shutdown.begin(false);
            let sent = read_to_end(&mut peer).await.len() / 6 + 1;
            drop(peer);
            assert_eq!(desk.heard().await, format!("1 ended, {} unsaid", MAX_WAITING_LINES - sent));
            assert!((64..200).contains(&sent), "what was handed over is sent: {sent}");
            timeout(Duration::from_secs(1), desk.shutdown.ended(Duration::MAX)).await.expect("all has ended");
        } else {
            drop(peer);
            let (_, unsent) = desk.next().await;
            let Heard::Trouble(ConversationError::Unsent(unsent)) = unsent else { panic!("{unsent:?}") };
            let (_, ended) = desk.next().await;
            let Heard::Ended { unsaid } = ended else { panic!("{ended:?}") };
            // Lines that fit into the stream's buffer have left.
            let sent = MAX_WAITING_LINES - unsent - unsaid;
            assert!((1..=1 + 256 / 6).contains(&sent) && unsaid > 0, "{sent} sent, {unsaid} unsaid");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_whom_nobody_hears_has_to_wait() {
    let mut desk = Desk::new();
    let (_, mut peer) = desk.begin("u1").await;
    let said = frames(500);
    let mut saying = Box::pin(peer.write_all(said.as_bytes()));
    timeout(Duration::from_secs(60), &mut saying).await.expect_err("too much to be kept");
    let hearing = async {
        for n in 0..500 {
            assert_eq!(desk.heard().await, format!("1: {n:03}"));
        }
    };
    let (said, ()) = tokio::join!(saying, hearing);
    said.unwrap();
    assert!(desk.talks.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn dropping_hangs_all_up() {
    let mut desk = Desk::new();
    let (one, mut first) = desk.begin("u1").await;
    let (_, mut second) = desk.begin("u2").await;
    desk.talks.say(one, "adeu").unwrap();
    drop(desk.talks);
    assert_eq!(read_to_end(&mut first).await, "L04adeu");
    assert_eq!(read_to_end(&mut second).await, "L00");
}

/// The limit of conversations of the agent.
const MOST: usize = 3;

/// A peer that does not end its side goes unheard after a while. Its connection is still closed in order.
#[tokio::test(start_paused = true)]
async fn last_words_have_a_limit() {
    let mut desk = Desk::new();
    desk.talks = Conversations::new().with_last_words_within(Duration::from_millis(500));
    let (id, mut peer) = desk.begin("u1").await;
    desk.talks.say(id, "adeu").unwrap();
    let start = Instant::now();
    assert!(desk.talks.hang_up(id));
    peer.write_all(b"L06espera").await.unwrap();
    assert_eq!(desk.heard().await, "1: espera");
    assert_eq!(desk.heard().await, "1 ended, 0 unsaid");
    assert_eq!(start.elapsed(), Duration::from_millis(500));
    assert_eq!(
        (desk.talks.len(), desk.slots.available_permits()),
        (0, MOST),
        "there is room for another one"
    );
    assert_eq!(read_to_end(&mut peer).await, "L04adeu");
    peer.write_all(b"L06espera").await.unwrap();

    // A peer that ends its side is not waited for.
    let (id, mut peer) = desk.begin("u2").await;
    desk.talks.say(id, "adeu").unwrap();
    assert!(desk.talks.hang_up(id));
    let start = Instant::now();
    assert_eq!(read_to_end(&mut peer).await, "L04adeu");
    drop(peer);
    assert_eq!(desk.heard().await, "2 ended, 0 unsaid");
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}
