//! Starts the logs: diagnostics in the format of the settings, and the message log for PLUMI messages.

pub(crate) mod messages;

use std::time::Duration;

use anyhow::Context;
use diagnostics::{Level, filter, rust_log};
use plumi_proto::Domain;
use tokio::time::Instant;
use tracing::Subscriber;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use self::messages::MessageLog;
use crate::options::log_size::LogSize;
use crate::options::settings::Settings;

/// Starts both logs for the node of `domain`, for the rest of the process. Returns a handle to them.
///
/// # Errors
/// The message log cannot be opened, RUST_LOG is wrong, or the journal was asked for and does not exist.
pub(crate) fn start(settings: &Settings, domain: &Domain) -> anyhow::Result<Logs> {
    let (subscriber, logs) = prepare(settings, domain, rust_log())?;
    subscriber.init();
    tracing::info!(roster = %settings.roster.display(), message_log = %logs.messages.name(), "starting");
    Ok(logs)
}

/// The logs of a running node.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    pub(crate) messages: MessageLog,
    filter: reload::Handle<EnvFilter, Registry>,
    rust_log: Option<String>,
}

impl Logs {
    /// Applies new settings. RUST_LOG wins over `diagnostics`, as at the start.
    ///
    /// # Errors
    /// None that [`start`] would not have had.
    pub(crate) fn set(&self, diagnostics: Level, log_max_size: LogSize) -> anyhow::Result<()> {
        self.filter.reload(filter(diagnostics, self.rust_log.as_deref())?)?;
        self.messages.set_max_size(log_max_size);
        Ok(())
    }

    /// Waits until both logs are written, for [`LAST_PATIENCE`] at most: nobody may read them.
    pub(crate) fn drain(&self) {
        let begun = Instant::now();
        self.messages.drain(LAST_PATIENCE);
        diagnostics::drain(LAST_PATIENCE.saturating_sub(begun.elapsed()));
    }
}

fn prepare(
    settings: &Settings,
    domain: &Domain,
    rust_log: Option<String>,
) -> anyhow::Result<(impl Subscriber + Send + Sync + use<>, Logs)> {
    let (filter, handle) = reload::Layer::new(filter(settings.diagnostics, rust_log.as_deref())?);
    let diagnostics =
        diagnostics::layer(settings.diagnostics_format, PROGRAM).context(NO_JOURNAL)?.with_filter(filter);
    let (messages, log) = MessageLog::open(settings, domain)?;
    let logs = Logs { messages: log, filter: handle, rust_log };
    // The message log comes last. It emits diagnostics while it handles an event. A layer that had not seen
    // that event yet would then use the filter's verdict on the diagnostics for it.
    let messages = messages.with_filter(filter_fn(message_log::is_message));
    Ok((tracing_subscriber::registry().with(diagnostics).with(messages), logs))
}

/// Starts only diagnostics, as text on stderr, for the rest of the process.
///
/// # Errors
/// RUST_LOG is wrong.
pub(crate) fn start_diagnostics(level: Level) -> anyhow::Result<()> {
    let diagnostics = diagnostics::text().with_filter(filter(level, rust_log().as_deref())?);
    tracing_subscriber::registry().with(diagnostics).init();
    Ok(())
}

/// The time that the end of the program waits for its logs: many times what their reader needs.
pub(crate) const LAST_PATIENCE: Duration = Duration::from_millis(500);

/// The name of this program in the journal.
pub(crate) const PROGRAM: &str = env!("CARGO_PKG_NAME");

const NO_JOURNAL: &str = "there is no journal to write diagnostics to; \
    set diagnostics-format to text or json, or do not set it: cannot reach /run/systemd/journal/socket";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tracing::{Level as EventLevel, enabled};

    use super::*;

    /// The limit of any wait, which a busy machine meets as well.
    const DEADLINE: Duration = Duration::from_secs(60);

    fn logs_at(path: &Path, rust_log: Option<&str>) -> (impl Subscriber + Send + Sync + use<>, Logs) {
        let settings = Settings { log: Some(path.to_owned()), ..Settings::default() };
        prepare(&settings, &"bb.com".parse().unwrap(), rust_log.map(str::to_owned)).unwrap()
    }

    #[test]
    fn what_is_set_later_holds_and_rust_log_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let levels = || [enabled!(EventLevel::WARN), enabled!(EventLevel::INFO), enabled!(EventLevel::DEBUG)];
        for (rust_log, before, after) in [
            (None, [true, false, false], [true, true, false]),
            (Some("debug"), [true, true, true], [true, true, true]),
            (Some("off"), [false, false, false], [false, false, false]),
        ] {
            let (subscriber, logs) = logs_at(&path, rust_log);
            tracing::subscriber::with_default(subscriber, || {
                assert_eq!(levels(), before, "{rust_log:?}");
                logs.set(Level::Info, LogSize(Some(1))).unwrap();
                assert_eq!(levels(), after, "{rust_log:?}");
                for number in 0..2 {
                    message_log::sent(
                        "bb.com",
                        "127.0.0.1:1".parse().unwrap(),
                        format!("RR{number}").as_bytes(),
                    );
                }
                logs.messages.drain(DEADLINE);
                logs.set(Level::Off, LogSize(None)).unwrap();
                assert_eq!(levels(), if rust_log.is_some() { before } else { [false; 3] }, "{rust_log:?}");
            });
            assert_eq!(fs::read_to_string(&path).unwrap(), "E: 127.0.0.1:UDP:1, RR1, 3\n");
        }
    }

    #[test]
    fn reopening_says_which_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bb\n.log");
        let shown = folder.path().join(r"bb\n.log");
        let (_, logs) = logs_at(&path, None);
        assert_eq!(logs.messages.reopen().unwrap(), format!("reopened the message log {}", shown.display()));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(
            logs.messages.reopen().unwrap_err().to_string(),
            format!("cannot reopen the message log {}, it goes on in the file that it had", shown.display())
        );
        let (_, logs) = logs_at(Path::new("-"), None);
        assert_eq!(
            logs.messages.reopen().unwrap(),
            "the message log is on stdout, and has no file to reopen"
        );
        let (_, logs) = logs_at(Path::new("/dev/null"), None);
        assert_eq!(
            logs.messages.reopen().unwrap(),
            "the message log /dev/null has no file of its own to reopen"
        );
        assert_eq!(logs.messages.lost_lines(), 0);
    }
}
