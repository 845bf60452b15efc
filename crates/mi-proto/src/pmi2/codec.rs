//! The codec between the frames of `pmi/2` and a stream of bytes.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::frame::{Frame, GREETING, HEADER, MAX_PAYLOAD, Received};

/// The codec of one connection that speaks `pmi/2`, in both directions.
///
/// A stream gives the same items however it is cut. An incomplete frame waits for the rest: less than
/// [`HEADER`] + [`MAX_PAYLOAD`] bytes. The room reserved for the next read does not depend on the length that
/// a peer announced. A frame that cannot be understood is an [`Item`](super::Item), and the stream goes on
/// behind it; a header that no frame has is an error.
#[derive(Clone, Debug, Default)]
pub struct FrameCodec {
    past_greeting: bool,
}

impl FrameCodec {
    /// Creates a codec for a connection on which nothing has been received.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks as much of a header as has come. Returns the length of the frame once it is known.
    fn frame_length(&self, buffer: &[u8]) -> Result<Option<usize>, FrameError> {
        let Some(&kind) = buffer.first() else { return Ok(None) };
        if !self.past_greeting && kind != GREETING {
            return Err(FrameError::NoGreeting { seen: seen(buffer) });
        }
        if !kind.is_ascii_alphabetic() {
            return Err(FrameError::IllegalHeader { seen: seen(buffer) });
        }
        let [_, high, middle, low, ..] = *buffer else { return Ok(None) };
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        if length > MAX_PAYLOAD {
            return Err(FrameError::IllegalHeader { seen: seen(buffer) });
        }
        Ok(Some(HEADER + length))
    }
}

impl Encoder<&Frame> for FrameCodec {
    type Error = FrameError;

    /// Appends `frame`; never an error.
    fn encode(&mut self, frame: &Frame, wire: &mut BytesMut) -> Result<(), FrameError> {
        frame.with_parts(|kind, head, tail| {
            let length = u32::try_from(head.len() + tail.len()).expect("the length was checked");
            let [_, length @ ..] = length.to_be_bytes();
            wire.reserve(HEADER + head.len() + tail.len());
            wire.put_u8(kind);
            wire.put_slice(&length);
            wire.put_slice(head);
            wire.put_slice(tail);
        });
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

    /// Takes the next frame out of `buffer`. Returns `None` if there is at most the beginning of one.
    ///
    /// # Errors
    /// [`FrameError::NoGreeting`] and [`FrameError::IllegalHeader`]. The end of that frame is not known, so
    /// the stream cannot go on: every further call returns the error again.
    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Received>, FrameError> {
        match self.frame_length(buffer)? {
            Some(length) if length <= buffer.len() => {
                self.past_greeting = true;
                Ok(Some(Received::take(buffer, length)))
            }
            _ => {
                buffer.reserve(READ);
                Ok(None)
            }
        }
    }

    /// Takes the next frame at the end of the stream.
    ///
    /// # Errors
    /// The errors of [`FrameCodec::decode`], and [`FrameError::CutShort`].
    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Received>, FrameError> {
        match self.decode(buffer)? {
            None if !buffer.is_empty() => Err(FrameError::CutShort { length: buffer.len() }),
            item => Ok(item),
        }
    }
}

fn seen(buffer: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&buffer[..buffer.len().min(MAX_SEEN)])
}

/// The reason why a conversation in `pmi/2` cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The first frame is no `N`.
    #[error("the peer does not greet, it began with \"{}\"", seen.escape_ascii())]
    NoGreeting {
        /// The first bytes received, at most 16.
        seen: Bytes,
    },
    /// No frame has this header: the kind is no letter, or the length is more than [`MAX_PAYLOAD`].
    #[error("no frame begins with \"{}\"", seen.escape_ascii())]
    IllegalHeader {
        /// The bytes from the header on, at most 16.
        seen: Bytes,
    },
    /// The stream ended within a frame.
    #[error("the connection ended within a frame, after {length} of its bytes")]
    CutShort {
        /// The number of bytes that have come, with the header.
        length: usize,
    },
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<FrameError> for io::Error {
    /// The error of the connection itself, or `InvalidData` for bytes that are not `pmi/2`.
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(error) => error,
            error => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}

/// The room for the next read in bytes.
const READ: usize = 8 * 1024;

/// Enough bytes to recognize another protocol, and few enough for one line of a log.
const MAX_SEEN: usize = 16;
