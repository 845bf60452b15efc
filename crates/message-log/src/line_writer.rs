//! The sink that writes lines.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
#[cfg(unix)]
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::entry::Entry;
use crate::event::MAX_KEPT;
use crate::failure::{LogFailure, REPORT_INTERVAL};
use crate::file::open_log;
use crate::rotation::{Rotation, begin_anew};
use crate::sink::Sink;

/// Writes the line of each message, with a line end. The lines of a [`Batch`](crate::Batch) are written in
/// one call of `write`, and any other line in its own call. Nothing is buffered beyond that.
///
/// A write that fails, on a full disk for example, loses only its own lines, which are counted. The next
/// write is tried again, and starts a new line even if part of a lost line was written.
pub struct LineWriter<W> {
    log: Log<W>,
    /// Lines that have not been written yet.
    lines: String,
    /// `None` if the log is not a file that can be put aside.
    rotation: Option<Rotation<W>>,
    /// The path at which the log can be reopened; `None` if it cannot be put aside either.
    path: Option<PathBuf>,
    lost: u64,
    reported: Option<Instant>,
    on_failure: Box<OnFailure>,
}

type OnFailure = dyn FnMut(LogFailure) + Send;

impl<W: Write> LineWriter<W> {
    /// Creates a log on `writer`, which must be at the start of a line and must not buffer.
    pub fn new(writer: W) -> Self {
        Self {
            log: Log { writer, torn: false, size: 0 },
            lines: String::with_capacity(MAX_WAITING + MAX_LINE),
            rotation: None,
            path: None,
            lost: 0,
            reported: None,
            on_failure: Box::new(|_| {}),
        }
    }

    /// Sets `report` to be called for lost lines and for a full file that cannot be put aside.
    ///
    /// Each of these is reported the first time, and then at most once in [`REPORT_INTERVAL`].
    ///
    /// `report` may emit diagnostics, but must not send messages.
    #[must_use]
    pub fn on_failure(self, report: impl FnMut(LogFailure) + Send + 'static) -> Self {
        Self { on_failure: Box::new(report), ..self }
    }

    /// Returns the number of lines lost so far.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Handles a line that was added to the waiting ones, at `start`. Writes those before it if the file has
    /// no room for it.
    fn added(&mut self, start: usize, now: impl Fn() -> Instant) {
        let length = self.lines.len() - start;
        if self.is_full(start, length) {
            self.write_lines(start, &now);
            // The file is still full, unless the lines could not be written.
            if self.is_full(0, length) {
                self.put_aside(now());
            }
        }
        if self.lines.len() >= MAX_WAITING {
            self.write_lines(self.lines.len(), now);
        }
    }

    /// Returns whether the file has no room for `length` more bytes.
    ///
    /// The bytes follow `waiting` others and the end of a torn line.
    fn is_full(&self, waiting: usize, length: usize) -> bool {
        let size = self.log.size.saturating_add(waiting as u64 + u64::from(self.log.torn));
        self.rotation.as_ref().is_some_and(|rotation| rotation.is_due(size, length))
    }

    /// Writes the first `length` bytes of the waiting lines, which are whole lines.
    fn write_lines(&mut self, length: usize, now: impl Fn() -> Instant) {
        if length == 0 {
            return;
        }
        let mut written = 0;
        let lines = &self.lines.as_bytes()[..length];
        let result = self.log.end_torn_line().and_then(|()| self.log.write(lines, &mut written));
        let lost = lines[written..].iter().filter(|&&byte| byte == b'\n').count();
        self.lines.drain(..length);
        // Last, because this calls the program.
        if let Err(error) = result {
            self.lose(lost as u64, error, now());
        }
    }

    fn put_aside(&mut self, now: Instant) {
        let Some(rotation) = &mut self.rotation else { return };
        // A torn line is ended in its own file. It was reported as lost. If this fails, so does the next
        // write.
        if self.log.end_torn_line().is_err() {
            return;
        }
        match rotation.rotate(&self.log.writer, now) {
            Ok(Some(writer)) => self.log = Log { writer, torn: false, size: 0 },
            Ok(None) => {}
            Err(error) => (self.on_failure)(LogFailure::Grows { error }),
        }
    }

    fn lose(&mut self, lines: u64, error: io::Error, now: Instant) {
        self.lost += lines;
        if self.reported.is_none_or(|reported| now.duration_since(reported) >= REPORT_INTERVAL) {
            self.reported = Some(now);
            (self.on_failure)(LogFailure::Lost { error, lines: self.lost });
        }
    }
}

impl LineWriter<File> {
    /// Opens the log at `path` for appending, and creates it if it does not exist. If the file ends within a
    /// line, because the disk was full, the first line starts a new one.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let mut opened = Self::new(open_log(path)?);
        let found = opened.log.writer.metadata()?;
        if found.is_file() {
            // A program that may not read the log can still append to it.
            opened.log.torn = ends_within_a_line(path).unwrap_or(false);
            opened.log.size = found.len();
            opened.rotation = Rotation::of(path)?;
            opened.path = opened.rotation.is_some().then(|| path.to_owned());
        }
        Ok(opened)
    }

    /// Reopens the path of [`LineWriter::open`], for a log whose file was renamed or removed. Waiting lines
    /// are still written to the old file, and later ones to the file that is there now. A missing file is
    /// created with the permissions of the old one. If the old file is still there, nothing changes.
    ///
    /// Returns `false` if the log has no file to reopen: stdout, a pipe, a device. It stays in use.
    ///
    /// # Errors
    /// Errors of the operating system, and a pipe or device at the path. The old file stays in use.
    pub fn reopen(&mut self) -> io::Result<bool> {
        let Some(path) = self.path.clone() else { return Ok(false) };
        self.write_lines(self.lines.len(), now);
        // A line that was torn in the old file was reported as lost, and nothing more is written there.
        _ = self.log.end_torn_line();
        let mut opened = self.open_again(&path)?;
        opened.set_max_size(self.rotation.as_ref().and_then(Rotation::max_size));
        self.log = opened.log;
        self.rotation = opened.rotation;
        Ok(true)
    }

    fn open_again(&self, path: &Path) -> io::Result<Self> {
        let no_file = || io::Error::other("there is no regular file now");
        match fs::metadata(path) {
            // Opening a pipe would wait until somebody reads it.
            Ok(found) if !found.is_file() => return Err(no_file()),
            Ok(_) => {}
            // This fails if another program is faster, or if the path is a link to a missing file; any other
            // failure comes again below.
            Err(error) if error.kind() == io::ErrorKind::NotFound => drop(begin_anew(path, &self.log.writer)),
            Err(error) => return Err(error),
        }
        let opened = Self::open(path)?;
        if opened.path.is_some() { Ok(opened) } else { Err(no_file()) }
    }

    /// Sets the size in bytes at which the file is put aside and a new one begins.
    ///
    /// The full file becomes `<name>.1`, the previous `.1` becomes `.2`, and so on. The last
    /// [`KEPT`](crate::KEPT) old files stay, and older ones are removed. `None`, the default, lets the file
    /// grow.
    ///
    /// Only a regular file is put aside: not stdout, even if it is one, and no device or pipe. A line longer
    /// than `max_size` gets its own file. A file that cannot be put aside grows; that is reported, and tried
    /// again after a minute.
    #[must_use]
    pub fn max_size(mut self, max_size: Option<u64>) -> Self {
        self.set_max_size(max_size);
        self
    }

    /// Sets [`LineWriter::max_size`] of a log that is in use, from the next line on.
    pub fn set_max_size(&mut self, max_size: Option<u64>) {
        if let Some(rotation) = &mut self.rotation {
            rotation.set_max_size(max_size);
        }
    }

    /// Opens a log on stdout. It bypasses the buffer of [`std::io::stdout`], so lines appear at once.
    ///
    /// # Errors
    /// Those of the operating system.
    #[cfg(unix)]
    pub fn stdout() -> io::Result<Self> {
        Ok(Self::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
    }
}

impl<W: Write + Send + 'static> Sink for LineWriter<W> {
    fn take(&mut self, entry: &Entry) {
        let start = self.lines.len();
        entry.write_line(&mut self.lines).expect("a String takes everything");
        self.lines.push('\n');
        self.added(start, now);
    }

    fn write(&mut self) {
        self.write_lines(self.lines.len(), now);
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

/// The writer, and what is known about its end.
struct Log<W> {
    writer: W,
    /// Set if the last byte written is not a line end.
    torn: bool,
    /// The size in bytes, including what was there at the start.
    size: u64,
}

impl<W: Write> Log<W> {
    /// Ends a torn line, so that the next bytes start a new one.
    fn end_torn_line(&mut self) -> io::Result<()> {
        if self.torn { self.write(b"\n", &mut 0) } else { Ok(()) }
    }

    /// Writes `bytes`, and adds the number of bytes written to `written`.
    fn write(&mut self, mut bytes: &[u8], written: &mut usize) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.writer.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    let (done, rest) = bytes.split_at(count);
                    self.torn = !done.ends_with(b"\n");
                    self.size += count as u64;
                    *written += count;
                    bytes = rest;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
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

/// The size in bytes at which waiting lines are written: hundreds of lines, so the system call costs each
/// next to nothing.
const MAX_WAITING: usize = 32 * 1024;

/// The longest line in bytes: each byte of a message can become four, and the rest fits 64.
const MAX_LINE: usize = 4 * MAX_KEPT + 64;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

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
            log.lose(1, io::ErrorKind::StorageFull.into(), start + Duration::from_secs(second));
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
            write_line(&mut log, &format!("at {second:03}\n"), start + Duration::from_secs(second));
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
            write_line(&mut log, &format!("at {second:03}\n"), start + Duration::from_secs(second));
        };
        for second in 0..3 {
            write(second, |_, _| Err(io::ErrorKind::QuotaExceeded.into()));
        }
        write(61, begin);
        let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!([read("log.1"), read("log")], ["at 000\nat 001\nat 002\n", "at 061\n"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    fn write_line<W: Write>(log: &mut LineWriter<W>, line: &str, now: Instant) {
        let start = log.lines.len();
        log.lines.push_str(line);
        log.added(start, || now);
        log.write_lines(log.lines.len(), || now);
    }
}
