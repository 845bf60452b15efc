//! A stream that waits for the other side to read, up to a limit.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{self, Sleep};

/// Fails to write with [`io::ErrorKind::TimedOut`] once the other side has taken nothing for
/// [`WRITE_PATIENCE`]. The reader decides how long reading may take.
#[derive(Debug)]
pub(crate) struct PatientStream<S> {
    stream: S,
    /// The end of the patience, while a write waits.
    waits: Option<Pin<Box<Sleep>>>,
}

impl<S: Unpin> PatientStream<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, waits: None }
    }

    fn poll_patiently<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = poll(Pin::new(&mut self.stream), context) {
            self.waits = None;
            return Poll::Ready(done);
        }
        let waits = self.waits.get_or_insert_with(|| Box::pin(time::sleep(WRITE_PATIENCE)));
        ready!(waits.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PatientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PatientStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_patiently(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_patiently(context, |stream, context| stream.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_patiently(context, S::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_patiently(context, S::poll_shutdown)
    }
}

/// The time for which a reader may take nothing of an answer: longer than a network that loses much needs for
/// its repetitions.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_not_waited_for() {
        let (near, mut far) = tokio::io::duplex(4);
        let mut stream = PatientStream::new(near);
        let start = Instant::now();
        let written = time::timeout(2 * WRITE_PATIENCE, stream.write_all(b"answer")).await;
        let error = written.expect("it is given up").unwrap_err();
        assert_eq!((error.kind(), start.elapsed()), (io::ErrorKind::TimedOut, WRITE_PATIENCE));
        let mut taken = [0; 4];
        far.read_exact(&mut taken).await.unwrap();
        assert_eq!(taken, *b"answ");
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_some_has_all_the_time_again() {
        let (near, mut far) = tokio::io::duplex(1);
        let mut stream = PatientStream::new(near);
        let start = Instant::now();
        let pause = WRITE_PATIENCE - Duration::from_millis(1);
        let reading = async {
            let mut taken = Vec::new();
            for _ in 0..6 {
                time::sleep(pause).await;
                taken.push(far.read_u8().await.unwrap());
            }
            taken
        };
        let (written, taken) = tokio::join!(stream.write_all(b"answer"), reading);
        assert!(written.is_ok() && taken == b"answer", "{written:?} {taken:?}");
        assert_eq!(start.elapsed(), 6 * pause);
    }
}
