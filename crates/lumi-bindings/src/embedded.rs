//! The database: its tables, transactions and failures. The only file that names rusqlite.
//!
//! ```text
//! node     domain TEXT, heartbeat INTEGER, crc INTEGER                                 one row
//! binding  user TEXT, agent TEXT, heard_at TEXT, stamp INTEGER, since INTEGER, key BLOB or NULL, crc INTEGER
//! ```
//!
//! Times are milliseconds since 1970, addresses are texts like `10.0.0.7:40123`: people read them with
//! `sqlite3`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumi_proto::{Domain, UdpAddress};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, TransactionBehavior, params};

use crate::binding::{BindingChange, SaveId, Stamp, StoredBinding, UnixMillis};
use crate::checksum::Checksums;
use crate::error::{Failure, Unusable};
use crate::place::sibling;

/// An open database of the bindings of one domain.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
    sums: Checksums,
    /// The `synchronous` that is set.
    durability: Durability,
}

/// The durability of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It survives the process.
    Process,
    /// It survives the machine.
    Machine,
}

/// One transaction.
#[derive(Debug)]
pub(crate) struct Commit<'c> {
    /// Changes before all others.
    pub(crate) repairs: &'c Repairs,
    pub(crate) changes: &'c [(SaveId, BindingChange)],
    /// The time that is stored as the one at which the node was alive.
    pub(crate) heartbeat: Option<UnixMillis>,
    pub(crate) durability: Durability,
}

/// Changes that a database needs before it is written to.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    /// Set if all bindings are too old to be of use: they become records of logouts.
    pub(crate) void: bool,
    /// The keys of damaged rows.
    pub(crate) damaged: Vec<Vec<u8>>,
}

/// The contents of a database.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) heartbeat: Option<UnixMillis>,
    /// The rows that are right, in the order of the users' names.
    pub(crate) rows: Vec<StoredBinding>,
    /// The keys of rows whose sum is wrong.
    pub(crate) damaged: Vec<Vec<u8>>,
}

impl Database {
    /// Opens the file at `path`, which exists. Returns whether it was empty, and is a new database now.
    pub(crate) fn open(path: &Path, domain: &Domain) -> Result<(Self, bool), Failure> {
        // The file's mode has to be right before SQLite makes others like it, so SQLite creates none.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        let mut database = Self::with(connection, domain)?;
        database.set_up()?;
        let is_new = database.is_empty()?;
        if is_new {
            database.create(domain)?;
        } else {
            database.check(domain)?;
        }
        Ok((database, is_new))
    }

    /// Opens the file at `path` to read it as it is now, and creates no other file.
    pub(crate) fn open_to_read(path: &Path, domain: &Domain) -> Result<Self, Failure> {
        let has_log = sibling(path, "-wal").metadata().is_ok_and(|log| log.len() > 0);
        let connection = if has_log {
            Connection::open_with_flags(
                path,
                OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?
        } else {
            // Everything is in the file then, and SQLite needs neither a log nor its index to read it.
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(immutable(path), flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?
        };
        let database = Self::with(connection, domain)?;
        if !database.is_empty()? {
            database.check(domain)?;
        }
        Ok(database)
    }

    fn with(connection: Connection, domain: &Domain) -> Result<Self, Failure> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(Self { connection, sums: Checksums::new(domain), durability: Durability::Process })
    }

    fn set_up(&self) -> Result<(), Failure> {
        let mode: String =
            self.connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        if mode != "wal" {
            return Err(Failure::not_now(format!("its file system has no shared memory: {mode}")));
        }
        for (pragma, value) in [
            ("synchronous", Durability::Process.pragma()),
            ("wal_autocheckpoint", CHECKPOINT_PAGES),
            // A log that a long transaction of somebody else has made grow shrinks again.
            ("journal_size_limit", LOG_SIZE),
            // Damaged pages are noticed when they are read.
            ("cell_size_check", 1),
            ("trusted_schema", 0),
        ] {
            // Some of these return a row.
            self.connection.pragma_update_and_check(None, pragma, value, |_| Ok(())).or_else(none_is_fine)?;
        }
        Ok(())
    }

    fn is_empty(&self) -> Result<bool, Failure> {
        Ok(self.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?
            == 0)
    }

    fn create(&mut self, domain: &Domain) -> Result<(), Failure> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        // It was alive before it was there, as far as anybody knows.
        let never = UnixMillis(0);
        let crc = self.sums.of_heartbeat(never);
        transaction.execute("INSERT INTO node VALUES (?1, ?2, ?3)", params![domain.as_str(), 0, crc])?;
        Ok(transaction.commit()?)
    }

    /// Checks that the database is one of bindings of `domain`, in a version that is known.
    fn check(&self, domain: &Domain) -> Result<(), Failure> {
        let pragma = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        if pragma("application_id")? != APPLICATION_ID {
            return Err(Failure::broken("it is a database of something else"));
        }
        match pragma("user_version")? {
            VERSION => {}
            version if version > VERSION => return Err(Failure::Unusable(Unusable::Newer { version })),
            version => return Err(Failure::broken(format!("there is no version {version}"))),
        }
        let stored: String = self.connection.query_row("SELECT domain FROM node", [], |row| row.get(0))?;
        match stored.parse::<Domain>() {
            Ok(stored) if stored == *domain => Ok(()),
            Ok(domain) => Err(Failure::Unusable(Unusable::OtherDomain { domain })),
            Err(_) => Err(Failure::broken("the name of its domain is damaged")),
        }
    }

    /// Reads everything.
    pub(crate) fn read(&self) -> Result<Contents, Failure> {
        if self.is_empty()? { Ok(Contents::default()) } else { read(&self.connection, &self.sums) }
    }

    /// Makes one transaction. When this returns an error, nothing of it is stored.
    pub(crate) fn commit(&mut self, commit: &Commit<'_>) -> Result<(), Failure> {
        if self.durability != commit.durability {
            self.connection.pragma_update(None, "synchronous", commit.durability.pragma())?;
            self.durability = commit.durability;
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let rows = Rows { connection: &transaction, sums: &self.sums };
        rows.repair(commit.repairs)?;
        if let Some(heartbeat) = commit.heartbeat {
            rows.beat(heartbeat)?;
        }
        rows.change(commit.changes)?;
        Ok(transaction.commit()?)
    }

    /// Writes the log into the database and closes both. What fails is done when the database is opened
    /// again.
    pub(crate) fn close(self) {
        drop(self.connection);
    }
}

/// The rows of a database, within a transaction.
struct Rows<'c> {
    connection: &'c Connection,
    sums: &'c Checksums,
}

impl Rows<'_> {
    fn repair(&self, repairs: &Repairs) -> Result<(), Failure> {
        for user in &repairs.damaged {
            self.delete(ValueRef::Text(user))?;
        }
        if repairs.void {
            for row in read(self.connection, self.sums)?.rows.iter().filter(|row| !row.is_logout()) {
                self.put(&row.logged_out())?;
            }
        }
        Ok(())
    }

    fn change(&self, changes: &[(SaveId, BindingChange)]) -> Result<(), Failure> {
        for (_, change) in changes {
            match change.stored() {
                Some(row) => self.put(&row)?,
                None => self.delete(change.user().as_str().into())?,
            }
        }
        Ok(())
    }

    fn put(&self, row: &StoredBinding) -> Result<(), Failure> {
        let put = "REPLACE INTO binding VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.connection.prepare_cached(put)?.execute(params![
            row.user.as_str(),
            row.agent.to_string(),
            row.heard_at.to_string(),
            row.stamp.0.cast_signed(),
            row.since.0.cast_signed(),
            row.key,
            self.sums.of_binding(row),
        ])?;
        Ok(())
    }

    fn delete(&self, user: ValueRef<'_>) -> Result<(), Failure> {
        let delete = "DELETE FROM binding WHERE user = ?1";
        self.connection.prepare_cached(delete)?.execute([ToSqlOutput::Borrowed(user)])?;
        Ok(())
    }

    fn beat(&self, heartbeat: UnixMillis) -> Result<(), Failure> {
        let beat = "UPDATE node SET heartbeat = ?1, crc = ?2";
        let crc = self.sums.of_heartbeat(heartbeat);
        match self.connection.prepare_cached(beat)?.execute(params![heartbeat.0.cast_signed(), crc])? {
            1 => Ok(()),
            _ => Err(Failure::broken("its heartbeat is missing")),
        }
    }
}

impl Durability {
    /// The value of `synchronous`: NORMAL or FULL.
    const fn pragma(self) -> i64 {
        match self {
            Self::Process => 1,
            Self::Machine => 2,
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // SQLite says `Unknown` of tables that are not there.
            None | Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) => {
                Self::broken(error.to_string())
            }
            Some(_) => Self::not_now(error.to_string()),
        }
    }
}

/// Reads a database with tables.
fn read(connection: &Connection, sums: &Checksums) -> Result<Contents, Failure> {
    let mut contents = Contents { heartbeat: heartbeat(connection, sums)?, ..Contents::default() };
    let mut select = connection
        .prepare("SELECT user, agent, heard_at, stamp, since, key, crc FROM binding ORDER BY user")?;
    let mut rows = select.query([])?;
    let mut last = Vec::new();
    while let Some(row) = rows.next()? {
        let user = text(row, USER).ok_or_else(|| Failure::broken("a row has no user"))?;
        // A key in the wrong place would hide others from SQLite, and a user could have two rows.
        if user <= last.as_slice() {
            return Err(Failure::broken("its rows are not in order"));
        }
        last.clear();
        last.extend_from_slice(user);
        match binding(row, sums) {
            Some(binding) => contents.rows.push(binding),
            None => contents.damaged.push(user.to_vec()),
        }
    }
    Ok(contents)
}

fn heartbeat(connection: &Connection, sums: &Checksums) -> Result<Option<UnixMillis>, Failure> {
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let (heartbeat, crc) = connection.query_row("SELECT heartbeat, crc FROM node", [], read)?;
    let heartbeat = UnixMillis(heartbeat.cast_unsigned());
    if crc != i64::from(sums.of_heartbeat(heartbeat)) {
        return Err(Failure::broken("its heartbeat is damaged"));
    }
    Ok((heartbeat > UnixMillis(0)).then_some(heartbeat))
}

/// Returns the binding in a row, or `None` if it is damaged.
fn binding(row: &Row<'_>, sums: &Checksums) -> Option<StoredBinding> {
    let words = |at| str::from_utf8(text(row, at)?).ok();
    let number = |at| row.get_ref(at).ok()?.as_i64().ok();
    let binding = StoredBinding {
        user: words(USER)?.parse().ok()?,
        agent: words(AGENT)?.parse::<UdpAddress>().ok()?,
        heard_at: words(HEARD_AT)?.parse::<UdpAddress>().ok()?,
        stamp: Stamp(number(STAMP)?.cast_unsigned()),
        since: UnixMillis(number(SINCE)?.cast_unsigned()),
        key: match row.get_ref(KEY).ok()? {
            ValueRef::Null => None,
            ValueRef::Blob(key) => Some(key.try_into().ok()?),
            _ => return None,
        },
    };
    (number(CRC)? == i64::from(sums.of_binding(&binding))).then_some(binding)
}

/// Returns the text in a column, which may be none of UTF-8.
fn text<'r>(row: &'r Row<'_>, at: usize) -> Option<&'r [u8]> {
    match row.get_ref(at).ok()? {
        ValueRef::Text(text) => Some(text),
        _ => None,
    }
}

fn none_is_fine(error: rusqlite::Error) -> rusqlite::Result<()> {
    match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        error => Err(error),
    }
}

/// The URI of a file that nobody changes (<https://www.sqlite.org/uri.html>).
fn immutable(path: &Path) -> PathBuf {
    let mut uri = b"file:".to_vec();
    if path.is_absolute() {
        // An absolute path comes behind a host, which is empty.
        uri.extend(b"//");
    }
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'%' | b'?' | b'#' => uri.extend(format!("%{byte:02x}").bytes()),
            _ => uri.push(byte),
        }
    }
    uri.extend(b"?immutable=1");
    OsString::from_vec(uri).into()
}

/// The version of the tables.
const VERSION: i64 = 1;

/// `LUMI`, which tells these databases from others.
const APPLICATION_ID: i64 = 0x4c55_4d49;

const TABLES: &str = "
    CREATE TABLE node (domain TEXT NOT NULL, heartbeat INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;
    CREATE TABLE binding (
        user TEXT PRIMARY KEY NOT NULL,
        agent TEXT NOT NULL,
        heard_at TEXT NOT NULL,
        stamp INTEGER NOT NULL,
        since INTEGER NOT NULL,
        key BLOB,
        crc INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;";

// The columns of a binding.
const USER: usize = 0;
const AGENT: usize = 1;
const HEARD_AT: usize = 2;
const STAMP: usize = 3;
const SINCE: usize = 4;
const KEY: usize = 5;
const CRC: usize = 6;

/// The time that a commit waits for another process that writes. The node does not, but somebody with
/// `sqlite3` may.
const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// The length of the log, in pages of 4 KiB, from which a commit moves it into the database: 16 MiB. A page
/// that many changes have changed meanwhile is moved once.
const CHECKPOINT_PAGES: i64 = 4_096;

/// The size in bytes to which a longer log is cut after it was moved.
const LOG_SIZE: i64 = CHECKPOINT_PAGES * 4_096;
