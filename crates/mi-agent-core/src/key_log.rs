//! The log of the keys with which conversations are encrypted, for programs that read captures.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXLOWER;
use tracing::warn;

/// Receives the keys of every encrypted conversation, in the format of NSS, which Wireshark reads. Cheap to
/// clone.
///
/// Anybody with these keys and a capture can read these conversations, so an agent has such a log only while
/// somebody inspects its traffic. Tell the user that it is on.
///
/// ```
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use mi_agent_core::{Agent, Identity, KeyLog};
///
/// let log = KeyLog::open("keys.log".as_ref())?;
/// let builder = Agent::builder("laura@bb.com".parse()?).identity(Identity::generate()?).key_log(log);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeyLog(Arc<Inner>);

struct Inner {
    /// The name of the output, for a warning.
    name: String,
    output: Mutex<Box<dyn Write + Send>>,
    has_failed: AtomicBool,
}

impl KeyLog {
    /// Opens the file at `path`, to which keys are added, or creates one that only the user may read.
    ///
    /// # Errors
    /// [`KeyLogError`].
    pub fn open(path: &Path) -> Result<Self, KeyLogError> {
        // Opening a pipe would wait for its reader.
        if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(KeyLogError::Io(io::Error::other("it is not a regular file")));
        }
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(path).map_err(KeyLogError::Io)?;
        let mode = file.metadata().map_err(KeyLogError::Io)?.mode();
        if mode & OTHERS != 0 {
            return Err(KeyLogError::Readable { path: path.to_owned(), mode: mode & 0o7777 });
        }
        Ok(Self::new(path.display().to_string(), file))
    }

    /// Creates a log that writes to `output`, each key by one write. It must not wait: the conversation waits
    /// for it. `name` names the output in a warning.
    pub fn new(name: impl Into<String>, output: impl Write + Send + 'static) -> Self {
        let output = Mutex::new(Box::new(output) as Box<dyn Write + Send>);
        Self(Arc::new(Inner { name: name.into(), output, has_failed: AtomicBool::new(false) }))
    }

    /// Writes one key: `CLIENT_TRAFFIC_SECRET_0 RANDOM SECRET`. A failure stops nothing and is reported once.
    pub(crate) fn write(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let line = format!("{label} {} {}\n", HEXLOWER.encode(client_random), HEXLOWER.encode(secret));
        let mut output = self.0.output.lock().unwrap_or_else(PoisonError::into_inner);
        let written = output.write_all(line.as_bytes()).and_then(|()| output.flush());
        if let Err(error) = written
            && !self.0.has_failed.swap(true, Ordering::Relaxed)
        {
            let name = &self.0.name;
            warn!("cannot write keys to {name}, so a capture of conversations cannot be read: {error}");
        }
    }
}

impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLog").field("name", &self.0.name).finish_non_exhaustive()
    }
}

/// The reason why keys are not logged. Continues "the key log FILE ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyLogError {
    /// The file cannot be written.
    #[error("cannot be written")]
    Io(#[source] io::Error),
    /// Others than the user may read or write the file.
    #[error("can be read by others (mode {mode:04o}): chmod 600 {path}", path = path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

/// The permissions that nobody but the user may have.
const OTHERS: u32 = 0o077;

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_added_to_a_file_that_is_the_users_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.log");
        for _ in 0..2 {
            KeyLog::open(&path).unwrap().write("EXPORTER_SECRET", &[0x0a, 0xff], &[1]);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "EXPORTER_SECRET 0aff 01\n".repeat(2));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        for mode in [0o640, 0o602, 0o604] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let told = format!("can be read by others (mode {mode:04o}): chmod 600 {}", path.display());
            assert_eq!(KeyLog::open(&path).unwrap_err().to_string(), told);
        }
        assert!(matches!(KeyLog::open(folder.path()), Err(KeyLogError::Io(_))), "a folder");
    }

    /// A disk that is full.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_failure_is_reported_once() {
        let log = KeyLog::new("keys.log", Full);
        let reported = || log.0.has_failed.load(Ordering::Relaxed);
        assert!(!reported());
        for _ in 0..3 {
            log.write("EXPORTER_SECRET", &[1], &[2]);
            assert!(reported());
        }
    }
}
