//! The stream of a conversation in `pmi/2`, cut as a network cuts it.

use arbitrary::Unstructured;
use bytes::BytesMut;
use mi_proto::pmi2::{Frame, FrameCodec, FrameError, HEADER, Item, MAX_PAYLOAD, Received};
use tokio_util::codec::{Decoder, Encoder};

/// The first byte says how many lengths of pieces follow; the rest is a stream that is cut into pieces of
/// these lengths, over and over. A stream gives the same frames and the same end however it is cut, little is
/// held, and what was understood is written as it was read, or means the same.
///
/// # Panics
/// If it does not, or it is not.
pub fn pmi2(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(lengths) = lengths(&mut input) else { return };
    let stream = input.take_rest();
    let (frames, rest) = frames(stream);

    for reads in [cut(stream, &lengths), vec![stream], stream.chunks(1).collect()] {
        let (items, error) = receive(&reads);
        let raw: Vec<_> = items.iter().map(|item| &item.raw()[..]).collect();
        assert_eq!(raw, frames);
        match error {
            None => assert!(rest.is_empty(), "{rest:?} is lost"),
            Some(FrameError::CutShort { length }) => assert_eq!(length, rest.len()),
            Some(FrameError::IllegalHeader { seen }) => assert!(rest.starts_with(&seen) && !seen.is_empty()),
            Some(FrameError::NoGreeting { seen }) => {
                assert!(frames.is_empty() && rest.starts_with(&seen) && !seen.starts_with(b"N"), "{seen:?}");
            }
            Some(error) => panic!("{error} without any IO"),
        }
        items.iter().for_each(means_the_same_again);
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
        assert!(buffer.len() < HEADER + MAX_PAYLOAD, "{} bytes are held", buffer.len());
    }
    let error = codec.decode_eof(&mut buffer).err();
    (items, error)
}

/// The whole frames that `stream` begins with, by the grammar alone, and what follows them.
fn frames(mut stream: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut frames = Vec::new();
    while let [kind, high, middle, low, after @ ..] = stream
        && (kind.is_ascii_alphabetic() && !frames.is_empty() || *kind == b'N')
        && let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low)
        && length <= MAX_PAYLOAD
        && length <= after.len()
    {
        let (frame, rest) = stream.split_at(HEADER + length);
        frames.push(frame);
        stream = rest;
    }
    (frames, stream)
}

fn means_the_same_again(received: &Received) {
    let is_required = received.kind().is_ascii_uppercase();
    let frame = match received.item() {
        Item::Frame(frame) => frame,
        Item::NotUnderstood => return assert!(is_required, "{received:?}"),
        _ => return assert!(!is_required, "{received:?}"),
    };
    let mut wire = BytesMut::new();
    FrameCodec::new().encode(frame, &mut wire).expect("never an error");
    // Lines of a greeting without a meaning are not kept.
    let is_greeting = matches!(frame, Frame::Greeting(_));
    assert!(is_greeting && wire.len() <= received.raw().len() || wire == received.raw(), "{received:?}");
    let mut codec = FrameCodec::new();
    let mut wire = if is_greeting { wire } else { [b"N\0\0\x06nick=x", &wire[..]].concat()[..].into() };
    if !is_greeting {
        codec.decode(&mut wire).expect("a greeting").expect("a whole one");
    }
    let again = codec.decode(&mut wire).expect("a frame").expect("a whole one");
    assert_eq!(again.item(), received.item());
}

/// Lengths of pieces that an input can give.
const MAX_LENGTHS: usize = 16;
