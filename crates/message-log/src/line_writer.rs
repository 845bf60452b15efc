//! The sink that writes lines.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
#[cfg(unix)]
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::background::Background;
use crate::entry::Entry;
use crate::event::MAX_KEPT;
use crate::failure::{LogFailure, Losses, now};
use crate::file::open_log;
use crate::output::Output;
use crate::rotation::{Rotation, begin_anew};
use crate::sink::Sink;

/// Writes the line of each message, with a line end. The lines of a [`Batch`](crate::Batch) are written in
/// one call of `write`, and any other line in its own call. Nothing is buffered beyond that.
///
/// A write that fails, on a full disk for example, loses only its own lines, which are counted. The next
/// write is tried again, and starts a new line even if part of a lost line was written.
///
/// A writer that may block for as long as nobody reads belongs [in the background](Self::in_background): a pipe, a
/// terminal, a device. Those of [`LineWriter::open`] and [`LineWriter::stdout`] are there already.
pub struct LineWriter<W> {
    place: Place<W>,
    /// Lines that have not been written yet.
    lines: String,
    /// `None` if the log is not a file that can be put aside.
    rotation: Option<Rotation<W>>,
    /// The path at which the log can be reopened; `None` if it cannot be put aside either.
    path: Option<PathBuf>,
    losses: Arc<Mutex<Losses>>,
}

/// The place where lines are written.
enum Place<W> {
    /// The thread of the caller, which waits until they are written.
    Here(Output<W>),
    /// A thread of the log.
    Background(Background),
}

impl<W: Write> LineWriter<W> {
    /// Creates a log on `writer`, which must be at the start of a line and must not buffer.
    pub fn new(writer: W) -> Self {
        Self::on(Output::new(writer))
    }

    fn on(output: Output<W>) -> Self {
        Self {
            place: Place::Here(output),
            lines: String::with_capacity(MAX_WAITING + MAX_LINE),
            rotation: None,
            path: None,
            losses: Arc::new(Mutex::new(Losses::none())),
        }
    }

    /// Moves the writer to a thread of its own, so that nobody waits for it.
    ///
    /// Up to 1 MiB is queued. Lines beyond that are lost, counted and reported, until the writer has taken some. When the log is dropped, the thread writes what is left. A process that ends waits for it with
    /// [`LineWriter::drain`].
    ///
    /// # Errors
    /// The system starts no more threads.
    pub fn in_background(self) -> io::Result<Self>
    where
        W: Send + 'static,
    {
        let Self { place, lines, losses, .. } = self;
        let place = match place {
            Place::Here(output) => Place::Background(Background::start(output, Arc::clone(&losses))?),
            background @ Place::Background(_) => background,
        };
        // A file that is put aside has to be at hand.
        Ok(Self { place, lines, rotation: None, path: None, losses })
    }

    /// Waits until every line is written, for `patience` at most. Returns whether it is.
    pub fn drain(&self, patience: Duration) -> bool {
        match &self.place {
            Place::Here(_) => true,
            Place::Background(background) => background.drain(patience),
        }
    }

    /// Sets `report` to be called for lost lines and for a full file that cannot be put aside.
    ///
    /// Each of these is reported the first time, and then at most once in [`REPORT_INTERVAL`](crate::REPORT_INTERVAL).
    ///
    /// `report` may emit diagnostics, but must not send messages.
    #[must_use]
    pub fn on_failure(self, report: impl FnMut(LogFailure) + Send + 'static) -> Self {
        Losses::lock(&self.losses).on_failure = Box::new(report);
        self
    }

    /// Returns the number of lines lost so far.
    pub fn lost(&self) -> u64 {
        Losses::lock(&self.losses).lines()
    }

    /// Writes `line`, which is no message and ends in a line end.
    pub fn write_line(&mut self, line: &str) {
        self.write_lines(self.lines.len());
        self.lines.push_str(line);
        self.write_lines(self.lines.len());
    }

    /// Handles a line that was added to the waiting ones, at `start`. Writes those before it if the file has
    /// no room for it.
    fn added(&mut self, start: usize, now: impl Fn() -> Instant) {
        let length = self.lines.len() - start;
        if self.is_full(start, length) {
            self.write_lines(start);
            // The file is still full, unless the lines could not be written.
            if self.is_full(0, length) {
                self.put_aside(now());
            }
        }
        if self.lines.len() >= MAX_WAITING {
            self.write_lines(self.lines.len());
        }
    }

    /// Returns whether the file has no room for `length` more bytes.
    ///
    /// The bytes follow `waiting` others and the end of a torn line.
    fn is_full(&self, waiting: usize, length: usize) -> bool {
        let (Some(rotation), Place::Here(output)) = (&self.rotation, &self.place) else { return false };
        let size = output.size.saturating_add(waiting as u64 + u64::from(output.torn));
        rotation.is_due(size, length)
    }

    /// Writes the first `length` bytes of the waiting lines, which are whole lines.
    fn write_lines(&mut self, length: usize) {
        if length == 0 {
            return;
        }
        let lines = &self.lines.as_bytes()[..length];
        let result = match &mut self.place {
            Place::Here(output) => output.write_lines(lines),
            Place::Background(background) => background.push(lines),
        };
        self.lines.drain(..length);
        // Last, because this calls the program.
        if let Err(unwritten) = result {
            Losses::add(&self.losses, unwritten);
        }
    }

    fn put_aside(&mut self, now: Instant) {
        let (Some(rotation), Place::Here(output)) = (&mut self.rotation, &mut self.place) else { return };
        // A torn line is ended in its own file. It was reported as lost. If this fails, so does the next
        // write.
        if output.end_torn_line().is_err() {
            return;
        }
        match rotation.rotate(&output.writer, now) {
            Ok(Some(writer)) => *output = Output::new(writer),
            Ok(None) => {}
            Err(error) => (Losses::lock(&self.losses).on_failure)(LogFailure::Grows { error }),
        }
    }
}

impl LineWriter<File> {
    /// Opens the log at `path` for appending, and creates it if it does not exist. If the file ends within a
    /// line, because the disk was full, the first line starts a new one. Anything but a regular file is written to
    /// [in the background](Self::in_background).
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let mut output = Output::new(open_log(path)?);
        let found = output.writer.metadata()?;
        if !found.is_file() {
            return Self::on(output).in_background();
        }
        // A program that may not read the log can still append to it.
        output.torn = ends_within_a_line(path).unwrap_or(false);
        output.size = found.len();
        let rotation = Rotation::of(path)?;
        let path = rotation.is_some().then(|| path.to_owned());
        Ok(Self { rotation, path, ..Self::on(output) })
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
        self.write_lines(self.lines.len());
        let (Some(path), Place::Here(output)) = (&self.path, &mut self.place) else { return Ok(false) };
        // A line that was torn in the old file was reported as lost, and nothing more is written there.
        _ = output.end_torn_line();
        let mut opened = open_again(path, &output.writer)?;
        opened.set_max_size(self.rotation.as_ref().and_then(Rotation::max_size));
        (self.place, self.rotation) = (opened.place, opened.rotation);
        Ok(true)
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

    /// Opens a log on stdout. It bypasses the buffer of [`std::io::stdout`], so lines appear at once. Unless stdout is
    /// a regular file, it is written to [in the background](Self::in_background).
    ///
    /// # Errors
    /// Those of the operating system.
    #[cfg(unix)]
    pub fn stdout() -> io::Result<Self> {
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let is_file = stdout.metadata()?.is_file();
        let log = Self::new(stdout);
        if is_file { Ok(log) } else { log.in_background() }
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
        self.write_lines(self.lines.len());
    }
}

impl<W> fmt::Debug for LineWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("LineWriter");
        if let Place::Here(Output { torn, size, .. }) = &self.place {
            f.field("torn", torn).field("size", size);
        }
        f.field("lost", &Losses::lock(&self.losses).lines()).finish_non_exhaustive()
    }
}

fn open_again(path: &Path, current: &File) -> io::Result<LineWriter<File>> {
    let no_file = || io::Error::other("there is no regular file now");
    match fs::metadata(path) {
        // Opening a pipe would wait until somebody reads it.
        Ok(found) if !found.is_file() => return Err(no_file()),
        Ok(_) => {}
        // This fails if another program is faster, or if the path is a link to a missing file; any other
        // failure comes again below.
        Err(error) if error.kind() == io::ErrorKind::NotFound => drop(begin_anew(path, current)),
        Err(error) => return Err(error),
    }
    let opened = LineWriter::open(path)?;
    if opened.path.is_some() { Ok(opened) } else { Err(no_file()) }
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

/// The size in bytes at which waiting lines are written: hundreds of lines, so the system call costs each
/// next to nothing.
const MAX_WAITING: usize = 32 * 1024;

/// The longest line in bytes: each byte of a message can become four, and the rest fits 64.
const MAX_LINE: usize = 4 * MAX_KEPT + 64;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::rotation::KEPT;

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
        log.write_lines(log.lines.len());
    }
}
