//! The way of outcomes from the thread to the task that waits for them, without a queue: the newest speaks
//! for all.

use std::future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::saved::Saved;

/// The receiver of what became of the changes.
#[derive(Debug)]
pub struct SavedReceiver {
    slot: Arc<Mutex<Slot>>,
}

/// The thread's end. When it is dropped, no more outcomes come.
#[derive(Debug)]
pub(crate) struct Reports {
    slot: Arc<Mutex<Slot>>,
}

#[derive(Debug, Default)]
struct Slot {
    newest: Option<Saved>,
    has_ended: bool,
    waker: Option<Waker>,
}

/// Returns both ends.
pub(crate) fn reports() -> (Reports, SavedReceiver) {
    let slot = Arc::<Mutex<Slot>>::default();
    (Reports { slot: Arc::clone(&slot) }, SavedReceiver { slot })
}

impl SavedReceiver {
    /// Waits for the outcome of a commit. If there were several since the last call, only the newest is
    /// returned, which speaks for all. `None` once the database is closed and unlocked.
    ///
    /// # Cancel safety
    /// Nothing is lost if it is dropped.
    pub async fn next(&mut self) -> Option<Saved> {
        future::poll_fn(|context| self.poll_next(context)).await
    }

    /// Polls for what [`SavedReceiver::next`] waits for.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Saved>> {
        let mut slot = lock(&self.slot);
        if let Some(newest) = slot.newest.take() {
            return Poll::Ready(Some(newest));
        }
        if slot.has_ended {
            return Poll::Ready(None);
        }
        match &mut slot.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Reports {
    /// Puts `saved` in the place of an outcome that was not looked at.
    pub(crate) fn send(&self, mut saved: Saved) {
        let mut slot = lock(&self.slot);
        saved.anew |= slot.newest.take().is_some_and(|unseen| unseen.anew);
        slot.newest = Some(saved);
        wake(slot);
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        let mut slot = lock(&self.slot);
        slot.has_ended = true;
        wake(slot);
    }
}

fn wake(mut slot: MutexGuard<'_, Slot>) {
    let waker = slot.waker.take();
    drop(slot);
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::{NotSaved, SaveId};

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn saved(last: u64, anew: bool) -> Saved {
        Saved { last: SaveId(last), result: Ok(()), anew }
    }

    #[test]
    fn the_newest_outcome_speaks_for_all() {
        let (sender, mut receiver) = reports();
        let counter = Arc::<Counter>::default();
        let waker = Waker::from(Arc::clone(&counter));
        let mut context = Context::from_waker(&waker);
        assert!(receiver.poll_next(&mut context).is_pending());
        sender.send(saved(1, true));
        sender.send(Saved { result: Err(NotSaved { reason: "full".into() }), ..saved(2, false) });
        sender.send(saved(3, false));
        assert_eq!(counter.0.load(Ordering::Relaxed), 1, "one that is awake is not woken");
        assert_eq!(receiver.poll_next(&mut context), Poll::Ready(Some(saved(3, true))));
        assert!(receiver.poll_next(&mut context).is_pending());
        sender.send(saved(4, false));
        drop(sender);
        assert_eq!(counter.0.load(Ordering::Relaxed), 2);
        assert_eq!(receiver.poll_next(&mut context), Poll::Ready(Some(saved(4, false))), "it is not lost");
        assert_eq!(receiver.poll_next(&mut context), Poll::Ready(None));
        assert_eq!(receiver.poll_next(&mut context), Poll::Ready(None));
    }

    #[test]
    fn the_end_wakes_the_one_that_waits() {
        let (sender, mut receiver) = reports();
        let counter = Arc::<Counter>::default();
        let waker = Waker::from(Arc::clone(&counter));
        assert!(receiver.poll_next(&mut Context::from_waker(&waker)).is_pending());
        drop(sender);
        assert_eq!(counter.0.load(Ordering::Relaxed), 1);
    }
}
