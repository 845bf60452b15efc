//! The message log, and diagnostics on stderr or on the screen.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use diagnostics::{Escaped, Level};
use message_log::{DEFAULT_MAX_SIZE, LineWriter, MessageLayer, SinkHandle};
use plumi_proto::MiAddress;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::options::settings::{NO_LOG, Settings};
use crate::reason::Reason;
use crate::signals::LAST_LINES;

/// Starts the message log and diagnostics for this process, and returns a handle to them.
///
/// A message log that cannot be opened is a warning: people talk without one, too.
///
/// # Errors
/// RUST_LOG has an error.
pub(crate) fn start(
    settings: &Settings,
    address: &MiAddress,
    destination: Diagnostics,
) -> anyhow::Result<Logs> {
    let path = match &settings.log {
        Some(path) => path.clone(),
        None => PathBuf::from(message_log::agent_log_name(address.as_str())),
    };
    let (log, failure) = match open(&path) {
        Ok(log) => (log, None),
        Err(error) => (None, Some(error)),
    };
    let messages = log.map(|log| {
        let log = log.max_size(Some(DEFAULT_MAX_SIZE)).on_failure(|failure| tracing::error!("{failure}"));
        MessageLayer::new(log)
    });
    let logs = Logs { messages: messages.as_ref().map(MessageLayer::handle) };
    let messages = messages.map(|messages| messages.with_filter(filter_fn(message_log::is_message)));
    let level = Level::from_flags(settings.verbose, settings.quiet).unwrap_or_default();
    let filter = diagnostics::filter(level, diagnostics::rust_log().as_deref())?;
    let diagnostics = match destination {
        Diagnostics::Stderr => diagnostics::text(),
        Diagnostics::Screen(lines) => {
            let format = fmt::layer().with_ansi(false).without_time().with_target(false);
            let format = format.with_writer(move || lines.clone());
            // A failure would be reported on stderr, in the middle of the screen.
            Escaped::new(format.log_internal_errors(false)).boxed()
        }
    };
    tracing_subscriber::registry().with(diagnostics.with_filter(filter)).with(messages).init();
    if let Some(error) = failure {
        let (path, error) = (path.display(), Reason(&error));
        tracing::warn!("cannot open the message log {path}: {error}; messages are not logged");
    }
    Ok(logs)
}

/// The logs of a running agent.
#[derive(Debug)]
pub(crate) struct Logs {
    messages: Option<SinkHandle<LineWriter<File>>>,
}

impl Logs {
    /// Waits until both logs are written, for [`LAST_LINES`] at most: nobody may read them.
    pub(crate) fn drain(&self) {
        let begun = Instant::now();
        if let Some(messages) = &self.messages {
            messages.with(|log| log.drain(LAST_LINES));
        }
        diagnostics::drain(LAST_LINES.saturating_sub(begun.elapsed()));
    }
}

/// Opens the message log at `path`; `None` if there is to be none. A thread writes it, so a disk that hangs
/// holds nobody.
fn open(path: &Path) -> io::Result<Option<LineWriter<File>>> {
    let log = match path.to_str() {
        Some(NO_LOG) => return Ok(None),
        Some("-") => LineWriter::stdout(),
        _ => LineWriter::open(path),
    };
    log.and_then(LineWriter::in_background).map(Some)
}

/// The destination of diagnostics.
#[derive(Debug)]
pub(crate) enum Diagnostics {
    Stderr,
    /// The front end that draws on the terminal.
    Screen(Lines),
}

impl Diagnostics {
    /// Chooses the destination for a program that draws on the terminal, and returns the lines to show there.
    ///
    /// If stderr is a terminal, it is the same one, so the program has to show them itself.
    pub(crate) fn beside_a_screen() -> (Self, mpsc::Receiver<String>) {
        let (sender, told) = mpsc::channel(MAX_TOLD);
        let diagnostics = if io::stderr().is_terminal() { Self::Screen(Lines(sender)) } else { Self::Stderr };
        (diagnostics, told)
    }
}

/// A writer that passes lines on: the formatter writes each diagnostic at once.
#[derive(Clone, Debug)]
pub(crate) struct Lines(mpsc::Sender<String>);

impl Write for Lines {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        // If too many lines are waiting, this one is lost.
        _ = self.0.try_send(String::from_utf8_lossy(text).trim_end().to_owned());
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The most diagnostics that wait to be shown; enough for a burst.
const MAX_TOLD: usize = 64;
