//! Old files of a log, so that it stays within bounds.

use std::fs::{self, File};
use std::io;
#[cfg(unix)]
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::failure::REPORT_INTERVAL;

/// Puts the file of a log aside when it is full, and begins another one in its place.
///
/// ```text
///   bb.log ──▶ bb.log.1 ──▶ bb.log.2 ──▶ bb.log.3 ──▶ bb.log.4 ──▶ removed
///   ▲ begun anew
/// ```
///
/// Files are renamed and never copied: wherever it is interrupted, each line is in one file, and the files are in
/// their order.
#[derive(Debug)]
pub(crate) struct Rotation<W> {
    path: PathBuf,
    max_size: Option<u64>,
    pub(crate) begin: Begin<W>,
    failed: Option<Instant>,
}

/// Creates the file at a path, which takes the place of another one.
type Begin<W> = fn(&Path, &W) -> io::Result<W>;

impl Rotation<File> {
    /// For the log at `path`, a regular file; `None` if its name is not the log's to give away. Through a link, the
    /// file that it names is put aside, and the link stays.
    pub(crate) fn of(path: &Path) -> io::Result<Option<Self>> {
        Ok(behind_links(path)?.map(|path| Self { path, max_size: None, begin: begin_anew, failed: None }))
    }
}

impl<W> Rotation<W> {
    pub(crate) fn max_size(&self) -> Option<u64> {
        self.max_size
    }

    pub(crate) fn set_max_size(&mut self, max_size: Option<u64>) {
        self.max_size = max_size;
    }

    /// Whether a file of `size` bytes has no room for `more`. An empty one has room for anything.
    pub(crate) fn is_due(&self, size: u64, more: usize) -> bool {
        self.max_size.is_some_and(|max| size > 0 && size.saturating_add(more as u64) > max)
    }

    /// The file to write to instead of `current`, which is put aside; `None` if that failed less than
    /// [`RETRY_INTERVAL`] ago.
    ///
    /// # Errors
    /// Those of the operating system. `current` is to be written to as before.
    pub(crate) fn rotate(&mut self, current: &W, now: Instant) -> io::Result<Option<W>> {
        if self.failed.is_some_and(|failed| now.duration_since(failed) < RETRY_INTERVAL) {
            return Ok(None);
        }
        let begun = self.put_aside().and_then(|()| (self.begin)(&self.path, current));
        self.failed = begun.is_err().then_some(now);
        begun.map(Some)
    }

    fn put_aside(&self) -> io::Result<()> {
        // Somebody else took it away, or it was put aside and another one could not be begun.
        if !exists(&self.path) {
            return Ok(());
        }
        // A number that is free is used before a file is removed.
        let last = (1..KEPT).find(|&number| !exists(&self.old(number))).unwrap_or(KEPT);
        for number in (1..last).rev() {
            fs::rename(self.old(number), self.old(number + 1))?;
        }
        fs::rename(&self.path, self.old(1))
    }

    fn old(&self, number: u32) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{number}"));
        path.into()
    }
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The path of the file that `path` names, without a link at its end; `None` if /proc is on the way there.
fn behind_links(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let found = fs::symlink_metadata(&path)?;
        if !found.is_symlink() {
            return Ok(Some(path));
        }
        // /dev/stdout leads there, and from there to a file that somebody else gave this process.
        #[cfg(unix)]
        if fs::symlink_metadata("/proc").is_ok_and(|proc| proc.dev() == found.dev()) {
            return Ok(None);
        }
        let target = fs::read_link(&path)?;
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Ok(None)
}

/// Who could not read the log so far cannot read the new one either.
pub(crate) fn begin_anew(path: &Path, current: &File) -> io::Result<File> {
    let permissions = current.metadata()?.permissions();
    let mut options = File::options();
    options.append(true).create_new(true);
    #[cfg(unix)]
    options.mode(permissions.mode());
    let log = options.open(path)?;
    // What this process's umask has taken away. Not every file system has permissions.
    _ = log.set_permissions(permissions);
    Ok(log)
}

/// How many old files of a log there are at most: with the current one, five times its size on the disk.
pub const KEPT: u32 = 4;

/// The size at which the programs put the file of their log aside, in bytes: 100 MiB hold more than a million
/// lines, and five times that fits a small disk.
pub const DEFAULT_MAX_SIZE: u64 = 100 << 20;

/// How long a log that could not be put aside is left to grow before that is tried again: at each line it would
/// cost more than the line. Each failure is reported.
const RETRY_INTERVAL: Duration = REPORT_INTERVAL;

/// The most links that are followed, as by Linux.
const MAX_LINKS: u32 = 40;
