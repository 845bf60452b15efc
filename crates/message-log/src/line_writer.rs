//! The sink that writes lines.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
#[cfg(unix)]
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::background::{Background, Reopening};
use crate::destination::Destination;
use crate::entry::Entry;
use crate::event::MAX_KEPT;
use crate::failure::{LogFailure, Losses, Troubles, now};
use crate::progress::LogProgress;
use crate::sink::Sink;

/// Writes the line of each message, with a line end. The lines of a [`Batch`](crate::Batch) are written in
/// one call of `write`, and any other line in its own call. Nothing is buffered beyond that.
///
/// A write that fails, on a full disk for example, loses only its own lines, which are counted. The next
/// write is tried again, and starts a new line even if part of a lost line was written.
///
/// A writer that may block for as long as nobody reads, or as a disk hangs, belongs
/// [in the background](Self::in_background). A pipe, a terminal or a device that [`LineWriter::open`] or
/// [`LineWriter::stdout`] opens is there already, and a regular file is not.
pub struct LineWriter<W> {
    place: Place<W>,
    /// Lines that have not been written yet.
    lines: String,
    losses: Arc<Mutex<Losses>>,
    progress: LogProgress,
}

/// The place where lines are written.
enum Place<W> {
    /// The thread of the caller, which waits until they are written.
    Here(Destination<W>),
    /// A thread of the log.
    Background(Background),
}

impl<W: Write> LineWriter<W> {
    /// Creates a log on `writer`, which must be at the start of a line and must not buffer.
    pub fn new(writer: W) -> Self {
        Self::on(Destination::new(writer))
    }

    fn on(destination: Destination<W>) -> Self {
        Self {
            place: Place::Here(destination),
            lines: String::with_capacity(MAX_WAITING + MAX_LINE),
            losses: Arc::new(Mutex::new(Losses::none())),
            progress: LogProgress::default(),
        }
    }

    /// Moves the writer to a thread of its own, so that nobody waits for it.
    ///
    /// Up to 1 MiB is queued. Lines beyond that are lost, counted and reported, until the writer has taken
    /// some. When the log is dropped, the thread writes what is left. A process that ends waits for it with
    /// [`LineWriter::drain`].
    ///
    /// # Errors
    /// The system starts no more threads.
    pub fn in_background(self) -> io::Result<Self>
    where
        W: Send + 'static,
    {
        let Self { place, lines, losses, progress } = self;
        let place = match place {
            Place::Here(destination) => {
                let background = Background::start(destination, Arc::clone(&losses), progress.clone())?;
                Place::Background(background)
            }
            background @ Place::Background(_) => background,
        };
        Ok(Self { place, lines, losses, progress })
    }

    /// Returns how far the log is written, for callers that let an answer wait for its line.
    pub fn progress(&self) -> LogProgress {
        self.progress.clone()
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
    /// Each of these is reported the first time, and then at most once in
    /// [`REPORT_INTERVAL`](crate::REPORT_INTERVAL).
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

    /// Writes the first `length` bytes of the waiting lines, which are whole lines.
    fn write_lines(&mut self, length: usize) {
        if length == 0 {
            return;
        }
        let lines = &self.lines.as_bytes()[..length];
        let troubles = match &mut self.place {
            Place::Here(destination) => {
                let troubles = destination.write_lines(lines, now);
                self.progress.give(length);
                self.progress.write(length);
                troubles
            }
            Place::Background(background) => match background.push(lines) {
                Ok(()) => {
                    self.progress.give(length);
                    Troubles::default()
                }
                Err(unwritten) => Troubles { unwritten: Some(unwritten), grows: None },
            },
        };
        self.lines.drain(..length);
        // Last, because this calls the program.
        Losses::report(&self.losses, troubles);
    }
}

impl LineWriter<File> {
    /// Opens the log at `path` for appending, and creates it if it does not exist. If the file ends within a
    /// line, because the disk was full, the first line starts a new one. Anything but a regular file is
    /// written to [in the background](Self::in_background).
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let (destination, is_file) = Destination::open(path.as_ref())?;
        let log = Self::on(destination);
        if is_file { Ok(log) } else { log.in_background() }
    }

    /// Reopens the path of [`LineWriter::open`], for a log after its file was renamed or removed. Waiting
    /// lines are still written to the old file, and later ones to the file that is there now. A missing file
    /// is created with the permissions of the old one. If the old file is still there, nothing changes.
    ///
    /// Returns `false` if the log has no file to reopen: stdout, a pipe, a device. It stays in use.
    ///
    /// A log in the background is waited for: see [`LineWriter::start_reopening`].
    ///
    /// # Errors
    /// Errors of the operating system, and a pipe or device at the path. The old file stays in use.
    pub fn reopen(&mut self) -> io::Result<bool> {
        self.start_reopening()?.wait(Duration::MAX)
    }

    /// Begins what [`LineWriter::reopen`] does. A log in the background is waited for by the [`Reopening`],
    /// while this writer goes on to take lines: until then, they may go to either file.
    ///
    /// # Errors
    /// Too many wait already, for a disk that hangs.
    pub fn start_reopening(&mut self) -> io::Result<Reopening> {
        self.write_lines(self.lines.len());
        match &mut self.place {
            Place::Here(destination) => Ok(Reopening::done(destination.reopen())),
            Place::Background(background) => background.reopen(),
        }
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
        match &mut self.place {
            Place::Here(destination) => destination.set_max_size(max_size),
            Place::Background(background) => background.set_max_size(max_size),
        }
    }

    /// Opens a log on stdout. It bypasses the buffer of [`std::io::stdout`], so lines appear at once. Unless
    /// stdout is a regular file, it is written to [in the background](Self::in_background).
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
        entry.write_line(&mut self.lines).expect("a String takes everything");
        self.lines.push('\n');
        if self.lines.len() >= MAX_WAITING {
            self.write();
        }
    }

    fn write(&mut self) {
        self.write_lines(self.lines.len());
    }
}

impl<W> fmt::Debug for LineWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("LineWriter");
        if let Place::Here(Destination { output, .. }) = &self.place {
            f.field("torn", &output.torn).field("size", &output.size);
        }
        f.field("lost", &Losses::lock(&self.losses).lines()).finish_non_exhaustive()
    }
}

/// The size in bytes at which waiting lines are written: hundreds of lines, so the system call costs each
/// next to nothing.
const MAX_WAITING: usize = 32 * 1024;

/// The longest line in bytes: each byte of a message can become four, and the rest fits 64.
const MAX_LINE: usize = 4 * MAX_KEPT + 64;
