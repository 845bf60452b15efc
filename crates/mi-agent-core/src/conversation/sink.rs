//! A [`LineSender`] as a sink of lines.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use futures_util::Sink;

use super::{LineSender, frames, room_for};
use crate::error::SendError;

impl LineSender {
    /// Returns the `result` once there is one: looks for it now, and after every change of the progress.
    fn poll_sink(
        &mut self,
        cx: &mut Context<'_>,
        result: impl Fn(&Self) -> Option<Result<(), SendError>>,
    ) -> Poll<Result<(), SendError>> {
        loop {
            if let Some(result) = result(self) {
                self.sink_wait = None;
                return Poll::Ready(result);
            }
            let Some(change) = &mut self.sink_wait else {
                let mut progress = self.progress.subscribe();
                // The task of the conversation notifies nobody unless somebody had subscribed when it had
                // this lock.
                drop(progress.borrow());
                self.sink_wait = Some(Box::pin(async move { _ = progress.changed().await }));
                // The result may have come just before the wait began.
                continue;
            };
            ready!(change.as_mut().poll(cx));
            self.sink_wait = None;
        }
    }
}

/// Sends each item as one line, as [`LineSender::send`] does.
impl Sink<String> for LineSender {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_sink(cx, |sender| {
            if sender.is_closed() {
                return Some(Err(SendError::Ended));
            }
            (sender.room.available_permits() > 0).then_some(Ok(()))
        })
    }

    fn start_send(self: Pin<&mut Self>, line: String) -> Result<(), SendError> {
        let frames = frames(&line)?;
        if self.is_closed() {
            return Err(SendError::Ended);
        }
        // There was room for a frame, and a line may need more or a clone may have taken it. This line takes
        // what is there, so that the next one has to wait.
        let all = room_for(frames.len());
        let room = (1..=all).rev().find_map(|room| Arc::clone(&self.room).try_acquire_many_owned(room).ok());
        self.promise(frames, room)
    }

    /// Waits until the lines of this sender are written; those of its clones need not be.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_sink(cx, |sender| {
            sender.progress.borrow().flushed(sender.promised_here.load(Ordering::Relaxed))
        })
    }

    /// Hangs up, and waits until everything is written.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if !self.is_closed() {
            self.hang_up();
        }
        self.poll_sink(cx, |sender| sender.progress.borrow().flushed(sender.promised.load(Ordering::Relaxed)))
    }
}
