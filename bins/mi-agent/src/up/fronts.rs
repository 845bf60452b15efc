//! The programs that are attached: their connections, with bounded queues both ways.
//!
//! Each connection has a task that reads and one that writes, so nobody waits for a program that does neither.

use std::collections::BTreeMap;
use std::future;
use std::io;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::geteuid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{self, Instant};

use super::socket::FrontSocket;
use crate::headless::commands::MAX_LINE;

/// Names a front. A number is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FrontId(pub(super) u64);

/// An event of a front.
#[derive(Debug)]
pub(super) enum FrontEvent {
    /// It is there from now on.
    Came(FrontId),
    /// It gave a line, or one of more than [`MAX_LINE`] bytes.
    Gave(FrontId, Result<Vec<u8>, TooLong>),
    /// It gives no more lines, or it is gone.
    Left(FrontId),
}

/// A line is too long, and was skipped.
#[derive(Debug)]
pub(super) struct TooLong;

/// The fronts of an agent.
#[derive(Debug)]
pub(super) struct Fronts {
    /// The socket with its file; `None` at the end.
    listener: Option<(UnixListener, FrontSocket)>,
    begun: u64,
    present: BTreeMap<FrontId, Connection>,
    /// The writers of fronts that were let go.
    closing: Vec<JoinHandle<()>>,
    sender: mpsc::Sender<FrontEvent>,
    given: mpsc::Receiver<FrontEvent>,
}

#[derive(Debug)]
struct Connection {
    lines: mpsc::UnboundedSender<String>,
    /// The bytes that were not written yet.
    behind: Arc<AtomicUsize>,
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
}

impl Fronts {
    /// Takes programs at `listener` from now on. Needs a runtime.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn of((socket, listener): (FrontSocket, StdUnixListener)) -> io::Result<Self> {
        let (sender, given) = mpsc::channel(MAX_GIVEN);
        let listener = Some((UnixListener::from_std(listener)?, socket));
        Ok(Self { listener, begun: 0, present: BTreeMap::new(), closing: Vec::new(), sender, given })
    }

    /// Waits for the next event. Cancel safe.
    pub(super) async fn next(&mut self) -> FrontEvent {
        loop {
            tokio::select! {
                accepted = accept(&self.listener) => match accepted {
                    Ok(stream) => if let Some(front) = self.admit(stream) {
                        return FrontEvent::Came(front);
                    },
                    // The process may have too many open files for now.
                    Err(_) => time::sleep(ERROR_PAUSE).await,
                },
                event = self.given.recv() => match event {
                    Some(event) => return event,
                    // This has a sender itself.
                    None => future::pending().await,
                },
            }
        }
    }

    /// Attaches a program, unless it is another user's or one too many.
    fn admit(&mut self, stream: UnixStream) -> Option<FrontId> {
        let is_own = stream.peer_cred().is_ok_and(|peer| peer.uid() == geteuid().as_raw());
        let refusal = match is_own {
            false => Some("this agent is another user's".to_owned()),
            true if self.present.len() >= MAX_FRONTS => {
                Some(format!("{MAX_FRONTS} programs are attached already"))
            }
            true => None,
        };
        if let Some(refusal) = refusal {
            // The buffer of a new socket takes a line, and nobody is waited for.
            let line = format!("{{\"event\":\"not-attached\",\"reason\":\"{refusal}\"}}\n");
            _ = stream.try_write(line.as_bytes());
            return None;
        }
        self.begun += 1;
        let front = FrontId(self.begun);
        let (read, write) = stream.into_split();
        let (lines, to_write) = mpsc::unbounded_channel();
        let behind = Arc::<AtomicUsize>::default();
        let reader = tokio::spawn(read_lines(front, read, self.sender.clone()));
        let writer = tokio::spawn(write_lines(write, to_write, Arc::clone(&behind)));
        self.present.insert(front, Connection { lines, behind, reader, writer });
        Some(front)
    }

    /// Queues a line, without its end. Returns whether the front is still there: one that is too far behind is
    /// disconnected.
    pub(super) fn tell(&mut self, front: FrontId, line: &str) -> bool {
        let Some(connection) = self.present.get(&front) else { return false };
        let line = format!("{line}\n");
        let behind = connection.behind.fetch_add(line.len(), Ordering::Relaxed) + line.len();
        if behind <= MAX_BEHIND && connection.lines.send(line).is_ok() {
            return true;
        }
        if let Some(connection) = self.present.remove(&front) {
            connection.reader.abort();
            connection.writer.abort();
        }
        false
    }

    /// Lets a front go, once it has what it was told.
    pub(super) fn close(&mut self, front: FrontId) {
        if let Some(Connection { reader, writer, .. }) = self.present.remove(&front) {
            reader.abort();
            self.closing.retain(|writer| !writer.is_finished());
            if self.closing.len() < MAX_FRONTS {
                self.closing.push(writer);
            } else {
                // None of them reads, and neither may this one.
                writer.abort();
            }
        }
    }

    /// Takes no more, and removes the file of the socket.
    pub(super) fn stop_listening(&mut self) {
        self.listener = None;
    }

    /// Lets all go, and waits up to `limit` until they have what they were told.
    pub(super) async fn finish(mut self, limit: Duration) {
        for front in self.present.keys().copied().collect::<Vec<_>>() {
            self.close(front);
        }
        let until = Instant::now() + limit;
        for writer in &mut self.closing {
            // An error: it was too slow, or it is gone.
            _ = time::timeout_at(until, writer).await;
        }
    }
}

/// Waits for the next program; never ready without a socket. Cancel safe.
async fn accept(listener: &Option<(UnixListener, FrontSocket)>) -> io::Result<UnixStream> {
    match listener {
        Some((listener, _)) => listener.accept().await.map(|(stream, _)| stream),
        None => future::pending().await,
    }
}

async fn read_lines(front: FrontId, read: OwnedReadHalf, given: mpsc::Sender<FrontEvent>) {
    let mut read = BufReader::new(read);
    while let Ok(Some(line)) = next_line(&mut read).await {
        if given.send(FrontEvent::Gave(front, line)).await.is_err() {
            return;
        }
    }
    // An error: the agent ends.
    _ = given.send(FrontEvent::Left(front)).await;
}

/// Reads a line with its end; `None` at the end. A line that is too long is skipped whole.
async fn next_line(read: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Result<Vec<u8>, TooLong>>> {
    let (mut line, mut is_too_long) = (Vec::new(), false);
    loop {
        let length = (&mut *read).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        if length == 0 && line.is_empty() && !is_too_long {
            return Ok(None);
        }
        let is_whole = length == 0 || line.ends_with(b"\n");
        match (is_whole, is_too_long) {
            (true, true) => return Ok(Some(Err(TooLong))),
            (true, false) => return Ok(Some(Ok(line))),
            (false, _) if line.len() as u64 >= MAX_LINE => {
                is_too_long = true;
                line.clear();
            }
            // The last line has no end, which the next read finds out.
            (false, _) => {}
        }
    }
}

async fn write_lines(
    mut write: OwnedWriteHalf,
    mut lines: mpsc::UnboundedReceiver<String>,
    behind: Arc<AtomicUsize>,
) {
    while let Some(line) = lines.recv().await {
        if write.write_all(line.as_bytes()).await.is_err() {
            // The next line finds the queue closed.
            return;
        }
        behind.fetch_sub(line.len(), Ordering::Relaxed);
    }
    // An error: it is gone, which is as well.
    _ = write.shutdown().await;
}

/// The most programs at a time: each costs two tasks, and up to [`MAX_BEHIND`].
pub(super) const MAX_FRONTS: usize = 32;

/// The most bytes that a front may be behind.
pub(super) const MAX_BEHIND: usize = 1024 * 1024;

/// The most lines of all fronts together that were read and not carried out.
const MAX_GIVEN: usize = 16;

/// The pause after a failed accept. Without it, a lasting error would use up a processor.
const ERROR_PAUSE: Duration = Duration::from_millis(100);
