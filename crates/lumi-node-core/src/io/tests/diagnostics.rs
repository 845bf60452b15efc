//! The diagnostics of a test.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;

/// A recording of the diagnostics of this thread, from [`Diagnostics::record`] until it is dropped.
pub(in crate::io) struct Diagnostics {
    text: Text,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Diagnostics {
    /// Begins to record.
    pub(in crate::io) fn record() -> Self {
        LazyLock::force(&OTHERS);
        let text = Text::default();
        let writer = text.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        Self { text, _guard: tracing::subscriber::set_default(subscriber.finish()) }
    }

    /// Returns the lines that contain `what`.
    pub(in crate::io) fn lines(&self, what: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.text.0.lock().unwrap()).into_owned();
        text.lines().filter(|line| line.contains(what)).map(str::to_owned).collect()
    }

    /// Returns the number after `name` in each line that contains `what`.
    pub(in crate::io) fn counts(&self, what: &str, name: &str) -> Vec<u64> {
        let number = |line: &String| line.split(name).nth(1)?.split(' ').next()?.parse().ok();
        self.lines(what)
            .iter()
            .map(|line| number(line).unwrap_or_else(|| panic!("no {name} in {line}")))
            .collect()
    }
}

impl Write for Text {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Subscribers that exist, but never receive an event. While a process has a single subscriber, tracing asks
/// the first thread that reaches an event whether it is wanted, and remembers the answer for all threads: a
/// thread without a subscriber would silence the others.
static OTHERS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Dispatch::new(tracing_subscriber::registry())));

mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_without_a_subscriber_silences_no_other() {
        fn warn() {
            tracing::warn!("heard");
        }
        let diagnostics = Diagnostics::record();
        thread::spawn(warn).join().unwrap();
        assert_eq!(diagnostics.lines("heard").len(), 0, "from another thread");
        warn();
        assert_eq!(diagnostics.lines("heard").len(), 1);
    }
}
