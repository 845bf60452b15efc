//! The keys of users on the disk: `nodelumi.cfg.keys`, beside the roster.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use plumi_proto::UserName;

use super::durable::{self, Outcome};
use crate::state::keys::{KeyRefusal, Keys, KeysError, PublicKey, UserKey};

/// The file of keys, which is read at the start and when that is asked for, and rewritten at every change.
///
/// It need not exist: then nobody has a key, and the first change makes it.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    /// The file as it was last read or written. `None` if there was none.
    seen: Option<Vec<u8>>,
    keys: Keys,
}

impl KeyFile {
    /// Reads the keys that belong to the roster at `roster`. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// [`KeyFileError::Read`], [`KeyFileError::Wrong`]. A missing file is no error, see [`KeyFile::exists`].
    pub fn open(roster: &Path) -> Result<Self, KeyFileError> {
        let mut name = OsString::from(roster);
        name.push(".keys");
        Self::read(name.into())
    }

    /// Reads it again. What is returned is to take this one's place.
    ///
    /// # Errors
    /// The same as those of [`KeyFile::open`].
    pub fn reopen(&self) -> Result<Self, KeyFileError> {
        Self::read(self.path.clone())
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether there was a file when it was last read or written.
    pub fn exists(&self) -> bool {
        self.seen.is_some()
    }

    /// Returns the keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Adds a key. It is on the disk when this returns, or nothing has changed. Blocks for as long as the
    /// disk takes.
    ///
    /// # Errors
    /// [`KeyFileError::Refused`]; [`KeyFileError::Changed`] if somebody else changed the file since it was read, which
    /// is left as they left it; [`KeyFileError::Read`], [`KeyFileError::Write`].
    pub fn add(&mut self, user: UserName, key: UserKey) -> Result<(), KeyFileError> {
        let mut keys = self.keys.clone();
        let line = key.line(&user);
        keys.add(user, key)?;
        self.replace(keys, |text| Keys::with_line(text, &line))
    }

    /// Adds keys that invitations were used by, with one write. Nothing is written if there are none.
    ///
    /// # Errors
    /// The same as those of [`KeyFile::add`].
    pub(super) fn add_all(&mut self, added: Vec<(UserName, UserKey)>) -> Result<(), KeyFileError> {
        if added.is_empty() {
            return Ok(());
        }
        let (mut keys, mut lines) = (self.keys.clone(), Vec::new());
        for (user, key) in added {
            lines.push(key.line(&user));
            keys.add(user, key)?;
        }
        self.replace(keys, |text| Keys::with_line(text, &lines.join("\n")))
    }

    /// Removes a key.
    ///
    /// # Errors
    /// [`KeyFileError::NoSuchKey`]; otherwise as [`KeyFile::add`].
    pub fn remove(&mut self, user: UserName, key: &PublicKey) -> Result<(), KeyFileError> {
        let mut keys = self.keys.clone();
        if !keys.remove(&user, key) {
            return Err(KeyFileError::NoSuchKey { user });
        }
        self.replace(keys, |text| Keys::without_key(text, &user, key))
    }

    /// Removes all keys of a user, with one write.
    ///
    /// # Errors
    /// The same as those of [`KeyFile::remove`].
    pub fn remove_all(&mut self, user: UserName) -> Result<(), KeyFileError> {
        let mut keys = self.keys.clone();
        let removed: Vec<_> = keys.of(&user).iter().map(|known| known.key).collect();
        if removed.is_empty() {
            return Err(KeyFileError::NoSuchKey { user });
        }
        removed.iter().for_each(|key| _ = keys.remove(&user, key));
        self.replace(keys, |text| {
            removed.iter().fold(text.to_owned(), |text, key| Keys::without_key(&text, &user, key))
        })
    }

    fn read(path: PathBuf) -> Result<Self, KeyFileError> {
        match durable::read(&path) {
            Ok(text) => match Keys::parse(&text) {
                Ok(keys) => Ok(Self { path, seen: Some(text), keys }),
                Err(error) => Err(KeyFileError::Wrong { path, error }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self { path, seen: None, keys: Keys::default() })
            }
            Err(error) => Err(KeyFileError::Read { path, error }),
        }
    }

    fn replace(&mut self, keys: Keys, edit: impl FnOnce(&str) -> String) -> Result<(), KeyFileError> {
        let path = || self.path.clone();
        let written = |error| KeyFileError::Write { path: path(), error };
        let new = match &self.seen {
            // It was UTF-8 when it was seen.
            Some(old) => edit(str::from_utf8(old).unwrap_or_default()),
            None => edit(HEADER),
        };
        let outcome = match &self.seen {
            Some(old) => durable::replace(&self.path, old, new.as_bytes()),
            None => durable::create(&self.path, new.as_bytes(), MODE),
        };
        match outcome.map_err(written)? {
            Outcome::Replaced => {
                (self.seen, self.keys) = (Some(new.into_bytes()), keys);
                Ok(())
            }
            Outcome::Changed => Err(KeyFileError::Changed { path: path() }),
        }
    }
}

/// The reason why the file of keys could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("cannot read the keys {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        error: io::Error,
    },
    /// A line of it is wrong.
    #[error("the keys {} are wrong", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, and what is wrong with it.
        #[source]
        error: KeysError,
    },
    /// It cannot be replaced; it is as it was.
    #[error("cannot write the keys {}, which are as they were", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        error: io::Error,
    },
    /// Somebody else changed it since the node read or wrote it; it is as they left it.
    #[error("the keys {} were changed by somebody else; 'reload' takes that change over", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The key cannot be added beside those that the user has.
    #[error(transparent)]
    Refused(#[from] KeyRefusal),
    /// The user does not have the key that is to be removed.
    #[error("{user} has no such key")]
    NoSuchKey {
        /// The user.
        user: UserName,
    },
}

/// The first line of a new file.
const HEADER: &str =
    "# The keys of users: user, kind, key, day, and `invited` or `added`. See lumi-node(8).\n";

/// The mode of a new file. Keys are public, and whoever could write here could register as anybody.
const MODE: u32 = 0o644;
