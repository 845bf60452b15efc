//! The end of an agent, as its tasks see it.

use std::future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time;

/// Ends the tasks of an agent, and waits for them.
#[derive(Debug)]
pub(crate) struct Closing(watch::Sender<Phase>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// What was handed over is still sent.
    Closing,
    /// It is not.
    Hurried,
}

impl Closing {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Phase::Open))
    }

    /// For a task that the end concerns, and that the end waits for.
    pub(crate) fn watch(&self) -> ClosingWatch {
        ClosingWatch(self.0.subscribe())
    }

    /// From now on, tasks end. Who was in a hurry stays so.
    pub(crate) fn begin(&self, hurried: bool) {
        let begun = if hurried { Phase::Hurried } else { Phase::Closing };
        self.0.send_if_modified(|phase| std::mem::replace(phase, begun.max(*phase)) < begun);
    }

    /// Waits until every task has ended, for `limit` at most.
    pub(crate) async fn ended(&self, limit: Duration) {
        // Whatever has not ended by then is held up by a peer.
        _ = time::timeout(limit, self.0.closed()).await;
    }
}

/// A task's view of the end. The end waits until it is dropped.
#[derive(Clone, Debug)]
pub(crate) struct ClosingWatch(watch::Receiver<Phase>);

impl ClosingWatch {
    /// Waits for the beginning of the end: a shutdown, or that nobody holds the agent any more. Cancel safe.
    pub(crate) async fn begun(&mut self) {
        _ = self.0.wait_for(|phase| *phase != Phase::Open).await;
    }

    /// [`ClosingWatch::begun`], and the reason it is for whoever is let go.
    pub(crate) async fn ends(&mut self) -> &'static str {
        self.begun().await;
        "the agent ends"
    }

    /// Waits until the end is in a hurry, if it ever is. Cancel safe.
    pub(crate) async fn hurried(&mut self) {
        if self.0.wait_for(|phase| *phase == Phase::Hurried).await.is_err() {
            future::pending::<()>().await;
        }
    }
}
