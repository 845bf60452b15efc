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

/// Writes the line of each message, with a line end, in one call of `write` and with no buffer of its own.
///
/// A write that fails (a full disk, say) loses its line and nothing else: it is counted, the next line is
/// tried again, and begins on a line of its own even if a part of the lost one was written.
pub struct LineWriter<W> {
    writer: W,
    /// The line that is being written; kept for its memory.
    line: Vec<u8>,
    /// What was written last is no line end.
    torn: bool,
    lost: u64,
    reported: Option<Instant>,
    on_failure: Box<OnFailure>,
}

type OnFailure = dyn FnMut(&io::Error, u64) + Send;

impl<W: Write> LineWriter<W> {
    /// Writes to `writer`, which is at the start of a line and does not buffer.
    pub fn new(writer: W) -> Self {
        Self {
            writer,
            line: Vec::with_capacity(MAX_LINE),
            torn: false,
            lost: 0,
            reported: None,
            on_failure: Box::new(|_, _| {}),
        }
    }

    /// Has `report` called with the error when a line is lost, and with the number of lines that were lost so
    /// far: at the first one, and then at most once in [`REPORT_INTERVAL`].
    ///
    /// It may emit diagnostics, but sends no messages itself.
    #[must_use]
    pub fn on_failure(self, report: impl FnMut(&io::Error, u64) + Send + 'static) -> Self {
        Self { on_failure: Box::new(report), ..self }
    }

    fn write_line(&mut self) -> io::Result<()> {
        let mut rest = &self.line[..];
        while !rest.is_empty() {
            match self.writer.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    let (done, after) = rest.split_at(written);
                    self.torn = !done.ends_with(b"\n");
                    rest = after;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn lose(&mut self, error: &io::Error, now: Instant) {
        self.lost += 1;
        if self.reported.is_none_or(|reported| now.duration_since(reported) >= REPORT_INTERVAL) {
            self.reported = Some(now);
            (self.on_failure)(error, self.lost);
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
        let log = open_log(&path)?;
        // Whoever may not read what is in the log can still add to it.
        let torn = log.metadata()?.is_file() && ends_within_a_line(path.as_ref()).unwrap_or(false);
        Ok(Self { torn, ..Self::new(log) })
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
        if self.torn {
            self.line.push(b'\n');
        }
        writeln!(self.line, "{entry}").expect("a Vec takes everything");
        if let Err(error) = self.write_line() {
            self.lose(&error, now());
        }
    }
}

impl<W> fmt::Debug for LineWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineWriter")
            .field("torn", &self.torn)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
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
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn failures_are_reported_at_once_and_then_once_a_minute() {
        let (report, reports) = mpsc::channel();
        let mut log = LineWriter::new(Vec::new()).on_failure(move |_, lost| report.send(lost).unwrap());
        let start = now();
        let seconds = [0, 1, 59, 60, 61, 119, 120, 500, 501];
        for second in seconds {
            log.lose(&io::ErrorKind::StorageFull.into(), start + Duration::from_secs(second));
        }
        assert_eq!(reports.try_iter().collect::<Vec<_>>(), [1, 4, 7, 8]);
    }
}
