//! The layer that gives events of tracing to a sink.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::entry::Entry;
use crate::event::{Direction, RemoteAddress, is_message};
use crate::recorder::Recorder;
use crate::sink::Sink;

/// The layer that gives every message to a [`Sink`], one at a time and before [`sent`](crate::sent) or
/// [`received`](crate::received) returns; those of a [`Batch`](crate::Batch) are written at its end.
///
/// It takes only events of [`TARGET`](crate::TARGET), and its own filter is `filter_fn(is_message)`, without
/// which every other event would be made for it. A filter for diagnostics belongs to the layer of diagnostics
/// (`with_filter`): one for all layers that drops TRACE would silence this layer as well. A build of tracing
/// without TRACE (`max_level_debug` and the like) has no messages: give the node or agent a
/// [tap](crate::traffic()) then.
pub struct MessageLayer<K> {
    only: Option<String>,
    state: Arc<Mutex<State<K>>>,
}

/// One entry serves for all messages, so that its memory is allocated once.
struct State<K> {
    entry: Entry,
    sink: K,
}

impl<K: Sink> MessageLayer<K> {
    /// A layer that gives the messages of every party in this process to `sink`.
    pub fn new(sink: K) -> Self {
        let nowhere = RemoteAddress::new([0, 0, 0, 0].into(), 0);
        let entry = Entry::new("", Direction::Sent, nowhere, b"");
        Self { only: None, state: Arc::new(Mutex::new(State { entry, sink })) }
    }

    /// Leaves out the messages of all parties but `party`, compared to the byte.
    #[must_use]
    pub fn only(self, party: impl Into<String>) -> Self {
        Self { only: Some(party.into()), ..self }
    }

    /// The way to its sink once the layer is part of a subscriber.
    pub fn handle(&self) -> SinkHandle<K> {
        SinkHandle { state: Arc::clone(&self.state) }
    }
}

impl<S: Subscriber, K: Sink> Layer<S> for MessageLayer<K> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // This comes before the lock: a sink may report in an event of its own, which comes by here.
        if !is_message(event.metadata()) {
            return;
        }
        let mut state = lock(&self.state);
        let State { entry, sink } = &mut *state;
        let mut recorder = Recorder::new(entry);
        event.record(&mut recorder);
        let (is_complete, waits, writes) = (recorder.is_complete(), recorder.waits(), recorder.writes());
        if is_complete && self.only.as_ref().is_none_or(|party| *party == entry.party) {
            sink.take(entry);
            if !waits {
                sink.write();
            }
        } else if writes {
            sink.write();
        }
    }
}

impl<K> fmt::Debug for MessageLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageLayer").field("only", &self.only).finish_non_exhaustive()
    }
}

/// The way to the sink of a [`MessageLayer`] that is part of a subscriber; a clone leads to the same sink.
pub struct SinkHandle<K> {
    state: Arc<Mutex<State<K>>>,
}

impl<K: Sink> SinkHandle<K> {
    /// Gives the sink to `act`, between two messages or two of a [`Batch`](crate::Batch). All logging threads
    /// wait meanwhile, so it is as short as a write is. Like a sink, it may emit diagnostics; it sends no
    /// messages itself and uses no handle of this sink, for it would wait for itself.
    pub fn with<T>(&self, act: impl FnOnce(&mut K) -> T) -> T {
        act(&mut lock(&self.state).sink)
    }
}

impl<K> Clone for SinkHandle<K> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state) }
    }
}

impl<K> fmt::Debug for SinkHandle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkHandle").finish_non_exhaustive()
    }
}

/// A sink that panicked once is asked again: its log is worth more than the worry.
fn lock<K>(state: &Mutex<State<K>>) -> MutexGuard<'_, State<K>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
