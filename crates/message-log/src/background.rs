//! A thread that writes lines for callers that must not wait.
//!
//! ```text
//! caller ── push ──► queue, 1 MiB ── thread ──► writer, which may block
//!                      │ full: the lines are lost
//! ```

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::failure::Losses;
use crate::output::{Output, Unwritten, count_lines};

/// The caller's end of the queue. When it is dropped, the thread writes what is left and ends.
pub(crate) struct Background {
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    lines: Mutex<Lines>,
    /// Lines came, or no more will.
    changed: Condvar,
    /// Nothing is left to be written.
    drained: Condvar,
}

#[derive(Default)]
struct Lines {
    waiting: Vec<u8>,
    /// The length of the lines that the thread is writing.
    in_hand: usize,
    is_closed: bool,
}

impl Background {
    /// Starts the thread, which counts in `losses` the lines that `output` does not take.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub(crate) fn start<W>(output: Output<W>, losses: Arc<Mutex<Losses>>) -> io::Result<Self>
    where
        W: Write + Send + 'static,
    {
        let queue = Arc::<Queue>::default();
        let taken = Arc::clone(&queue);
        thread::Builder::new().name("log".into()).spawn(move || taken.write_to(output, &losses))?;
        Ok(Self { queue })
    }

    /// Leaves whole `lines` to the thread: all of them, or none.
    ///
    /// # Errors
    /// The lines, if the queue has no room for them.
    pub(crate) fn push(&self, bytes: &[u8]) -> Result<(), Unwritten> {
        let mut lines = self.queue.lock();
        if lines.waiting.len() + lines.in_hand + bytes.len() > MAX_QUEUED {
            let error = io::Error::new(io::ErrorKind::WouldBlock, NOBODY_READS);
            return Err(Unwritten { lines: count_lines(bytes), error });
        }
        // A thread that is writing looks for more by itself.
        let is_idle = lines.is_drained();
        lines.waiting.extend_from_slice(bytes);
        drop(lines);
        if is_idle {
            self.queue.changed.notify_one();
        }
        Ok(())
    }

    /// Waits until everything has been written, for `patience` at most. Returns whether it has.
    pub(crate) fn drain(&self, patience: Duration) -> bool {
        let lines = self.queue.lock();
        let waited = self.queue.drained.wait_timeout_while(lines, patience, |lines| !lines.is_drained());
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.changed.notify_one();
    }
}

impl Queue {
    fn write_to<W: Write>(&self, mut output: Output<W>, losses: &Mutex<Losses>) {
        let mut taken = Vec::new();
        while self.take(&mut taken) {
            if let Err(unwritten) = output.write_lines(&taken) {
                Losses::add(losses, unwritten);
            }
        }
    }

    /// Waits for lines and takes all of them, in place of those `taken` before. Returns `false` if no more come.
    fn take(&self, taken: &mut Vec<u8>) -> bool {
        taken.clear();
        let mut lines = self.lock();
        lines.in_hand = 0;
        while lines.waiting.is_empty() {
            self.drained.notify_all();
            if lines.is_closed {
                return false;
            }
            lines = self.changed.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut lines.waiting, taken);
        lines.in_hand = taken.len();
        true
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn is_drained(&self) -> bool {
        self.waiting.is_empty() && self.in_hand == 0
    }
}

/// The limit of bytes that wait to be written, with those that are being written: several thousand lines, a burst that
/// a terminal or a pager takes a second for.
const MAX_QUEUED: usize = 1024 * 1024;

/// The reason why lines are lost while the queue is full.
const NOBODY_READS: &str = "1 MiB of them is waiting, and nobody reads it";
