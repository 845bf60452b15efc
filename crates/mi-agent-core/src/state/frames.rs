//! The stream of a peer, cut into its frames.

use std::io;
use std::time::{Duration, Instant};

use mi_proto::{FrameCodec, FrameError, Received};
/// The buffers in the interface of [`IncomingFrames`].
pub use tokio_util::bytes::{Bytes, BytesMut};
use tokio_util::codec::Decoder;

/// The bytes that a peer has sent and that are not handled yet.
///
/// A frame must be complete within 10 s of its first byte. Otherwise the part that has come is
/// returned, and then an error.
#[derive(Debug, Default)]
pub struct IncomingFrames {
    codec: FrameCodec,
    buffer: BytesMut,
    /// The time until which the frame that has begun must be complete.
    deadline: Option<Instant>,
    /// The time of the read of the last item, while more of that read may be left.
    read_at: Option<Instant>,
    end: Option<End>,
    rest: Bytes,
}

/// The reason why no more bytes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Late,
    /// The end has been returned.
    Over,
}

impl IncomingFrames {
    /// Creates the frames of a connection on which nothing has been received.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the buffer to which the next read is appended. Call [`IncomingFrames::next`] after that.
    ///
    /// There is always room for several times the longest line that a person types, so that a long line that
    /// comes whole is read whole.
    pub fn read_buffer(&mut self) -> &mut BytesMut {
        self.buffer.reserve(READ);
        &mut self.buffer
    }

    /// Records that the peer has sent its FIN.
    pub fn handle_end(&mut self) {
        self.end.get_or_insert(End::Closed);
    }

    /// Records the time. It matters from [`IncomingFrames::poll_timeout`] on.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.end.get_or_insert(End::Late);
        }
    }

    /// Returns the time at which [`IncomingFrames::handle_timeout`] has to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.filter(|_| self.end.is_none())
    }

    /// Returns the next item, with the time at which it was read, or `None` if more has to be read first.
    ///
    /// Items that were read together have the same time, however late they are asked for.
    ///
    /// # Errors
    /// [`FrameError`]. It is the last item.
    pub fn next(&mut self, now: Instant) -> Option<Result<(Received, Instant), FrameError>> {
        let read_at = *self.read_at.get_or_insert(now);
        let decoded = match self.end {
            None => self.codec.decode(&mut self.buffer),
            Some(End::Over) => return None,
            Some(end) => return self.last(end).map(|last| last.map(|item| (item, read_at))),
        };
        match decoded {
            Ok(item) => {
                let is_begun = item.is_none() && !self.buffer.is_empty();
                self.deadline = is_begun.then(|| self.deadline.unwrap_or(now + FRAME_TIMEOUT));
                self.read_at = item.as_ref().map(|_| read_at);
                item.map(|item| Ok((item, read_at)))
            }
            Err(error) => Some(Err(self.ends(error))),
        }
    }

    /// Returns whether the peer's end has come and everything before it has been returned.
    pub fn is_at_end(&self) -> bool {
        self.end == Some(End::Over)
    }

    /// Takes the bytes at the end of the stream that gave no item: those of another protocol, or a header
    /// without its text.
    pub fn take_rest(&mut self) -> Bytes {
        std::mem::take(&mut self.rest)
    }

    fn last(&mut self, end: End) -> Option<Result<Received, FrameError>> {
        let begun = Bytes::copy_from_slice(&self.buffer);
        match self.codec.decode_eof(&mut self.buffer) {
            Ok(Some(item)) => return Some(Ok(item)),
            // No more than a header is left. A nickname that was begun is an error of the codec.
            Ok(None) if end == End::Closed => {
                self.end = Some(End::Over);
                self.rest = begun;
                return None;
            }
            Err(error) if end == End::Closed => return Some(Err(self.ends(error))),
            Ok(None) | Err(_) => self.rest = begun,
        }
        let late = io::Error::new(io::ErrorKind::TimedOut, "the peer began a line and did not end it");
        self.end = Some(End::Over);
        Some(Err(late.into()))
    }

    /// Ends the frames with an error of the codec.
    fn ends(&mut self, error: FrameError) -> FrameError {
        self.end = Some(End::Over);
        self.rest = self.buffer.split().freeze();
        error
    }
}

/// The time for the rest of a frame. A sender sends a frame whole, and the slowest network needs far
/// less than this.
const FRAME_TIMEOUT: Duration = Duration::from_secs(10);

/// The room for a read, in bytes.
const READ: usize = 16 * 1024;
