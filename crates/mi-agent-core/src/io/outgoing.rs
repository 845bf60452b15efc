//! The sending half of a conversation.

use std::io;

use mi_proto::Frame;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_util::bytes::{Buf, BytesMut};
use tokio_util::codec::Encoder;

use super::tapped::TappedCodec;

/// Sends each frame in its own write: deployed programs read one TCP segment as one frame (protocol.md §7
/// rows 10 and 11).
pub(crate) struct Outgoing<W> {
    writer: W,
    codec: TappedCodec,
    /// The rest of a frame whose writing was given up, if any.
    unwritten: BytesMut,
}

impl<W: AsyncWrite + Unpin> Outgoing<W> {
    /// Creates a sender on `writer` that first sends `unwritten`.
    pub(crate) fn new(writer: W, codec: TappedCodec, unwritten: BytesMut) -> Self {
        Self { writer, codec, unwritten }
    }

    /// Sends `frame`. If this is cancelled, the rest of the frame is sent before anything else.
    pub(crate) async fn send(&mut self, frame: &Frame) -> io::Result<()> {
        // The rest of an earlier frame gets its own write.
        self.flush().await?;
        self.codec.encode(frame, &mut self.unwritten)?;
        self.flush().await
    }

    /// Sends FIN.
    pub(crate) async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.writer.shutdown().await
    }

    async fn flush(&mut self) -> io::Result<()> {
        while !self.unwritten.is_empty() {
            // Not `write_buf`: its vectored write costs the kernel more, and there is only one piece.
            match self.writer.write(&self.unwritten).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => self.unwritten.advance(written),
            }
        }
        self.writer.flush().await
    }
}

#[cfg(test)]
mod tests {
    use mi_proto::Line;
    use tokio::io::AsyncReadExt;
    use tokio::time;

    use super::*;

    /// The peer read nothing for too long, and has seen the beginning of a frame. It also sees the rest.
    #[tokio::test(start_paused = true)]
    async fn a_frame_that_was_given_up_leaves_before_the_end() {
        let (ours, mut peer) = tokio::io::duplex(4);
        let mut outgoing =
            Outgoing::new(ours, TappedCodec::new(([127, 0, 0, 1], 4456).into(), None), BytesMut::new());
        let frame = Frame::Line(Line::new("hola").unwrap());
        time::timeout(time::Duration::from_secs(1), outgoing.send(&frame)).await.unwrap_err();
        let (closed, seen) = tokio::join!(outgoing.close(), async {
            let mut seen = Vec::new();
            peer.read_to_end(&mut seen).await.map(|_| seen)
        });
        closed.unwrap();
        assert_eq!(seen.unwrap(), b"L04hola");
    }
}
