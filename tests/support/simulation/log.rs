//! The message log of every program of ours, by way of the event and the layer that ship.

use std::fmt;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex, PoisonError};

use message_log::{Direction, Entry, MessageLayer, is_visible};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;

use super::laws::{Violation, ensure};

/// Collects the lines of this thread until it is dropped.
pub(super) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    _guard: DefaultGuard,
}

impl Log {
    pub(super) fn start() -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let layer = MessageLayer::new(move |entry: &Entry| {
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(entry.to_string());
        });
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        Self { lines, _guard: guard }
    }

    /// `party` logs a message that it sends to `remote` or received from there.
    pub(super) fn write(
        &self,
        party: &str,
        direction: Direction,
        remote: SocketAddrV4,
        message: &[u8],
    ) -> Result<(), Violation> {
        match direction {
            Direction::Sent => message_log::sent(party, remote, message),
            Direction::Received => message_log::received(party, remote, message),
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let (letter, ip, port) = (direction.letter(), remote.ip(), remote.port());
        let (begins, ends) = (format!("{letter}: {ip}:UDP:{port}, "), format!(", {}", message.len()));
        let is_right = match &lines[..] {
            [line] => line.starts_with(&begins) && line.ends_with(&ends) && line.chars().all(is_visible),
            _ => false,
        };
        ensure!(is_right, OneLinePerMessage, "for {} to {remote}: {lines:?}", message.escape_ascii());
        lines.clear();
        Ok(())
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}
