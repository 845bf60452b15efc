//! The codec between frames and a stream of bytes.

use std::io;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::frame::{Frame, HEADER, Header, LINE, NICKNAME, Received, ReceivedKind, digit};
use crate::text::MAX_TEXT;

/// The codec of one connection, in both directions.
///
/// A frame is encoded as one contiguous piece. Deployed programs read one segment as one frame, so the writer
/// must flush after each frame (protocol.md §7 rows 10 and 11).
///
/// Up to 101 bytes of an incomplete frame wait for the rest. Anything else in the buffer is returned at
/// once. The room reserved for the next read does not depend on the length that a peer announced.
///
/// # Bytes that are not a frame
/// Bytes before the first frame are an error: the peer does not speak PMI. Bytes after it are text that
/// somebody typed. They become [`ReceivedKind::Unframed`], without an error, as far as they have come.
/// Decoding is in step again with the next read. There are two kinds:
///
/// - *An illegal header*: everything in the buffer is text.
/// - *A long line* (protocol.md §7 row 13): a deployed program sends a line of *n* ≥ 100 characters as `L`,
///   *n* in three digits and *n* − 1 bytes of the line. A legal frame with a text that begins with a digit
///   looks the same: `L15` and `0 apples are re`. The legal reading therefore comes first: it applies while
///   such a frame is incomplete, and when the frame ends with the buffer or where another header begins.
///   Otherwise the text after the four bytes is text, up to the length announced if a header begins there, or
///   to the end of the buffer.
///
/// Such text is one item, or several of at most [`MAX_UNFRAMED`] bytes each, cut between characters.
///
/// A legal stream therefore gives the same frames however it is cut, and a long line is recognized if it
/// comes in one read, as it is sent. A long line that the network cut may show its third digit, or a piece of
/// its text as a separate line, but no text is lost.
#[derive(Clone, Debug, Default)]
pub struct FrameCodec {
    past_first_frame: bool,
    /// The bytes at the beginning of the buffer that are the rest of a text without a frame.
    unframed: usize,
}

impl FrameCodec {
    /// Creates a codec for a connection on which nothing has been received.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece of a text without a frame, and the header of so many bytes before it.
    fn unframed(&mut self, buffer: &mut BytesMut, header: usize) -> Received {
        let length = piece_length(&buffer[header..header + self.unframed]);
        self.unframed -= length;
        Received::take(ReceivedKind::Unframed, buffer, header..header + length)
    }
}

impl Encoder<&Frame> for FrameCodec {
    type Error = FrameError;

    /// Appends `frame`; never an error.
    fn encode(&mut self, frame: &Frame, wire: &mut BytesMut) -> Result<(), FrameError> {
        let (kind, text) = match frame {
            Frame::Nickname(nickname) => (NICKNAME, nickname.as_str()),
            Frame::Line(line) => (LINE, line.as_str()),
        };
        let length = u8::try_from(text.len()).expect("the length was checked");
        wire.reserve(HEADER + text.len());
        wire.put_slice(&[kind, b'0' + length / 10, b'0' + length % 10]);
        wire.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Encoder<Frame> for FrameCodec {
    type Error = FrameError;

    /// Appends `frame`; never an error.
    fn encode(&mut self, frame: Frame, wire: &mut BytesMut) -> Result<(), FrameError> {
        self.encode(&frame, wire)
    }
}

impl Decoder for FrameCodec {
    type Item = Received;
    type Error = FrameError;

    /// Takes the next item out of `buffer`. Returns `None` if there is at most the beginning of a frame.
    ///
    /// # Errors
    /// [`FrameError::IllegalHeader`], only before the first frame.
    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Received>, FrameError> {
        if self.unframed > 0 {
            return Ok(Some(self.unframed(buffer, 0)));
        }
        match Header::read(buffer) {
            Header::Begun => Ok(wait(buffer)),
            Header::Illegal if !self.past_first_frame => {
                Err(FrameError::IllegalHeader { seen: seen(buffer) })
            }
            Header::Illegal => {
                self.unframed = buffer.len();
                Ok(Some(self.unframed(buffer, 0)))
            }
            Header::Whole { length, .. } if buffer.len() < HEADER + length => Ok(wait(buffer)),
            Header::Whole { kind, length } => {
                if self.past_first_frame
                    && let Some(text) = long_line(buffer, length)
                {
                    self.unframed = text.len();
                    return Ok(Some(self.unframed(buffer, text.start)));
                }
                self.past_first_frame = true;
                let kind = if kind == NICKNAME { ReceivedKind::Nickname } else { ReceivedKind::Line };
                Ok(Some(Received::take(kind, buffer, HEADER..HEADER + length)))
            }
        }
    }

    /// Takes the next item at the end of the stream. The text of an incomplete frame is
    /// [`ReceivedKind::Unframed`], so that no typed text is lost. A header without text gives nothing.
    ///
    /// # Errors
    /// The errors of [`FrameCodec::decode`], and [`FrameError::CutShort`], only before the first frame.
    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Received>, FrameError> {
        if let Some(item) = self.decode(buffer)? {
            return Ok(Some(item));
        }
        if !self.past_first_frame && !buffer.is_empty() {
            return Err(FrameError::CutShort { seen: seen(buffer) });
        }
        let text = HEADER.min(buffer.len())..buffer.len();
        let rest = Received::take(ReceivedKind::Unframed, buffer, text);
        Ok(Some(rest).filter(|rest| !rest.bytes().is_empty()))
    }
}

/// Returns nothing yet, and makes room for the next read. A read is limited by the room in the buffer, so a
/// nearly full buffer would cut a long line in two that the peer sent whole.
fn wait(buffer: &mut BytesMut) -> Option<Received> {
    buffer.reserve(READ);
    None
}

/// Returns the place of the text if `buffer` begins with a long line instead of a frame.
///
/// The frame that it would otherwise hold has `length` bytes of text.
fn long_line(buffer: &[u8], length: usize) -> Option<Range<usize>> {
    let [LINE, _, _, third @ b'0'..=b'9', ..] = *buffer else { return None };
    let announced = length * 10 + digit(third);
    if announced <= MAX_TEXT || may_begin(&buffer[HEADER + length..]) {
        return None;
    }
    // Its sender allows for a header of three bytes, so the last byte of the line is not sent.
    let end = HEADER + announced;
    let next_begins_there = buffer.get(end..).is_some_and(may_begin);
    Some(HEADER + 1..if next_begins_there { end } else { buffer.len() })
}

/// Returns the length of the first piece of `text`, which ends between characters if it is UTF-8.
fn piece_length(text: &[u8]) -> usize {
    if text.len() <= MAX_UNFRAMED {
        return text.len();
    }
    // A character has at most four bytes.
    let mut ends = (MAX_UNFRAMED - 3..=MAX_UNFRAMED).rev();
    let is_inside_a_character = |at: &usize| text[*at] & 0xc0 == 0x80;
    ends.find(|at| !is_inside_a_character(at)).unwrap_or(MAX_UNFRAMED)
}

/// Returns whether a frame may begin with `bytes`, which may be empty.
fn may_begin(bytes: &[u8]) -> bool {
    Header::read(bytes) != Header::Illegal
}

fn seen(buffer: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&buffer[..buffer.len().min(MAX_SEEN)])
}

/// The reason why a conversation cannot go on. After the first frame, only IO fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The first bytes do not begin a frame: the peer does not speak PMI.
    #[error("the peer does not speak PMI, it began with \"{}\"", seen.escape_ascii())]
    IllegalHeader {
        /// The first bytes received, at most 16.
        seen: Bytes,
    },
    /// The stream ended within its first frame.
    #[error("the connection ended within its first frame, after \"{}\"", seen.escape_ascii())]
    CutShort {
        /// The first bytes received, at most 16.
        seen: Bytes,
    },
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<FrameError> for io::Error {
    /// The error of the connection itself, or `InvalidData` for bytes that are not PMI.
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(error) => error,
            error => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}

/// The most bytes of one item of text without a frame: more than the longest line that a deployed program
/// sends so, of 999 bytes, and little for a program that keeps many items.
pub const MAX_UNFRAMED: usize = 1024;

/// The room for the next read in bytes: several times the longest line that a person types.
const READ: usize = 8 * 1024;

/// Enough bytes to recognize another protocol, and few enough for one line of a log.
const MAX_SEEN: usize = 16;
