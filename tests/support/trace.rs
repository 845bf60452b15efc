//! The message log of a test.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use message_log::{Entry, MessageLayer};
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing_subscriber::layer::SubscriberExt;

/// Every PLUMI message that nodes and agents on this thread send or receive, from [`Trace::start`] until it
/// is dropped. A `#[tokio::test]` runs all of its tasks on one thread.
#[derive(Debug)]
pub struct Trace {
    entries: Arc<Mutex<Vec<Entry>>>,
    _guard: DefaultGuard,
}

impl Trace {
    /// Starts to collect.
    pub fn start() -> Self {
        LazyLock::force(&SECOND);
        let entries = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&entries);
        let layer = MessageLayer::new(move |entry: &Entry| {
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(entry.clone());
        });
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        Self { entries, _guard: guard }
    }

    /// The lines of one party: a node, by its domain, or an agent, by its address.
    pub fn lines(&self, party: &str) -> Vec<String> {
        self.of(party, Entry::to_string)
    }

    /// The messages of one party, each after `E` or `R`: `E PRlaura@bb.com`.
    pub fn messages(&self, party: &str) -> Vec<String> {
        self.of(party, |entry| {
            format!("{} {}", entry.direction().letter(), String::from_utf8_lossy(entry.message()))
        })
    }

    fn of(&self, party: &str, show: impl Fn(&Entry) -> String) -> Vec<String> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().filter(|entry| entry.party() == party).map(show).collect()
    }
}

/// A second subscriber besides that of the first [`Trace`]. While there is one alone, tracing asks that of
/// the thread on which an event first happens in its place: if that thread has none, nobody is told of the
/// event ever after.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));
