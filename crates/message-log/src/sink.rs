//! The destination of messages.

use crate::entry::Entry;

/// A destination of messages: a log, or the screen of an administrator. Closures are sinks.
pub trait Sink: Send + 'static {
    /// Takes one message. A sender waits for it, and all others that log; it must not send messages itself.
    fn take(&mut self, entry: &Entry);

    /// Puts what it has taken where it belongs, if it keeps anything back. Called after every message but
    /// those of a [`Batch`](crate::Batch), and at the end of that.
    fn write(&mut self) {}
}

impl<F: FnMut(&Entry) + Send + 'static> Sink for F {
    fn take(&mut self, entry: &Entry) {
        self(entry);
    }
}
