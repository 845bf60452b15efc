//! The codec of a connection, with a tap that sees all frames.

use std::net::SocketAddr;

use message_log::Direction;
use mi_proto::{Frame, FrameCodec, FrameError, Received};
use tokio_util::bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

use crate::traffic::TrafficTap;

/// A [`FrameCodec`] that reports each frame to a tap, if there is one.
#[derive(Clone, Debug)]
pub(crate) struct TappedCodec {
    frames: FrameCodec,
    tap: Option<TrafficTap>,
    remote: SocketAddr,
}

impl TappedCodec {
    /// Creates the codec for the connection with `remote`, on which nothing has been received.
    pub(crate) fn new(remote: SocketAddr, tap: Option<TrafficTap>) -> Self {
        Self { frames: FrameCodec::new(), tap, remote }
    }

    /// Reports the bytes that `decode` takes out of `buffer`.
    ///
    /// An item's text is the end of the bytes taken for it, so only the beginning has to be kept.
    fn decode_by(
        &mut self,
        buffer: &mut BytesMut,
        decode: impl FnOnce(&mut FrameCodec, &mut BytesMut) -> Result<Option<Received>, FrameError>,
    ) -> Result<Option<Received>, FrameError> {
        let Some(tap) = &self.tap else { return decode(&mut self.frames, buffer) };
        let mut head = [0; MAX_HEAD];
        let known = buffer.len().min(MAX_HEAD);
        head[..known].copy_from_slice(&buffer[..known]);
        let before = buffer.len();
        let decoded = decode(&mut self.frames, buffer);
        let taken = before - buffer.len();
        let (header, text): (_, &[u8]) = match &decoded {
            Ok(Some(item)) => (taken - item.bytes().len(), item.bytes()),
            // The stream ended after a header without a text.
            Ok(None) => (taken, &[]),
            // The peer does not speak PMI. This ends its frames, so it is reported once.
            Err(_) => (0, buffer),
        };
        if header + text.len() > 0 {
            tap.pmi(Direction::Received, self.remote, &head[..header], text);
        }
        decoded
    }
}

impl Decoder for TappedCodec {
    type Item = Received;
    type Error = FrameError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Received>, FrameError> {
        self.decode_by(buffer, FrameCodec::decode)
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Received>, FrameError> {
        self.decode_by(buffer, FrameCodec::decode_eof)
    }
}

impl Encoder<&Frame> for TappedCodec {
    type Error = FrameError;

    fn encode(&mut self, frame: &Frame, wire: &mut BytesMut) -> Result<(), FrameError> {
        let before = wire.len();
        self.frames.encode(frame, wire)?;
        if let Some(tap) = &self.tap {
            tap.pmi(Direction::Sent, self.remote, &wire[before..], &[]);
        }
        Ok(())
    }
}

impl Encoder<Frame> for TappedCodec {
    type Error = FrameError;

    fn encode(&mut self, frame: Frame, wire: &mut BytesMut) -> Result<(), FrameError> {
        self.encode(&frame, wire)
    }
}

/// The most bytes before a text: the header, and a third digit of the length of a long line.
const MAX_HEAD: usize = 4;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::traffic::traffic;

    /// Returns the frames that the tap reports for a stream that arrives in these reads and then ends.
    fn told(reads: &[&[u8]]) -> Vec<String> {
        let (tap, mut traffic) = traffic();
        let mut codec = TappedCodec::new(([127, 0, 0, 1], 4456).into(), Some(tap));
        let mut plain = FrameCodec::new();
        let (mut buffer, mut same) = (BytesMut::new(), BytesMut::new());
        for read in reads {
            buffer.extend_from_slice(read);
            same.extend_from_slice(read);
            while let Ok(Some(item)) = codec.decode(&mut buffer) {
                assert_eq!(plain.decode(&mut same).unwrap(), Some(item));
            }
        }
        while let Ok(Some(item)) = codec.decode_eof(&mut buffer) {
            assert_eq!(plain.decode_eof(&mut same).unwrap(), Some(item));
        }
        std::iter::from_fn(|| traffic.next().now_or_never().flatten())
            .map(|passed| {
                assert_eq!(passed.direction, Direction::Received);
                passed.content.bytes().escape_ascii().to_string()
            })
            .collect()
    }

    #[test]
    fn what_is_taken_is_told_as_it_came() {
        assert_eq!(told(&[b"N02u1L04holaL00"]), ["N02u1", "L04hola", "L00"]);
        assert_eq!(told(&[b"N0", b"2u", b"1L04h", b"ola"]), ["N02u1", "L04hola"]);
        let long = format!("L150{}", "x".repeat(149));
        assert_eq!(told(&[b"N02u1", long.as_bytes(), b"L04hola"]), ["N02u1", &long, "L04hola"]);
        assert_eq!(told(&[b"N02u1", b"what\xff"]), ["N02u1", r"what\xff"]);
        // The stream ends within a frame, or within a header.
        assert_eq!(told(&[b"N02u1L04ho"]), ["N02u1", "L04ho"]);
        assert_eq!(told(&[b"N02u1L0"]), ["N02u1", "L0"]);
    }
}
