//! The sink that writes lines.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
#[cfg(unix)]
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::entry::Entry;
use crate::event::MAX_KEPT;
use crate::file::open_log;
use crate::layer::Sink;
use crate::rotation::Rotation;

/// Writes the line of each message, with a line end, in one call of `write` and with no buffer of its own.
///
/// A write that fails (a full disk, say) loses its line and nothing else: it is counted, the next line is
/// tried again, and begins on a line of its own even if a part of the lost one was written.
pub struct LineWriter<W> {
    log: Log<W>,
    /// The line that is being written; kept for its memory.
    line: Vec<u8>,
    /// `None` if what is written to cannot be put aside.
    rotation: Option<Rotation<W>>,
    lost: u64,
    reported: Option<Instant>,
    on_failure: Box<OnFailure>,
}

type OnFailure = dyn FnMut(LogFailure) + Send;

impl<W: Write> LineWriter<W> {
    /// Writes to `writer`, which is at the start of a line and does not buffer.
    pub fn new(writer: W) -> Self {
        Self {
            log: Log { writer, torn: false, size: 0 },
            line: Vec::with_capacity(MAX_LINE),
            rotation: None,
            lost: 0,
            reported: None,
            on_failure: Box::new(|_| {}),
        }
    }

    /// Has `report` called when a line is lost, and when a file that is full cannot be put aside: each at the first
    /// time, and then at most once in [`REPORT_INTERVAL`].
    ///
    /// It may emit diagnostics, but sends no messages itself.
    #[must_use]
    pub fn on_failure(self, report: impl FnMut(LogFailure) + Send + 'static) -> Self {
        Self { on_failure: Box::new(report), ..self }
    }

    fn write_line(&mut self, now: impl Fn() -> Instant) -> io::Result<()> {
        // In the file that the line was torn in.
        if self.log.torn {
            self.log.write(b"\n")?;
        }
        if let Some(rotation) = &mut self.rotation
            && rotation.is_due(self.log.size, self.line.len())
        {
            match rotation.rotate(&self.log.writer, now()) {
                Ok(Some(writer)) => self.log = Log { writer, torn: false, size: 0 },
                Ok(None) => {}
                Err(error) => (self.on_failure)(LogFailure::Grows { error }),
            }
        }
        self.log.write(&self.line)
    }

    fn lose(&mut self, error: io::Error, now: Instant) {
        self.lost += 1;
        if self.reported.is_none_or(|reported| now.duration_since(reported) >= REPORT_INTERVAL) {
            self.reported = Some(now);
            (self.on_failure)(LogFailure::Lost { error, lines: self.lost });
        }
    }
}

impl LineWriter<File> {
    /// Opens the log at `path` to append to it, and creates it if there is none. If a line was left unfinished
    /// there, by a disk that was full until the end, the first line begins on a line of its own.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let mut opened = Self::new(open_log(path)?);
        let found = opened.log.writer.metadata()?;
        if found.is_file() {
            // Whoever may not read what is in the log can still add to it.
            opened.log.torn = ends_within_a_line(path).unwrap_or(false);
            opened.log.size = found.len();
            opened.rotation = Rotation::of(path)?;
        }
        Ok(opened)
    }

    /// Before a line that would make the file larger than `max_size` bytes, puts it aside as `<name>.1` and begins
    /// another one. What was `.1` before becomes `.2`, and so on; of the old files the last [`KEPT`](crate::KEPT)
    /// stay, and older ones are removed. `None`, as without it, lets the file grow.
    ///
    /// Only a regular file is put aside: not stdout, even if it is one, and no device or pipe. A line that is longer
    /// than `max_size` is in a file alone. While a file cannot be put aside it grows; that is reported, and tried
    /// again after a minute.
    #[must_use]
    pub fn max_size(mut self, max_size: Option<u64>) -> Self {
        if let Some(rotation) = &mut self.rotation {
            rotation.set_max_size(max_size);
        }
        self
    }

    /// A log on stdout. It has no part in the buffer of [`std::io::stdout`]: a line is out at once.
    ///
    /// # Errors
    /// Those of the operating system.
    #[cfg(unix)]
    pub fn stdout() -> io::Result<Self> {
        Ok(Self::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
    }
}

impl<W: Write + Send + 'static> Sink for LineWriter<W> {
    fn write(&mut self, entry: &Entry) {
        self.line.clear();
        writeln!(self.line, "{entry}").expect("a Vec takes everything");
        if let Err(error) = self.write_line(now) {
            self.lose(error, now());
        }
    }
}

impl<W> fmt::Debug for LineWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineWriter")
            .field("torn", &self.log.torn)
            .field("size", &self.log.size)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

/// What lines are written to.
struct Log<W> {
    writer: W,
    /// What was written last is no line end.
    torn: bool,
    /// In bytes, with what was there before.
    size: u64,
}

impl<W: Write> Log<W> {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.writer.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    let (done, rest) = bytes.split_at(written);
                    self.torn = !done.ends_with(b"\n");
                    self.size += written as u64;
                    bytes = rest;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What went wrong with a log; its `Display` says it in one line.
#[derive(Debug)]
#[non_exhaustive]
pub enum LogFailure {
    /// A line could not be written.
    Lost {
        /// Why not.
        error: io::Error,
        /// How many lines were lost so far.
        lines: u64,
    },
    /// The file has reached its size and could not be put aside. Lines go on into it.
    Grows {
        /// Why not.
        error: io::Error,
    },
}

impl fmt::Display for LogFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { error, lines } => {
                write!(f, "lines of the message log are lost, {lines} so far: {error}")
            }
            Self::Grows { error } => {
                write!(f, "the message log grows beyond its size, as it cannot be put aside: {error}")
            }
        }
    }
}

fn ends_within_a_line(path: &Path) -> io::Result<bool> {
    let mut log = File::open(path)?;
    if log.metadata()?.len() == 0 {
        return Ok(false);
    }
    log.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    log.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[expect(
    clippy::disallowed_methods,
    reason = "writing a log is IO, and only how often it complains depends on it"
)]
fn now() -> Instant {
    Instant::now()
}

/// How long a [`LineWriter`] that has reported a failure is silent about more of them.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// The most bytes of a line: each of a message's may become four, and all else fits 64.
const MAX_LINE: usize = 4 * MAX_KEPT + 64;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;

    use super::*;
    use crate::rotation::KEPT;

    #[test]
    fn failures_are_reported_at_once_and_then_once_a_minute() {
        let (report, reports) = mpsc::channel();
        let mut log = LineWriter::new(Vec::new()).on_failure(move |failure| {
            let LogFailure::Lost { lines, .. } = failure else { panic!("{failure}") };
            report.send(lines).unwrap();
        });
        let start = now();
        let seconds = [0, 1, 59, 60, 61, 119, 120, 500, 501];
        for second in seconds {
            log.lose(io::ErrorKind::StorageFull.into(), start + Duration::from_secs(second));
        }
        assert_eq!(reports.try_iter().collect::<Vec<_>>(), [1, 4, 7, 8]);
    }

    #[test]
    fn a_file_that_cannot_be_put_aside_is_tried_again_after_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let in_the_way = folder.path().join("log.4");
        fs::create_dir(&in_the_way).unwrap();
        (1..KEPT).for_each(|number| fs::write(folder.path().join(format!("log.{number}")), "old\n").unwrap());
        let (report, reports) = mpsc::channel();
        let mut log = LineWriter::open(&path).unwrap().max_size(Some(8)).on_failure(move |failure| {
            let LogFailure::Grows { .. } = failure else { panic!("{failure}") };
            report.send(()).unwrap();
        });
        let start = now();
        let mut write = |second| {
            log.line = format!("at {second:03}\n").into_bytes();
            log.write_line(|| start + Duration::from_secs(second)).unwrap();
            reports.try_iter().count()
        };
        let reported = [0, 1, 2, 60, 61, 120].map(&mut write);
        assert_eq!(reported, [0, 1, 0, 0, 1, 0], "not at each line");
        fs::remove_dir(&in_the_way).unwrap();
        assert_eq!(write(121), 0);
        assert_eq!(fs::read_to_string(&path).unwrap(), "at 121\n");
        let old = fs::read_to_string(folder.path().join("log.1")).unwrap();
        assert_eq!(old, "at 000\nat 001\nat 002\nat 060\nat 061\nat 120\n");
    }

    #[test]
    fn a_file_that_cannot_be_begun_leaves_the_log_where_it_was_put() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = LineWriter::open(&path).unwrap().max_size(Some(8));
        let begin = log.rotation.as_ref().unwrap().begin;
        let start = now();
        let mut write = |second, begin| {
            log.rotation.as_mut().unwrap().begin = begin;
            log.line = format!("at {second:03}\n").into_bytes();
            log.write_line(|| start + Duration::from_secs(second)).unwrap();
        };
        for second in 0..3 {
            write(second, |_, _| Err(io::ErrorKind::QuotaExceeded.into()));
        }
        write(61, begin);
        let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!([read("log.1"), read("log")], ["at 000\nat 001\nat 002\n", "at 061\n"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
