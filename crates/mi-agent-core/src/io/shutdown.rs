//! The shutdown of an agent, as its tasks see it.

use std::future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time;

#[cfg(test)]
use crate::state::conversation_times::LINGER;

/// Ends the tasks of an agent, and waits until they have ended.
#[derive(Debug)]
pub(crate) struct Shutdown(watch::Sender<Phase>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// Lines that were accepted are still sent.
    Orderly,
    /// Lines that were accepted are dropped.
    Hurried,
}

impl Shutdown {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Phase::Open))
    }

    /// Returns a view for a task. The shutdown waits until the task drops it.
    pub(crate) fn watch(&self) -> ShutdownWatch {
        ShutdownWatch(self.0.subscribe())
    }

    /// Begins the shutdown. A hurried one stays hurried.
    pub(crate) fn begin(&self, hurried: bool) {
        let begun = if hurried { Phase::Hurried } else { Phase::Orderly };
        self.0.send_if_modified(|phase| std::mem::replace(phase, begun.max(*phase)) < begun);
    }

    /// Waits until every task has ended, for `limit` at most.
    pub(crate) async fn ended(&self, limit: Duration) {
        // A task that has not ended by then is held up by a peer.
        _ = time::timeout(limit, self.0.closed()).await;
    }
}

/// A task's view of the shutdown, which waits until this is dropped.
#[derive(Clone, Debug)]
pub(crate) struct ShutdownWatch(watch::Receiver<Phase>);

impl ShutdownWatch {
    /// Waits until the shutdown begins or the last handle of the agent is dropped. Cancel safe.
    pub(crate) async fn begun(&mut self) {
        _ = self.0.wait_for(|phase| *phase != Phase::Open).await;
    }

    /// Waits until the shutdown is hurried, if it ever is. Cancel safe.
    pub(crate) async fn hurried(&mut self) {
        if self.0.wait_for(|phase| *phase == Phase::Hurried).await.is_err() {
            future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
impl Shutdown {
    /// Checks that a shutdown ends soon once it is hurried, though the peers of its tasks read nothing.
    pub(crate) async fn assert_hurries(&self) {
        tokio::task::yield_now().await;
        self.begin(false);
        time::sleep(Duration::from_millis(1)).await;
        self.begin(true);
        let start = time::Instant::now();
        self.ended(LINGER * 10).await;
        assert!(start.elapsed() < LINGER, "{:?}", start.elapsed());
    }
}
