//! The frames of `pmi/2`, as somebody sees them who has decrypted a conversation elsewhere.

use bytes::BytesMut;
use mi_proto::Nickname;
use mi_proto::pmi2::{Failure, Frame, FrameCodec, Greeting, Message, MessageId, Receipt, ReceiptKind};
use tokio_util::codec::Encoder;

use crate::capture::{Capture, Connection, Side};
use crate::tshark::{Packet, Tshark};

#[test]
fn frames_of_the_codec_are_fields() {
    let Some(tshark) = Tshark::find() else { return };
    let (mut capture, mut talk) = begun();
    for (side, frame, ..) in &conversation() {
        talk.say(&mut capture, *side, &encode(frame));
    }
    let packets = tshark.read_as(&capture, FIELDS, AS_PMI2);
    for (packet, (_, frame, info, fields)) in packets[3..].iter().zip(conversation()) {
        assert_eq!(packet.info(), info);
        let told: Vec<_> =
            FIELDS.iter().map(|field| &packet[field]).filter(|value| !value.is_empty()).collect();
        assert_eq!(told, fields, "{frame:?}");
        assert_eq!(packet.flags(), [], "{frame:?}");
    }
}

#[test]
fn frames_are_whole_however_they_are_cut() {
    let Some(tshark) = Tshark::find() else { return };
    let frames: Vec<_> = conversation().into_iter().filter(|(side, ..)| *side == Side::Caller).collect();
    let stream: Vec<u8> = frames.iter().flat_map(|(_, frame, ..)| encode(frame)).collect();
    let infos: Vec<_> = frames.iter().map(|(_, _, info, _)| *info).collect();
    for size in [1, 3, 4, 5, 29, stream.len()] {
        let (mut capture, mut talk) = begun();
        for piece in stream.chunks(size) {
            talk.say(&mut capture, Side::Caller, piece);
        }
        let packets = tshark.read_as(&capture, &[], AS_PMI2);
        let told = packets.iter().filter(|packet| &packet["_ws.col.Protocol"] == "PMI").map(Packet::info);
        assert_eq!(told.collect::<Vec<_>>().join("; "), infos.join("; "), "{size} bytes at a time");
        assert!(packets.iter().all(|packet| packet.flags().is_empty()), "{size} bytes at a time");
    }
}

#[test]
fn what_is_not_understood_is_flagged_as_the_codec_takes_it() {
    let Some(tshark) = Tshark::find() else { return };
    let (mut capture, mut talk) = begun();
    let upper: [&[u8]; 6] = [
        b"Q\0\0\0",
        b"M\0\0\x0f0123456789abcde",
        b"M\0\0\x110123456789abcdef\xff",
        b"N\0\0\0",
        b"N\0\0\x08nick=u1\0",
        b"E\0\0\x01\xff",
    ];
    let lower: [&[u8]; 5] = [
        b"q\0\0\x02hi",
        b"r\0\0\0",
        b"r\0\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08read",
        b"t\0\0\x012",
        b"p\0\0\x01x",
    ];
    let unreadable: [&[u8]; 2] = [b"M\0\x3e\x81", b"\x16\x03\x01"];
    let flags = [
        (&upper[..], "warning", "its letter is upper case"),
        (&lower, "note", "its letter is lower case"),
        (&unreadable, "error", "No frame begins like this"),
    ];
    for bytes in flags.iter().flat_map(|(samples, ..)| *samples) {
        talk.say(&mut capture, Side::Caller, bytes);
    }
    let packets = tshark.read_as(&capture, &[], AS_PMI2);
    let expected =
        flags.iter().flat_map(|(samples, how, why)| samples.iter().map(move |bytes| (bytes, how, why)));
    for (packet, (bytes, how, why)) in packets[3..].iter().zip(expected) {
        let flags = packet.flags();
        assert!(
            matches!(&flags[..], [(severity, message)] if severity == how && message.contains(why)),
            "{}: {flags:?}",
            bytes.escape_ascii()
        );
    }
}

/// Each frame with its side, the list of packets, and its fields but for empty ones.
fn conversation() -> [(Side, Frame, &'static str, Vec<&'static str>); 9] {
    let id = MessageId::new(0x0102_0304_0506_0708);
    let greeting = |name| Greeting::new(Nickname::new(name).expect("a nickname"));
    let more = greeting("Laura").with_address("laura@bb.com").and_then(|it| it.with_abilities("receipts"));
    let message = |text| Message::new(id, 1_764_550_800_123, text).expect("it is short").into();
    let receipt = |kind| Receipt { id, kind }.into();
    let failure = Failure::new("kind", "Q is unknown here").expect("it is short");
    let (caller, callee) = (Side::Caller, Side::Callee);
    [
        (
            caller,
            more.expect("they are short").into(),
            "Laura calls",
            vec!["N", "41", "Laura", "laura@bb.com", "receipts"],
        ),
        (callee, greeting("Joya").into(), "Joya takes the call", vec!["N", "9", "Joya"]),
        (
            caller,
            message("Hola!\nQue tal?"),
            "Laura says: Hola!\\x0aQue tal?",
            vec!["M", "30", "Hola!\\x0aQue tal?", "0102030405060708", "Dec  1, 2025 01:00:00.123000000 UTC"],
        ),
        (
            callee,
            receipt(ReceiptKind::Stored),
            "Joya has stored message 0102030405060708",
            vec!["r", "14", "0102030405060708", "stored"],
        ),
        (caller, Frame::Typing(true), "Laura types", vec!["t", "1", "1"]),
        (caller, Frame::Typing(false), "Laura types no more", vec!["t", "1", "0"]),
        (callee, Frame::Ping, "Joya is there", vec!["p", "0"]),
        (
            caller,
            // No clock shows this time.
            Message::new(id, u64::MAX, "").expect("it is short").into(),
            "Laura says: ",
            vec!["M", "16", "0102030405060708"],
        ),
        (
            callee,
            Frame::Failure(failure),
            "Joya ends, because: kind Q is unknown here",
            vec!["E", "22", "kind Q is unknown here"],
        ),
    ]
}

fn begun() -> (Capture, Connection) {
    let mut capture = Capture::new();
    let talk = Connection::open(&mut capture, "10.0.0.1:50000", "10.0.0.9:8080");
    (capture, talk)
}

fn encode(frame: &Frame) -> BytesMut {
    let mut wire = BytesMut::new();
    FrameCodec::new().encode(frame, &mut wire).expect("never an error");
    wire
}

const FIELDS: &[&str] = &[
    "pmi.type",
    "pmi.length",
    "pmi.nickname",
    "pmi.line",
    "pmi.address",
    "pmi.can",
    "pmi.id",
    "pmi.sent_at",
    "pmi.receipt",
    "pmi.typing",
    "pmi.reason",
];

/// The port of the connection.
const AS_PMI2: &[&str] = &["-d", "tcp.port==8080,pmi2"];
