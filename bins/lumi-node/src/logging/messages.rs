//! The message log of a node: its file, and the last messages for watchers.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use diagnostics::escaped;
use message_ladder::Watch;
use message_log::{Entry, LineWriter, LogProgress, MessageLayer, Sink, SinkHandle};
use plumi_proto::Domain;

use crate::options::log_size::LogSize;
use crate::options::settings::Settings;

/// The message log of a running node.
#[derive(Clone, Debug)]
pub(crate) struct MessageLog {
    sink: SinkHandle<Messages>,
    progress: LogProgress,
    watch: Watch,
    /// The escaped path of its file.
    name: String,
}

impl MessageLog {
    /// Opens the message log of the node of `domain`, and returns the layer that writes it.
    ///
    /// # Errors
    /// The file cannot be opened, or is the roster.
    pub(super) fn open(
        settings: &Settings,
        domain: &Domain,
    ) -> anyhow::Result<(MessageLayer<Messages>, Self)> {
        let path = match &settings.log {
            Some(path) => path.clone(),
            None => PathBuf::from(message_log::node_log_name(domain.as_str())),
        };
        let name = escaped(&path.to_string_lossy());
        if is_same_file(&path, &settings.roster) {
            bail!("cannot open the message log {name}: {IS_ROSTER}");
        }
        let log = if path == Path::new(STDOUT) { LineWriter::stdout() } else { LineWriter::open(&path) };
        // The node waits for no disk.
        let log = log
            .and_then(LineWriter::in_background)
            .with_context(|| format!("cannot open the message log {name}"))?
            .max_size(settings.log_max_size.0)
            .on_failure(|failure| tracing::error!("{failure}"));
        let watch = Watch::new(domain.as_str(), WATCHED, now);
        let progress = log.progress();
        let layer = MessageLayer::new(Messages { log, watch: watch.clone() });
        let log = Self { sink: layer.handle(), progress, watch, name };
        Ok((layer, log))
    }

    /// The escaped path of its file.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Reopens the file, after somebody has renamed it. Returns what to say about it.
    ///
    /// # Errors
    /// There is no such file and none can be created, or the disk hangs. The log goes on in the old file.
    pub(crate) fn reopen(&self) -> anyhow::Result<String> {
        let Self { name, .. } = self;
        // The node logs while this waits.
        let reopening = self.sink.with(|messages| messages.log.start_reopening());
        let reopened =
            reopening.and_then(|reopening| reopening.wait(REOPEN_PATIENCE)).with_context(|| {
                format!("cannot reopen the message log {name}, it goes on in the file that it had")
            })?;
        Ok(match (reopened, &**name) {
            (true, _) => format!("reopened the message log {name}"),
            (false, STDOUT) => "the message log is on stdout, and has no file to reopen".to_owned(),
            (false, _) => format!("the message log {name} has no file of its own to reopen"),
        })
    }

    /// Changes the maximum size of its file.
    pub(super) fn set_max_size(&self, max_size: LogSize) {
        self.sink.with(|messages| messages.log.set_max_size(max_size.0));
    }

    /// The number of lines lost since the start.
    pub(crate) fn lost_lines(&self) -> u64 {
        self.sink.with(|messages| messages.log.lost())
    }

    /// Waits until its lines are written, for `patience` at most.
    pub(super) fn drain(&self, patience: Duration) {
        self.sink.with(|messages| messages.log.drain(patience));
    }

    /// The progress of the log.
    pub(crate) fn progress(&self) -> LogProgress {
        self.progress.clone()
    }

    /// The messages that have just passed, and the coming ones.
    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }
}

/// Receives messages for the log and the watchers. There is one sink, so that each message is taken from its
/// event once.
pub(super) struct Messages {
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

/// Whether both paths exist and name the same file.
pub(crate) fn is_same_file(path: &Path, other: &Path) -> bool {
    let file = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    file(path).is_some_and(|found| file(other) == Some(found))
}

#[expect(clippy::disallowed_methods, reason = "people read when a message passed; nothing is decided by it")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// The time that an administrator waits for the log to be reopened: many times what a disk takes that works.
const REOPEN_PATIENCE: Duration = Duration::from_secs(2);

/// The number of messages for new watchers: more than a screen shows, and a quarter of a megabyte at most.
const WATCHED: usize = 500;

/// The reason why the roster cannot be the message log.
pub(crate) const IS_ROSTER: &str = "that is the roster, which its lines would destroy";

/// Stands for stdout in place of a path.
const STDOUT: &str = "-";
