//! Diagnostics in the journal of the host, written by a thread of their own.
//!
//! ```text
//! an emitter of events ──── push ──► queue, 1 MiB ── thread ──► socket of journald
//!                                      │ full: the event is lost, and counted
//! ```
//!
//! The socket blocks while journald hangs. Events are passed on without the spans around them. Neither
//! program has any.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Event, Metadata, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

use crate::escaped::Texts;

/// A layer that leaves each event, with its texts escaped, to the thread.
pub(crate) struct Journal(Arc<Queue>);

impl Journal {
    /// Starts the thread. The journal files its entries under the name of the `program`.
    ///
    /// # Errors
    /// The journal cannot be reached, or the system starts no more threads.
    pub(crate) fn start(program: &str) -> io::Result<Self> {
        let program = program.to_owned();
        let queue = Arc::<Queue>::default();
        let taken = Arc::clone(&queue);
        let (connected, result) = sync_channel(1);
        let run = move || match journald(program) {
            Ok(layer) => {
                // The caller may have stopped waiting.
                _ = connected.send(Ok(()));
                // It is never made anybody's subscriber, so it does not change which events are enabled.
                let subscriber = Registry::default().with(layer);
                taken.serve(|event| event.pass_to(&subscriber));
            }
            Err(error) => _ = connected.send(Err(error)),
        };
        thread::Builder::new().name("journal".into()).spawn(run)?;
        match result.recv_timeout(CONNECT_PATIENCE) {
            // It is there, and hangs: its entries wait.
            Ok(Ok(())) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Err(error)) => return Err(error),
            Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::BrokenPipe.into()),
        }
        _ = QUEUE.set(Arc::clone(&queue));
        Ok(Self(queue))
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.push(OwnedEvent::of(event));
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_one();
    }
}

/// Waits until the entries so far are in the journal, for `patience` at most.
pub(crate) fn drain(patience: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.drain(patience);
    }
}

/// Returns the number of entries that were lost, because journald takes none.
pub(crate) fn lost() -> u64 {
    QUEUE.get().map_or(0, |queue| queue.lost.load(Ordering::Relaxed))
}

/// An event that outlives its emitter.
struct OwnedEvent {
    metadata: &'static Metadata<'static>,
    texts: Texts,
}

impl OwnedEvent {
    fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut texts = Texts::of(metadata, |visitor| event.record(visitor));
        // journalctl shows no other field by default.
        texts.make_message_whole(metadata);
        Self { metadata, texts }
    }

    fn pass_to(&self, subscriber: &impl Subscriber) {
        let values = self.texts.values();
        let values = self.metadata.fields().value_set_all(&values);
        subscriber.event(&Event::new(self.metadata, &values));
    }

    /// The bytes that it takes, within a factor of two.
    fn size(&self) -> usize {
        // The message has the values of all fields once more.
        2 * self.texts.line().len() + OVERHEAD
    }
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// An event came, or no more will.
    changed: Condvar,
    /// Nothing is left to be written.
    drained: Condvar,
    lost: AtomicU64,
}

#[derive(Default)]
struct State {
    events: VecDeque<OwnedEvent>,
    /// The bytes of these events, and of the one that the thread is writing.
    bytes: usize,
    is_closed: bool,
}

impl Queue {
    fn push(&self, event: OwnedEvent) {
        let mut state = self.lock();
        if state.bytes + event.size() > MAX_QUEUED {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.bytes += event.size();
        state.events.push_back(event);
        drop(state);
        self.changed.notify_one();
    }

    /// Passes each event to `write`, which may block, until no more come.
    fn serve(&self, mut write: impl FnMut(&OwnedEvent)) {
        let mut state = self.lock();
        loop {
            if let Some(event) = state.events.pop_front() {
                drop(state);
                write(&event);
                state = self.lock();
                state.bytes -= event.size();
            } else if state.is_closed {
                return;
            } else {
                self.drained.notify_all();
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Waits until nothing is left, for `patience` at most. Returns whether nothing is.
    fn drain(&self, patience: Duration) -> bool {
        let waited = self.drained.wait_timeout_while(self.lock(), patience, |state| state.bytes > 0);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn journald(program: String) -> io::Result<tracing_journald::Layer> {
    // These are the journal's own names, so `journalctl -p` selects what people expect.
    let priorities = PriorityMappings {
        info: Priority::Informational,
        debug: Priority::Debug,
        trace: Priority::Debug,
        ..PriorityMappings::new()
    };
    let layer = tracing_journald::layer()?;
    Ok(layer.with_syslog_identifier(program).with_priority_mappings(priorities))
}

/// The queue of this process, once the journal is reached.
static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// The limit of bytes that wait to be written, as for stderr: a thousand entries.
const MAX_QUEUED: usize = 1024 * 1024;

/// The bytes of an event without its texts: a dozen fields, at two words each, and what allocating them
/// costs.
const OVERHEAD: usize = 512;

/// The time that the start of a program waits for the journal. One that takes longer hangs.
const CONNECT_PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use tracing::subscriber::with_default;
    use tracing_subscriber::fmt;

    use super::*;
    use crate::escaped::tests::{SHOWN, Written, tell};

    /// The limit of any wait, which a busy machine meets as well.
    const DEADLINE: Duration = Duration::from_secs(60);

    fn journal() -> (Journal, Arc<Queue>) {
        let queue = Arc::<Queue>::default();
        (Journal(Arc::clone(&queue)), queue)
    }

    #[test]
    fn the_message_of_an_entry_has_all_that_the_event_does() {
        let (journal, queue) = journal();
        // The subscriber is dropped at the end, which ends the queue.
        with_default(tracing_subscriber::registry().with(journal), tell);
        let written = Written::default();
        let writer = written.clone();
        let json = fmt::layer().json().without_time().with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(json);
        queue.serve(|event| event.pass_to(&subscriber));
        let text = written.text();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let said = format!("said {SHOWN} count=3 is_good=true shown={SHOWN} text={SHOWN}");
        assert_eq!(lines[0]["fields"]["message"], said);
        assert_eq!((&lines[0]["fields"]["count"], &lines[0]["fields"]["text"]), (&3.into(), &SHOWN.into()));
        assert_eq!(lines[1]["fields"]["message"], "alone");
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn a_journal_that_hangs_holds_nobody_up_and_what_is_lost_is_counted() {
        let (journal, queue) = journal();
        let (resume, resumed) = sync_channel::<()>(0);
        let taken = Arc::clone(&queue);
        let journald = thread::spawn(move || {
            let mut written = 0;
            taken.serve(|_| {
                // It hangs until the other end is dropped.
                _ = resumed.recv();
                written += 1;
            });
            written
        });
        let told = with_default(tracing_subscriber::registry().with(journal), || {
            let mut told = 0_u64;
            while queue.lost.load(Ordering::Relaxed) < 10 {
                tracing::info!(text = "x".repeat(1_000), "said");
                told += 1;
                assert!(told < 1_000, "nothing is lost");
            }
            assert!(queue.lock().bytes <= MAX_QUEUED);
            assert!(!queue.drain(Duration::ZERO));
            drop(resume);
            assert!(queue.drain(DEADLINE));
            tracing::info!("it is taken again");
            assert!(queue.drain(DEADLINE));
            assert_eq!(queue.lost.load(Ordering::Relaxed), 10);
            told + 1
        });
        assert_eq!(journald.join().unwrap(), told - 10);
    }
}
