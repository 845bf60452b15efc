//! The progress of a log: how much of it is where it belongs.

use std::future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The amounts that a log has been given, and has written. Clones follow the same log.
///
/// The owner of a socket, who must not wait for a disk, asks here whether the line of an answer is in the log. Both are
/// positions in bytes, which only grow. Lines that are lost count as written: nobody waits for them.
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
                return Poll::Pending;
            }
        }
        Poll::Ready(())
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
