//! The frames of `pmi/2`: what is sent is received, however it is cut, and any bytes are borne.

use bytes::BytesMut;
use mi_proto::pmi2::{
    Failure, Frame, FrameCodec, FrameError, Greeting, HEADER, Item, MAX_FAILURE, MAX_GREETING, MAX_MESSAGE,
    MAX_PAYLOAD, Message, MessageId, Receipt, ReceiptKind, Received,
};
use mi_proto::{Nickname, TextError};
use proptest::prelude::*;
use tokio_util::codec::{Decoder, Encoder};

/// The samples of protocol.md §13.
#[test]
fn each_kind_has_its_bytes() {
    let id = MessageId::new(0x0102_0304_0506_0708);
    let receipt = |kind| Frame::Receipt(Receipt { id, kind });
    let samples: [(Frame, &[u8]); 10] = [
        (greeting("u1").into(), b"N\0\0\x07nick=u1"),
        (
            greeting("u1").with_address("u1@PC-c").unwrap().with_abilities("receipts,typing").unwrap().into(),
            b"N\0\0\x28nick=u1\naddr=u1@PC-c\ncan=receipts,typing".as_slice(),
        ),
        (message(id, 1_764_550_800_000, "Hola!\nQue tal?").into(), MESSAGE),
        (receipt(ReceiptKind::Stored), b"r\0\0\x0e\x01\x02\x03\x04\x05\x06\x07\x08stored"),
        (receipt(ReceiptKind::Shown), b"r\0\0\x0d\x01\x02\x03\x04\x05\x06\x07\x08shown"),
        (receipt(ReceiptKind::Refused), b"r\0\0\x0f\x01\x02\x03\x04\x05\x06\x07\x08refused"),
        (Frame::Typing(true), b"t\0\0\x011"),
        (Frame::Typing(false), b"t\0\0\x010"),
        (Frame::Ping, b"p\0\0\0"),
        (
            Frame::Failure(Failure::new("kind", "Q is unknown here").unwrap()),
            b"E\0\0\x16kind Q is unknown here",
        ),
    ];
    for (frame, bytes) in samples {
        assert_eq!(&encode([&frame])[..], bytes, "{frame:?}");
        let (items, error) = receive_after_greeting(&[bytes]);
        assert!(error.is_none(), "{error:?}");
        assert_eq!((items[0].raw().as_ref(), items[0].item()), (bytes, &Item::Frame(frame)));
    }
}

const MESSAGE: &[u8] =
    b"M\0\0\x1e\x01\x02\x03\x04\x05\x06\x07\x08\0\0\x01\x9a\xd7\x6c\x72\x80Hola!\nQue tal?";

#[test]
fn what_is_not_understood_ends_only_if_it_is_upper_case() {
    let upper: [&[u8]; 9] = [
        b"Q\0\0\0",
        b"L\0\0\x02hi",
        b"M\0\0\0",
        b"M\0\0\x0f0123456789abcde",
        b"M\0\0\x110123456789abcdef\xff",
        b"N\0\0\0",
        b"N\0\0\x05nick=",
        b"N\0\0\x08nick=u1\0",
        b"E\0\0\x01\xff",
    ];
    let lower: [&[u8]; 6] = [
        b"q\0\0\x02hi",
        b"r\0\0\x08\x01\x02\x03\x04\x05\x06\x07\x08",
        b"r\0\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08read",
        b"t\0\0\0",
        b"t\0\0\x012",
        b"p\0\0\x01x",
    ];
    let all = upper.map(|bytes| (bytes, Item::NotUnderstood));
    for (bytes, item) in all.into_iter().chain(lower.map(|bytes| (bytes, Item::Ignored))) {
        // The stream goes on behind it.
        let (items, error) = receive_after_greeting(&[bytes, b"p\0\0\0"]);
        assert!(error.is_none(), "{error:?} after {}", bytes.escape_ascii());
        let items: Vec<_> = items.into_iter().map(Received::into_item).collect();
        assert_eq!(items, [item, Item::Frame(Frame::Ping)], "{}", bytes.escape_ascii());
    }
}

/// The first line of a key counts, and unknown keys mean nothing.
#[test]
fn a_greeting_is_read_line_by_line() {
    let lines = "colour=red\ncan=receipts,typing\nnick=Laura\naddr=laura@bb.com\nnick=Joya\ncan=none\n\n==";
    let (items, _) = receive(&[&framed(b'N', lines.as_bytes())]);
    let Item::Frame(Frame::Greeting(greeting)) = items[0].item() else { panic!("{items:?}") };
    assert_eq!((greeting.nickname().as_str(), greeting.address()), ("Laura", Some("laura@bb.com")));
    assert!(greeting.can("receipts") && greeting.can("typing"));
    assert!(!greeting.can("none") && !greeting.can("receipt") && !greeting.can("receipts,typing"));
}

/// Values that would not be sent are no reason to end: nothing proves them anyway.
#[test]
fn other_values_of_a_greeting_are_left_out() {
    let lines = format!("nick=Laura\naddr={}\ncan=", "x".repeat(100));
    let (items, _) = receive(&[&framed(b'N', lines.as_bytes())]);
    let Item::Frame(Frame::Greeting(greeting)) = items[0].item() else { panic!("{items:?}") };
    assert!(greeting.address().is_none() && !greeting.can(""));
}

#[test]
fn lengths_end_where_the_protocol_says() {
    let id = MessageId::new(1);
    let longest = message(id, u64::MAX, &"x".repeat(MAX_MESSAGE));
    let too_long = |length, limit| TextError::TooLong { length, limit };
    let error = Message::new(id, 0, &"x".repeat(MAX_MESSAGE + 1)).unwrap_err();
    assert_eq!(error, too_long(MAX_MESSAGE + 1, MAX_MESSAGE));
    let error = Failure::new("w", &"x".repeat(MAX_FAILURE - 1)).unwrap_err();
    assert_eq!(error, too_long(MAX_FAILURE + 1, MAX_FAILURE));
    assert_eq!(Failure::new("", "text"), Err(TextError::Empty));
    assert_eq!(Failure::new("a word", ""), Err(TextError::Forbidden { byte: b' ', at: 1 }));
    assert_eq!(greeting("u1").with_address("a\nnick=b"), Err(TextError::Forbidden { byte: b'\n', at: 1 }));

    let understood = |kind, payload: &[u8]| {
        let (items, error) = receive_after_greeting(&[&framed(kind, payload)]);
        assert!(error.is_none(), "{error:?}");
        items[0].item() != &Item::NotUnderstood
    };
    let head = [0; 16];
    assert!(understood(b'M', &[&head[..], &[b'x'; MAX_MESSAGE]].concat()));
    assert!(!understood(b'M', &[&head[..], &[b'x'; MAX_MESSAGE + 1]].concat()));
    assert!(understood(b'E', &[b'x'; MAX_FAILURE]));
    assert!(!understood(b'E', &[b'x'; MAX_FAILURE + 1]));
    let lines = |length| [b"nick=u1\nx=".as_slice(), &vec![b'x'; length - 10]].concat();
    assert!(understood(b'N', &lines(MAX_GREETING)));
    assert!(!understood(b'N', &lines(MAX_GREETING + 1)));
    assert!(understood(b'x', &[0; MAX_PAYLOAD]));
    assert_eq!(encode([&longest.into()]).len(), HEADER + 16 + MAX_MESSAGE);
}

/// The header alone is enough: no payload of that length is waited for, and none is kept.
#[test]
fn illegal_headers_are_errors_at_once() {
    let text = |error: Option<FrameError>| error.expect("an error").to_string();
    let (_, error) = receive_after_greeting(&[b"M\0\x3e\x81"]);
    assert_eq!(text(error), r#"no frame begins with "M\x00>\x81""#);
    let (_, error) = receive_after_greeting(&[b"\0"]);
    assert_eq!(text(error), r#"no frame begins with "\x00""#);
    for first in [&b"M"[..], b"p\0\0\0", b"n", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"] {
        let (items, error) = receive(&[first]);
        assert!(items.is_empty());
        assert!(matches!(error, Some(FrameError::NoGreeting { seen }) if first.starts_with(&seen)));
    }
    let (_, error) = receive_after_greeting(&[b"M\0\0\x05hol"]);
    assert_eq!(text(error), "the connection ended within a frame, after 7 of its bytes");
}

/// An announced length reserves nothing.
#[test]
fn room_does_not_depend_on_the_peer() {
    let (mut codec, mut short, mut long) = (FrameCodec::new(), BytesMut::new(), BytesMut::new());
    short.extend_from_slice(b"N\0\0\x01");
    long.extend_from_slice(b"N\0\x3e\x80");
    for buffer in [&mut short, &mut long] {
        assert!(codec.decode(buffer).unwrap().is_none());
    }
    assert_eq!(short.capacity(), long.capacity());
}

#[test]
fn an_id_is_sixteen_digits() {
    let id = MessageId::new(0xab);
    assert_eq!(id.to_string(), "00000000000000ab");
    assert_eq!("00000000000000AB".parse(), Ok(id));
    assert_eq!(serde_json::to_string(&id).unwrap(), r#""00000000000000ab""#);
    assert_eq!(serde_json::from_str::<MessageId>(r#""00000000000000ab""#).unwrap(), id);
    for wrong in ["", "ab", "+0000000000000ab", "00000000000000ag", "000000000000000ab", "0000000000000é"] {
        assert!(wrong.parse::<MessageId>().is_err(), "{wrong}");
        assert!(serde_json::from_value::<MessageId>(wrong.into()).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn what_is_sent_is_received_however_it_is_cut(
        frames in prop::collection::vec(frame(), 0..8),
        lengths in prop::collection::vec(1..300_usize, 1..8),
    ) {
        let sent = [greeting("u1").into()].into_iter().chain(frames).collect::<Vec<_>>();
        let wire = encode(&sent);
        for reads in [cut(&wire, &lengths), vec![&wire[..]], wire.chunks(1).collect()] {
            let (items, error) = receive(&reads);
            prop_assert!(error.is_none(), "{error:?}");
            prop_assert_eq!(items.iter().map(|item| item.raw().to_vec()).collect::<Vec<_>>().concat(), &wire[..]);
            let items: Vec<_> = items.into_iter().map(Received::into_item).collect();
            prop_assert_eq!(&items, &sent.iter().cloned().map(Item::Frame).collect::<Vec<_>>());
        }
    }

    /// Any bytes end in the same items and the same kind of end, however they are cut.
    #[test]
    fn any_bytes_are_borne(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        kinds in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..6),
        lengths in prop::collection::vec(1..50_usize, 1..8),
    ) {
        let framed = kinds.iter().flat_map(|(kind, payload)| framed(*kind, payload));
        let wire: Vec<u8> = framed.chain(bytes).collect();
        for first in [&b""[..], b"N\0\0\x07nick=u1"] {
            let wire = [first, &wire].concat();
            let (whole, end) = receive(&[&wire]);
            let (cut, cut_end) = receive(&cut(&wire, &lengths));
            prop_assert_eq!(whole, cut);
            prop_assert_eq!(end.map(|end| std::mem::discriminant(&end)), cut_end.map(|end| std::mem::discriminant(&end)));
        }
    }
}

fn frame() -> impl Strategy<Value = Frame> {
    let id = || any::<u64>().prop_map(MessageId::new);
    let kind = prop::sample::select(vec![ReceiptKind::Stored, ReceiptKind::Shown, ReceiptKind::Refused]);
    prop_oneof![
        (id(), any::<u64>(), "(?s).{0,200}").prop_map(|(id, at, text)| message(id, at, &text).into()),
        (id(), kind).prop_map(|(id, kind)| Frame::Receipt(Receipt { id, kind })),
        any::<bool>().prop_map(Frame::Typing),
        Just(Frame::Ping),
        ("[^ ]{1,20}", "(?s).{0,100}")
            .prop_map(|(word, text)| { Frame::Failure(Failure::new(&word, &text).expect("it fits")) }),
        ("[^\0\r\n]{1,20}", "[^\0\r\n]{1,20}", "[^\0\r\n]{1,20}").prop_map(|(nick, address, can)| {
            greeting(&nick)
                .with_address(&address)
                .expect("it is legal")
                .with_abilities(&can)
                .expect("it is legal")
                .into()
        }),
    ]
}

fn greeting(nickname: &str) -> Greeting {
    Greeting::new(Nickname::new(nickname).expect("it is legal"))
}

fn message(id: MessageId, sent_at: u64, text: &str) -> Message {
    Message::new(id, sent_at, text).expect("it is legal")
}

fn framed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is legal").to_be_bytes();
    [&[kind], &length[1..], payload].concat()
}

fn encode<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> BytesMut {
    let (mut codec, mut wire) = (FrameCodec::new(), BytesMut::new());
    for frame in frames {
        codec.encode(frame, &mut wire).expect("it is legal");
    }
    wire
}

fn cut<'a>(wire: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = wire;
    let pieces = lengths.iter().cycle().map_while(|&length| {
        let (piece, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    });
    pieces.collect()
}

fn receive_after_greeting(reads: &[&[u8]]) -> (Vec<Received>, Option<FrameError>) {
    let greeting: &[u8] = b"N\0\0\x07nick=u1";
    let (mut items, error) = receive(&[&[greeting], reads].concat());
    items.remove(0);
    (items, error)
}

/// Returns what a connection gives for these reads, as tokio-util drives the codec.
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
