//! The captured output of a program.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use lumi_testkit::DEADLINE;
use tokio::time::Instant;

/// The output of a program so far, with a way to wait for more.
#[derive(Debug, Default)]
pub(super) struct Output {
    captured: Mutex<Captured>,
    changed: Condvar,
}

/// Whole lines without line ends.
#[derive(Debug, Default)]
pub(super) struct Captured {
    pub(super) stdout: Vec<String>,
    pub(super) stderr: Vec<String>,
    /// The number of streams that have not ended.
    open: usize,
}

impl Output {
    /// Captures `stream` in the vector that `lines` selects, on a thread that ends with the stream.
    pub(super) fn follow(
        self: &Arc<Self>,
        stream: impl Read + Send + 'static,
        lines: fn(&mut Captured) -> &mut Vec<String>,
    ) {
        self.lock().open += 1;
        let output = Arc::clone(self);
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line);
                lines(&mut output.lock()).push(text.trim_end_matches(['\r', '\n']).to_owned());
                output.changed.notify_all();
                line.clear();
            }
            output.lock().open -= 1;
            output.changed.notify_all();
        });
    }

    /// Waits until the output `is_enough`, no more can come, or [`DEADLINE`] is over. The caller has to check
    /// which.
    pub(super) fn wait_until(&self, is_enough: impl Fn(&Captured) -> bool) -> MutexGuard<'_, Captured> {
        let lacks = |captured: &mut Captured| !captured.is_complete() && !is_enough(captured);
        let waited = self.changed.wait_timeout_while(self.lock(), DEADLINE, lacks);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Captured> {
        // A test that panicked while it held the lock reports its own failure.
        self.captured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Captured {
    /// Returns whether the program has closed all its streams.
    pub(super) fn is_complete(&self) -> bool {
        self.open == 0
    }
}

impl fmt::Display for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.is_complete() { "it has ended" } else { "it goes on" };
        writeln!(f, "{end}, and this is what it printed:")?;
        self.stdout.iter().try_for_each(|line| writeln!(f, "  stdout | {line}"))?;
        self.stderr.iter().try_for_each(|line| writeln!(f, "  stderr | {line}"))
    }
}

/// Polls until `is_so` holds, for effects that a program does not announce.
///
/// # Panics
/// If it does not hold within [`DEADLINE`].
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "within {DEADLINE:?} it did not come to be that {what}");
        thread::park_timeout(LOOK_AGAIN);
    }
}

/// The time between two looks of [`eventually`].
const LOOK_AGAIN: Duration = Duration::from_millis(10);
