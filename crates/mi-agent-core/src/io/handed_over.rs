//! The frames of a conversation that its program relies on: their room, and how many of them are written.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::conversation::Progress;

/// The promised lines that came from the program, the oldest first, until they are written.
pub(crate) struct HandedOver {
    /// The room that each takes, unless the room was taken meanwhile.
    taken: VecDeque<Option<OwnedSemaphorePermit>>,
    /// The number of their frames, written or not.
    promised: u64,
    progress: watch::Sender<Progress>,
    /// The number of frames that are not written, of all conversations of the agent.
    outstanding: Arc<AtomicUsize>,
}

impl HandedOver {
    /// Creates it for a conversation in which nothing has been said. Its senders follow `progress`.
    pub(crate) fn new(progress: watch::Sender<Progress>, outstanding: Arc<AtomicUsize>) -> Self {
        Self { taken: VecDeque::new(), promised: 0, progress, outstanding }
    }

    /// Adds a line of so many frames.
    pub(crate) fn push(&mut self, frames: usize, room: Option<OwnedSemaphorePermit>) {
        self.promised += frames as u64;
        self.taken.push_back(room);
    }

    /// Adds so many frames that came too late to be written.
    pub(crate) fn push_late(&mut self, frames: usize) {
        self.promised += frames as u64;
    }

    /// Records that a frame is written of whose line so many are left. Gives back the room that these do not
    /// need.
    pub(crate) fn frame_written(&mut self, left: usize) {
        if left == 0 {
            self.taken.pop_front();
        } else if let Some(Some(permit)) = self.taken.front_mut() {
            let spare = permit.num_permits().saturating_sub(left);
            drop(permit.split(spare));
        }
        self.outstanding.fetch_sub(1, Ordering::Relaxed);
        let progress = &self.progress;
        progress.send_if_modified(|written| {
            written.written += 1;
            // Notifying takes longer than the rest of this, and mostly nobody waits. Whoever subscribes from
            // here on waits for this lock before they look, and finds the frame written and its room free.
            progress.receiver_count() > 0
        });
    }

    /// Has the senders look again at whether they can go on.
    pub(crate) fn wake_senders(&self) {
        self.progress.send_modify(|_| {});
    }

    /// Nothing more is written, and nobody waits for it. Only the first call says whether the peer answered the end.
    pub(crate) fn end(&mut self, is_answered: bool) {
        let left = self.promised - self.progress.borrow().written;
        self.promised -= left;
        self.outstanding.fetch_sub(usize::try_from(left).unwrap_or(0), Ordering::Relaxed);
        self.progress.send_modify(|progress| {
            progress.is_answered |= is_answered && !progress.is_over;
            progress.is_over = true;
        });
    }
}
