//! The codec against streams of every kind, cut in every way.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use mi_proto::{Frame, FrameCodec, Line, Nickname, split_line};
use proptest::prelude::*;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::codec::FramedRead;

use crate::{Connection, Item, encode, line, long_line, nickname, unframed};

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    // Half of the texts look like headers themselves, or make their frame look like a long line.
    let text = prop_oneof!["[0-9LN]{0,99}", "\\PC{0,24}"];
    let line = text.clone().prop_map(|text| Frame::Line(Line::new(&text).expect("at most 99 bytes")));
    let nickname = text.prop_filter_map("empty", |text| Nickname::new(&text).ok()).prop_map(Frame::Nickname);
    prop::collection::vec(prop_oneof![9 => line, 1 => nickname], 0..40)
}

fn received(frames: &[Frame]) -> Vec<Item> {
    let received = |frame: &Frame| match frame {
        Frame::Nickname(text) => nickname(text.as_str()),
        Frame::Line(text) => line(text.as_str()),
    };
    frames.iter().map(received).collect()
}

/// Bytes of any kind: rubbish, and what is a frame, a long line or a header, or nearly.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 1..120),
        "[LN][0-9]{1,3}[LN0-9 ]{0,120}".prop_map(String::into_bytes),
        frames().prop_map(|frames| encode(&frames).to_vec()),
        "[a-z0-9LN ]{100,400}".prop_map(|text| long_line(&text).into_bytes()),
    ]
}

/// The bytes of one read after the nicknames, and the items that a user sees of them.
fn read() -> impl Strategy<Value = (Vec<u8>, Vec<Item>)> {
    let illegal = (prop::sample::select(ILLEGAL), prop::collection::vec(any::<u8>(), 0..200));
    prop_oneof![
        frames().prop_map(|frames| (encode(&frames).to_vec(), received(&frames))),
        "[a-z0-9 ]{100,999}"
            .prop_map(|text| { (long_line(&text).into_bytes(), vec![unframed(&text[..text.len() - 1])]) }),
        illegal.prop_map(|(header, more)| {
            let all = [header, &more].concat();
            (all.clone(), vec![Item::Unframed(all.into())])
        }),
    ]
}

/// Bytes with which no frame begins.
const ILLEGAL: &[&[u8]] = &[
    b"X", b"hola", b"\0", b"\xff", b"l05", b"n02u2", b" L02hi", b"\n", b"L:", b"Lx5", b"L5x", b"N1 ", b"N-1",
    b"L+1a",
];

/// Returns the rest of `stream` after `items` came out of it: only headers are left out between them.
fn rest_after<'a>(items: &[Item], stream: &'a [u8]) -> &'a [u8] {
    items.iter().fold(stream, |rest, item| {
        let text = item.bytes();
        let header = match item {
            Item::Nickname(_) => format!("N{:02}", text.len()),
            Item::Line(_) => format!("L{:02}", text.len()),
            Item::Unframed(_) if rest.starts_with(text) => String::new(),
            Item::Unframed(_) => {
                let header: String = rest.iter().take(4).copied().map(char::from).collect();
                assert!(
                    header.starts_with('L') && header[1..].parse().is_ok_and(|n: u16| n > 99),
                    "{header:?}"
                );
                header
            }
        };
        let after = rest.strip_prefix(header.as_bytes()).and_then(|rest| rest.strip_prefix(&text[..]));
        after.unwrap_or_else(|| panic!("{item:?} out of {}", rest.escape_ascii()))
    })
}

proptest! {
    #[test]
    fn legal_streams_give_the_same_frames_however_they_are_cut(
        frames in frames(),
        chunks in prop::collection::vec(1usize..200, 1..60),
    ) {
        let wire = encode(&frames);
        let expected = received(&frames);
        prop_assert_eq!(&Connection::default().read(&wire), &expected);

        let mut dribbled = Connection::default();
        let bytes = wire.chunks(1).flat_map(|byte| dribbled.read(byte));
        prop_assert_eq!(&bytes.collect::<Vec<_>>(), &expected);

        let mut cut = Connection::default();
        let mut items = Vec::new();
        let mut rest = &wire[..];
        for length in chunks.iter().cycle() {
            let (chunk, after) = rest.split_at((*length).min(rest.len()));
            items.extend(cut.read(chunk));
            rest = after;
            if rest.is_empty() { break; }
        }
        prop_assert_eq!(items, expected);
    }

    #[test]
    fn a_frame_is_a_header_and_its_text(frames in frames()) {
        for frame in frames {
            let (kind, text) = match &frame {
                Frame::Nickname(nickname) => ('N', nickname.as_str()),
                Frame::Line(line) => ('L', line.as_str()),
            };
            let expected = format!("{kind}{:02}{text}", text.len());
            prop_assert_eq!(encode(&[frame]), expected);
        }
    }

    #[test]
    fn after_a_frame_any_bytes_are_items_and_nothing_that_was_typed_is_lost(
        stream in prop::collection::vec(bytes(), 1..8).prop_map(|reads| reads.concat()),
        chunks in prop::collection::vec(1usize..200, 1..60),
    ) {
        for chunks in [&chunks[..], &[1], &[usize::MAX]] {
            let mut connection = Connection::past_nickname();
            let mut items = Vec::new();
            let mut rest = &stream[..];
            for length in chunks.iter().cycle() {
                let (chunk, after) = rest.split_at((*length).min(rest.len()));
                items.extend(connection.read(chunk));
                rest = after;
                if rest.is_empty() { break; }
            }
            prop_assert!(items.iter().all(|item| !matches!(item, Item::Unframed(text) if text.is_empty())));
            let held = rest_after(&items, &stream);
            prop_assert_eq!(&connection.buffer[..], held);
            // A header that is held is not shown.
            let text = held.get(3..).filter(|text| !text.is_empty());
            prop_assert_eq!(connection.end().unwrap(), text.map(|text| Item::Unframed(text.to_vec().into())));
        }
    }

    #[test]
    fn whatever_a_read_was_the_next_one_is_in_step(reads in prop::collection::vec(read(), 1..12)) {
        let mut connection = Connection::past_nickname();
        for (bytes, items) in reads {
            prop_assert_eq!(connection.read(&bytes), items);
            prop_assert!(connection.buffer.is_empty());
        }
    }

    #[test]
    fn a_long_line_in_one_read_is_one_item(text in "[a-km-z0-9 ][a-z0-9 ]{99,998}") {
        // A letter L or N in capitals could begin a frame; that is the legal reading, and tested above.
        let items = Connection::past_nickname().read(long_line(&text).as_bytes());
        prop_assert_eq!(items, [unframed(&text[..text.len() - 1])]);
    }

    #[test]
    fn what_is_split_and_sent_is_joined_again(text in "[^\0\r\n]{0,400}") {
        let frames: Vec<_> = split_line(&text).unwrap().map(Frame::from).collect();
        let items = Connection::default().read(&encode(&frames));
        let joined: String = items.iter().map(Item::text).collect();
        prop_assert_eq!(joined, text);
    }
}

/// A peer that sends byte by byte, and announces much, makes the buffer no larger than one that sends
/// nothing.
#[test]
fn a_dribble_takes_no_more_memory_than_a_read() {
    let mut connection = Connection::past_nickname();
    let mut largest = 0;
    for byte in "L99".bytes().chain([b'x'; 99]).cycle().take(1_000_000) {
        connection.read(&[byte]);
        largest = largest.max(connection.buffer.capacity());
    }
    assert!(largest <= 32 * 1024, "{largest} bytes");
}

/// A peer's segments, as a socket gives them: one at a time, and of each no more than the reader has room
/// for.
struct Segments(VecDeque<Vec<u8>>);

impl AsyncRead for Segments {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(segment) = self.0.front_mut() {
            let rest = segment.split_off(segment.len().min(buffer.remaining()));
            buffer.put_slice(segment);
            if rest.is_empty() { drop(self.0.pop_front()) } else { *segment = rest }
        }
        Poll::Ready(Ok(()))
    }
}

/// A long line that comes whole is read whole, however full the buffer of the reader is by then.
#[tokio::test]
async fn a_long_line_is_not_cut_by_the_readers_own_buffer() {
    let text = "x".repeat(150);
    for more in 0..200 {
        // 8,000 bytes and `more`, of 8,192 that a reader begins with.
        let before = format!("N02u2L01a{}{}", "L02hi".repeat(1_598 + more / 5), "L00".repeat(more % 5));
        let segments = [before, long_line(&text), "L03bye".to_owned()];
        let stream = Segments(segments.map(String::into_bytes).into());
        let items: Vec<_> = FramedRead::new(stream, FrameCodec::new()).collect().await;
        let last: Vec<_> =
            items.into_iter().rev().take(2).map(|item| Item::from(item.expect("no failure"))).collect();
        assert_eq!(last, [line("bye"), unframed(&text[1..])], "after {more} more bytes");
    }
}
