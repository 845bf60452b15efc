//! The message log to its file, diagnostics to stderr.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use message_log::{DEFAULT_MAX_SIZE, LineWriter, MessageLayer, TARGET};
use plumi_proto::MiAddress;
use tokio::sync::mpsc;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
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
    diagnostics: Diagnostics,
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
    let filter = filter(settings)?;
    // It would panic when stderr is closed.
    let format = tracing_subscriber::fmt::layer().log_internal_errors(false);
    let diagnostics = match diagnostics {
        Diagnostics::Stderr => format.with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).boxed(),
        Diagnostics::Told(lines) => {
            format.with_ansi(false).without_time().with_writer(move || lines.clone()).boxed()
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
    Told(Lines),
}

impl Diagnostics {
    /// Of a program that draws on the terminal: where stderr is that terminal too, they are told, line by line.
    pub(crate) fn beside_a_screen() -> (Self, mpsc::Receiver<String>) {
        let (sender, told) = mpsc::channel(MAX_TOLD);
        let diagnostics = if io::stderr().is_terminal() { Self::Told(Lines(sender)) } else { Self::Stderr };
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

/// RUST_LOG, or else what the flags say. PLUMI messages are in their own log, unless RUST_LOG names their target.
fn filter(settings: &Settings) -> anyhow::Result<EnvFilter> {
    let given = env::var(EnvFilter::DEFAULT_ENV).ok().filter(|directives| !directives.trim().is_empty());
    let level = match i16::from(settings.verbose) - i16::from(settings.quiet) {
        ..=-2 => "off",
        -1 => "error",
        0 => "warn",
        1 => QUIET_INFO,
        2 => QUIET_DEBUG,
        3.. => "trace",
    };
    let directives = given.as_deref().unwrap_or(level);
    // Of two directives for one target, the later holds.
    EnvFilter::builder()
        .parse(format!("{TARGET}=off,{directives}"))
        .with_context(|| format!("{} is wrong", EnvFilter::DEFAULT_ENV))
}

/// The library that speaks DNS says much that only its authors want to know.
const QUIET_INFO: &str = "info,hickory_net=warn,hickory_proto=warn,hickory_resolver=warn";

const QUIET_DEBUG: &str = "debug,hickory_net=warn,hickory_proto=warn,hickory_resolver=warn";

/// Diagnostics that wait to be shown: a burst of them.
const MAX_TOLD: usize = 64;
