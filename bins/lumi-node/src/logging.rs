//! Where events go: diagnostics as the settings say, PLUMI messages to the message log.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use message_ladder::Watch;
use message_log::{Entry, LineWriter, MessageLayer, Sink, SinkHandle, TARGET};
use plumi_proto::Domain;
use tracing::Subscriber;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::diagnostics;
use crate::escaped::escaped;
use crate::options::log_size::LogSize;
use crate::options::settings::Settings;
use crate::options::values::{Diagnostics, DiagnosticsFormat};

/// Starts both for the node of `domain`, for the rest of the process. Returns the way to the message log.
///
/// # Errors
/// A message log that cannot be opened; a RUST_LOG that is wrong; a journal that is asked for and not there.
pub(crate) fn start(settings: &Settings, domain: &Domain) -> anyhow::Result<Logs> {
    let (subscriber, logs) = prepare(settings, domain, rust_log())?;
    subscriber.init();
    tracing::info!(roster = %settings.roster.display(), message_log = %logs.name, "starting");
    Ok(logs)
}

/// The logs of a node that runs.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    messages: SinkHandle<Messages>,
    watch: Watch,
    /// The path of the message log, fit to be shown.
    name: String,
    filter: reload::Handle<EnvFilter, Registry>,
    rust_log: Option<String>,
}

impl Logs {
    /// Opens the file of the message log again, after somebody has renamed it; says what came of it.
    ///
    /// # Errors
    /// There is no such file and none can be created. The log goes on in the file that it had.
    pub(crate) fn reopen(&self) -> anyhow::Result<String> {
        let Self { name, .. } = self;
        let reopened = self.messages.with(|messages| messages.log.reopen()).with_context(|| {
            format!("cannot reopen the message log {name}, it goes on in the file that it had")
        })?;
        Ok(match (reopened, &**name) {
            (true, _) => format!("reopened the message log {name}"),
            (false, STDOUT) => "the message log is on stdout, and has no file to reopen".to_owned(),
            (false, _) => format!("the message log {name} has no file of its own to reopen"),
        })
    }

    /// From now on, these settings hold. RUST_LOG wins over `diagnostics`, as at the start.
    ///
    /// # Errors
    /// None that [`start`] would not have had.
    pub(crate) fn set(&self, diagnostics: Diagnostics, log_max_size: LogSize) -> anyhow::Result<()> {
        self.filter.reload(filter(diagnostics, self.rust_log.as_deref())?)?;
        self.messages.with(|messages| messages.log.set_max_size(log_max_size.0));
        Ok(())
    }

    /// How many lines of the message log were lost since the start.
    pub(crate) fn lost_lines(&self) -> u64 {
        self.messages.with(|messages| messages.log.lost())
    }

    /// The messages that have just passed, and those that do.
    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }
}

/// Where messages go: to the log, and to whoever watches. One sink, so that each message is taken from its event once.
struct Messages {
    log: LineWriter<File>,
    watch: Watch,
}

impl Sink for Messages {
    fn take(&mut self, entry: &Entry) {
        self.log.take(entry);
        self.watch.take(entry);
    }

    fn write(&mut self) {
        self.log.write();
        self.watch.write();
    }
}

fn prepare(
    settings: &Settings,
    domain: &Domain,
    rust_log: Option<String>,
) -> anyhow::Result<(impl Subscriber + Send + Sync + use<>, Logs)> {
    let (filter, handle) = reload::Layer::new(filter(settings.diagnostics, rust_log.as_deref())?);
    let diagnostics = diagnostics::layer(settings.diagnostics_format)?.with_filter(filter);
    let path = match &settings.log {
        Some(path) => path.clone(),
        None => PathBuf::from(message_log::node_log_name(domain.as_str())),
    };
    let name = escaped(&path.to_string_lossy());
    if is_same_file(&path, &settings.roster) {
        bail!("cannot open the message log {name}: {IS_ROSTER}");
    }
    let log = if path == Path::new(STDOUT) { LineWriter::stdout() } else { LineWriter::open(&path) };
    let log = log
        .with_context(|| format!("cannot open the message log {name}"))?
        .max_size(settings.log_max_size.0)
        .on_failure(|failure| tracing::error!("{failure}"));
    let watch = Watch::new(domain.as_str(), WATCHED, now);
    let messages = MessageLayer::new(Messages { log, watch: watch.clone() });
    let logs = Logs { messages: messages.handle(), watch, name, filter: handle, rust_log };
    // The message log comes last: it emits diagnostics while it handles an event, and a layer that is yet to see
    // that event would then be told to by the filter's verdict on the diagnostics.
    let messages = messages.with_filter(filter_fn(message_log::is_message));
    Ok((tracing_subscriber::registry().with(diagnostics).with(messages), logs))
}

/// Starts diagnostics alone, as text on stderr, for the rest of the process.
///
/// # Errors
/// A RUST_LOG that is wrong.
pub(crate) fn start_diagnostics(level: Diagnostics) -> anyhow::Result<()> {
    let diagnostics = diagnostics::layer(Some(DiagnosticsFormat::Text))?;
    let diagnostics = diagnostics.with_filter(filter(level, rust_log().as_deref())?);
    tracing_subscriber::registry().with(diagnostics).init();
    Ok(())
}

/// Whether both are there, and one and the same.
pub(crate) fn is_same_file(path: &Path, other: &Path) -> bool {
    let file = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    file(path).is_some_and(|found| file(other) == Some(found))
}

fn rust_log() -> Option<String> {
    env::var(EnvFilter::DEFAULT_ENV).ok().filter(|directives| !directives.trim().is_empty())
}

/// RUST_LOG, or else `level`. PLUMI messages are in their own log, unless RUST_LOG names their target.
fn filter(level: Diagnostics, rust_log: Option<&str>) -> anyhow::Result<EnvFilter> {
    let directives = rust_log.map_or_else(
        || match level {
            Diagnostics::Info | Diagnostics::Debug => format!("{level},{QUIET}"),
            _ => level.to_string(),
        },
        str::to_owned,
    );
    // Of two directives for one target, the later holds.
    EnvFilter::builder()
        .parse(format!("{TARGET}=off,{directives}"))
        .with_context(|| format!("{} is wrong", EnvFilter::DEFAULT_ENV))
}

#[expect(clippy::disallowed_methods, reason = "people read when a message passed; nothing is decided by it")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// How many messages are kept for whoever begins to watch: more than a screen shows, a quarter of a megabyte at most.
const WATCHED: usize = 500;

/// Why a file is no message log.
pub(crate) const IS_ROSTER: &str = "that is the roster, which its lines would destroy";

/// What stands for stdout where a path is expected.
const STDOUT: &str = "-";

/// The libraries that speak DNS and edit lines say much that only their authors want to know.
const QUIET: &str = "hickory_net=warn,hickory_proto=warn,hickory_resolver=warn,rustyline=warn";

#[cfg(test)]
mod tests {
    use tracing::{Level, enabled};

    use super::*;
    use crate::options::keys::Keys;

    fn logs_at(path: &Path, rust_log: Option<&str>) -> (impl Subscriber + Send + Sync + use<>, Logs) {
        let keys = Keys { log: Some(path.to_owned()), ..Keys::default() };
        prepare(&keys.into(), &"bb.com".parse().unwrap(), rust_log.map(str::to_owned)).unwrap()
    }

    #[test]
    fn what_is_set_later_holds_and_rust_log_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let levels = || [enabled!(Level::WARN), enabled!(Level::INFO), enabled!(Level::DEBUG)];
        for (rust_log, before, after) in [
            (None, [true, false, false], [true, true, false]),
            (Some("debug"), [true, true, true], [true, true, true]),
            (Some("off"), [false, false, false], [false, false, false]),
        ] {
            let (subscriber, logs) = logs_at(&path, rust_log);
            tracing::subscriber::with_default(subscriber, || {
                assert_eq!(levels(), before, "{rust_log:?}");
                logs.set(Diagnostics::Info, LogSize(Some(1))).unwrap();
                assert_eq!(levels(), after, "{rust_log:?}");
                for number in 0..2 {
                    message_log::sent(
                        "bb.com",
                        "127.0.0.1:1".parse().unwrap(),
                        format!("RR{number}").as_bytes(),
                    );
                }
                logs.set(Diagnostics::Off, LogSize(None)).unwrap();
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
        assert_eq!(logs.reopen().unwrap(), format!("reopened the message log {}", shown.display()));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(
            logs.reopen().unwrap_err().to_string(),
            format!("cannot reopen the message log {}, it goes on in the file that it had", shown.display())
        );
        let (_, logs) = logs_at(Path::new("-"), None);
        assert_eq!(logs.reopen().unwrap(), "the message log is on stdout, and has no file to reopen");
        let (_, logs) = logs_at(Path::new("/dev/null"), None);
        assert_eq!(logs.reopen().unwrap(), "the message log /dev/null has no file of its own to reopen");
        assert_eq!(logs.lost_lines(), 0);
    }
}
