//! The events of a node, on their way to the program around it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::state::event::{MAX_EVENTS, NodeEvent};
use crate::state::node::Node;

/// Creates a sender for [`ServerBuilder::events`](crate::ServerBuilder::events), and the events that will
/// come.
///
/// 1,024 events wait to be read, of which half may be [`NodeEvent::Located`]. A server never waits for room:
/// what finds none is counted as [`NodeEvents::missed`]. After a miss, [`ServerHandle::list`] has who is
/// online.
///
/// [`ServerHandle::list`]: crate::ServerHandle::list
pub fn node_events() -> (NodeEventSender, NodeEvents) {
    let (sender, events) = mpsc::channel(MAX_EVENTS);
    let missed = Arc::default();
    (
        NodeEventSender { events: sender, missed: Arc::clone(&missed), unsent: 0 },
        NodeEvents { events, missed },
    )
}

/// The end of [`node_events`] for a server.
#[derive(Debug)]
pub struct NodeEventSender {
    events: mpsc::Sender<NodeEvent>,
    missed: Arc<AtomicU64>,
    /// The number of events that found no room here.
    unsent: u64,
}

/// The events of a node, in their order.
#[derive(Debug)]
pub struct NodeEvents {
    events: mpsc::Receiver<NodeEvent>,
    missed: Arc<AtomicU64>,
}

impl NodeEventSender {
    /// Sends on the events of `node`. Returns whether anybody listens.
    pub(super) fn forward(&mut self, node: &mut Node) -> bool {
        while let Some(event) = node.poll_event() {
            if !event.has_room(self.events.capacity()) {
                self.unsent += 1;
            } else if let Err(TrySendError::Closed(_)) = self.events.try_send(event) {
                return false;
            }
        }
        self.missed.store(self.unsent + node.missed_events(), Ordering::Relaxed);
        true
    }
}

/// The events, until the server has ended.
impl Stream for NodeEvents {
    type Item = NodeEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<NodeEvent>> {
        self.events.poll_recv(context)
    }
}

impl NodeEvents {
    /// Waits for the next event. `None` once the server has ended.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is lost.
    pub async fn next(&mut self) -> Option<NodeEvent> {
        self.events.recv().await
    }

    /// Returns the next event, if there is one already.
    pub fn try_next(&mut self) -> Option<NodeEvent> {
        self.events.try_recv().ok()
    }

    /// Returns the number of events that found no room here.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}
