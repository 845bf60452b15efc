//! A file of the system that is read again when it has changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// A file as it is now, so that a program that runs for months need not be restarted for a line in it.
#[derive(Debug)]
pub(crate) struct WatchedFile<T> {
    path: PathBuf,
    read: fn(&Path) -> T,
    latest: Mutex<Latest<T>>,
}

#[derive(Debug)]
struct Latest<T> {
    /// The stamp of the file that was read, or of a later one. `None`: there was no file.
    stamp: Option<Stamp>,
    content: Arc<T>,
}

/// The time of the last change of a file, and its size, because the clock of some file systems ticks slowly.
type Stamp = (Option<SystemTime>, u64);

impl<T> WatchedFile<T> {
    /// The file at `path`, which `read` reads now. `read` does not fail: it decides what a file means that
    /// cannot be read.
    pub(crate) fn new(path: impl Into<PathBuf>, read: fn(&Path) -> T) -> Self {
        let path = path.into();
        let latest = Mutex::new(Latest::read(&path, read));
        Self { path, read, latest }
    }

    /// The content of the file, read again if the file has changed. A disk may be slow.
    pub(crate) fn content(&self) -> Arc<T> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if stamp(&self.path) != latest.stamp {
            *latest = Latest::read(&self.path, self.read);
        }
        Arc::clone(&latest.content)
    }
}

impl<T> Latest<T> {
    fn read(path: &Path, read: fn(&Path) -> T) -> Self {
        // The stamp is read first, so that a change between the two is noticed the next time.
        let stamp = stamp(path);
        Self { stamp, content: Arc::new(read(path)) }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok(), metadata.len()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_change_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = WatchedFile::new(&path, |path| fs::read_to_string(path).ok());
        assert_eq!(*file.content(), None);
        // A newer and an older file, and another one of the same time.
        for (second, text) in [(1, "one"), (2, "two"), (1, "six"), (1, "seven")] {
            fs::write(&path, text).unwrap();
            let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
            assert_eq!(file.content().as_ref().as_deref(), Some(text));
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(*file.content(), None);
    }

    #[test]
    fn a_file_that_does_not_change_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = WatchedFile::new(folder.path(), |_| ());
        assert!(Arc::ptr_eq(&file.content(), &file.content()));
    }
}
