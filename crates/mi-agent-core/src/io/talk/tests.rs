//! The task of a conversation, on streams in memory and a paused clock.

use std::sync::atomic::Ordering;

use futures_util::{FutureExt, SinkExt, poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{self, Instant};

use super::testing::call;
use super::*;
use crate::io::shutdown::Shutdown;
use crate::state::conversation_events::Side;
use crate::{Content, FrameKind};

mod deployed_peers;
#[cfg(feature = "secure")]
mod encrypted;

/// A conversation with a peer that has given its nickname.
async fn talking(pace: Duration) -> (Conversation, DuplexStream, Arc<Semaphore>, Shutdown) {
    let (ours, mut peer) = tokio::io::duplex(1024);
    peer.write_all(b"N02u2").await.unwrap();
    let slots = Arc::new(Semaphore::new(1));
    let slot = Arc::clone(&slots).try_acquire_owned().unwrap();
    let shutdown = Shutdown::new();
    let talk = call(ours, pace, &shutdown, slot).await;
    peer.read_exact(&mut [0; 7]).await.unwrap();
    (talk, peer, slots, shutdown)
}

/// The part that came is shown, the conversation is lost, and the peer sees a FIN in time.
#[tokio::test(start_paused = true)]
async fn a_line_that_is_begun_and_not_ended_ends_the_conversation() {
    let (mut talk, mut peer, slots, _shutdown) = talking(Duration::ZERO).await;
    peer.write_all(b"L04holaL99ad").await.unwrap();
    assert_eq!(talk.next_line().await.unwrap().unwrap(), "hola");
    assert_eq!(talk.next_line().await.unwrap().unwrap(), "ad");
    let lost = talk.next_line().await.unwrap_err();
    let ConversationError::Lost(reason) = &lost else { panic!("{lost}") };
    assert_eq!(reason.to_string(), "the peer began a line and did not end it");
    let mut rest = [0; 8];
    assert_eq!(peer.read(&mut rest).await.unwrap(), 3);
    assert_eq!(&rest[..3], b"L00");
    assert_eq!(peer.read(&mut rest).await.unwrap(), 0, "FIN");
    // The peer goes on sending, and that is read.
    for _ in 0..100 {
        peer.write_all(&[b'x'; 99]).await.unwrap();
    }
    assert_eq!(talk.next_line().await.unwrap(), None);
    assert_eq!(slots.available_permits(), 1);
}

/// Its window is closed for a while, and it is not given up for that.
#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_has_ten_minutes_from_the_last_byte() {
    let (mut talk, mut peer, slots, _shutdown) = talking(Duration::ZERO).await;
    let start = Instant::now();
    // More than the stream holds.
    talk.send(&"x".repeat(99 * 20)).await.unwrap();
    for _ in 0..3 {
        time::sleep(Duration::from_secs(599)).await;
        peer.read_exact(&mut [0; 10]).await.unwrap();
    }
    let lost = talk.next_line().await.unwrap_err();
    assert!(matches!(lost, ConversationError::Unsent(10..=11)), "{lost}");
    // The end waits for what the peer does not do.
    let after = start.elapsed().checked_sub(Duration::from_secs(3 * 599 + 600)).unwrap();
    assert!(after < Duration::from_secs(10), "{after:?}");
    assert_eq!(talk.next_line().await.unwrap(), None);
    assert_eq!(slots.available_permits(), 1);
}

/// A frame that is nearly full, and another one at once, are most likely one line.
#[tokio::test(start_paused = true)]
async fn the_pieces_of_a_line_are_told_from_lines() {
    let (mut talk, mut peer, _slots, _shutdown) = talking(Duration::ZERO).await;
    let frame = |length: usize| format!("L{length:02}{}", "x".repeat(length));
    for (length, pause, continues) in [
        (99, 0, false),
        (99, 100, true),
        (98, 100, true),
        (98, 0, false),
        (90, 0, false),
        (99, 0, false),
        (99, 101, false),
        (1, 20, true),
        (1, 0, false),
    ] {
        time::sleep(Duration::from_millis(pause)).await;
        peer.write_all(frame(length).as_bytes()).await.unwrap();
        let line = talk.next_line().await.unwrap().unwrap();
        assert_eq!((line.raw().len(), line.continues()), (length, continues));
    }
    // The time of the frames counts, not that of the program.
    peer.write_all([frame(99), frame(99), frame(3)].concat().as_bytes()).await.unwrap();
    for continues in [false, true, true] {
        time::sleep(Duration::from_secs(1)).await;
        assert_eq!(talk.next_line().await.unwrap().unwrap().continues(), continues);
    }
    // A frame that has room for more was not too short for its line.
    for (length, ends, next, continues) in [
        (92, "x", "seventeen", false),
        (92, " ", "seventeen", true),
        (92, " ", "sixteen", false),
        (92, " ", "seven is less", false),
        (91, " ", "seventeen", true),
        (89, " ", "seventeen thousand", false),
        (98, "x", "y", false),
        (98, "x", "ç", true),
        (96, "x", "€", false),
        (97, "x", "€", true),
        (96, "x", "👋", true),
        (99, "x", "y", true),
        (99, " ", "y", true),
        (99, "x", "", false),
    ] {
        let cut = format!("L{length}{}", " ".to_owned() + &"x".repeat(length - 2) + ends);
        let next = format!("L{:02}{next}", next.len());
        peer.write_all((cut + &next).as_bytes()).await.unwrap();
        assert!(!talk.next_line().await.unwrap().unwrap().continues());
        assert_eq!(
            talk.next_line().await.unwrap().unwrap().continues(),
            continues,
            "{length} {ends:?} {next}"
        );
    }
    // Every line that ours cuts is joined.
    for line in ["a word ".repeat(100), "ç".repeat(500), "one €uro two 👋 ".repeat(50)] {
        let pieces: Vec<_> = mi_proto::split_line(&line).unwrap().collect();
        for (number, piece) in pieces.iter().enumerate() {
            let frame = format!("L{:02}{}", piece.as_str().len(), piece.as_str());
            peer.write_all(frame.as_bytes()).await.unwrap();
            let heard = talk.next_line().await.unwrap().unwrap();
            assert_eq!((heard.raw(), heard.continues()), (piece.as_str(), number > 0));
        }
        time::sleep(Duration::from_millis(101)).await;
    }
    // A peer that never pauses has no endless line.
    let flood = frame(99).repeat(300);
    let hears = async {
        let mut begun = Vec::new();
        for number in 0..300 {
            if !talk.next_line().await.unwrap().unwrap().continues() {
                begun.push(number);
            }
        }
        begun
    };
    let (written, begun) = tokio::join!(peer.write_all(flood.as_bytes()), hears);
    written.unwrap();
    assert_eq!(begun, [0, 100, 200]);
}

/// Unread bytes turn the FIN of a socket that is closed into an RST.
#[tokio::test(start_paused = true)]
async fn what_nobody_takes_is_read_to_the_end_all_the_same() {
    let (talk, mut peer, slots, _shutdown) = talking(Duration::ZERO).await;
    let lines = talk.hang_up();
    let start = Instant::now();
    peer.write_all("L04hola".repeat(10 * MAX_INCOMING).as_bytes()).await.unwrap();
    assert!(start.elapsed() > Duration::from_secs(1), "the peer had to wait");
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"L00");
    drop((peer, lines));
    time::sleep(Duration::from_secs(1)).await;
    assert_eq!(slots.available_permits(), 1);
}

/// Lines of several frames that are sent at the same time.
#[tokio::test(start_paused = true)]
async fn concurrent_lines_do_not_mix() {
    let (talk, mut peer, _slots, _shutdown) = talking(Duration::ZERO).await;
    let (_, sender, _lines) = talk.split();
    let saying: Vec<_> = (b'a'..=b'h')
        .map(|letter| {
            let sender = sender.clone();
            tokio::spawn(async move {
                for frames in [1, 3, 100, 2] {
                    sender.send(&char::from(letter).to_string().repeat(99 * frames)).await.unwrap();
                }
            })
        })
        .collect();
    let mut came = vec![0; 8 * 106 * 102];
    peer.read_exact(&mut came).await.unwrap();
    let letters: Vec<u8> = came.chunks(102).map(|frame| frame[3]).collect();
    let mut lines: Vec<_> = letters.chunk_by(|one, next| one == next).map(<[u8]>::len).collect();
    lines.sort_unstable();
    // A line may follow another one of the same sender.
    assert!(lines.len() <= 8 * 4 && lines.iter().all(|&frames| frames <= 106), "{lines:?}");
    for said in saying {
        said.await.unwrap();
    }
}

/// The second of two lines waits for room when it is dropped.
#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped_sends_all_or_nothing() {
    let (talk, mut peer, _slots, _shutdown) = talking(Duration::ZERO).await;
    talk.send(&"a".repeat(99 * 400)).await.unwrap();
    let dropped = time::timeout(Duration::from_millis(200), talk.send(&"b".repeat(99 * 400))).await;
    dropped.unwrap_err();
    let reading = tokio::spawn(async move {
        let mut came = Vec::new();
        peer.read_to_end(&mut came).await.map(|_| came)
    });
    talk.send("c").await.unwrap();
    drop(talk);
    let came = reading.await.unwrap().unwrap();
    let frame = format!("L99{}", "a".repeat(99));
    assert_eq!(came, format!("{}L01c", frame.repeat(400)).as_bytes());
}

#[tokio::test(start_paused = true)]
async fn flush_waits_until_everything_is_written() {
    let (talk, mut peer, _slots, _shutdown) = talking(Duration::from_millis(20)).await;
    let (_, sender, _lines) = talk.split();
    let start = Instant::now();
    for _ in 0..3 {
        sender.send("hola").await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    sender.flush().await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(60));
    let mut came = [0; 21];
    peer.read_exact(&mut came).await.unwrap();
    sender.hang_up();
    assert!(sender.is_closed());
    sender.flush().await.unwrap();
    assert_eq!(sender.send("more").await, Err(crate::SendError::Ended));
    assert_eq!(sender.try_send("more"), Err(crate::SayError::Ended));
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_refused_at_once() {
    let (talk, _peer, _slots, _shutdown) = talking(Duration::from_secs(60)).await;
    let (_, sender, _lines) = talk.split();
    for _ in 0..MAX_HANDED_OVER {
        sender.try_send("hola").unwrap();
    }
    assert_eq!(sender.try_send("hola"), Err(crate::SayError::Full));
    let error = sender.try_send(&"x".repeat(crate::MAX_LINE + 1)).unwrap_err();
    assert_eq!(error.to_string(), "the line is 1048577 bytes long, 1048576 are the most");
}

#[tokio::test(start_paused = true)]
async fn a_sender_is_a_sink_of_lines() {
    let (talk, mut peer, _slots, _shutdown) = talking(Duration::ZERO).await;
    let (_, mut sender, _lines) = talk.split();
    let lines: Vec<_> = (0..200).map(|n| format!("line {n}")).collect();
    let reading = tokio::spawn(async move {
        let mut came = String::new();
        peer.read_to_string(&mut came).await.map(|_| came)
    });
    for line in &lines {
        sender.feed(line.clone()).await.unwrap();
    }
    SinkExt::<String>::flush(&mut sender).await.unwrap();
    assert_eq!(sender.feed("a\nb".to_owned()).await.unwrap_err().to_string().split(' ').next(), Some("the"));
    sender.feed("x".repeat(200)).await.unwrap();
    SinkExt::<String>::close(&mut sender).await.unwrap();
    assert_eq!(sender.feed("more".to_owned()).await, Err(crate::SendError::Ended));
    let came = reading.await.unwrap().unwrap();
    let said = lines.iter().map(|line| format!("L{:02}{line}", line.len()));
    let long = [format!("L99{0}L99{0}L02xx", "x".repeat(99))];
    assert_eq!(came, said.chain(long).collect::<String>());
}

/// Lines of several frames, which a peer that reads nothing could otherwise pile up without end.
#[tokio::test(start_paused = true)]
async fn a_sink_is_full_with_the_line_that_takes_the_last_room() {
    let (talk, _peer, _slots, _shutdown) = talking(Duration::from_secs(60)).await;
    let (_, mut sender, _lines) = talk.split();
    let mut taken = 0;
    while let Some(fed) = sender.feed("x".repeat(250)).now_or_never() {
        fed.unwrap();
        taken += 1;
        assert!(taken <= MAX_HANDED_OVER, "the sink takes everything");
    }
    assert_eq!(taken, MAX_HANDED_OVER.div_ceil(3));
}

/// A sink that is dropped while it waits holds nothing that others wait for.
#[tokio::test(start_paused = true)]
async fn a_sink_that_is_given_up_keeps_no_room() {
    let (talk, mut peer, _slots, _shutdown) = talking(Duration::from_millis(20)).await;
    let (_, mut sender, _lines) = talk.split();
    for n in 0..100 {
        let line = format!("{n:03}");
        if time::timeout(Duration::from_millis(1), SinkExt::send(&mut sender, line)).await.is_ok() {
            panic!("a frame takes longer");
        }
    }
    let other = sender.clone();
    let reading = tokio::spawn(async move {
        let mut came = String::new();
        peer.read_to_string(&mut came).await.map(|_| came)
    });
    time::timeout(Duration::from_secs(60), other.send(&"x".repeat(99 * 64))).await.unwrap().unwrap();
    other.flush().await.unwrap();
    other.hang_up();
    drop((sender, other));
    let came = reading.await.unwrap().unwrap();
    assert!(came.starts_with("L03000L03001") && came.contains("L99xxx"), "{came}");
}

/// A send that was cancelled waited for room, and a flush waits for something else.
#[tokio::test(start_paused = true)]
async fn a_cancelled_send_does_not_cut_the_end_short() {
    for is_closed in [false, true] {
        let (talk, mut peer, _slots, _shutdown) = talking(Duration::from_millis(20)).await;
        let (_, mut sender, _lines) = talk.split();
        for _ in 0..MAX_HANDED_OVER {
            SinkExt::feed(&mut sender, "hola".to_owned()).await.unwrap();
        }
        let more = SinkExt::send(&mut sender, "more".to_owned());
        time::timeout(Duration::from_millis(1), more).await.unwrap_err();
        if is_closed {
            SinkExt::<String>::close(&mut sender).await.unwrap();
        } else {
            SinkExt::<String>::flush(&mut sender).await.unwrap();
        }
        let mut came = [0; 7 * MAX_HANDED_OVER];
        peer.read_exact(&mut came).now_or_never().expect("everything is written").unwrap();
    }
}

/// The flush that was cancelled waited for fewer lines.
#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_lines_that_were_sent_after_a_cancelled_one() {
    let (talk, mut peer, _slots, _shutdown) = talking(Duration::from_millis(20)).await;
    let (_, mut sender, _lines) = talk.split();
    sender.send("hola").await.unwrap();
    let flushing = SinkExt::<String>::flush(&mut sender);
    time::timeout(Duration::from_millis(1), flushing).await.unwrap_err();
    for _ in 0..3 {
        sender.send("hola").await.unwrap();
    }
    SinkExt::<String>::flush(&mut sender).await.unwrap();
    peer.read_exact(&mut [0; 28]).now_or_never().expect("everything is written").unwrap();
}

/// Lines of other tasks that never end do not keep a flush waiting.
#[tokio::test(start_paused = true)]
async fn a_flush_does_not_wait_for_lines_of_clones() {
    let (talk, _peer, _slots, _shutdown) = talking(Duration::from_millis(20)).await;
    let (_, mut sender, _lines) = talk.split();
    let other = sender.clone();
    let start = Instant::now();
    SinkExt::feed(&mut sender, "hola".to_owned()).await.unwrap();
    for _ in 0..10 {
        other.send("hola").await.unwrap();
    }
    SinkExt::<String>::flush(&mut sender).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(20));
}

/// Its room was the last, and no frame is written meanwhile.
#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped_wakes_a_sink() {
    let (talk, _peer, _slots, _shutdown) = talking(Duration::from_secs(60)).await;
    let (_, mut sender, _lines) = talk.split();
    for _ in 1..MAX_HANDED_OVER {
        sender.try_send("hola").unwrap();
    }
    let other = sender.clone();
    let long = "x".repeat(99 * MAX_HANDED_OVER);
    let mut waits = Box::pin(other.send(&long));
    assert!(poll!(&mut waits).is_pending());
    let feeding = tokio::spawn(async move { SinkExt::feed(&mut sender, "hola".to_owned()).await });
    tokio::task::yield_now().await;
    drop(waits);
    let fed = time::timeout(Duration::from_secs(1), feeding).await.expect("there is room");
    fed.unwrap().unwrap();
}

/// It is too late for a line, and no earlier one is left.
#[tokio::test(start_paused = true)]
async fn a_line_that_is_not_taken_is_not_flushed() {
    let (said, taken) = mpsc::unbounded_channel();
    let progress = watch::Sender::new(Progress::default());
    let room = Arc::new(Semaphore::new(MAX_HANDED_OVER));
    let sender = LineSender::new(said, room, Arc::default(), progress, Arc::default());
    drop(taken);
    assert_eq!(sender.send("hola").await, Err(crate::SendError::Ended));
    assert_eq!(sender.flush().now_or_never(), Some(Ok(())));
}

/// A program that polls needs no other function to become free.
#[tokio::test(start_paused = true)]
async fn the_end_frees_the_slot_of_a_program_that_does_not_wait() {
    let (talk, mut peer, slots, _shutdown) = talking(Duration::ZERO).await;
    let (_, sender, mut lines) = talk.split();
    assert_eq!(lines.try_next_line().unwrap(), None);
    assert!(!lines.has_ended());
    peer.write_all(b"L04hola").await.unwrap();
    drop(peer);
    sender.closed().await;
    time::sleep(Duration::from_secs(5)).await;
    assert_eq!(lines.try_next_line().unwrap().unwrap(), "hola");
    assert_eq!(slots.available_permits(), 0);
    assert_eq!(lines.try_next_line().unwrap(), None);
    assert_eq!(slots.available_permits(), 1);
    assert!(lines.has_ended());
    assert_eq!(lines.try_next_line().unwrap(), None);
}

/// The codec knows, while the bytes look like a frame of 15 bytes.
#[tokio::test(start_paused = true)]
async fn a_long_line_of_a_deployed_peer_is_no_frame_in_the_traffic() {
    let (ours, mut peer) = tokio::io::duplex(1024);
    let (tap, mut traffic) = crate::traffic();
    let ours_is = mi_proto::Nickname::new("ours").unwrap();
    let mut connection =
        Connection::new(ours, testing::REMOTE.into(), Side::Caller, ours_is, Duration::ZERO, Some(tap));
    peer.write_all(b"N02u2").await.unwrap();
    let ConversationOutput::Greeted(_) = connection.next().await else { panic!("no nickname") };
    let long = format!("L150{}", "x".repeat(149));
    for said in ["L04hola", &long] {
        peer.write_all(said.as_bytes()).await.unwrap();
        let ConversationOutput::Deliver(_) = connection.next().await else { panic!("no line") };
        connection.state.handle_taken();
    }
    let passed: Vec<_> = std::iter::from_fn(|| traffic.try_next()).map(|passed| passed.content).collect();
    let [.., line, unframed] = &passed[..] else { panic!("{passed:?}") };
    assert_eq!(*line, Content::Pmi(FrameKind::Line, b"L04hola"[..].into()));
    assert_eq!(*unframed, Content::Pmi(FrameKind::Unframed, long.as_bytes().into()));
    assert!(passed.contains(&Content::Pmi(FrameKind::Nickname, b"N04ours"[..].into())));
    assert!(passed.contains(&Content::Pmi(FrameKind::Nickname, b"N02u2"[..].into())));
}

/// Otherwise the shutdown would be over before a long line.
#[tokio::test(start_paused = true)]
async fn what_is_handed_over_is_counted() {
    let (ours, mut peer) = tokio::io::duplex(1024);
    peer.write_all(b"N02u2").await.unwrap();
    let slot = Slot::new(Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap());
    let mut connection = Connection::new(
        ours,
        testing::REMOTE.into(),
        Side::Caller,
        mi_proto::Nickname::new("ours").unwrap(),
        Duration::from_millis(20),
        None,
    );
    let ConversationOutput::Greeted(nickname) = connection.next().await else { panic!("no nickname") };
    let outstanding = Arc::default();
    let peer_is = Peer::new(nickname, testing::REMOTE.into());
    let (talk, task) = pair(peer_is, slot, Arc::clone(&outstanding));
    let shutdown = Shutdown::new();
    let running = tokio::spawn(converse(connection, task, shutdown.watch()));
    talk.send(&"x".repeat(99 * 200)).await.unwrap();
    assert_eq!(outstanding.load(Ordering::Relaxed), 200);
    peer.read_exact(&mut [0; 7 + 50 * 102]).await.unwrap();
    assert!(outstanding.load(Ordering::Relaxed) <= 150);
    drop((talk, peer));
    running.await.unwrap();
    assert_eq!(outstanding.load(Ordering::Relaxed), 0);
}

/// A callee of this library refuses with a line and a FIN.
#[tokio::test(start_paused = true)]
async fn a_refusal_is_no_line() {
    const BUSY: &[u8] = b"L54busy: in another conversation, please call again later";
    let (mut talk, mut peer, ..) = talking(Duration::ZERO).await;
    peer.write_all(BUSY).await.unwrap();
    peer.shutdown().await.unwrap();
    let error = talk.next_line().await.unwrap_err();
    assert!(matches!(&error, ConversationError::Refused(text) if text.raw().starts_with("busy")), "{error}");
    assert_eq!(talk.next_line().await.unwrap(), None);
    // The same words of a person.
    let (mut talk, mut peer, ..) = talking(Duration::ZERO).await;
    peer.write_all(BUSY).await.unwrap();
    assert!(talk.next_line().await.unwrap().unwrap().raw().starts_with("busy"));
    peer.write_all(BUSY).await.unwrap();
    peer.shutdown().await.unwrap();
    assert!(talk.next_line().await.unwrap().unwrap().raw().starts_with("busy"));
    assert_eq!(talk.next_line().await.unwrap(), None);
}
