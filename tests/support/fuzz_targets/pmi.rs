//! The stream of a conversation, cut as a network cuts it.

use std::collections::BTreeSet;

use arbitrary::Unstructured;
use bytes::BytesMut;
use mi_proto::{
    Frame, FrameCodec, FrameError, Line, MAX_FRAME, MAX_TEXT, MAX_UNFRAMED, Nickname, Received, ReceivedKind,
    split_line,
};
use tokio_util::codec::{Decoder, Encoder};

/// The first byte says how many lengths of pieces follow; the rest is a stream that is cut into pieces of
/// these lengths, over and over. A legal stream gives the same frames however it is cut; of any other no text
/// is lost, and little is held.
///
/// # Panics
/// If it does not, or it is.
pub fn pmi(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(lengths) = lengths(&mut input) else { return };
    let stream = input.take_rest();
    let pieces = cut(stream, &lengths);

    // One read brings the longest text without a frame.
    if let (items, None) = receive(&[stream]) {
        nothing_is_lost(stream, &items);
    }
    let (items, error) = receive(&pieces);
    match &error {
        None => nothing_is_lost(stream, &items),
        Some(FrameError::IllegalHeader { seen } | FrameError::CutShort { seen }) => {
            assert!(items.is_empty(), "an error after the first frame: {items:?}");
            assert!(!seen.is_empty() && stream.starts_with(seen) && seen.len() <= MAX_SEEN, "{seen:?}");
        }
        Some(error) => panic!("{error} without any IO"),
    }
    let (frames, rest) = frames(stream);
    if may_begin_a_frame(rest) {
        for pieces in [pieces, vec![stream], stream.chunks(1).collect()] {
            is_read_as(&frames, rest, &receive(&pieces));
        }
    }
    frames.iter().for_each(is_written_again);
    if let Ok(text) = str::from_utf8(stream) {
        is_cut_between_characters(text);
    }
}

fn lengths(input: &mut Unstructured<'_>) -> arbitrary::Result<Vec<usize>> {
    let count = input.int_in_range(1..=MAX_LENGTHS)?;
    (0..count).map(|_| input.int_in_range(1..=256)).collect()
}

fn cut<'a>(stream: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = stream;
    let pieces = lengths.iter().cycle().map_while(|&length| {
        let (piece, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    });
    pieces.collect()
}

/// What a connection gives for these reads, as tokio-util drives the codec.
fn receive(reads: &[&[u8]]) -> (Vec<Received>, Option<FrameError>) {
    let (mut codec, mut buffer, mut items) = (FrameCodec::new(), BytesMut::new(), Vec::new());
    for read in reads {
        buffer.extend_from_slice(read);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Some(error)),
            }
        }
        assert!(buffer.len() < MAX_FRAME, "{} bytes are held", buffer.len());
    }
    loop {
        match codec.decode_eof(&mut buffer) {
            Ok(Some(item)) => items.push(item),
            Ok(None) => break,
            Err(error) => return (items, Some(error)),
        }
    }
    assert!(buffer.is_empty(), "{} bytes are left at the end", buffer.len());
    (items, None)
}

/// The kind and the text of an item.
type Item<'a> = (ReceivedKind, &'a [u8]);

/// The whole frames that `stream` begins with, by the grammar alone, and what follows them.
fn frames(mut stream: &[u8]) -> (Vec<Item<'_>>, &[u8]) {
    let mut frames = Vec::new();
    while let [kind @ (b'N' | b'L'), tens @ b'0'..=b'9', ones @ b'0'..=b'9', after @ ..] = stream
        && let Some((text, rest)) = after.split_at_checked(usize::from((tens - b'0') * 10 + ones - b'0'))
    {
        frames.push((if *kind == b'N' { ReceivedKind::Nickname } else { ReceivedKind::Line }, text));
        stream = rest;
    }
    (frames, stream)
}

fn may_begin_a_frame(bytes: &[u8]) -> bool {
    let legal = |(at, byte): (usize, &u8)| if at == 0 { b"NL".contains(byte) } else { byte.is_ascii_digit() };
    bytes.iter().take(3).enumerate().all(legal)
}

/// A stream of `frames` and the beginning of another one, `rest`.
fn is_read_as(frames: &[Item<'_>], rest: &[u8], (items, error): &(Vec<Received>, Option<FrameError>)) {
    let items: Vec<Item<'_>> = items.iter().map(|item| (item.kind(), item.bytes())).collect();
    let (whole, end) = items.split_at(items.len().min(frames.len()));
    assert_eq!(whole, frames);
    let text = rest.get(3..).unwrap_or_default();
    if frames.is_empty() {
        assert!(end.is_empty() && error.is_some() != rest.is_empty(), "{end:?} {error:?}");
    } else if text.is_empty() {
        assert_eq!(end, [], "of a mere header there is nothing to show");
    } else {
        assert_eq!(end, [(ReceivedKind::Unframed, text)]);
    }
}

/// The items are the stream but for headers.
fn nothing_is_lost(stream: &[u8], items: &[Received]) {
    // What may be left after each item: "L11L" is the beginning of an "L", or "L" after a header.
    let mut rests = BTreeSet::from([stream]);
    for item in items {
        let headers: &[usize] = match item.kind() {
            ReceivedKind::Nickname | ReceivedKind::Line => &[3],
            // Nothing is taken off an illegal header. A long line, and a line that was begun, have one.
            _ => &[0, 4, 3],
        };
        assert!(!item.bytes().is_empty() || headers == [3], "an item of nothing");
        assert!(item.bytes().len() <= MAX_UNFRAMED, "an item of {} bytes", item.bytes().len());
        let after =
            rests.iter().flat_map(|rest| headers.iter().filter_map(|length| after(rest, *length, item)));
        let after = after.collect();
        assert_ne!(after, BTreeSet::new(), "{item:?} does not come next in {rests:?}");
        rests = after;
    }
    let may_end = |rest: &&[u8]| rest.len() <= 3 && may_begin_a_frame(rest);
    assert!(rests.iter().any(may_end), "{rests:?} is lost");
}

/// What follows a header of this length and the text of `item` in `stream`, if they come next.
fn after<'a>(stream: &'a [u8], header: usize, item: &Received) -> Option<&'a [u8]> {
    let (header, rest) = stream.split_at_checked(header)?;
    let is_header =
        |(kind, digits): (&u8, &[u8])| b"NL".contains(kind) && digits.iter().all(u8::is_ascii_digit);
    rest.strip_prefix(item.bytes()).filter(|_| header.split_first().is_none_or(is_header))
}

/// A frame with a text that may be sent is exactly the frame that is sent for that text.
fn is_written_again(&(kind, text): &Item<'_>) {
    let Ok(text) = str::from_utf8(text) else { return };
    let (kind, frame) = match kind {
        ReceivedKind::Nickname => ('N', Nickname::new(text).map(Frame::from)),
        _ => ('L', Line::new(text).map(Frame::from)),
    };
    let forbidden = text.contains(['\0', '\n', '\r']) || kind == 'N' && text.is_empty();
    assert_eq!(frame.is_err(), forbidden, "{kind} {text:?}");
    let Ok(frame) = frame else { return };
    let mut wire = BytesMut::new();
    FrameCodec::new().encode(frame, &mut wire).expect("never an error");
    assert_eq!(wire, format!("{kind}{:02}{text}", text.len()));
}

fn is_cut_between_characters(text: &str) {
    let Ok(pieces) = split_line(text) else {
        assert!(text.contains(['\0', '\n', '\r']), "{text:?} is refused");
        return;
    };
    let mut joined = String::new();
    for piece in pieces {
        let piece = piece.as_str();
        assert!(piece.len() <= MAX_TEXT && !piece.is_empty() || text.is_empty(), "{piece:?}");
        joined += piece;
    }
    assert_eq!(joined, text);
}

/// Lengths of pieces that an input can give.
const MAX_LENGTHS: usize = 16;

/// What an error shows of a stranger's first bytes.
const MAX_SEEN: usize = 16;
