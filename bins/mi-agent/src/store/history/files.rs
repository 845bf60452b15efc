//! The files of a history, and room for more in them.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use plumi_proto::MiAddress;

use super::Mark;
use super::limits::Limits;
use crate::store::file;
use crate::store::folder::{self, safe_name};

/// The folder of a history.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    pub(super) limits: Limits,
    /// The files of peers that the user called or answered, once they have been counted.
    total: Option<Total>,
    /// The files that were added to others, the last [`MAX_MOVED`] of them.
    moved: VecDeque<Moved>,
}

/// A file that was added to another one.
#[derive(Clone, Copy, Debug)]
struct Moved {
    inode: u64,
    /// The place of its first byte.
    to: Mark,
}

/// A line to be added.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewLine<'a> {
    /// The JSON object and the end of its line.
    pub(super) text: &'a str,
    /// The user says it.
    pub(super) is_own: bool,
    /// The user has said a line in the conversation.
    pub(super) is_answered: bool,
    /// The user has called or answered the peer at any time.
    pub(super) is_known: bool,
    /// The same as in [`Talk`](super::Talk).
    pub(super) is_sure: bool,
}

impl Files {
    pub(super) fn new(folder: PathBuf, limits: Limits) -> Self {
        Self { folder, limits, total: None, moved: VecDeque::new() }
    }

    /// Returns the paths of the files of `peer`, or of all callers that are not known, the oldest lines
    /// first. Any of them may be missing.
    pub(super) fn paths(&self, peer: Option<&MiAddress>) -> Vec<PathBuf> {
        match peer {
            Some(peer) => [&self.paths_of(peer)[..], &self.paths_of_unanswered(peer)].concat(),
            None => self.paths_of_unknown().into(),
        }
    }

    /// Returns the place where what was before `mark` is now.
    pub(super) fn moved(&self, mark: Mark) -> Mark {
        let moved = self.moved.iter().find(|moved| moved.inode == mark.inode);
        moved.map_or(mark, |Moved { to, .. }| Mark { inode: to.inode, offset: to.offset + mark.offset })
    }

    /// Adds `line` to what was said with `peer`, or with callers that are not known. Returns `false` if there
    /// is no room for it in these files.
    ///
    /// # Errors
    /// Those of the operating system; all files together would become too large or too many; a line of the
    /// user does not fit the file of callers that are not known.
    pub(super) fn append(&mut self, peer: Option<&MiAddress>, line: NewLine<'_>) -> io::Result<bool> {
        let Some(peer) = peer else { return self.append_unknown(line) };
        let [caller, old, path] = self.paths_of(peer);
        let is_of_user = line.is_known || length(&path)?.is_some() || length(&old)?.is_some();
        if !is_of_user {
            let has_room = self.has_room_for_caller(&caller, line.text.len() as u64 + 1)?;
            return if has_room { write(&caller, line.text).map(|()| true) } else { Ok(false) };
        }
        if !line.is_answered && !line.is_sure {
            return self.append_unanswered(peer, line.text);
        }
        match self.take_up_unanswered(peer, line) {
            // There is room for the line, perhaps.
            Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => {}
            Ok(false) => return Ok(false),
            taken_up => _ = taken_up?,
        }
        self.append_to_peer(peer, line)
    }

    /// Adds `line` to the file of `peer`. Returns `false` if that would replace older ones and the user has
    /// said nothing.
    fn append_to_peer(&mut self, peer: &MiAddress, line: NewLine<'_>) -> io::Result<bool> {
        let [caller, old, path] = self.paths_of(peer);
        // The last line of a file may lack its end, which takes one more byte.
        let added = line.text.len() as u64 + 1;
        folder::make(&self.folder)?;
        let (begins, adopted) = (length(&path)?, length(&caller)?);
        let adopted = adopted.filter(|_| begins.is_none());
        let in_file = begins.or(adopted);
        let is_full = in_file.is_some_and(|length| length + added + NOTE > self.limits.file);
        let replaced = if is_full { length(&old)? } else { None };
        if replaced.is_some() && !line.is_answered {
            return Ok(false);
        }
        let new_files = usize::from(begins.is_none()) + usize::from(is_full && replaced.is_none());
        let new_bytes = adopted.unwrap_or(0) + line.text.len() as u64;
        let total = self.total_with(new_files, new_bytes, line.is_own)?;
        if adopted.is_some() {
            fs::rename(&caller, &path)?;
        }
        if is_full {
            fs::rename(&path, &old)?;
        }
        self.total = Some(Total { bytes: total.bytes - replaced.unwrap_or(0).min(total.bytes), ..total });
        write(&path, line.text)?;
        Ok(true)
    }

    /// Adds `line` to what was said in the name of `peer` while the user said nothing. If the file is full,
    /// it replaces the previous one.
    fn append_unanswered(&mut self, peer: &MiAddress, line: &str) -> io::Result<bool> {
        let [old, path] = self.paths_of_unanswered(peer);
        let (most, added) = (self.limits.unanswered_file, line.len() as u64 + 1 + NOTE);
        if added > most {
            return Ok(false);
        }
        if length(&path)?.is_some_and(|length| length + added > most) {
            fs::rename(&path, &old)?;
        }
        if length(&path)?.is_none() {
            self.make_room_for_file(UNANSWERED, self.limits.unanswered_files)?;
        }
        write(&path, line)?;
        let inode = fs::symlink_metadata(&path)?.ino();
        self.moved.retain(|moved| moved.inode != inode);
        Ok(true)
    }

    /// Adds what was said in the name of `peer` while the user said nothing to its file, before `line`. If
    /// the program is killed meanwhile, some of it may be there twice.
    fn take_up_unanswered(&mut self, peer: &MiAddress, line: NewLine<'_>) -> io::Result<bool> {
        let [_, _, to] = self.paths_of(peer);
        for path in self.paths_of_unanswered(peer) {
            if length(&path)?.is_none() {
                continue;
            }
            let file = file::open(&path, OpenOptions::new().read(true))?;
            let inode = file.metadata()?.ino();
            let mut text = Vec::new();
            file.take(self.limits.file).read_to_end(&mut text)?;
            let text = String::from_utf8_lossy(&text);
            if !self.append_to_peer(peer, NewLine { text: &text, ..line })? {
                return Ok(false);
            }
            fs::remove_file(&path)?;
            let now = fs::symlink_metadata(&to)?;
            let to = Mark { inode: now.ino(), offset: now.len().saturating_sub(text.len() as u64) };
            if self.moved.len() == MAX_MOVED {
                self.moved.pop_front();
            }
            self.moved.push_back(Moved { inode, to });
        }
        Ok(true)
    }

    /// Adds `line` to what was said with callers that are not known.
    ///
    /// Only a conversation in which the user says something replaces the previous file.
    fn append_unknown(&self, line: NewLine<'_>) -> io::Result<bool> {
        let [old, path] = self.paths_of_unknown();
        let (most, added) = (self.limits.caller_file, line.text.len() as u64 + 1 + NOTE);
        if added > most {
            return if line.is_own { Err(file::too_large(most)) } else { Ok(false) };
        }
        let (in_file, in_old) = (length(&path)?, length(&old)?);
        let is_full = in_file.is_some_and(|length| length + added > most);
        if is_full && in_old.is_some() && !line.is_answered {
            return Ok(false);
        }
        if in_file.is_none() || is_full && in_old.is_none() {
            self.make_room_for_file(CALLERS, self.limits.caller_files)?;
        }
        if is_full {
            fs::rename(&path, &old)?;
        }
        write(&path, line.text).map(|()| true)
    }

    /// Adds a `note`, with its end, to what was said with `peer`, or with callers that are not known, if
    /// there is room for it.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn append_note(&mut self, peer: Option<&MiAddress>, note: &str) -> io::Result<()> {
        let added = note.len() as u64;
        let has_room = |length: u64, most| length + added <= most;
        let Some(peer) = peer else {
            let [_, path] = self.paths_of_unknown();
            let is_room = length(&path)?.is_some_and(|length| has_room(length, self.limits.caller_file));
            return if is_room { write(&path, note) } else { Ok(()) };
        };
        let ([caller, _, path], [_, unanswered]) = (self.paths_of(peer), self.paths_of_unanswered(peer));
        if let Some(length) = length(&unanswered)? {
            if has_room(length, self.limits.unanswered_file) {
                write(&unanswered, note)?;
            }
        } else if let Some(length) = length(&path)? {
            if has_room(length, self.limits.file)
                && let Ok(total) = self.total_with(0, added, false)
            {
                self.total = Some(total);
                write(&path, note)?;
            }
        } else if length(&caller)?.is_some_and(|length| has_room(length, self.limits.caller_file)) {
            write(&caller, note)?;
        }
        Ok(())
    }

    /// Returns the total after an addition. It is counted anew if the user says something and there is no
    /// room.
    fn total_with(&mut self, files: usize, bytes: u64, counts_anew: bool) -> io::Result<Total> {
        let limits = self.limits;
        let plus = |total: Total| Total { files: total.files + files, bytes: total.bytes + bytes };
        let fits = |total: &Total| total.files <= limits.files && total.bytes <= limits.total;
        let known = self.total.map(plus);
        let total = match known {
            Some(total) if fits(&total) || !counts_anew => total,
            _ => plus(*self.total.insert(Total::count(&self.folder)?)),
        };
        if fits(&total) {
            return Ok(total);
        }
        let Self { folder, limits: Limits { total, files, .. }, .. } = self;
        let why = format!(
            "the history has {} MiB or {files} files, as much as may be; remove some in {}",
            *total >> 20,
            folder.display()
        );
        Err(io::Error::new(io::ErrorKind::QuotaExceeded, why))
    }

    /// Returns whether the file of a peer that only called has room. A new one takes the place of the oldest.
    fn has_room_for_caller(&self, path: &Path, added: u64) -> io::Result<bool> {
        let length = length(path)?;
        if length.unwrap_or(0) + added + NOTE > self.limits.caller_file {
            return Ok(false);
        }
        if length.is_none() {
            self.make_room_for_file(CALLERS, self.limits.caller_files)?;
        }
        Ok(true)
    }

    /// Makes room for one more of `most` files in a folder. The oldest of a peer goes; those of callers that
    /// are not known stay, as the user may have said something in them.
    fn make_room_for_file(&self, folder: &str, most: usize) -> io::Result<()> {
        let folder = self.folder.join(folder);
        folder::make(&folder)?;
        let (mut files, mut callers) = (0, Vec::<(SystemTime, PathBuf)>::new());
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if !metadata.is_file() {
                continue;
            }
            files += 1;
            if entry.file_name().as_encoded_bytes().contains(&b'@') {
                callers.push((metadata.modified()?, entry.path()));
            }
        }
        callers.sort_unstable();
        let surplus = (files + 1_usize).saturating_sub(most);
        for (_, oldest) in callers.iter().take(surplus) {
            fs::remove_file(oldest)?;
        }
        Ok(())
    }

    fn paths_of(&self, peer: &MiAddress) -> [PathBuf; 3] {
        let name = safe_name(peer) + ".jsonl";
        let path = self.folder.join(&name);
        [self.folder.join(CALLERS).join(name), old(&path), path]
    }

    fn paths_of_unanswered(&self, peer: &MiAddress) -> [PathBuf; 2] {
        let path = self.folder.join(UNANSWERED).join(safe_name(peer) + ".jsonl");
        [old(&path), path]
    }

    fn paths_of_unknown(&self) -> [PathBuf; 2] {
        let path = self.folder.join(CALLERS).join(UNKNOWN);
        [old(&path), path]
    }
}

/// The files in a folder, without those in the folders in it.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    files: usize,
    bytes: u64,
}

impl Total {
    fn count(folder: &Path) -> io::Result<Self> {
        let mut total = Self::default();
        for entry in fs::read_dir(folder)? {
            let metadata = entry?.metadata()?;
            if metadata.is_file() {
                total.files += 1;
                total.bytes += metadata.len();
            }
        }
        Ok(total)
    }
}

/// Appends `line`, with its end, to the file at `path`, in one write. Creates the file if necessary.
fn write(path: &Path, line: &str) -> io::Result<()> {
    let mut file = file::open(path, OpenOptions::new().read(true).append(true).create(true))?;
    let whole_lines = ends_a_line(&file)?;
    let line = if whole_lines { line } else { &format!("\n{line}") };
    file.write_all(line.as_bytes())
}

/// Returns whether `file` is empty or ends with the end of a line.
fn ends_a_line(file: &File) -> io::Result<bool> {
    let mut last = [b'\n'];
    if let Some(at) = file.metadata()?.len().checked_sub(1) {
        file.read_exact_at(&mut last, at)?;
    }
    Ok(last == [b'\n'])
}

/// Returns the length of the file at `path`, or `None` if there is none. A link is not followed.
fn length(path: &Path) -> io::Result<Option<u64>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        metadata => Ok(Some(metadata?.len())),
    }
}

/// Returns the path of the previous file, to which a full one at `path` is renamed.
pub(super) fn old(path: &Path) -> PathBuf {
    let mut old = path.as_os_str().to_owned();
    old.push(".1");
    old.into()
}

/// The folder of peers that only called. The name of a file has an `@`, except [`UNKNOWN`].
const CALLERS: &str = "callers";

/// The folder of what was said in the name of peers while the user said nothing.
const UNANSWERED: &str = "unanswered";

/// The most files that are found again after they were added to others: more than are read at a time.
const MAX_MOVED: usize = 64;

/// The file of all callers that are not known.
const UNKNOWN: &str = "unknown.jsonl";

/// The room that a note takes, with its time and its end. It is left free in each file.
pub(super) const NOTE: u64 = 128;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::{Entry, History, Kept, LEFT_OUT, Talk, Way};
    use super::*;
    use crate::store::folder::DataFolder;

    /// Limits that a test reaches soon.
    const SMALL: Limits = Limits {
        file: 10_000,
        total: 45_000,
        files: 6,
        caller_file: 2_000,
        caller_files: 3,
        unanswered_file: 2_000,
        unanswered_files: 4,
        conversation: 4_000,
        line: 500,
    };

    struct Kitchen {
        history: History,
        folder: PathBuf,
        _data: tempfile::TempDir,
    }

    impl Kitchen {
        fn new() -> Self {
            let (data, folder) = DataFolder::temporary();
            let history = History::within(&folder, SMALL);
            Self { history, folder: folder.file("history"), _data: data }
        }

        fn adds(&mut self, talk: &Talk, way: Way, text: &str) -> io::Result<Kept> {
            let at = "2026-11-25T15:40:00Z".parse().unwrap();
            let candidates = if talk.peer.is_some() { Vec::new() } else { candidates() };
            let entry = Entry { at, way, nick: "x".into(), text: text.into(), continues: false, candidates };
            self.history.append(talk, &entry)
        }

        /// The peer says lines of 100 bytes and more until something is left out.
        fn floods(&mut self, talk: &Talk) {
            let kept = |kept| matches!(kept, Kept::Whole);
            let text = "#".repeat(100);
            while kept(self.adds(talk, Way::Received, &text).unwrap()) {}
        }

        fn texts(&self, peer: &str) -> Vec<String> {
            let mut texts = Vec::new();
            let found = |entry: Entry| {
                texts.push(entry.text);
                Ok(())
            };
            let peer = (peer != "unknown").then(|| peer.parse().unwrap());
            self.history.search(peer.as_ref(), None, found).unwrap();
            texts
        }

        /// The names and lengths of the files in a folder of the history.
        fn files(&self, folder: &str) -> Vec<(String, u64)> {
            let Ok(entries) = fs::read_dir(self.folder.join(folder)) else { return Vec::new() };
            let entries = entries.map(|entry| entry.unwrap()).filter(|entry| entry.path().is_file());
            entries
                .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()))
                .collect()
        }
    }

    fn talk(id: u64, peer: &str, is_known: bool) -> Talk {
        Talk { id: id.into(), peer: Some(peer.parse().unwrap()), is_known, is_sure: false }
    }

    /// The user called the peer, or knows the key that it shows.
    fn sure_talk(id: u64, peer: &str) -> Talk {
        Talk { is_sure: true, ..talk(id, peer, true) }
    }

    fn talk_with_unknown(id: u64) -> Talk {
        Talk { id: id.into(), peer: None, is_known: false, is_sure: false }
    }

    fn candidates() -> Vec<MiAddress> {
        vec!["joan@bb.com".parse().unwrap(), "boss@evil.com".parse().unwrap()]
    }

    #[test]
    fn lines_of_a_friend_survive_whoever_calls_under_the_name() {
        let mut kitchen = Kitchen::new();
        let friend = talk(1, "joya@cc.com", true);
        kitchen.adds(&friend, Way::Sent, "hola").unwrap();
        kitchen.adds(&friend, Way::Received, "bon dia").unwrap();
        for id in 2..50 {
            kitchen.floods(&talk(id, "joya@cc.com", true));
        }
        let texts = kitchen.texts("joya@cc.com");
        assert_eq!(&texts[..2], ["hola", "bon dia"]);
        assert!(texts.iter().filter(|text| *text == LEFT_OUT).count() > 1, "{texts:?}");
        let apart = kitchen.files("unanswered");
        assert!(
            apart.len() == 2 && apart.iter().all(|(_, length)| *length <= SMALL.unanswered_file),
            "{apart:?}"
        );
        assert_eq!(kitchen.files("").len(), 1);
        // The user talks, and what both say is kept behind all that.
        assert_eq!(kitchen.adds(&talk(50, "joya@cc.com", true), Way::Sent, "hola?").unwrap(), Kept::Whole);
        let answer = kitchen.adds(&talk(50, "joya@cc.com", true), Way::Received, "bona nit");
        assert_eq!(answer.unwrap(), Kept::Whole);
        assert_eq!(kitchen.files("unanswered"), []);
        let now = kitchen.texts("joya@cc.com");
        assert_eq!(
            (&now[..texts.len()], &now[texts.len()..]),
            (&texts[..], &["hola?", "bona nit"].map(str::to_owned)[..])
        );
    }

    #[test]
    fn callers_under_the_names_of_friends_have_a_share_of_their_own() {
        let mut kitchen = Kitchen::new();
        for id in 0..100 {
            kitchen.floods(&talk(id, &format!("u{}@cc.com", id % 10), true));
            let apart = kitchen.files("unanswered");
            assert!(apart.len() <= SMALL.unanswered_files, "{apart:?}");
            assert!(apart.iter().all(|(_, length)| *length <= SMALL.unanswered_file), "{apart:?}");
        }
        assert_eq!(kitchen.files(""), []);
        // The latest is there, and displaced the oldest.
        assert!(!kitchen.texts("u9@cc.com").is_empty() && kitchen.texts("u1@cc.com").is_empty());
        for talk in [sure_talk(200, "joya@cc.com"), sure_talk(201, "u9@cc.com")] {
            assert_eq!(kitchen.adds(&talk, Way::Received, "bon dia").unwrap(), Kept::Whole);
            assert_eq!(kitchen.adds(&talk, Way::Sent, "hola").unwrap(), Kept::Whole);
            let texts = kitchen.texts(talk.peer.unwrap().as_str());
            assert_eq!(&texts[texts.len() - 2..], ["bon dia", "hola"]);
        }
    }

    /// The user has read a part of what was said, and answers.
    #[test]
    fn what_came_before_a_line_is_found_after_an_answer_too() {
        let mut kitchen = Kitchen::new();
        let joya = talk(1, "joya@cc.com", true);
        kitchen.adds(&talk(2, "joya@cc.com", true), Way::Sent, "first").unwrap();
        let said = ["one", "two", "three", "four"];
        said.iter().for_each(|text| _ = kitchen.adds(&joya, Way::Received, text).unwrap());
        let peer = joya.peer.unwrap();
        let page = kitchen.history.before(&peer, None, 2).unwrap();
        assert_eq!(page.entries.iter().map(|entry| &*entry.text).collect::<Vec<_>>(), ["three", "four"]);
        kitchen.adds(&joya, Way::Sent, "answer").unwrap();
        let before = kitchen.history.before(&peer, page.earlier, 9).unwrap();
        assert_eq!(
            before.entries.iter().map(|entry| &*entry.text).collect::<Vec<_>>(),
            ["first", "one", "two"]
        );
        assert_eq!(before.earlier, None);
    }

    #[test]
    fn a_conversation_keeps_more_with_each_line_of_the_user() {
        let mut kitchen = Kitchen::new();
        let talk = sure_talk(1, "joya@cc.com");
        kitchen.floods(&talk);
        let length = |kitchen: &Kitchen| kitchen.files("")[0].1;
        let before = length(&kitchen);
        assert!(before <= SMALL.conversation + NOTE, "{before}");
        assert_eq!(kitchen.texts("joya@cc.com").last().map(String::as_str), Some(LEFT_OUT));
        assert_eq!(
            kitchen.adds(&talk, Way::Received, "").unwrap(),
            Kept::LeftOut { is_first: false },
            "what comes next is left out, too"
        );
        assert_eq!(length(&kitchen), before);
        kitchen.adds(&talk, Way::Sent, "hola").unwrap();
        kitchen.floods(&talk);
        let most = SMALL.conversation + SMALL.line + 2 * NOTE;
        assert!((before + 300..=most).contains(&length(&kitchen)), "{before}, then {}", length(&kitchen));
    }

    #[test]
    fn callers_have_small_files_and_the_oldest_goes() {
        let mut kitchen = Kitchen::new();
        kitchen.adds(&sure_talk(1, "joya@cc.com"), Way::Received, "hola").unwrap();
        for id in 2..20 {
            kitchen.floods(&talk(id, &format!("u{id}@cc.com"), false));
        }
        let callers = kitchen.files("callers");
        let names: BTreeSet<_> = callers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, BTreeSet::from(["u17@cc.com.jsonl", "u18@cc.com.jsonl", "u19@cc.com.jsonl"]));
        assert!(callers.iter().all(|(_, length)| *length <= SMALL.caller_file), "{callers:?}");
        // The first line of the user takes the file from among them.
        kitchen.adds(&talk(18, "u18@cc.com", false), Way::Sent, "who are you?").unwrap();
        assert_eq!((kitchen.files("callers").len(), kitchen.files("").len()), (2, 2));
        let texts = kitchen.texts("u18@cc.com");
        assert!(texts.len() > 10 && texts.last().is_some_and(|text| text == "who are you?"), "{texts:?}");
        kitchen.adds(&talk(20, "u18@cc.com", false), Way::Received, "it is me").unwrap();
        assert_eq!(kitchen.texts("u18@cc.com").len(), texts.len() + 1);
        assert_eq!(kitchen.texts("joya@cc.com"), ["hola"]);
    }

    #[test]
    fn callers_that_are_not_known_have_two_small_files_that_count_for_nobody() {
        let mut kitchen = Kitchen::new();
        kitchen.adds(&talk_with_unknown(1), Way::Received, "it is Joan").unwrap();
        kitchen.adds(&talk_with_unknown(1), Way::Sent, "hola").unwrap();
        let file = kitchen.folder.join("callers/unknown.jsonl");
        let line = fs::read_to_string(&file).unwrap();
        assert!(line.contains("\"candidates\":[\"joan@bb.com\",\"boss@evil.com\"]}\n"), "{line}");
        assert_eq!(kitchen.files(""), [], "it is in the file of no candidate");
        // Others call under any names, and say any amount.
        for id in 2..20 {
            kitchen.floods(&talk_with_unknown(id));
            kitchen.floods(&talk(100 + id, &format!("unknown.jsonl{id}@cc.com"), false));
        }
        assert_eq!(&kitchen.texts("unknown")[..2], ["it is Joan", "hola"]);
        let callers = kitchen.files("callers");
        assert_eq!(callers.len(), SMALL.caller_files, "{callers:?}");
        assert!(callers.iter().all(|(_, length)| *length <= SMALL.caller_file), "{callers:?}");
        // The user answers, and what both say is kept again.
        for (way, text) in [(Way::Sent, "who is it?"), (Way::Received, "Joan")] {
            assert_eq!(kitchen.adds(&talk_with_unknown(30), way, text).unwrap(), Kept::Whole);
        }
        assert_eq!(kitchen.texts("unknown").last().map(String::as_str), Some("Joan"));
        let too_long = kitchen.adds(&talk_with_unknown(30), Way::Sent, &"x".repeat(2_000)).unwrap_err();
        assert_eq!(too_long.to_string(), "it is larger than 2000 bytes");
        assert_eq!(kitchen.files(""), []);
    }

    #[test]
    fn a_full_history_erases_nothing_and_says_so() {
        let mut kitchen = Kitchen::new();
        for id in 0..6 {
            kitchen.adds(&talk(id, &format!("u{id}@cc.com"), true), Way::Sent, "hola").unwrap();
        }
        let one_more = talk(7, "joya@cc.com", true);
        for way in [Way::Sent, Way::Received] {
            let error = kitchen.adds(&one_more, way, "hola").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
            let expected = "the history has 0 MiB or 6 files, as much as may be; remove some in ";
            assert!(error.to_string().starts_with(expected), "{error}");
        }
        assert_eq!(kitchen.files("").len(), 6);
        kitchen.adds(&talk(1, "u1@cc.com", true), Way::Received, "hola").unwrap();
        fs::remove_file(kitchen.folder.join("u0@cc.com.jsonl")).unwrap();
        kitchen.adds(&one_more, Way::Sent, "hola").unwrap();
        kitchen.adds(&one_more, Way::Received, "hola").unwrap();
        assert_eq!(kitchen.texts("joya@cc.com"), ["hola", "hola"]);
    }

    /// A note is short, and many notes are not.
    #[test]
    fn a_full_history_has_no_room_for_a_note() {
        let mut kitchen = Kitchen::new();
        let joya = sure_talk(1, "joya@cc.com");
        kitchen.floods(&joya);
        for length in [100, 0] {
            let peers = (0..5).cycle().map(|n| talk(2, &format!("u{n}@cc.com"), true));
            let mut kept = peers.map(|talk| kitchen.adds(&talk, Way::Sent, &"x".repeat(length)));
            assert!(kept.any(|kept| kept.is_err()));
        }
        let total = |kitchen: &Kitchen| kitchen.files("").iter().map(|(_, length)| length).sum::<u64>();
        let full = total(&kitchen);
        assert!((SMALL.total - 100..=SMALL.total).contains(&full), "{full}");
        kitchen.adds(&joya, Way::Sent, "hola").unwrap_err();
        let left_out = kitchen.adds(&joya, Way::Received, &"#".repeat(1_000)).unwrap();
        assert_eq!((left_out, total(&kitchen)), (Kept::LeftOut { is_first: true }, full));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn nothing_exceeds_its_bound(
            lines in proptest::collection::vec(
                (0..9_u64, 0..9_u64, any::<[bool; 2]>(), prop::bool::weighted(0.1), 0..300_usize),
                0..1_000,
            )
        ) {
            let mut kitchen = Kitchen::new();
            for (id, who, [is_known, is_sure], is_own, length) in lines {
                let is_unknown = who == 8;
                let talk = if is_unknown { talk_with_unknown(id) } else { talk(id, &format!("u{who}@cc.com"), is_known) };
                let talk = Talk { is_sure: is_sure && !is_unknown, ..talk };
                let way = if is_own { Way::Sent } else { Way::Received };
                match kitchen.adds(&talk, way, &"\u{1}".repeat(length)) {
                    Err(error) if is_unknown => {
                        prop_assert!(is_own && error.to_string() == "it is larger than 2000 bytes");
                    }
                    Err(error) => prop_assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded),
                    Ok(kept) => prop_assert!(!is_own || kept == Kept::Whole),
                }
            }
            let (files, callers) = (kitchen.files(""), kitchen.files("callers"));
            let unanswered = kitchen.files("unanswered");
            let total: u64 = files.iter().map(|(_, length)| length).sum();
            prop_assert!(total <= SMALL.total, "{}", total);
            prop_assert!(files.len() <= SMALL.files && callers.len() <= SMALL.caller_files);
            prop_assert!(files.iter().all(|(_, length)| *length <= SMALL.file), "{:?}", files);
            prop_assert!(unanswered.len() <= SMALL.unanswered_files);
            prop_assert!(unanswered.iter().all(|(_, length)| *length <= SMALL.unanswered_file), "{:?}", unanswered);
            prop_assert!(callers.iter().all(|(_, length)| *length <= SMALL.caller_file), "{:?}", callers);
        }
    }
}
