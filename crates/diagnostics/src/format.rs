//! The formats of diagnostics and their destinations.

use std::env;
use std::fs::{File, Metadata};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Zoned;
use message_log::LineWriter;
use standard_streams::stderr;
use tracing::Subscriber;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::escaped::Escaped;
use crate::filter::rust_log;
use crate::journal::{self, Journal};

/// A format of diagnostics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(try_from = "String")]
pub enum Format {
    /// A line for each, on stderr.
    Text,
    /// An object for each, on a line on stderr.
    Json,
    /// Events in the journal of this host, with their fields and how serious they are.
    Journald,
}

/// Reads the name of the format, as the command line does.
impl TryFrom<String> for Format {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, &'static str> {
        let format = clap::ValueEnum::from_str(&name, false);
        format.map_err(|_| "the format of diagnostics is `text`, `json` or `journald`")
    }
}

/// The layer that writes diagnostics in `format`.
///
/// It defaults to the journal if stderr goes there anyway, and to text otherwise. Each event is one line. The
/// journal files them under the name of the `program`.
///
/// # Errors
/// The journal was asked for and cannot be reached.
pub fn layer<S>(format: Option<Format>, program: &str) -> io::Result<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    Ok(match format {
        Some(Format::Text) => text(),
        Some(Format::Json) => json(),
        Some(Format::Journald) => Journal::start(program)?.boxed(),
        None if stderr_is_the_journal() => Journal::start(program).map_or_else(|_| text(), Journal::boxed),
        None => text(),
    })
}

/// The layer that writes diagnostics as text on stderr, one line for each event, with the local time.
pub fn text<S: Subscriber + for<'span> LookupSpan<'span>>() -> Box<dyn Layer<S> + Send + Sync> {
    let layer = fmt::layer().with_writer(|| Queued).with_ansi(io::stderr().is_terminal());
    // The module is for filtering. JSON and the journal always have it.
    let layer = layer.with_timer(LocalTime).with_target(rust_log().is_some());
    // The layer would otherwise panic when stderr is closed.
    Escaped::new(layer.log_internal_errors(false)).boxed()
}

/// The local time to the second, as everywhere in what people read: `2026-11-29 14:02:07`.
struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        #[expect(clippy::disallowed_methods, reason = "it is shown to people and decides nothing")]
        let now = Zoned::now();
        write!(writer, "{}", now.strftime("%Y-%m-%d %H:%M:%S"))
    }
}

/// Shows diagnostics with `print` from now on, if they would go to a terminal.
///
/// A line editor uses this to keep its line whole and below them.
pub fn print_by(print: impl FnMut(String) -> io::Result<()> + Send + 'static) {
    if io::stderr().is_terminal() {
        *printer() = Some(Box::new(print));
    }
}

/// Waits until the diagnostics so far are on stderr or in the journal, for `patience` at most. A program has
/// one of them.
pub fn drain(patience: Duration) {
    journal::drain(patience);
    if let Some(queue) = QUEUE.get() {
        lock(queue).drain(patience);
    }
}

/// Returns the number of diagnostics that were lost: nobody reads stderr, it cannot be written to, or the
/// journal hangs.
pub fn lost() -> u64 {
    journal::lost() + QUEUE.get().map_or(0, |queue| lock(queue).lost())
}

/// The way to stderr for threads that emit diagnostics and must not wait for its reader.
struct Queued;

impl Write for Queued {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        lock(QUEUE.get_or_init(start_queue)).write_line(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Queue = Mutex<LineWriter<Stderr>>;

fn start_queue() -> Queue {
    // A system that starts no more threads still has its diagnostics, and waits for them.
    Mutex::new(LineWriter::new(Stderr).in_background().unwrap_or_else(|_| LineWriter::new(Stderr)))
}

fn lock(queue: &Queue) -> MutexGuard<'_, LineWriter<Stderr>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread takes diagnostics from here. It starts with the first of them.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// The destination of text and JSON diagnostics: stderr, or the printer if one is set.
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &mut *printer() {
            Some(print) => print(String::from_utf8_lossy(line).into_owned()).map(|()| line.len()),
            None => stderr().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Print = dyn FnMut(String) -> io::Result<()> + Send;

fn printer() -> MutexGuard<'static, Option<Box<Print>>> {
    PRINTER.lock().unwrap_or_else(PoisonError::into_inner)
}

static PRINTER: Mutex<Option<Box<Print>>> = Mutex::new(None);

fn json<S: Subscriber + for<'span> LookupSpan<'span>>() -> Box<dyn Layer<S> + Send + Sync> {
    let layer = fmt::layer().json().with_writer(|| Queued);
    Escaped::new(layer.log_internal_errors(false)).boxed()
}

/// Returns whether stderr already goes to the journal.
///
/// The service manager names the file that it gave as stderr, which may have been redirected since
/// (systemd.exec(5), JOURNAL_STREAM).
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else { return false };
    let stderr = io::stderr().as_fd().try_clone_to_owned().and_then(|stderr| File::from(stderr).metadata());
    stderr.is_ok_and(|stderr| is_stream(&stream, &stderr))
}

/// Returns whether `stream`, such as `8:12345`, names the device and the inode of `file`.
fn is_stream(stream: &str, file: &Metadata) -> bool {
    stream
        .split_once(':')
        .is_some_and(|(device, inode)| device.parse() == Ok(file.dev()) && inode.parse() == Ok(file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_told_by_its_device_and_inode() {
        let file = File::open("/dev/null").unwrap().metadata().unwrap();
        let (device, inode) = (file.dev(), file.ino());
        assert!(is_stream(&format!("{device}:{inode}"), &file));
        let others = [format!("{device}:{}", inode + 1), format!("{}:{inode}", device + 1)];
        let wrong = [format!("{device}"), format!("{device}:{inode}:"), format!("{device}:"), String::new()];
        for stream in others.iter().chain(&wrong) {
            assert!(!is_stream(stream, &file), "{stream}");
        }
    }
}
