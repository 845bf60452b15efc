//! The diagnostics of a test.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;

/// What is told on this thread, from [`Told::start`] until it is dropped.
pub(super) struct Told {
    text: Text,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Told {
    pub(super) fn start() -> Self {
        LazyLock::force(&OTHERS);
        let text = Text::default();
        let writer = text.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        Self { text, _guard: tracing::subscriber::set_default(subscriber.finish()) }
    }

    /// The lines that say `what`.
    pub(super) fn lines(&self, what: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.text.0.lock().unwrap()).into_owned();
        text.lines().filter(|line| line.contains(what)).map(str::to_owned).collect()
    }

    /// The number behind `name` in each line that says `what`.
    pub(super) fn counts(&self, what: &str, name: &str) -> Vec<u64> {
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

/// While a process has one subscriber only, tracing asks the first thread that comes to an event whether anybody wants
/// it, and remembers the answer for all: a thread without a subscriber would silence the others.
static OTHERS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Dispatch::new(tracing_subscriber::registry())));

mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn nothing_is_lost_to_a_thread_that_nobody_listens_to() {
        fn tell() {
            tracing::warn!("heard");
        }
        let told = Told::start();
        thread::spawn(tell).join().unwrap();
        assert_eq!(told.lines("heard").len(), 0, "it is told elsewhere");
        tell();
        assert_eq!(told.lines("heard").len(), 1);
    }
}
