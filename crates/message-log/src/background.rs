//! A thread that writes lines for callers that must not wait.
//!
//! ```text
//! caller ── push ──► queue, 1 MiB ── thread ──► destination, which may block
//!                      │ full: the lines are lost
//! ```
//!
//! The thread gathers the lines of a millisecond, unless somebody waits for one of them.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::destination::Destination;
use crate::failure::{Losses, now};
use crate::output::{Unwritten, count_lines};
use crate::progress::LogProgress;

/// The caller's end of the queue. When it is dropped, the thread writes what is left and ends.
pub(crate) struct Background {
    queue: Arc<Queue>,
    /// The reason for lines that are lost while the queue is full.
    full: &'static str,
}

#[derive(Default)]
struct Queue {
    orders: Mutex<Orders>,
    /// Something came, or nothing more will.
    changed: Condvar,
    /// Nothing is left to be written.
    drained: Condvar,
}

/// The orders for the thread. A new size comes first, and the file is reopened last.
#[derive(Default)]
struct Orders {
    lines: Vec<u8>,
    /// The length of the lines that the thread is writing.
    in_hand: usize,
    /// A new maximum size of the file.
    max_size: Option<Option<u64>>,
    /// The requests to reopen the file that wait, [`MAX_REOPENINGS`] at most.
    reopenings: Vec<Sender<io::Result<bool>>>,
    is_closed: bool,
}

impl Background {
    /// Starts the thread, which reports and counts in `losses` what `destination` does not take.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub(crate) fn start<W>(
        destination: Destination<W>,
        losses: Arc<Mutex<Losses>>,
        progress: LogProgress,
    ) -> io::Result<Self>
    where
        W: Write + Send + 'static,
    {
        let full = if destination.own.is_some() { DISK_IS_SLOW } else { NOBODY_READS };
        let queue = Arc::<Queue>::default();
        let taken = Arc::clone(&queue);
        let run = move || taken.serve(destination, &losses, &progress);
        thread::Builder::new().name("log".into()).spawn(run)?;
        Ok(Self { queue, full })
    }

    /// Leaves whole `lines` to the thread: all of them, or none.
    ///
    /// # Errors
    /// The lines, if the queue has no room for them.
    pub(crate) fn push(&self, lines: &[u8]) -> Result<(), Unwritten> {
        let mut orders = self.queue.lock();
        if orders.lines.len() + orders.in_hand + lines.len() > MAX_QUEUED {
            let error = io::Error::new(io::ErrorKind::WouldBlock, self.full);
            return Err(Unwritten { lines: count_lines(lines), error });
        }
        // A thread that is writing looks for more on its own.
        let is_idle = orders.is_drained();
        orders.lines.extend_from_slice(lines);
        drop(orders);
        if is_idle {
            self.queue.changed.notify_one();
        }
        Ok(())
    }

    /// Sets the size at which the file is put aside, from the next line on at the latest.
    pub(crate) fn set_max_size(&self, max_size: Option<u64>) {
        self.queue.lock().max_size = Some(max_size);
        self.queue.changed.notify_one();
    }

    /// Has the file reopened once the lines so far are written.
    ///
    /// # Errors
    /// [`MAX_REOPENINGS`] are waiting already.
    pub(crate) fn reopen(&self) -> io::Result<Reopening> {
        let (opened, answer) = mpsc::channel();
        let mut orders = self.queue.lock();
        if orders.reopenings.len() >= MAX_REOPENINGS {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, DISK_HANGS));
        }
        orders.reopenings.push(opened);
        drop(orders);
        self.queue.changed.notify_one();
        Ok(Reopening(answer))
    }

    /// Waits until everything has been written, for `patience` at most. Returns whether it has.
    pub(crate) fn drain(&self, patience: Duration) -> bool {
        let orders = self.queue.lock();
        let waited = self.queue.drained.wait_timeout_while(orders, patience, |orders| !orders.is_drained());
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.changed.notify_one();
    }
}

/// A log on its way to the file that is at its path now: see [`LineWriter::start_reopening`].
///
/// [`LineWriter::start_reopening`]: crate::LineWriter::start_reopening
#[derive(Debug)]
#[must_use]
pub struct Reopening(Receiver<io::Result<bool>>);

impl Reopening {
    pub(crate) fn done(result: io::Result<bool>) -> Self {
        let (opened, answer) = mpsc::channel();
        // The other end is in hand.
        _ = opened.send(result);
        Self(answer)
    }

    /// Waits until the log is reopened, for `patience` at most. Returns `false` if it has no file to reopen.
    ///
    /// # Errors
    /// Those of [`LineWriter::reopen`](crate::LineWriter::reopen), and a disk that takes longer than
    /// `patience`: the log is reopened when the disk answers.
    pub fn wait(self, patience: Duration) -> io::Result<bool> {
        self.0.recv_timeout(patience).unwrap_or_else(|missing| {
            let kind = match missing {
                RecvTimeoutError::Timeout => io::ErrorKind::TimedOut,
                RecvTimeoutError::Disconnected => io::ErrorKind::BrokenPipe,
            };
            Err(io::Error::new(kind, DISK_HANGS))
        })
    }
}

impl Queue {
    fn serve<W: Write>(
        &self,
        mut destination: Destination<W>,
        losses: &Mutex<Losses>,
        progress: &LogProgress,
    ) {
        progress.is_written_by(thread::current());
        let mut taken = Orders::default();
        while self.wait() {
            gather(progress);
            self.take(&mut taken, progress);
            if let Some(max_size) = taken.max_size.take() {
                destination.set_max_size(max_size);
            }
            let troubles = destination.write_lines(&taken.lines, now);
            progress.write(taken.lines.len());
            for opened in taken.reopenings.drain(..) {
                // The asker may have lost patience.
                _ = opened.send(destination.reopen());
            }
            Losses::report(losses, troubles);
        }
    }

    /// Waits for orders, after those in hand are carried out. Returns `false` if no more come.
    fn wait(&self) -> bool {
        let mut orders = self.lock();
        orders.in_hand = 0;
        while orders.lines.is_empty() && orders.max_size.is_none() && orders.reopenings.is_empty() {
            self.drained.notify_all();
            if orders.is_closed {
                return false;
            }
            orders = self.changed.wait(orders).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// Takes all orders into `taken`, whose lines are written.
    fn take(&self, taken: &mut Orders, progress: &LogProgress) {
        taken.lines.clear();
        // Before the lines are taken: a caller that hurries from here on has lines that may not be among
        // them.
        progress.take_hurry();
        let mut orders = self.lock();
        orders.in_hand = orders.lines.len();
        std::mem::swap(&mut orders.lines, &mut taken.lines);
        std::mem::swap(&mut orders.reopenings, &mut taken.reopenings);
        taken.max_size = orders.max_size.take();
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets more lines come, for [`GATHERING`] or until somebody waits for one.
fn gather(progress: &LogProgress) {
    let until = now() + GATHERING;
    while !progress.is_hurried() && now() < until {
        thread::park_timeout(until.saturating_duration_since(now()));
    }
}

impl Orders {
    fn is_drained(&self) -> bool {
        self.lines.is_empty() && self.in_hand == 0
    }
}

/// The limit of bytes that wait to be written, with those that are being written: several thousand lines, a
/// burst that a terminal or a pager takes a second for.
const MAX_QUEUED: usize = 1024 * 1024;

/// The time in which lines are gathered for one write. To be woken costs the thread, and the caller on the
/// same processor, several times what a line costs; and people see no delay of a millisecond.
const GATHERING: Duration = Duration::from_millis(1);

/// The limit of waiting requests to reopen a log: more than there are administrators.
const MAX_REOPENINGS: usize = 16;

/// The reason why lines are lost while the queue of a pipe or a terminal is full.
const NOBODY_READS: &str = "1 MiB of them is waiting, and nobody reads it";

/// The reason why lines are lost while the queue of a file is full.
const DISK_IS_SLOW: &str = "1 MiB of them is waiting for the disk, which takes too long or hangs";

/// The reason why a log is not reopened yet.
const DISK_HANGS: &str = "the disk takes too long; the log is reopened when it answers";
