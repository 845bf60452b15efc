//! Rotation of a log, which keeps its size within bounds.

use std::fs::{self, File};
use std::io;
#[cfg(unix)]
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::failure::REPORT_INTERVAL;

/// Puts the file of a log aside when it is full, and begins a new one in its place.
///
/// ```text
///   bb.log ──▶ bb.log.1 ──▶ bb.log.2 ──▶ bb.log.3 ──▶ bb.log.4 ──▶ removed
///   ▲ begun anew
/// ```
///
/// Files are renamed and never copied. Wherever this is interrupted, each line is in exactly one file, and
/// the files are in order.
#[derive(Debug)]
pub(crate) struct Rotation<W> {
    path: PathBuf,
    max_size: Option<u64>,
    pub(crate) begin: Begin<W>,
    failed: Option<Instant>,
}

/// Creates the file at a path, which replaces another one.
type Begin<W> = fn(&Path, &W) -> io::Result<W>;

impl Rotation<File> {
    /// Creates the rotation of the log at `path`, a regular file. Returns `None` if that name must not be
    /// replaced. If the path is a link, the file behind it is put aside and the link stays.
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

    /// Puts `current` aside and returns the file to write to instead, or `None` if that failed less than
    /// [`RETRY_INTERVAL`] ago.
    ///
    /// # Errors
    /// Errors of the operating system. `current` stays in use.
    pub(crate) fn rotate(&mut self, current: &W, now: Instant) -> io::Result<Option<W>> {
        if self.failed.is_some_and(|failed| now.duration_since(failed) < RETRY_INTERVAL) {
            return Ok(None);
        }
        let begun = self.put_aside().and_then(|()| (self.begin)(&self.path, current));
        self.failed = begun.is_err().then_some(now);
        begun.map(Some)
    }

    fn put_aside(&self) -> io::Result<()> {
        // Another program moved it, or it was put aside earlier and a new file could not be begun.
        if !exists(&self.path) {
            return Ok(());
        }
        // Use a free number before a file is overwritten.
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

/// Follows links and returns the path of the file itself, or `None` if a link leads through /proc.
fn behind_links(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let found = fs::symlink_metadata(&path)?;
        if !found.is_symlink() {
            return Ok(Some(path));
        }
        // /dev/stdout leads through /proc to a file that belongs to the starter of this process.
        #[cfg(unix)]
        if fs::symlink_metadata("/proc").is_ok_and(|proc| proc.dev() == found.dev()) {
            return Ok(None);
        }
        let target = fs::read_link(&path)?;
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Ok(None)
}

/// Creates a new file with the permissions of the current one, so that nobody else can read the log.
pub(crate) fn begin_anew(path: &Path, current: &File) -> io::Result<File> {
    let permissions = current.metadata()?.permissions();
    let mut options = File::options();
    options.append(true).create_new(true);
    #[cfg(unix)]
    options.mode(permissions.mode());
    let log = options.open(path)?;
    // Restores what the umask of this process took away. Not every file system has permissions.
    _ = log.set_permissions(permissions);
    Ok(log)
}

/// The limit of old files of a log. With the current one, the log takes five times its size on the disk.
pub const KEPT: u32 = 4;

/// The size at which the programs put their log aside, in bytes. 100 MiB hold more than a million lines, and
/// five times that fits a small disk.
pub const DEFAULT_MAX_SIZE: u64 = 100 << 20;

/// The time after which a log that could not be put aside is tried again. Trying at each line would cost more
/// than the line. Each failure is reported.
const RETRY_INTERVAL: Duration = REPORT_INTERVAL;

/// The limit of links that are followed, as in Linux.
const MAX_LINKS: u32 = 40;
