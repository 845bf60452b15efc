//! Conversations: frames in whatever pieces TCP brings them, and what is no frame.

use bytes::BytesMut;
use fastrand::Rng;
use mi_proto::{Frame, FrameCodec, Line, MAX_UNFRAMED, Nickname, ReceivedKind};
use tokio_util::codec::{Decoder, Encoder};

use crate::capture::{Capture, Connection, Side};
use crate::tshark::{Packet, Tshark};
use crate::{LAURA, NODE};

const CALLER: &str = "10.0.0.1:50000";
const CALLEE: &str = "10.0.0.9:8080";

/// Wireshark assigns the port to another protocol, until an RL0 shows its use.
const FOUND: &[u8] = b"RL0laura@bb.com:joya@bb.com:10.0.0.9:8080";

#[test]
fn frames_of_the_codec_are_fields() {
    let Some(tshark) = Tshark::find() else { return };
    let (mut capture, mut talk) = announced();
    let long = "ñ".repeat(49);
    let frames = [
        (Frame::from(nickname("Laura")), "Laura calls", ["N", "5", "Laura", "", "Laura"]),
        (line("").into(), "Laura says: ", ["L", "0", "", "", "Laura"]),
        (
            line("hola, què tal?").into(),
            "Laura says: hola, què tal?",
            ["L", "15", "", "hola, què tal?", "Laura"],
        ),
        (line(&long).into(), &format!("Laura says: {long}"), ["L", "98", "", &long, "Laura"]),
    ];
    let first = talk.say(&mut capture, Side::Caller, &encode(&frames[0].0));
    for (frame, ..) in &frames[1..] {
        talk.say(&mut capture, Side::Caller, &encode(frame));
    }
    let fields = ["pmi.type", "pmi.length", "pmi.nickname", "pmi.line", "pmi.speaker"];
    let packets = tshark.read(&capture, &fields);
    for (packet, (_, info, values)) in packets[first as usize - 1..].iter().zip(&frames) {
        assert_eq!(packet.info(), *info);
        assert_eq!(fields.map(|field| &packet[field]), *values);
        assert_eq!(packet.flags(), []);
    }
}

/// The same stream, a byte at a time and all at once.
#[test]
fn frames_are_whole_however_they_are_cut() {
    let Some(tshark) = Tshark::find() else { return };
    let stream: BytesMut = [nickname("Laura").into(), line("hola").into(), line("12 adeu").into()]
        .iter()
        .flat_map(|frame: &Frame| encode(frame))
        .collect();
    for size in [1, 2, 3, 4, 5, 7, 10, 11, 16, stream.len()] {
        let (mut capture, mut talk) = announced();
        for piece in stream.chunks(size) {
            talk.say(&mut capture, Side::Caller, piece);
        }
        talk.finish(&mut capture, Side::Caller);
        let packets = tshark.read(&capture, &["pmi.nickname", "pmi.line", "pmi.split", "pmi.coalesced"]);
        assert_eq!(joined(&packets, "pmi.nickname"), "Laura", "{size} bytes at a time");
        assert_eq!(joined(&packets, "pmi.line"), "hola|12 adeu", "{size} bytes at a time");
        let told: Vec<_> = packets.iter().filter(|packet| &packet["_ws.col.Protocol"] == "PMI").collect();
        let told: Vec<_> = told.iter().map(|packet| packet.info()).collect();
        assert_eq!(
            told.join("; "),
            "Laura calls; Laura says: hola; Laura says: 12 adeu; Laura ends the conversation",
            "{size} bytes at a time"
        );
        assert_eq!(joined(&packets, "pmi.split").is_empty(), size == stream.len(), "{size} bytes at a time");
        assert!(size != stream.len() || !joined(&packets, "pmi.coalesced").is_empty());
        assert!(
            packets.iter().flat_map(Packet::flags).all(|(severity, _)| severity == "note"),
            "{size} bytes at a time"
        );
    }
}

/// It begins with the first packet that says so, whatever was there before and whenever one looks.
#[test]
fn what_nothing_announced_is_recognised_in_pieces_and_from_there_on() {
    let Some(tshark) = Tshark::find() else { return };
    let mut capture = Capture::new();
    let mut talk = Connection::open(&mut capture, CALLER, "10.0.0.9:4456");
    talk.say(&mut capture, Side::Callee, b"N00");
    for piece in [&b"N05La"[..], b"ura", b"L02hi"] {
        talk.say(&mut capture, Side::Caller, piece);
    }
    talk.say(&mut capture, Side::Callee, b"N04Joya");
    let packets = tshark.read(&capture, &["pmi.nickname"]);
    let told = packets.iter().filter(|packet| &packet["_ws.col.Protocol"] == "PMI");
    let told: Vec<_> = told.map(Packet::info).collect();
    assert_eq!(told, ["Laura calls", "Laura says: hi", "Joya takes the call"]);
}

#[test]
fn a_port_is_pmi_where_it_was_announced_and_nowhere_else() {
    let Some(tshark) = Tshark::find() else { return };
    let (mut capture, mut talk) = announced();
    let frame = talk.say(&mut capture, Side::Caller, b"N05Laura");
    let mut web = Connection::open(&mut capture, "10.0.0.1:50001", "10.0.0.8:8080");
    let request = web.say(&mut capture, Side::Caller, b"GET / HTTP/1.1\r\n\r\n");
    let packets = tshark.read(&capture, &["pmi.announced_in"]);
    let protocol = |number: u32| &packets[number as usize - 1]["_ws.col.Protocol"];
    assert_eq!([protocol(frame), protocol(request)], ["PMI", "HTTP"]);
    assert_eq!(&packets[frame as usize - 1]["pmi.announced_in"], "2");
}

#[test]
fn an_agent_that_does_not_know_its_address_is_found_by_where_it_sends_from() {
    let Some(tshark) = Tshark::find() else { return };
    let mut capture = Capture::new();
    capture.udp("10.0.0.9:7000", NODE, b"RL0laura@bb.com:joya@bb.com:0.0.0.0:8080");
    let mut talk = Connection::open(&mut capture, CALLER, CALLEE);
    let frame = talk.say(&mut capture, Side::Caller, b"N05Laura");
    let packets = tshark.read(&capture, &["pmi.announced_in"]);
    assert_eq!(&packets[frame as usize - 1]["pmi.announced_in"], "1");
}

/// It goes by the first segment if there is no RL0.
#[test]
fn a_conversation_is_recognised_and_nothing_else_is_taken_for_one() {
    let Some(tshark) = Tshark::find() else { return };
    let mut capture = Capture::new();
    let mut expected = Vec::new();
    for (port, first, is_pmi) in [
        (40001, &b"N05Laura"[..], true),
        (40002, b"N05LauraL04hola", true),
        (40003, b"L04hola", false),
        (40004, b"N00", false),
        (40005, b"N05Laura hello", false),
        (40006, b"N05La\nra", false),
        (40007, b"HELO", false),
        (40008, b"N", false),
    ] {
        let mut talk = Connection::open(&mut capture, CALLER, &format!("10.0.0.9:{port}"));
        expected.push((talk.say(&mut capture, Side::Caller, first), first, is_pmi));
    }
    let packets = tshark.read(&capture, &[]);
    for (number, first, is_pmi) in expected {
        let protocol = &packets[number as usize - 1]["_ws.col.Protocol"];
        assert_eq!(protocol == "PMI", is_pmi, "{} is {protocol}", first.escape_ascii());
    }
}

/// The lines, the flags and their number, after both have said their nicknames.
#[test]
fn what_is_no_frame_is_shown_and_explained() {
    let Some(tshark) = Tshark::find() else { return };
    let long_line = format!("L150{}", "x".repeat(149));
    let x = format!("Laura says: {}", "x".repeat(149));
    let long_and_more = format!("{long_line}L02hi");
    let x_and_more = format!("{x}; Laura says: hi");
    let cases = [
        (&b"L04hola"[..], "Laura says: hola", None),
        (long_line.as_bytes(), &x, Some(("note", "A line of 100 characters or more"))),
        (long_and_more.as_bytes(), &x_and_more, Some(("note", "A line of 100 characters or more"))),
        (b"L150 apples are re", "Laura says: 0 apples are re", None),
        (b"X12 and L05hello", "Laura says: X12 and L05hello", Some(("warning", "No frame begins like this"))),
        (b"L04\x1bcab", r"Laura says: \x1bcab", None),
        (b"L03a\nb", r"Laura says: a\x0ab", Some(("warning", "NUL and line ends"))),
        (b"L03a\xffb", r"Laura says: a\xffb", Some(("note", "Bytes that are not UTF-8"))),
        ("L04a\u{202e}".as_bytes(), r"Laura says: a\u{202e}", None),
        (b"N03Eva", "Eva is the new nickname of caller", Some(("warning", "A nickname is sent once"))),
        (b"L02hi", "Eva says: hi", None),
    ];
    let (mut capture, mut talk) = announced();
    talk.say(&mut capture, Side::Caller, b"N05Laura");
    let first = talk.say(&mut capture, Side::Callee, b"N04Joya") + 1;
    for (bytes, ..) in cases {
        talk.say(&mut capture, Side::Caller, bytes);
    }
    let packets = tshark.read(&capture, &[]);
    for (packet, (bytes, info, flag)) in packets[first as usize - 1..].iter().zip(cases) {
        let shown = bytes.escape_ascii();
        assert_eq!(packet.info(), info, "{shown}");
        let flags = packet.flags();
        let first =
            flags.first().map(|&(severity, text)| (severity, &text[..flag.map_or(0, |flag| flag.1.len())]));
        assert_eq!(first, flag, "{shown}");
    }
}

/// Segments of frames, long lines and rubbish: Wireshark makes of each what the codec makes of it in one
/// read.
#[test]
fn segments_are_read_as_the_codec_reads_them() {
    let Some(tshark) = Tshark::find() else { return };
    let mut random = Rng::with_seed(1);
    let (mut capture, mut talk) = announced();
    talk.say(&mut capture, Side::Caller, b"N05Laura");
    let mut expected = Vec::new();
    while expected.len() < 1000 {
        let segment: String = (0..random.u32(1..4)).map(|_| piece(&mut random)).collect();
        let mut codec = FrameCodec::new();
        let mut wire = BytesMut::from("N05Laura");
        wire.extend_from_slice(segment.as_bytes());
        assert_eq!(codec.decode(&mut wire).unwrap().unwrap().text(), "Laura");
        let mut items: [Vec<String>; 3] = [const { Vec::new() }; 3];
        while let Some(item) = codec.decode(&mut wire).unwrap() {
            let kind = match item.kind() {
                ReceivedKind::Nickname => 0,
                ReceivedKind::Line => 1,
                _ => 2,
            };
            match items[kind].last_mut() {
                // The codec cuts text without a frame, and Wireshark does not.
                Some(text) if kind == 2 && text.len() % MAX_UNFRAMED == 0 => *text += &item.into_text(),
                _ => items[kind].push(item.into_text()),
            }
        }
        // Wireshark would wait for the rest of one that ends within a frame.
        if wire.is_empty() {
            let number = talk.say(&mut capture, Side::Caller, segment.as_bytes());
            expected.push((number, segment, items.map(|items| items.join("|"))));
        }
    }
    assert!(expected.iter().filter(|(.., items)| !items[2].is_empty()).count() > 300);
    let fields = ["pmi.nickname", "pmi.line", "pmi.unframed"];
    let packets = tshark.read(&capture, &fields);
    for (number, segment, items) in expected {
        assert_eq!(fields.map(|field| &packets[number as usize - 1][field]), items, "{segment}");
    }
}

/// A frame with a line, a long line as a deployed program sends it, or neither.
fn piece(random: &mut Rng) -> String {
    let length = random.usize(0..100);
    // Half of the texts look like headers themselves, or make their frame look like a long line.
    let alphabet = if random.bool() { "0123456789LN" } else { "abc L" };
    let mut text = |length| -> String {
        (0..length).filter_map(|_| random.choice(alphabet.bytes()).map(char::from)).collect()
    };
    match length % 4 {
        0 => {
            let text = text(length * 8 + 100);
            format!("L{}{}", text.len(), &text[1..])
        }
        1 => format!("X{}", text(length)),
        _ => format!("L{length:02}{}", text(length)),
    }
}

#[test]
fn a_beginning_that_is_none_is_an_error_and_an_odd_one_is_not() {
    let Some(tshark) = Tshark::find() else { return };
    for (bytes, info, flag) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], r"not PMI: GET / HTTP/1.1\x0d\x0a", "error"),
        (b"N00", "the caller calls", "warning"),
        (b"L04hola", "the caller says: hola", "warning"),
    ] {
        let (mut capture, mut talk) = announced();
        let number = talk.say(&mut capture, Side::Caller, bytes);
        let packets = tshark.read(&capture, &["pmi.malformed"]);
        let packet = &packets[number as usize - 1];
        assert_eq!(packet.info(), info);
        assert!(packet.flags().iter().any(|&(severity, _)| severity == flag), "{:?}", packet.flags());
        assert_eq!(packet["pmi.malformed"].is_empty(), flag != "error");
    }
}

#[test]
fn a_reset_is_a_loss_and_not_an_end() {
    let Some(tshark) = Tshark::find() else { return };
    let (mut capture, mut talk) = announced();
    talk.say(&mut capture, Side::Caller, b"N05Laura");
    let number = talk.reset(&mut capture, Side::Caller);
    let packets = tshark.read(&capture, &["pmi.reset"]);
    let packet = &packets[number as usize - 1];
    assert_eq!(packet.info(), "Laura resets the connection: the conversation is lost");
    assert!(!packet["pmi.reset"].is_empty());
}

/// A capture in which Laura is told where Joya is, and connects.
fn announced() -> (Capture, Connection) {
    let mut capture = Capture::new();
    capture.udp(LAURA, NODE, b"PLlaura@bb.com:joya@bb.com");
    capture.udp(NODE, LAURA, FOUND);
    let talk = Connection::open(&mut capture, CALLER, CALLEE);
    (capture, talk)
}

fn joined(packets: &[Packet], field: &str) -> String {
    let values = packets.iter().map(|packet| &packet[field]).filter(|value| !value.is_empty());
    values.collect::<Vec<_>>().join("|")
}

fn nickname(text: &str) -> Nickname {
    text.parse().expect("a nickname")
}

fn line(text: &str) -> Line {
    text.parse().expect("a line")
}

fn encode(frame: &Frame) -> BytesMut {
    let mut wire = BytesMut::new();
    FrameCodec::new().encode(frame, &mut wire).expect("never an error");
    wire
}
