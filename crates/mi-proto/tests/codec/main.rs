//! The codec against the bytes of captures, and against what is no frame.

mod streams;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use mi_proto::{
    Frame, FrameCodec, FrameError, Line, MAX_FRAME, MAX_UNFRAMED, Nickname, Received, ReceivedKind,
};
use tokio::io::AsyncWriteExt;
use tokio_util::codec::{Decoder, Encoder, FramedRead};

/// A received item, without its header.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Nickname(Bytes),
    Line(Bytes),
    Unframed(Bytes),
}

impl Item {
    fn bytes(&self) -> &Bytes {
        let (Self::Nickname(bytes) | Self::Line(bytes) | Self::Unframed(bytes)) = self;
        bytes
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

impl From<Received> for Item {
    fn from(item: Received) -> Self {
        let text = Bytes::copy_from_slice(item.bytes());
        match item.kind() {
            ReceivedKind::Nickname => Self::Nickname(text),
            ReceivedKind::Line => Self::Line(text),
            _ => Self::Unframed(text),
        }
    }
}

/// A connection as tokio-util drives it: each read is decoded until there is nothing more in it.
#[derive(Default)]
struct Connection {
    codec: FrameCodec,
    buffer: BytesMut,
}

impl Connection {
    /// One on which the peer's nickname has come.
    fn past_nickname() -> Self {
        let mut connection = Self::default();
        assert_eq!(connection.read(b"N02u2"), [nickname("u2")]);
        connection
    }

    fn read(&mut self, bytes: &[u8]) -> Vec<Item> {
        self.try_read(bytes).expect("the peer speaks PMI")
    }

    fn try_read(&mut self, bytes: &[u8]) -> Result<Vec<Item>, FrameError> {
        self.buffer.extend_from_slice(bytes);
        let mut items = Vec::new();
        loop {
            let held = self.buffer.clone();
            let before = held.len();
            let item = self.codec.decode(&mut self.buffer)?;
            let after = self.buffer.len();
            let Some(item) = item else {
                assert!(after == before && after < MAX_FRAME, "of {before} bytes, {after} are held");
                return Ok(items);
            };
            assert!(after < before, "an item of none of {before} bytes: {item:?}");
            assert_eq!(item.raw()[..], held[..before - after], "the bytes as they came");
            items.push(item.into());
        }
    }

    fn end(&mut self) -> Result<Option<Item>, FrameError> {
        let item = self.codec.decode_eof(&mut self.buffer)?;
        assert!(self.buffer.is_empty());
        Ok(item.map(Item::from))
    }
}

fn nickname(text: &str) -> Item {
    Item::Nickname(text.to_owned().into())
}

fn line(text: &str) -> Item {
    Item::Line(text.to_owned().into())
}

fn unframed(text: &str) -> Item {
    Item::Unframed(text.to_owned().into())
}

fn encode(frames: &[Frame]) -> BytesMut {
    let mut wire = BytesMut::new();
    for frame in frames {
        FrameCodec::new().encode(frame, &mut wire).expect("never an error");
    }
    wire
}

/// Returns the bytes that a deployed program sends for `text`, of 100 to 999 bytes.
fn long_line(text: &str) -> String {
    format!("L{}{}", text.len(), &text[..text.len() - 1])
}

#[test]
fn captured_frames_are_written_and_read() {
    let frames = [
        (Frame::Nickname(Nickname::new("u1").unwrap()), "N02u1", nickname("u1")),
        (Frame::Line(Line::new("Hola u2!").unwrap()), "L08Hola u2!", line("Hola u2!")),
        (Frame::Line(Line::new("Hola! Que tal?").unwrap()), "L14Hola! Que tal?", line("Hola! Que tal?")),
        (
            Frame::Line(Line::new("Be, haig de marxar, adeu").unwrap()),
            "L24Be, haig de marxar, adeu",
            line("Be, haig de marxar, adeu"),
        ),
    ];
    let mut connection = Connection::default();
    for (frame, wire, received) in frames {
        assert_eq!(encode(&[frame]), wire);
        assert_eq!(connection.read(wire.as_bytes()), [received]);
    }
    assert_eq!(connection.end().unwrap(), None);
}

#[test]
fn an_empty_line_is_a_frame() {
    assert_eq!(encode(&[Frame::Line(Line::new("").unwrap())]), "L00");
    assert_eq!(Connection::past_nickname().read(b"L00L00N00"), [line(""), line(""), nickname("")]);
}

#[test]
fn bytes_that_are_not_utf_8_are_shown_as_best_they_can_be() {
    let mut wire = BytesMut::from(&b"L04a\xffb\xc3"[..]);
    let item = FrameCodec::new().decode(&mut wire).unwrap().unwrap();
    assert_eq!(item.text(), "a\u{fffd}b\u{fffd}");
    assert_eq!(item.clone().into_text(), item.text());
    assert_eq!((item.kind(), item.bytes()), (ReceivedKind::Line, &b"a\xffb\xc3"[..]));
}

#[test]
fn a_character_cut_by_a_peer_is_whole_again_in_its_bytes() {
    let items = Connection::past_nickname().read("L01çL01".as_bytes());
    // The peer counted characters: the frame ends within one, and what is left of it begins no frame.
    assert_eq!(items.iter().flat_map(|item| item.bytes().to_vec()).collect::<Vec<_>>(), "çL01".as_bytes());
}

/// They are cut between characters, and nothing in them is mistaken for a frame.
#[test]
fn much_text_without_a_frame_comes_in_pieces() {
    let text = "é€ L02hi".repeat(1_000);
    let mut connection = Connection::past_nickname();
    let items = connection.read(text.as_bytes());
    assert!(items.iter().all(|item| matches!(item, Item::Unframed(text) if text.len() <= MAX_UNFRAMED)));
    assert_eq!(items.iter().map(Item::text).collect::<String>(), text);
    assert_eq!(connection.read(b"L02hi"), [line("hi")]);
    // Bytes that are no characters at all.
    let items = connection.read(&[0xbf; 2 * MAX_UNFRAMED]);
    let lengths: Vec<_> = items.iter().map(|item| item.bytes().len()).collect();
    assert_eq!(lengths, [MAX_UNFRAMED; 2]);
}

#[test]
fn before_the_first_frame_an_illegal_header_is_an_error() {
    for bytes in ["X", "n02u1", "Nx", "N1x", "L+1a", "\0"] {
        let error = Connection::default().try_read(bytes.as_bytes()).unwrap_err();
        assert!(matches!(&error, FrameError::IllegalHeader { seen } if seen == bytes), "{error}");
    }
    let error = Connection::default().try_read(b"GET / HTTP/1.1\r\nHost: a\r\n").unwrap_err();
    assert_eq!(error.to_string(), r#"the peer does not speak PMI, it began with "GET / HTTP/1.1\r\n""#);
}

#[test]
fn after_the_first_frame_an_illegal_header_is_text_up_to_the_end_of_the_read() {
    let mut connection = Connection::past_nickname();
    assert_eq!(connection.read(b"L01aX12 and L05hello"), [line("a"), unframed("X12 and L05hello")]);
    assert_eq!(connection.read(b"L05hello"), [line("hello")]);
    assert_eq!(connection.read(b"L"), []);
    assert_eq!(connection.read(b"X"), [unframed("LX")]);
    assert_eq!(connection.read(b"L1"), []);
    assert_eq!(connection.read(b":"), [unframed("L1:")]);
    assert_eq!(connection.read(b"N02u2"), [nickname("u2")]);
}

#[test]
fn a_long_line_is_shown_and_the_next_read_is_in_step() {
    let text: String = ('a'..='y').cycle().take(150).collect();
    let wire = long_line(&text);
    assert_eq!(wire.len(), 153);
    let mut connection = Connection::past_nickname();
    assert_eq!(connection.read(wire.as_bytes()), [unframed(&text[..149])]);
    assert_eq!(connection.read(b"L08Hola u2!"), [line("Hola u2!")]);
}

#[test]
fn long_lines_of_every_length_and_their_neighbours_are_kept_apart() {
    for length in 100..=999 {
        let text = "x".repeat(length);
        let wire = format!("L02hi{}{}L03bye", long_line(&text), long_line(&text));
        let items = Connection::past_nickname().read(wire.as_bytes());
        let shown = unframed(&text[1..]);
        assert_eq!(items, [line("hi"), shown.clone(), shown, line("bye")]);
    }
}

#[test]
fn a_long_line_that_ends_elsewhere_is_shown_to_the_end_of_the_read() {
    let mut connection = Connection::past_nickname();
    assert_eq!(connection.read(b"L150short, but longer than 15"), [unframed("short, but longer than 15")]);
    let more = "y".repeat(200);
    assert_eq!(connection.read(format!("L150{more}").as_bytes()), [unframed(&more)]);
}

#[test]
fn a_line_that_begins_with_a_digit_is_no_long_line() {
    let apples = line("0 apples are re");
    let mut connection = Connection::past_nickname();
    assert_eq!(connection.read(b"L150 apples are re"), std::slice::from_ref(&apples));
    for next in ["L", "N", "L0", "L00", "L02hi", "L150 apples are re"] {
        let wire = format!("L150 apples are re{next}");
        assert_eq!(Connection::past_nickname().read(wire.as_bytes())[0], apples, "{wire}");
    }
    // Three digits, but a number that two digits can write.
    assert_eq!(connection.read(b"L0212!"), [line("12"), unframed("!")]);
}

#[test]
fn a_first_frame_is_never_a_long_line() {
    let items = Connection::default().read(b"L150 apples are red today");
    assert_eq!(items, [line("0 apples are re"), unframed("d today")]);
}

#[test]
fn the_text_of_a_frame_cut_by_the_end_of_the_stream_is_not_lost() {
    for (bytes, left) in
        [("", None), ("L", None), ("L2", None), ("L20", None), ("L20adeu", Some(unframed("adeu")))]
    {
        let mut connection = Connection::past_nickname();
        assert_eq!(connection.read(bytes.as_bytes()), []);
        assert_eq!(connection.end().unwrap(), left, "{bytes}");
        assert_eq!(connection.end().unwrap(), None);
    }
}

#[test]
fn a_stream_that_ends_within_its_first_frame_is_an_error() {
    for bytes in ["N", "N0", "N02", "N02u"] {
        let mut connection = Connection::default();
        assert_eq!(connection.read(bytes.as_bytes()), []);
        let error = connection.end().unwrap_err();
        assert!(matches!(&error, FrameError::CutShort { seen } if seen == bytes), "{error}");
    }
    assert_eq!(Connection::default().end().unwrap(), None, "nothing came, nothing is wrong");
}

#[tokio::test]
async fn tokio_util_reads_again_only_after_a_whole_read_is_decoded() {
    let (mut peer, ours) = tokio::io::duplex(4096);
    let mut frames = FramedRead::new(ours, FrameCodec::new());
    let mut next = async |bytes: &[u8]| {
        peer.write_all(bytes).await.unwrap();
        Item::from(frames.next().await.unwrap().unwrap())
    };
    assert_eq!(next(b"N02u2").await, nickname("u2"));
    assert_eq!(next(b"no frame, L02no").await, unframed("no frame, L02no"));
    assert_eq!(next(b"L02hi").await, line("hi"));
    peer.write_all(b"L20ad").await.unwrap();
    drop(peer);
    assert_eq!(Item::from(frames.next().await.unwrap().unwrap()), unframed("ad"));
    assert!(frames.next().await.is_none());
}
