//! The message log from the event to the bytes in the file.

mod background;
mod batches;
mod failures;
mod files;
mod layer;
mod lines;
mod parsed;
mod payloads;
mod reopened;
mod rotation;

use std::io;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use message_log::{Entry, LineWriter, MessageLayer, Sink};
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt;

/// A log in memory that remembers each call of `write` separately.
#[derive(Clone, Default)]
struct Writes(Arc<Mutex<Vec<Vec<u8>>>>);

impl Writes {
    fn each(&self) -> Vec<Vec<u8>> {
        self.0.lock().expect("no writer panics").clone()
    }

    fn text(&self) -> String {
        String::from_utf8(self.each().concat()).expect("a log is UTF-8")
    }
}

impl io::Write for Writes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A subscriber with nothing but a layer that writes lines to `writer`.
fn subscriber(writer: impl io::Write + Send + 'static) -> Dispatch {
    Dispatch::new(tracing_subscriber::registry().with(MessageLayer::new(LineWriter::new(writer))))
}

/// Returns the log of `messages`.
fn log_of(messages: impl FnOnce()) -> String {
    let writes = Writes::default();
    tracing::dispatcher::with_default(&subscriber(writes.clone()), messages);
    writes.text()
}

fn remote() -> SocketAddrV4 {
    "84.88.154.3:4500".parse().expect("an address")
}

/// Writes the line of one message that is logged alone.
fn write_alone(log: &mut impl Sink, entry: &Entry) {
    log.take(entry);
    log.write();
}

/// The limit of any wait, which a busy machine meets as well.
const DEADLINE: Duration = Duration::from_secs(60);
