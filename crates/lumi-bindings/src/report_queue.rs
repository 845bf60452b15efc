//! The way of reports from the directory's thread to its node: a bounded queue with one wake-up for all that
//! came.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use crate::directory_report::DirectoryReport;

#[derive(Debug)]
pub(crate) struct ReportReceiver {
    shared: Arc<Shared>,
}

/// The thread's end. When the last one is dropped, no more reports come.
#[derive(Debug)]
pub(crate) struct ReportSender {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    has_room: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    reports: VecDeque<DirectoryReport>,
    has_ended: bool,
    is_abandoned: bool,
    waker: Option<Waker>,
}

pub(crate) fn report_queue() -> (ReportSender, ReportReceiver) {
    let shared = Arc::<Shared>::default();
    (ReportSender { shared: Arc::clone(&shared) }, ReportReceiver { shared })
}

impl ReportReceiver {
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<DirectoryReport>> {
        let mut queue = self.shared.lock();
        if let Some(report) = queue.reports.pop_front() {
            let has_room = queue.reports.len() < MAX_REPORTS / 2;
            drop(queue);
            if has_room {
                self.shared.has_room.notify_waiters();
            }
            return Poll::Ready(Some(report));
        }
        if queue.has_ended {
            return Poll::Ready(None);
        }
        match &mut queue.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for ReportReceiver {
    fn drop(&mut self) {
        self.shared.lock().is_abandoned = true;
        self.shared.has_room.notify_waiters();
    }
}

impl ReportSender {
    /// Adds a report of entries, once there is room for it.
    pub(crate) async fn send(&self, report: DirectoryReport) {
        loop {
            let room = self.shared.has_room.notified();
            tokio::pin!(room);
            // Room that is made from here on wakes this task.
            room.as_mut().enable();
            if self.shared.lock().has_room() {
                return self.send_now(report);
            }
            room.await;
        }
    }

    /// Adds a report that waits for no room: a renewed lease, siblings, the time. There are a few each second,
    /// and they must not wait for the entries of a million users. A node that takes nothing loses them.
    pub(crate) fn send_now(&self, report: DirectoryReport) {
        let mut queue = self.shared.lock();
        if !queue.is_abandoned && queue.reports.len() < 2 * MAX_REPORTS {
            queue.reports.push_back(report);
        }
        wake(queue);
    }
}

impl Drop for ReportSender {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.has_ended = true;
        wake(queue);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn has_room(&self) -> bool {
        self.reports.len() < MAX_REPORTS || self.is_abandoned
    }
}

fn wake(mut queue: MutexGuard<'_, Queue>) {
    let waker = queue.waker.take();
    drop(queue);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The reports that wait for the node, at most. Entries wait for room beyond that.
pub const MAX_REPORTS: usize = 256;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn one_wake_up_is_for_all_reports_until_the_receiver_looks() {
        let (sender, mut receiver) = report_queue();
        let counter = Arc::<Counter>::default();
        let waker = Waker::from(Arc::clone(&counter));
        let mut context = Context::from_waker(&waker);
        assert!(receiver.poll_next(&mut context).is_pending());
        sender.send_now(DirectoryReport::Joined);
        sender.send_now(DirectoryReport::Resumed);
        assert_eq!(counter.0.load(Ordering::Relaxed), 1);
        assert_eq!(receiver.poll_next(&mut context), Poll::Ready(Some(DirectoryReport::Joined)));
        assert_eq!(receiver.poll_next(&mut context), Poll::Ready(Some(DirectoryReport::Resumed)));
        assert!(receiver.poll_next(&mut context).is_pending());
        drop(sender);
        assert_eq!(counter.0.load(Ordering::Relaxed), 2);
        assert_eq!(receiver.poll_next(&mut context), Poll::Ready(None));
    }

    #[test]
    fn reports_wait_for_room_until_the_receiver_makes_it_or_is_gone() {
        let (sender, mut receiver) = report_queue();
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..MAX_REPORTS {
            sender.send_now(DirectoryReport::Joined);
        }
        let mut sending = Box::pin(sender.send(DirectoryReport::Resumed));
        assert!(sending.as_mut().poll(&mut context).is_pending());
        for _ in 0..=MAX_REPORTS / 2 {
            assert!(receiver.poll_next(&mut context).is_ready());
        }
        assert!(sending.as_mut().poll(&mut context).is_ready());
        while sender.shared.lock().reports.len() < MAX_REPORTS {
            sender.send_now(DirectoryReport::Joined);
        }
        let mut sending = Box::pin(sender.send(DirectoryReport::Resumed));
        assert!(sending.as_mut().poll(&mut context).is_pending());
        drop(receiver);
        assert!(sending.as_mut().poll(&mut context).is_ready());
    }
}
