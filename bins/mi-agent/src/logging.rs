//! The message log to its file, diagnostics to stderr.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use diagnostics::{Escaped, Level};
use message_log::{DEFAULT_MAX_SIZE, LineWriter, MessageLayer};
use plumi_proto::MiAddress;
use tokio::sync::mpsc;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::options::settings::Settings;

/// Starts both for this process.
///
/// # Errors
/// A message log that cannot be opened; a RUST_LOG that is wrong.
pub(crate) fn start(
    settings: &Settings,
    address: &MiAddress,
    destination: Diagnostics,
) -> anyhow::Result<()> {
    let path = match &settings.log {
        Some(path) => path.clone(),
        None => PathBuf::from(message_log::agent_log_name(address.as_str())),
    };
    let log = if path == Path::new("-") { LineWriter::stdout() } else { LineWriter::open(&path) };
    let log = log
        .with_context(|| format!("cannot open the message log {}", path.display()))?
        .max_size(Some(DEFAULT_MAX_SIZE))
        .on_failure(|failure| tracing::error!("{failure}"));
    let messages = MessageLayer::new(log).with_filter(filter_fn(message_log::is_message));
    let level = Level::from_flags(settings.verbose, settings.quiet).unwrap_or_default();
    let filter = diagnostics::filter(level, diagnostics::rust_log().as_deref())?;
    let diagnostics = match destination {
        Diagnostics::Stderr => diagnostics::text(),
        Diagnostics::Screen(lines) => {
            let format = fmt::layer().with_ansi(false).without_time().with_writer(move || lines.clone());
            // A failure would be reported on stderr, in the middle of the screen.
            Escaped::new(format.log_internal_errors(false)).boxed()
        }
    };
    tracing_subscriber::registry().with(diagnostics.with_filter(filter)).with(messages).init();
    Ok(())
}

/// Where diagnostics go.
#[derive(Debug)]
pub(crate) enum Diagnostics {
    Stderr,
    /// To whoever draws on the terminal.
    Screen(Lines),
}

impl Diagnostics {
    /// Of a program that draws on the terminal: where stderr is that terminal too, they are told, line by line.
    pub(crate) fn beside_a_screen() -> (Self, mpsc::Receiver<String>) {
        let (sender, told) = mpsc::channel(MAX_TOLD);
        let diagnostics = if io::stderr().is_terminal() { Self::Screen(Lines(sender)) } else { Self::Stderr };
        (diagnostics, told)
    }
}

/// Takes what is written line by line: a diagnostic is one write.
#[derive(Clone, Debug)]
pub(crate) struct Lines(mpsc::Sender<String>);

impl Write for Lines {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        // What is too much to be shown at once is lost.
        _ = self.0.try_send(String::from_utf8_lossy(text).trim_end().to_owned());
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Diagnostics that wait to be shown: a burst of them.
const MAX_TOLD: usize = 64;
