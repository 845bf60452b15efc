//! The incoming frames of a conversation.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use mi_proto::{FrameError, Received};
use tokio::io::AsyncRead;
use tokio::time::{self, Sleep};
use tokio_util::codec::{Decoder, Framed};

use super::tapped::TappedCodec;

/// The frames of a peer. Each must be complete within [`FRAME_TIMEOUT`] of its first byte.
///
/// Otherwise the part that has come is returned, and then an error.
pub(crate) struct Incoming<R> {
    frames: Framed<R, TappedCodec>,
    /// The deadline of the frame that has begun.
    deadline: Option<Pin<Box<Sleep>>>,
    is_late: bool,
}

impl<R> Incoming<R> {
    pub(crate) fn new(frames: Framed<R, TappedCodec>) -> Self {
        Self { frames, deadline: None, is_late: false }
    }
}

impl<R: AsyncRead + Unpin> Stream for Incoming<R> {
    type Item = Result<Received, FrameError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.is_late) {
            return Poll::Ready(Some(Err(late())));
        }
        if let Poll::Ready(received) = self.frames.poll_next_unpin(cx) {
            self.deadline = None;
            return Poll::Ready(received);
        }
        if self.frames.read_buffer().is_empty() {
            return Poll::Pending;
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(time::sleep(FRAME_TIMEOUT)));
        ready!(deadline.as_mut().poll(cx));
        self.deadline = None;
        let mut begun = self.frames.read_buffer_mut().split();
        Poll::Ready(Some(match self.frames.codec_mut().decode_eof(&mut begun) {
            Ok(Some(text)) => {
                self.is_late = true;
                Ok(text)
            }
            _ => Err(late()),
        }))
    }
}

fn late() -> FrameError {
    io::Error::new(io::ErrorKind::TimedOut, "the peer began a line and did not end it").into()
}

/// The time for the rest of a frame. A sender sends a frame whole, and the slowest network needs far
/// less than this.
const FRAME_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::time::Instant;

    use super::*;

    /// Receives `pieces`, which come `apart` from each other, with the end a minute later.
    ///
    /// Returns the received items, and the error with its time.
    async fn received(pieces: &[&[u8]], apart: Duration) -> (Vec<Received>, Option<(FrameError, Duration)>) {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let start = Instant::now();
        let codec = TappedCodec::new(([127, 0, 0, 1], 4456).into(), None);
        let mut incoming = Incoming::new(Framed::new(ours, codec));
        let writing = async move {
            for piece in pieces {
                theirs.write_all(piece).await.unwrap();
                time::sleep(apart).await;
            }
            time::sleep(Duration::from_secs(60)).await;
        };
        let reading = async {
            let mut received = Vec::new();
            loop {
                match incoming.next().await {
                    Some(Ok(item)) => received.push(item),
                    Some(Err(error)) => return (received, Some((error, start.elapsed()))),
                    None => return (received, None),
                }
            }
        };
        let ((received, error), ()) = tokio::join!(reading, writing);
        (received, error)
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_has_begun_has_its_time() {
        let (nickname, line) = (Received::Nickname("u1".into()), Received::Line("hola".into()));
        for (begun, shown) in
            [(&b"L04ho"[..], Some(Received::Unframed("ho".into()))), (b"L04", None), (b"L", None)]
        {
            let (heard, failed) = received(&[b"N02u1", begun], Duration::from_secs(1)).await;
            assert_eq!(heard, [Some(nickname.clone()), shown].into_iter().flatten().collect::<Vec<_>>());
            let (error, at) = failed.unwrap();
            assert_eq!(error.to_string(), "the peer began a line and did not end it");
            assert_eq!(at, Duration::from_secs(1) + FRAME_TIMEOUT);
        }
        // The bytes come one by one: first each frame is in time, with silence after the last. Then each byte
        // is in time, but the frame is not.
        let bytes: Vec<_> = b"N02u1L04hola".chunks(1).collect();
        let (heard, failed) = received(&bytes, Duration::from_millis(1400)).await;
        assert_eq!(heard, [nickname.clone(), line]);
        assert!(failed.is_none());
        let (heard, failed) = received(&bytes, Duration::from_millis(1900)).await;
        assert_eq!(heard, [nickname, Received::Unframed("hol".into())]);
        assert!(failed.is_some());
    }
}
