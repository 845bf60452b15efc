//! The place where lines end up: a writer, which may be a file that is put aside when it is full.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::failure::Troubles;
use crate::file::open_log;
use crate::output::{Output, Unwritten};
use crate::rotation::{Rotation, begin_anew};

/// A writer, and its file if it has one of its own.
pub(crate) struct Destination<W> {
    pub(crate) output: Output<W>,
    /// `None` for a writer that can neither be put aside nor reopened: stdout, a pipe, a device.
    pub(crate) own: Option<OwnFile<W>>,
}

/// A file that belongs to the log.
pub(crate) struct OwnFile<W> {
    /// The path at which the log is reopened.
    path: PathBuf,
    pub(crate) rotation: Rotation<W>,
    reopen: Reopen<W>,
}

/// Opens the path of a log again, given its current file.
type Reopen<W> = fn(&Path, &W) -> io::Result<Destination<W>>;

impl<W> Destination<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self { output: Output::new(writer), own: None }
    }

    /// Sets the size at which the file is put aside, if it can be.
    pub(crate) fn set_max_size(&mut self, max_size: Option<u64>) {
        if let Some(own) = &mut self.own {
            own.rotation.set_max_size(max_size);
        }
    }

    /// Opens the file that is at the path now; see [`LineWriter::reopen`](crate::LineWriter::reopen).
    pub(crate) fn reopen(&mut self) -> io::Result<bool>
    where
        W: Write,
    {
        let Some(own) = &self.own else { return Ok(false) };
        // A line that was torn in the old file was reported as lost, and nothing more is written there.
        _ = self.output.end_torn_line();
        let mut opened = (own.reopen)(&own.path, &self.output.writer)?;
        opened.set_max_size(own.rotation.max_size());
        *self = opened;
        Ok(true)
    }
}

impl<W: Write> Destination<W> {
    /// Writes whole `lines`. A file that has no room for the next one is put aside before that.
    pub(crate) fn write_lines(&mut self, mut lines: &[u8], now: impl Fn() -> Instant) -> Troubles {
        let mut troubles = Troubles::default();
        while !lines.is_empty() {
            let mut fitting = self.fitting(lines);
            if fitting == 0 {
                troubles.grows = self.put_aside(now()).err().or(troubles.grows);
                fitting = self.fitting(lines);
            }
            // A file that cannot be put aside grows.
            let (next, rest) = lines.split_at(if fitting == 0 { lines.len() } else { fitting });
            if let Err(unwritten) = self.output.write_lines(next) {
                let before = troubles.unwritten.map_or(0, |unwritten| unwritten.lines);
                troubles.unwritten = Some(Unwritten { lines: before + unwritten.lines, ..unwritten });
            }
            lines = rest;
        }
        troubles
    }

    /// Returns the length of the first of `lines` for which the file has room.
    fn fitting(&self, lines: &[u8]) -> usize {
        let Some(room) = self.room() else { return lines.len() };
        if lines.len() as u64 <= room {
            return lines.len();
        }
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let is_end = |&byte: &u8| byte == b'\n';
        match lines[..room].iter().rposition(is_end) {
            Some(end) => end + 1,
            // An empty file has room for any line.
            None if self.output.size == 0 => lines.iter().position(is_end).map_or(lines.len(), |end| end + 1),
            None => 0,
        }
    }

    /// Returns the room in the file, less the end of a torn line, or `None` if it has no limit.
    fn room(&self) -> Option<u64> {
        let max = self.own.as_ref()?.rotation.max_size()?;
        Some(max.saturating_sub(self.output.size.saturating_add(u64::from(self.output.torn))))
    }

    fn put_aside(&mut self, now: Instant) -> io::Result<()> {
        let Some(own) = &mut self.own else { return Ok(()) };
        // A torn line is ended in its own file. It was reported as lost. If this fails, so does the next
        // write.
        if self.output.end_torn_line().is_ok()
            && let Some(writer) = own.rotation.rotate(&self.output.writer, now)?
        {
            self.output = Output::new(writer);
        }
        Ok(())
    }
}

impl Destination<File> {
    /// Opens the log at `path`. Returns it, and whether it is a regular file.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, bool)> {
        let mut opened = Self::new(open_log(path)?);
        let found = opened.output.writer.metadata()?;
        if found.is_file() {
            // A program that may not read the log can still append to it.
            opened.output.torn = ends_within_a_line(path).unwrap_or(false);
            opened.output.size = found.len();
            opened.own = Rotation::of(path)?.map(|rotation| OwnFile {
                path: path.to_owned(),
                rotation,
                reopen: open_again,
            });
        }
        Ok((opened, found.is_file()))
    }
}

fn open_again(path: &Path, current: &File) -> io::Result<Destination<File>> {
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
    let (opened, _) = Destination::open(path)?;
    if opened.own.is_some() { Ok(opened) } else { Err(no_file()) }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::failure::now;
    use crate::rotation::KEPT;

    #[test]
    fn a_file_that_cannot_be_put_aside_is_tried_again_after_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let in_the_way = folder.path().join("log.4");
        fs::create_dir(&in_the_way).unwrap();
        (1..KEPT).for_each(|number| fs::write(folder.path().join(format!("log.{number}")), "old\n").unwrap());
        let mut log = open(&path);
        let start = now();
        let mut write = |second| {
            let line = format!("at {second:03}\n");
            let troubles = log.write_lines(line.as_bytes(), || start + Duration::from_secs(second));
            assert!(troubles.unwritten.is_none());
            usize::from(troubles.grows.is_some())
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
        let mut log = open(&folder.path().join("log"));
        let begin = rotation(&mut log).begin;
        let start = now();
        let mut write = |second, begin| {
            rotation(&mut log).begin = begin;
            let line = format!("at {second:03}\n");
            log.write_lines(line.as_bytes(), || start + Duration::from_secs(second));
        };
        for second in 0..3 {
            write(second, |_, _| Err(io::ErrorKind::QuotaExceeded.into()));
        }
        write(61, begin);
        let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!([read("log.1"), read("log")], ["at 000\nat 001\nat 002\n", "at 061\n"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    /// Opens a log for files of one line.
    fn open(path: &Path) -> Destination<File> {
        let (mut log, _) = Destination::open(path).unwrap();
        log.set_max_size(Some(8));
        log
    }

    fn rotation(log: &mut Destination<File>) -> &mut Rotation<File> {
        &mut log.own.as_mut().unwrap().rotation
    }
}
