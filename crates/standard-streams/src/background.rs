//! Blocking streams for tasks: each operation is carried out by a thread of the runtime.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::{JoinHandle, spawn_blocking};

/// A blocking writer for a task, which can give up waiting for it.
///
/// An error is reported by the operation after the one that it belongs to, so bytes are written when
/// [`poll_flush`](AsyncWrite::poll_flush) says so. What was taken is written even if this is dropped.
#[derive(Debug)]
pub struct BackgroundWriter<W> {
    writer: W,
    writing: Option<JoinHandle<io::Result<()>>>,
}

impl<W: Write + Copy + Send + 'static> BackgroundWriter<W> {
    /// Creates a writer with nothing to write. It must be used within a runtime.
    pub fn new(writer: W) -> Self {
        Self { writer, writing: None }
    }
}

impl<W: Write + Copy + Send + Unpin + 'static> AsyncWrite for BackgroundWriter<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().poll_flush(cx))?;
        let mut writer = self.writer;
        let bytes = bytes[..bytes.len().min(MAX_BYTES)].to_vec();
        let length = bytes.len();
        self.writing = Some(spawn_blocking(move || writer.write_all(&bytes)));
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(writing) = &mut self.writing else { return Poll::Ready(Ok(())) };
        let done = ready!(Pin::new(writing).poll(cx));
        self.writing = None;
        Poll::Ready(done?)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

/// A blocking reader for a task, which can give up waiting for it.
///
/// `open` is called by the thread for each read, because a lock of stdin cannot move between threads.
#[derive(Debug)]
pub struct BackgroundReader<F> {
    open: F,
    reading: Option<JoinHandle<io::Result<Vec<u8>>>>,
    /// Bytes that were read and not taken.
    read: Vec<u8>,
}

impl<R: Read, F: Fn() -> R + Copy + Send + 'static> BackgroundReader<F> {
    /// Creates a reader of what `open` returns. It must be used within a runtime.
    pub fn new(open: F) -> Self {
        Self { open, reading: None, read: Vec::new() }
    }
}

impl<R: Read, F: Fn() -> R + Copy + Send + Unpin + 'static> AsyncRead for BackgroundReader<F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            let open = self.open;
            let reading = self.reading.get_or_insert_with(|| {
                spawn_blocking(move || {
                    let mut bytes = vec![0; MAX_BYTES];
                    let length = open().read(&mut bytes)?;
                    bytes.truncate(length);
                    Ok(bytes)
                })
            });
            let done = ready!(Pin::new(reading).poll(cx));
            self.reading = None;
            self.read = done??;
        }
        let length = self.read.len().min(buffer.remaining());
        buffer.put_slice(&self.read[..length]);
        self.read.drain(..length);
        Poll::Ready(Ok(()))
    }
}

/// The most bytes of one operation: what a pipe takes.
const MAX_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

    #[derive(Clone, Copy)]
    struct Shared;

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Write::write(&mut *WRITTEN.lock().unwrap(), bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Clone, Copy)]
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_is_written_is_all_there_after_a_flush() {
        let sent = "0123456789".repeat(20_000);
        let mut writer = BackgroundWriter::new(Shared);
        writer.write_all(sent.as_bytes()).await.unwrap();
        writer.flush().await.unwrap();
        assert!(*WRITTEN.lock().unwrap() == sent.as_bytes());
        let mut writer = BackgroundWriter::new(Full);
        writer.write_all(b"a").await.unwrap();
        assert_eq!(writer.flush().await.unwrap_err().kind(), io::ErrorKind::StorageFull);
        writer.flush().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_read_comes_in_pieces_of_any_size() {
        // Only the first of many reads finds something.
        static UNREAD: Mutex<&[u8]> = Mutex::new(b"one two");
        struct Unread;
        impl Read for Unread {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                Read::read(&mut *UNREAD.lock().unwrap(), buffer)
            }
        }
        let mut reader = BackgroundReader::new(|| Unread);
        let mut word = [0; 4];
        reader.read_exact(&mut word).await.unwrap();
        let mut rest = String::new();
        reader.read_to_string(&mut rest).await.unwrap();
        assert_eq!((&word, rest.as_str()), (b"one ", "two"));
    }
}
