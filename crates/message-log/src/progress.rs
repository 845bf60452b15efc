//! The progress of a log: how much of it is where it belongs.

use std::future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::Thread;

/// The amounts that a log has been given, and has written. Clones follow the same log.
///
/// The owner of a socket must not wait for a disk, and asks here whether the line of an answer is in the log.
/// Both are positions in bytes, which only grow. Lines that are lost count as written: nobody waits for them.
///
/// One task may wait at a time.
#[derive(Clone, Debug, Default)]
pub struct LogProgress {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    given: AtomicU64,
    written: AtomicU64,
    /// The task that waits.
    waiting: Mutex<Option<Waker>>,
    /// Somebody waits, or will, for lines that are given now.
    is_hurried: AtomicBool,
    /// The thread that gathers lines unless it is hurried.
    writer: OnceLock<Thread>,
}

impl LogProgress {
    /// Returns the position after the last line that was given to the log.
    pub fn given(&self) -> u64 {
        self.shared.given.load(Ordering::Relaxed)
    }

    /// Returns the position up to which the log is written.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Acquire)
    }

    /// Has the lines written at once that the log is given from here on. Otherwise its thread may gather
    /// lines for a millisecond, because to wake it for each costs more than to write it.
    ///
    /// A caller that is going to wait for a line calls this before it gives the line.
    pub fn hurry(&self) {
        if !self.shared.is_hurried.swap(true, Ordering::AcqRel)
            && let Some(writer) = self.shared.writer.get()
        {
            writer.unpark();
        }
    }

    /// Waits until the log is written up to `position`, one that [`LogProgress::given`] has returned.
    ///
    /// # Cancel safety
    /// Nothing is lost if it is dropped.
    pub async fn reach(&self, position: u64) {
        future::poll_fn(|context| self.poll_reach(context, position)).await;
    }

    fn poll_reach(&self, context: &mut Context<'_>, position: u64) -> Poll<()> {
        if self.written() < position {
            let mut waiting = self.waiting();
            // Looked at again, as the log may have missed this task a moment ago.
            if self.written() < position {
                match &mut *waiting {
                    Some(waker) => waker.clone_from(context.waker()),
                    none => *none = Some(context.waker().clone()),
                }
                self.hurry();
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    /// Names the thread that writes the log, for [`LogProgress::hurry`] to wake.
    #[cfg(feature = "layer")]
    pub(crate) fn is_written_by(&self, writer: Thread) {
        // Only one thread writes a log.
        _ = self.shared.writer.set(writer);
    }

    #[cfg(feature = "layer")]
    pub(crate) fn is_hurried(&self) -> bool {
        self.shared.is_hurried.load(Ordering::Acquire)
    }

    /// Takes the hurry back, for lines that are given from here on.
    #[cfg(feature = "layer")]
    pub(crate) fn take_hurry(&self) {
        self.shared.is_hurried.store(false, Ordering::Release);
    }

    /// Counts `bytes` that are given to the log.
    #[cfg(feature = "layer")]
    pub(crate) fn give(&self, bytes: usize) {
        self.shared.given.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts `bytes` that are written, or lost, and wakes the task that waits.
    #[cfg(feature = "layer")]
    pub(crate) fn write(&self, bytes: usize) {
        self.shared.written.fetch_add(bytes as u64, Ordering::Release);
        let waker = self.waiting().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Waker>> {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
