//! The messages that wait for their receivers, one file for each: `outbox/PEER.jsonl`.
//!
//! ```text
//! {"id":"5c…","to":"joya@cc.com","at":1796140800000,"until":…,"text":"hola","needs":"offer","state":"queued"}
//! {"id":"5c…", … "state":"sent"}                  the last line of an id counts
//! ```
//!
//! Every program of the user may append a line, under a lock that it holds for that write. Only the agent that
//! delivers, of which there is one, shortens a file. A line that a crash has cut was never promised to anybody.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mi_agent_core::{
    Changes, ItemId, ItemState, OutboxClock, OutboxError, OutboxItem, OutboxStore, OutboxTime, Security,
    Stored, may_put,
};
use plumi_proto::MiAddress;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::file;
use super::folder::{self, DataFolder, safe_name};
use super::json::{as_text, in_a_line};

/// The files of an outbox.
#[derive(Debug)]
pub(crate) struct OutboxFiles {
    own: MiAddress,
    folder: PathBuf,
    /// What this program knows of each file.
    seen: BTreeMap<OsString, Seen>,
    retry: Option<Version>,
}

/// What is known of a file.
#[derive(Debug, Default)]
struct Seen {
    version: Option<Version>,
    states: HashMap<ItemId, ItemState>,
}

/// A file that is another one, or that has changed, has another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version(u64, u64, i64, i64);

impl Version {
    fn of(metadata: &Metadata) -> Self {
        Self(metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec())
    }
}

/// A line.
#[derive(Debug, Deserialize, Serialize)]
struct Line {
    #[serde(with = "as_text")]
    id: ItemId,
    #[serde(with = "as_text")]
    to: MiAddress,
    at: u64,
    until: u64,
    text: String,
    #[serde(with = "as_text")]
    needs: Security,
    #[serde(with = "as_text")]
    state: ItemState,
}

/// What a file has.
#[derive(Debug, Default)]
struct Contents {
    /// The messages by their last lines, in the order of their first ones.
    items: Vec<OutboxItem>,
    lines: usize,
    /// The number of bytes up to the end of the last whole line.
    whole: u64,
    has_broken: bool,
}

impl OutboxFiles {
    /// Returns the outbox in the `folder` of the user `own`. Nothing is created before there is a message.
    pub(crate) fn of(own: MiAddress, folder: &DataFolder) -> Self {
        Self { own, folder: folder.file("outbox"), seen: BTreeMap::new(), retry: None }
    }

    /// Adds a message, durably.
    ///
    /// # Errors
    /// [`OutboxError`] as text; those of the operating system.
    pub(crate) fn put(
        &self,
        to: MiAddress,
        text: &str,
        keep: Duration,
        needs: Security,
    ) -> anyhow::Result<OutboxItem> {
        let _lock = self.lock()?;
        let (items, last_change) = self.read_all()?;
        may_put(&self.own, items.iter(), &to, text)?;
        let mut item =
            OutboxItem::new(to, text.to_owned(), OutboxClock::starting_at(last_change).now(), keep);
        item.needs = needs;
        self.append(&item)?;
        Ok(item)
    }

    /// Changes the state of a message, durably, if `may` allows it.
    ///
    /// # Errors
    /// That of `may`; [`OutboxError::NoSuchItem`]; those of the operating system.
    pub(crate) fn change(
        &self,
        id: ItemId,
        state: ItemState,
        may: impl FnOnce(&OutboxItem) -> Result<(), OutboxError>,
    ) -> anyhow::Result<OutboxItem> {
        let _lock = self.lock()?;
        let (items, _) = self.read_all()?;
        let mut item = items.into_iter().find(|item| item.id == id).ok_or(OutboxError::NoSuchItem)?;
        may(&item)?;
        item.state = state;
        self.append(&item)?;
        Ok(item)
    }

    /// Has the agent that runs try everybody.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn ask_for_retry(&self) -> io::Result<()> {
        let _lock = self.lock()?;
        file::replace(&self.folder.join(RETRY), b"")
    }

    /// Returns every message, those for one user in the order in which they were written, and the time of the last
    /// change.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn read_all(&self) -> io::Result<(Vec<OutboxItem>, OutboxTime)> {
        let (mut items, mut last) = (Vec::new(), OutboxTime(0));
        for path in self.paths()? {
            let Some((contents, metadata)) = read(&path)? else { continue };
            items.extend(contents.items);
            last = last.max(modified(&metadata));
        }
        Ok((items, last))
    }

    /// Returns the files, by name.
    fn paths(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut paths =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
        paths.sort();
        Ok(paths)
    }

    fn path_of(&self, peer: &MiAddress) -> PathBuf {
        self.folder.join(format!("{}.{EXTENSION}", safe_name(peer)))
    }

    /// Locks all files for one write, until the lock is dropped.
    fn lock(&self) -> io::Result<File> {
        folder::make(&self.folder)?;
        let lock = file::open(&self.folder.join(LOCK), OpenOptions::new().write(true).create(true))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        Ok(lock)
    }

    /// Appends a line, durably. The files are locked.
    fn append(&self, item: &OutboxItem) -> io::Result<()> {
        let path = self.path_of(&item.to);
        let is_new = !path.exists();
        let mut file = file::open(&path, OpenOptions::new().read(true).write(true).create(true))?;
        let whole = whole_lines(&mut file)?;
        // The rest of a line that a crash has cut.
        file.set_len(whole)?;
        file.seek(SeekFrom::Start(whole))?;
        let written = file.write_all(&line_of(item)?).and_then(|()| file.sync_all());
        if written.is_err() {
            // Nobody is told the id, so the line must not be delivered later.
            _ = file.set_len(whole);
        }
        written?;
        if is_new {
            File::open(&self.folder)?.sync_all()?;
        }
        Ok(())
    }

    /// Reads a file again. Returns what others have changed in it, and notes everything.
    fn look(&mut self, path: &Path) -> io::Result<Vec<OutboxItem>> {
        let Some((contents, metadata)) = read(path)? else { return Ok(Vec::new()) };
        let seen = self.seen.entry(path.file_name().unwrap_or_default().to_owned()).or_default();
        seen.version = Some(Version::of(&metadata));
        let before = std::mem::take(&mut seen.states);
        let mut changed = contents.items.clone();
        changed.retain(|item| before.get(&item.id) != Some(&item.state));
        seen.states = contents.items.iter().map(|item| (item.id, item.state)).collect();
        Ok(changed)
    }

    /// Writes a file anew without what has ended, if that is most of it. The files are locked, and what others have
    /// changed is known.
    fn shorten(&self, path: &Path) -> io::Result<()> {
        let Some((contents, _)) = read(path)? else { return Ok(()) };
        let live: Vec<_> = contents.items.iter().filter(|item| !item.state.is_last()).collect();
        if contents.lines <= 2 * live.len() + SPARE_LINES && !contents.has_broken {
            return Ok(());
        }
        if contents.has_broken {
            file::put_aside(path)?;
        }
        let lines = live.into_iter().map(line_of).collect::<io::Result<Vec<_>>>()?;
        file::replace(path, &lines.concat())
    }
}

impl OutboxStore for OutboxFiles {
    fn load(&mut self) -> io::Result<Stored> {
        let (_, last_change) = self.read_all()?;
        if !self.folder.exists() {
            return Ok(Stored::default());
        }
        let _lock = self.lock()?;
        self.seen.clear();
        let mut items = Vec::new();
        for path in self.paths()? {
            items.extend(self.look(&path)?);
            self.shorten(&path)?;
            self.look(&path)?;
        }
        items.retain(|item| !item.state.is_last());
        self.retry = version(&self.folder.join(RETRY));
        Ok(Stored::new(items, last_change))
    }

    fn save(&mut self, item: &OutboxItem) -> io::Result<()> {
        let _lock = self.lock()?;
        let path = self.path_of(&item.to);
        let seen = self.seen.entry(path.file_name().unwrap_or_default().to_owned()).or_default();
        if let (Some(before), Some(version)) = (seen.version, version(&path))
            && before != version
            && let Some(&known) = seen.states.get(&item.id)
        {
            let stored = read(&path)?
                .and_then(|(contents, _)| contents.items.into_iter().find(|one| one.id == item.id));
            if stored.is_some_and(|stored| stored.state != known) {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
        }
        self.append(item)?;
        // The next look is to find the changes of others, so the version stays.
        let seen = self.seen.entry(path.file_name().unwrap_or_default().to_owned()).or_default();
        seen.states.insert(item.id, item.state);
        Ok(())
    }

    fn changes(&mut self) -> io::Result<Changes> {
        let mut items = Vec::new();
        for path in self.paths()? {
            let seen = path.file_name().and_then(|name| self.seen.get(name)).and_then(|seen| seen.version);
            if seen.is_none() || seen != version(&path) {
                let _lock = self.lock()?;
                items.extend(self.look(&path)?);
                self.shorten(&path)?;
                self.look(&path)?;
            }
        }
        let retry = version(&self.folder.join(RETRY));
        let is_retry = retry.is_some() && retry != self.retry;
        self.retry = retry;
        Ok(Changes::new(items, is_retry))
    }
}

fn version(path: &Path) -> Option<Version> {
    fs::symlink_metadata(path).ok().map(|metadata| Version::of(&metadata))
}

fn modified(metadata: &Metadata) -> OutboxTime {
    let since_1970 = metadata.modified().ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    OutboxTime(0) + since_1970.unwrap_or_default()
}

/// Reads a file. `None` if there is none.
fn read(path: &Path) -> io::Result<Option<(Contents, Metadata)>> {
    let mut file = match file::open(path, OpenOptions::new().read(true)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let metadata = file.metadata()?;
    if metadata.len() > MAX_FILE {
        return Err(file::too_large(MAX_FILE));
    }
    let mut bytes = Vec::new();
    Read::by_ref(&mut file).take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(Some((parse(&bytes), metadata)))
}

/// Reads the lines of a file. One that is not a message is left out.
fn parse(bytes: &[u8]) -> Contents {
    let mut contents = Contents::default();
    let mut places = HashMap::new();
    for line in bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        contents.whole += line.len() as u64;
        contents.lines += 1;
        let Some(item) = serde_json::from_slice::<Line>(line).ok().and_then(item_of) else {
            contents.has_broken |= !line.trim_ascii().is_empty();
            continue;
        };
        match places.get(&item.id) {
            Some(&place) => contents.items[place] = item,
            None => {
                places.insert(item.id, contents.items.len());
                contents.items.push(item);
            }
        }
    }
    contents
}

/// Returns the number of bytes up to the end of the last whole line.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let (mut whole, mut at) = (0, 0);
    let mut reader = io::BufReader::new(&*file);
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(whole);
        }
        if let Some(end) = bytes.iter().rposition(|&byte| byte == b'\n') {
            whole = at + end as u64 + 1;
        }
        let length = bytes.len();
        at += length as u64;
        reader.consume(length);
    }
}

fn line_of(item: &OutboxItem) -> io::Result<Vec<u8>> {
    let OutboxItem { id, to, at, until, text, needs, state, .. } = item.clone();
    let line = Line { id, to, at: at.0, until: until.0, text, needs, state };
    Ok([in_a_line(&line)?.as_bytes(), b"\n"].concat())
}

fn item_of(line: Line) -> Option<OutboxItem> {
    let Line { id, to, at, until, text, needs, state } = line;
    let mut item = OutboxItem::new(to, text, OutboxTime(at), Duration::ZERO);
    if item.text.is_empty() || item.text.len() > mi_agent_core::MAX_ITEM {
        return None;
    }
    (item.id, item.until, item.needs, item.state) = (id, OutboxTime(until), needs, state);
    Some(item)
}

const EXTENSION: &str = "jsonl";

/// Locked during each write.
const LOCK: &str = "lock";

/// Written when the agent is to try everybody.
const RETRY: &str = "retry";

/// Lines of messages that have ended, before a file is shortened.
const SPARE_LINES: usize = 50;

/// More than 200 messages take, with all their lines.
const MAX_FILE: u64 = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use mi_agent_core::{may_forget, may_resend};

    use super::*;

    fn outbox() -> (tempfile::TempDir, OutboxFiles) {
        let (data, folder) = DataFolder::temporary();
        (data, OutboxFiles::of("laura@bb.com".parse().unwrap(), &folder))
    }

    fn put(files: &OutboxFiles, text: &str) -> OutboxItem {
        let joya = "joya@cc.com".parse().unwrap();
        files.put(joya, text, Duration::from_secs(7_200), Security::Offer).unwrap()
    }

    fn file_of(files: &OutboxFiles) -> PathBuf {
        files.path_of(&"joya@cc.com".parse().unwrap())
    }

    #[test]
    fn what_one_program_leaves_another_one_sees() {
        let (_data, files) = outbox();
        let mut agent = OutboxFiles { seen: BTreeMap::new(), folder: files.folder.clone(), ..outbox().1 };
        assert_eq!(agent.load().unwrap().items, []);
        let first = put(&files, "one\ntwo \u{1b}[2J");
        let mode = fs::metadata(file_of(&files)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(agent.changes().unwrap().items, std::slice::from_ref(&first));
        assert_eq!(agent.changes().unwrap().items, [], "once");
        let mut trying = first.clone();
        trying.state = ItemState::Trying;
        agent.save(&trying).unwrap();
        files.change(first.id, ItemState::Forgotten, may_forget).unwrap_err();
        trying.state = ItemState::Unsure;
        agent.save(&trying).unwrap();
        let unsure = files.change(first.id, ItemState::Forgotten, may_forget).unwrap();
        trying.state = ItemState::Queued;
        assert_eq!(agent.save(&trying).unwrap_err().kind(), io::ErrorKind::ResourceBusy, "it is forgotten");
        assert_eq!(agent.changes().unwrap().items, [unsure]);
        trying.state = ItemState::Unsure;
        agent.save(&trying).unwrap();
        assert_eq!(agent.changes().unwrap().items, [], "what it has saved itself is no news");
        let again = files.change(first.id, ItemState::Queued, may_resend).unwrap();
        assert_eq!(agent.changes().unwrap().items, [again]);
        assert!(!agent.changes().unwrap().is_retry);
        files.ask_for_retry().unwrap();
        assert!(agent.changes().unwrap().is_retry);
        assert!(!agent.changes().unwrap().is_retry, "once");
        assert_eq!(
            files.change(ItemId(1), ItemState::Forgotten, may_forget).unwrap_err().to_string(),
            "there is no such message"
        );
    }

    /// A crash cuts the last line at any byte, and the id of that message was not told to anybody.
    #[test]
    fn a_line_that_is_cut_costs_no_other_one() {
        let (_data, files) = outbox();
        let first = put(&files, "first");
        let whole = fs::read(file_of(&files)).unwrap();
        put(&files, "second");
        let both = fs::read(file_of(&files)).unwrap();
        for length in whole.len()..both.len() {
            fs::write(file_of(&files), &both[..length]).unwrap();
            assert_eq!(files.read_all().unwrap().0, std::slice::from_ref(&first), "{length}");
            let third = put(&files, "third");
            assert_eq!(files.read_all().unwrap().0, [first.clone(), third], "{length}");
        }
    }

    #[test]
    fn a_damaged_line_is_put_aside_and_the_others_are_kept() {
        let (_data, mut files) = outbox();
        let first = put(&files, "first");
        let mut damaged = b"{\"id\":\n\n".to_vec();
        damaged.extend(fs::read(file_of(&files)).unwrap());
        fs::write(file_of(&files), &damaged).unwrap();
        assert_eq!(files.load().unwrap().items, std::slice::from_ref(&first));
        let aside = file_of(&files).with_extension("jsonl.bad");
        assert_eq!(fs::read(aside).unwrap(), damaged);
        assert_eq!(files.load().unwrap().items, [first]);
    }

    #[test]
    fn a_file_is_shortened_once_most_of_it_has_ended() {
        let (_data, mut files) = outbox();
        let kept = put(&files, "kept");
        files.load().unwrap();
        for _ in 0..SPARE_LINES {
            let mut item = put(&files, "sent");
            item.state = ItemState::Sent;
            files.save(&item).unwrap();
        }
        let long = fs::metadata(file_of(&files)).unwrap().len();
        files.changes().unwrap();
        assert!(fs::metadata(file_of(&files)).unwrap().len() < long / 10);
        assert_eq!(files.read_all().unwrap().0, [kept]);
    }
}
