//! The lines of a conversation that wait, as its program and its task count them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Context;
use std::time::Duration;

use futures_util::task::AtomicWaker;

/// The lines that wait in a conversation.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    lines: AtomicUsize,
    /// The number of lines that are not written, whether handed over or not.
    unwritten: AtomicUsize,
    /// The number of lines that will never be sent, once the conversation has ended.
    unsaid: AtomicUsize,
    /// Nothing more can be said.
    is_closed: AtomicBool,
    /// The most time that the peer has for last words, if it is limited.
    last_words: OnceLock<Duration>,
    /// Everything of this side has left, and the time for last words is over.
    is_unheard: AtomicBool,
    waker: AtomicWaker,
}

impl Waiting {
    /// Records a line that has to wait.
    pub(super) fn line_said(&self) {
        self.lines.fetch_add(1, Ordering::Relaxed);
        self.unwritten.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn lines(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }

    /// Returns the number of lines that are not written.
    pub(crate) fn unwritten(&self) -> usize {
        self.unwritten.load(Ordering::Relaxed)
    }

    /// Records that a line is written.
    pub(crate) fn line_sent(&self) {
        self.unwritten.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns the number of lines that were not handed over, after the end.
    pub(crate) fn unsaid(&self) -> usize {
        self.unsaid.load(Ordering::Relaxed)
    }

    /// Wakes this task when a line is handed over, or the conversation ends.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    /// Records that the oldest line waits no more.
    pub(crate) fn hand_over(&self) {
        self.lines.fetch_sub(1, Ordering::Relaxed);
        self.waker.wake();
    }

    pub(crate) fn end(&self, unsaid: usize) {
        self.unsaid.store(unsaid, Ordering::Relaxed);
        self.waker.wake();
    }

    /// Records that nothing more can be said.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.waker.wake();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Limits the time that the peer has for last words after everything of this side has left. Called once.
    pub(crate) fn limit_last_words(&self, limit: Duration) {
        _ = self.last_words.set(limit);
    }

    pub(crate) fn last_words(&self) -> Option<Duration> {
        self.last_words.get().copied()
    }

    /// Records that the time for last words is over.
    pub(crate) fn hear_no_more(&self) {
        self.is_unheard.store(true, Ordering::Relaxed);
        self.waker.wake();
    }

    pub(crate) fn is_unheard(&self) -> bool {
        self.is_unheard.load(Ordering::Relaxed)
    }
}
