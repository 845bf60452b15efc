//! The lines of past conversations, in `history/`: for each peer a file `ADDRESS.jsonl`, with one object per
//! line.
//!
//! ```text
//! {"at":"2026-11-25T15:40:00Z","way":"sent","nick":"Laura","text":"hola"}
//! {"at":"2026-11-25T15:40:07Z","way":"received","nick":"Joya","text":"hola, què tal?"}
//! ```
//!
//! `at` is the time in UTC; `way` is `sent`, `received`, or `left-out` in a note that there was more; `nick`
//! is the nickname of the speaker, which is not there if the line is too short for that; `text` is the line
//! as it was sent, which must be made safe before it is shown, and is not there if the line is empty;
//! `"continues":true` follows if it is the next piece of the line before it. If the caller is not known,
//! `"candidates":["joan@bb.com",…]` has the users that it may be. [`safe_name`](super::folder::safe_name)
//! escapes addresses that are not plain file names. Before a file exceeds [`MAX_FILE`], it is renamed to
//! `ADDRESS.jsonl.1`, which replaces the previous one. A crash may leave an incomplete line at the end; it
//! stays a line of its own, and is skipped.
//!
//! Anybody can call under any name and say as much as fits the line. Their lines have [`limits`], and only a
//! conversation in which the user says something replaces older ones. What is said in the name of a peer,
//! without a key that is known of it and before the user has said a line, is in `history/unanswered/`, in
//! `ADDRESS.jsonl` and `ADDRESS.jsonl.1`. When these are full, the oldest lines give way. It is added to the
//! file of the peer before the next line of a conversation that the user has called, answered, or with a peer
//! of a known key. Peers that the user never called or answered have their files in `history/callers/`, from
//! where the first line of the user takes them. What is said with callers that are not known is in
//! `history/callers/unknown.jsonl`, of the same size, and in `unknown.jsonl.1`. It is a conversation with
//! none of the candidates.

mod files;
mod limits;

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt};

use jiff::Timestamp;
use mi_agent_core::ConversationId;
use plumi_proto::MiAddress;
use serde::{Deserialize, Serialize};

use self::files::{Files, NewLine};
use self::limits::{Allowance, Allowances, Limits};
use super::file;
use super::folder::DataFolder;
use super::json::{as_text, as_texts, in_a_line};

/// The lines that a user and all peers exchanged.
#[derive(Debug)]
pub(crate) struct History {
    files: Files,
    allowances: Allowances,
}

impl History {
    /// Returns the history in the `folder` of a user.
    pub(crate) fn of(folder: &DataFolder) -> Self {
        Self::within(folder, Limits::default())
    }

    fn within(folder: &DataFolder, limits: Limits) -> Self {
        Self { files: Files::new(folder.file("history"), limits), allowances: Allowances::default() }
    }

    /// Appends `entry` to what is kept of `talk`, in one write, unless that has no room for more of the
    /// peer's.
    ///
    /// # Errors
    /// Those of the operating system; the entry is larger than [`MAX_FILE`]; all files together would become
    /// too large or too many.
    pub(crate) fn append(&mut self, talk: &Talk, entry: &Entry) -> io::Result<Kept> {
        let Self { files, allowances } = self;
        let mut line = in_a_line(entry)? + "\n";
        if line.len() as u64 > files.limits.file {
            return Err(file::too_large(files.limits.file));
        }
        let allowance = allowances.of(talk.id, talk.is_sure, &files.limits);
        let is_own = entry.way == Way::Sent;
        if is_own {
            allowance.answer(&files.limits);
        } else {
            allowance.earn(least_sent(&entry.text));
            if !allowance.admits(line.len() as u64) {
                // A long nickname costs its peer nothing from the second line on.
                line = in_a_line(&Entry { nick: String::new(), ..entry.clone() })? + "\n";
            }
            if !allowance.admits(line.len() as u64) {
                return leave_out(files, allowance, talk, entry.at);
            }
        }
        let (is_answered, is_known) = (allowance.is_answered(), talk.is_known || is_own);
        let new = NewLine { text: &line, is_own, is_answered, is_known, is_sure: talk.is_sure };
        if !files.append(talk.peer.as_ref(), new)? {
            return leave_out(files, allowance, talk, entry.at);
        }
        allowance.spend(line.len() as u64);
        Ok(Kept::Whole)
    }

    /// Reads the last `n` entries of conversations with `peer` before `mark`, or before the end. The pieces
    /// of a line are one entry.
    ///
    /// There are fewer if the last [`MAX_LOOK`] bytes of a file contain fewer; more may be before them.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn before(&self, peer: &MiAddress, mark: Option<Mark>, n: usize) -> io::Result<Recalled> {
        let mark = mark.map(|mark| self.files.moved(mark));
        let mut entries = Vec::new();
        let (mut reached, mut is_complete) = (None, true);
        for path in self.files.paths(Some(peer)).iter().rev() {
            if entries.iter().filter(|entry: &&Entry| !entry.continues).count() >= n {
                is_complete = false;
                break;
            }
            let file = match file::open(path, OpenOptions::new().read(true)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file?,
            };
            let metadata = file.metadata()?;
            let end = match mark {
                // The entries of newer files came later.
                Some(mark) if reached.is_none() && mark.inode != metadata.ino() => continue,
                Some(mark) if reached.is_none() => mark.offset.min(metadata.len()),
                _ => metadata.len(),
            };
            let offset = collect_from_end(&file, end, n, &mut entries)?;
            reached = Some(Mark { inode: metadata.ino(), offset });
            if offset > 0 {
                is_complete = false;
                break;
            }
        }
        entries.reverse();
        Ok(Recalled { entries: paragraphs(entries), earlier: reached.filter(|_| !is_complete) })
    }

    #[cfg(test)]
    fn last(&self, peer: &MiAddress, n: usize) -> io::Result<Vec<Entry>> {
        let mut entries = self.before(peer, None, n)?.entries;
        entries.drain(..entries.len().saturating_sub(n));
        Ok(entries)
    }

    /// Passes every entry of conversations with `peer`, or with callers that are not known, to `found`,
    /// oldest first; with `text`, only those that contain it in any case. The pieces of a line are one entry.
    /// Returns whether there is a history.
    ///
    /// # Errors
    /// Those of the operating system, and those of `found`.
    pub(crate) fn search(
        &self,
        peer: Option<&MiAddress>,
        text: Option<&str>,
        mut found: impl FnMut(Entry) -> io::Result<()>,
    ) -> io::Result<bool> {
        let text = text.map(str::to_lowercase);
        let is_wanted =
            |entry: &Entry| text.as_ref().is_none_or(|text| entry.text.to_lowercase().contains(text));
        let mut is_there = false;
        // The entry that may be continued by the next piece.
        let mut last: Option<Entry> = None;
        for path in &self.files.paths(peer) {
            let file = match file::open(path, OpenOptions::new().read(true)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file?,
            };
            is_there = true;
            // A file that grows meanwhile is read to where it ended.
            let mut lines = BufReader::new(file.take(MAX_FILE));
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line)? > 0 {
                if let Ok(entry) = serde_json::from_slice::<Entry>(&line)
                    && let Some(entry) = join(last.as_mut(), entry)
                    && let Some(last) = last.replace(entry).filter(is_wanted)
                {
                    found(last)?;
                }
                line.clear();
            }
        }
        last.filter(is_wanted).map_or(Ok(()), found)?;
        Ok(is_there)
    }
}

/// A conversation with lines that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Talk {
    pub(crate) id: ConversationId,
    /// `None` for a caller that is not known. The candidates are in each [`Entry`].
    pub(crate) peer: Option<MiAddress>,
    /// The user has called, answered or added the peer at any time.
    pub(crate) is_known: bool,
    /// The peer is the user's own choice or proved, and cannot be an impostor: the user called, or the peer
    /// has shown a key that is known.
    pub(crate) is_sure: bool,
}

/// Entries that were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recalled {
    /// The oldest first.
    pub(crate) entries: Vec<Entry>,
    /// The place before which more may be.
    pub(crate) earlier: Option<Mark>,
}

/// A place in the files of a peer, between two entries. It stays where it is when entries are added, and when
/// a file gets another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    inode: u64,
    /// The bytes of the file before it.
    offset: u64,
}

/// The result of keeping a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Whole,
    /// It is left out, as there was enough. Set for the first such line.
    LeftOut {
        is_first: bool,
    },
}

/// A line of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(with = "as_text")]
    pub(crate) at: Timestamp,
    pub(crate) way: Way,
    /// The nickname of the speaker, as it was received. Show it and the text only as
    /// [`mi_agent_core::safe_text`]. Empty for short lines, once a peer has said many of them under a long
    /// one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) nick: String,
    /// Empty lines cost a peer least, so they take no more room than they must.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) text: String,
    /// It is the next piece of the entry before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) continues: bool,
    /// The users that the caller may be, if that is not known. Empty also if there were too many of them, or
    /// none.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "as_texts")]
    pub(crate) candidates: Vec<MiAddress>,
}

/// The speaker of a line, the user or the peer, or a note that more was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    Sent,
    Received,
    LeftOut,
}

/// Leaves out what the peer says from now on. A note says so once.
fn leave_out(files: &mut Files, allowance: &mut Allowance, talk: &Talk, at: Timestamp) -> io::Result<Kept> {
    let is_first = allowance.end();
    if is_first {
        let text = LEFT_OUT.to_owned();
        let (nick, continues, candidates) = (String::new(), false, Vec::new());
        let note = Entry { at, way: Way::LeftOut, nick, text, continues, candidates };
        files.append_note(talk.peer.as_ref(), &(in_a_line(&note)? + "\n"))?;
    }
    Ok(Kept::LeftOut { is_first })
}

/// Returns the least bytes that a peer sent for a line with `text`. It may have come without a frame, and
/// each byte that is not UTF-8 as three.
fn least_sent(text: &str) -> u64 {
    let replaced = text.chars().filter(|&character| character == char::REPLACEMENT_CHARACTER).count();
    let least = text.len() - 2 * replaced;
    if least == 0 { EMPTY_FRAME } else { least as u64 }
}

/// Joins each entry that continues the one before it to that one.
fn paragraphs(entries: Vec<Entry>) -> Vec<Entry> {
    let mut paragraphs: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(entry) = join(paragraphs.last_mut(), entry) {
            paragraphs.push(entry);
        }
    }
    paragraphs
}

/// Adds `next` to `last` if it is the next piece of that line. Returns it otherwise.
fn join(last: Option<&mut Entry>, next: Entry) -> Option<Entry> {
    let is_of_speaker = |last: &Entry| {
        let has_nick = next.nick.is_empty() || last.nick == next.nick;
        has_nick && (last.way, &last.candidates) == (next.way, &next.candidates)
    };
    match last {
        Some(last) if next.continues && is_of_speaker(last) => {
            last.text.push_str(&next.text);
            None
        }
        _ => Some(next),
    }
}

/// Collects entries of the first `end` bytes of `file`, the last one first, until `n` of them begin a line.
/// Skips lines that are not entries. Returns the offset before which nothing was looked at.
fn collect_from_end(file: &File, end: u64, n: usize, entries: &mut Vec<Entry>) -> io::Result<u64> {
    let mut start = end;
    // The end, from `start` on, of a line that begins before `start`.
    let mut rest = Vec::new();
    let mut missing = n.saturating_sub(entries.iter().filter(|entry| !entry.continues).count());
    while missing > 0 && start > 0 && end - start < MAX_LOOK {
        let mut block = vec![0; BLOCK.min(usize::try_from(start).unwrap_or(BLOCK))];
        start -= block.len() as u64;
        file.read_exact_at(&mut block, start)?;
        block.append(&mut rest);
        let whole = if start == 0 {
            0
        } else {
            block.iter().position(|&byte| byte == b'\n').map_or(block.len(), |end| end + 1)
        };
        let mut at = block.len();
        for line in block[whole..].rsplit(|&byte| byte == b'\n') {
            at -= line.len();
            if let Ok(entry) = serde_json::from_slice::<Entry>(line) {
                missing -= usize::from(!entry.continues);
                entries.push(entry);
                if missing == 0 {
                    return Ok(start + at as u64);
                }
            }
            // The end of the line before.
            at = at.saturating_sub(1);
        }
        block.truncate(whole);
        rest = block;
    }
    Ok(start + rest.len() as u64)
}

/// The text of a note, and what the screen says.
pub(crate) const LEFT_OUT: &str = "more was said than is kept";

/// The most bytes of a file, enough for years of daily conversations.
pub(crate) const MAX_FILE: u64 = 10 << 20;

/// The most bytes that are read from the end of a file: thousands of entries, without a noticeable delay.
pub(crate) const MAX_LOOK: u64 = 1 << 20;

/// The bytes of a frame without text, `L00`. Without a frame, there is no text without bytes.
const EMPTY_FRAME: u64 = 3;

/// The bytes of one read: hundreds of entries, more than a screen shows.
const BLOCK: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    use super::super::folder;
    use super::files::{NOTE, old};
    use super::*;

    struct Talks {
        history: History,
        joya: MiAddress,
        folder: PathBuf,
        _data: tempfile::TempDir,
    }

    impl Talks {
        fn new() -> Self {
            let (data, folder) = DataFolder::temporary();
            let history = History::of(&folder);
            folder::make(&folder.file("history")).unwrap();
            Self {
                history,
                joya: "joya@cc.com".parse().unwrap(),
                folder: folder.file("history"),
                _data: data,
            }
        }

        fn append(&mut self, text: &str) {
            self.history.append(&talk_with(self.joya), &entry(text)).unwrap();
        }

        fn last(&self, n: usize) -> Vec<String> {
            let entries = self.history.last(&self.joya, n).unwrap();
            entries.into_iter().map(|entry| entry.text).collect()
        }

        fn path(&self) -> PathBuf {
            self.folder.join("joya@cc.com.jsonl")
        }

        fn add_raw(&self, bytes: &[u8]) {
            let mut file = OpenOptions::new().append(true).create(true).open(self.path()).unwrap();
            file.write_all(bytes).unwrap();
        }
    }

    fn talk_with(peer: MiAddress) -> Talk {
        Talk { id: 1.into(), peer: Some(peer), is_known: true, is_sure: true }
    }

    fn entry(text: &str) -> Entry {
        Entry {
            at: "2026-11-25T15:40:00Z".parse().unwrap(),
            way: Way::Sent,
            nick: "Laura".into(),
            text: text.into(),
            continues: false,
            candidates: Vec::new(),
        }
    }

    #[test]
    fn everything_is_found_in_any_case_oldest_first() {
        let mut talks = Talks::new();
        let found = |talks: &Talks, text: Option<&str>| {
            let mut texts = Vec::new();
            let found = |entry: Entry| {
                texts.push(entry.text);
                Ok(())
            };
            let is_there = talks.history.search(Some(&talks.joya), text, found).unwrap();
            (is_there, texts)
        };
        assert_eq!(found(&talks, None), (false, vec![]));
        talks.append("Bon dia");
        fs::rename(talks.path(), old(&talks.path())).unwrap();
        talks.append("quedem a les dues");
        talks.append("BON profit");
        assert_eq!(found(&talks, Some("bon")), (true, vec!["Bon dia".into(), "BON profit".into()]));
        assert_eq!(found(&talks, None).1.len(), 3);
        assert_eq!(found(&talks, Some("adeu")), (true, vec![]));
    }

    #[test]
    fn the_pieces_of_a_line_are_read_as_one_entry() {
        let mut talks = Talks::new();
        let piece = |text: &str| Entry { continues: true, ..entry(text) };
        let other = |text: &str| Entry { nick: "Pere".into(), ..piece(text) };
        for entry in
            [piece("lost. "), entry("at "), piece("ninety-"), piece("nine"), other("hola"), entry("end")]
        {
            talks.history.append(&talk_with(talks.joya), &entry).unwrap();
        }
        assert!(
            fs::read_to_string(talks.path()).unwrap().contains("\"text\":\"nine\",\"continues\":true}\n")
        );
        assert_eq!(talks.last(9), ["lost. ", "at ninety-nine", "hola", "end"]);
        assert_eq!(talks.last(3), ["at ninety-nine", "hola", "end"]);
        assert_eq!(talks.last(2), ["hola", "end"]);
        // A text may be in two pieces, of which the first is in the file before.
        fs::rename(talks.path(), old(&talks.path())).unwrap();
        for entry in [Entry { continues: true, ..entry("ing") }, entry("last")] {
            talks.history.append(&talk_with(talks.joya), &entry).unwrap();
        }
        let mut texts = Vec::new();
        let found = |entry: Entry| {
            texts.push(entry.text);
            Ok(())
        };
        assert!(talks.history.search(Some(&talks.joya), Some("DING"), found).unwrap());
        assert_eq!(texts, ["ending"]);
        assert_eq!(talks.last(2), ["ending", "last"]);
    }

    #[test]
    fn lines_are_as_described_and_the_users_alone() {
        let mut talks = Talks::new();
        talks.append("hola");
        let heard = Entry { way: Way::Received, nick: "\u{1b}Joya".into(), ..entry("a\nb\u{202e}\"") };
        talks.history.append(&talk_with("joya@CC.com.".parse().unwrap()), &heard).unwrap();
        assert_eq!(
            fs::read_to_string(talks.path()).unwrap(),
            "{\"at\":\"2026-11-25T15:40:00Z\",\"way\":\"sent\",\"nick\":\"Laura\",\"text\":\"hola\"}\n\
            {\"at\":\"2026-11-25T15:40:00Z\",\"way\":\"received\",\"nick\":\"\\u001bJoya\",\"text\":\"a\\nb\\u202e\\\"\"}\n"
        );
        assert_eq!(fs::metadata(talks.path()).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::metadata(&talks.folder).unwrap().permissions().mode() & 0o7777, 0o700);
        assert_eq!(talks.history.last(&talks.joya, 9).unwrap(), [entry("hola"), heard]);
        assert_eq!(talks.history.last(&"pere@cc.com".parse().unwrap(), 9).unwrap(), []);
    }

    #[test]
    fn an_empty_line_takes_at_most_22_times_its_bytes_on_the_wire() {
        let mut talks = Talks::new();
        let empty = Entry { way: Way::Received, nick: "J".into(), ..entry("") };
        talks.history.append(&talk_with(talks.joya), &empty).unwrap();
        let kept = fs::read_to_string(talks.path()).unwrap();
        assert_eq!(kept, "{\"at\":\"2026-11-25T15:40:00Z\",\"way\":\"received\",\"nick\":\"J\"}\n");
        assert!(kept.len() <= 22 * b"L00".len(), "{} bytes", kept.len());
        // Older files have it like this.
        talks.add_raw(kept.replace('}', ",\"text\":\"\"}").as_bytes());
        assert_eq!(talks.history.last(&talks.joya, 9).unwrap(), [empty.clone(), empty]);
    }

    /// A nickname is sent once, and a piece of text without a frame has no header.
    #[test]
    fn a_flood_takes_at_most_22_times_its_bytes_on_the_wire() {
        let long = "\u{1}".repeat(99);
        for (nick, text, on_the_wire) in [
            (&*long, "", 3),
            (&*long, "k", 4),
            ("J", "k", 1),
            ("J", "\u{fffd}", 1),
            (&*long, "\u{fffd}\u{fffd}\u{1}", 6),
        ] {
            let mut talks = Talks::new();
            let said = Entry { way: Way::Received, nick: nick.into(), ..entry(text) };
            for _ in 0..1_000 {
                talks.history.append(&talk_with(talks.joya), &said).unwrap();
            }
            let kept = fs::metadata(talks.path()).unwrap().len();
            assert!(kept <= 4_096 + NOTE + 22 * 1_000 * on_the_wire, "{kept} bytes for {text:?} of {nick:?}");
            // The first ones are there with the nickname, and the user's answer has more of them kept.
            assert_eq!(talks.history.before(&talks.joya, None, 2_000).unwrap().entries[0], said);
            talks.append("hola");
            assert_eq!(talks.history.append(&talk_with(talks.joya), &said).unwrap(), Kept::Whole);
            assert_eq!(talks.history.last(&talks.joya, 1).unwrap(), [said]);
        }
    }

    /// People say more than a few letters, and their nicknames are kept with each line.
    #[test]
    fn nicknames_of_those_who_talk_are_kept() {
        let mut talks = Talks::new();
        for n in 0..1_000 {
            let text = if n % 5 == 0 { "ok" } else { "quedem a les dues?" };
            let said = Entry { way: Way::Received, nick: "Maria del Mar".into(), ..entry(text) };
            assert_eq!(talks.history.append(&talk_with(talks.joya), &said).unwrap(), Kept::Whole);
            assert_eq!(talks.history.last(&talks.joya, 1).unwrap(), [said]);
        }
    }

    #[test]
    fn the_last_ones_are_found_across_blocks() {
        let mut talks = Talks::new();
        // Their lengths differ, so blocks end anywhere in a line, and one line is longer than a block.
        let mut texts: Vec<_> = (0..2_000).map(|n| format!("{n} {}", "ò".repeat(n % 61))).collect();
        texts[1_990] = "x".repeat(3 * BLOCK);
        for text in &texts {
            talks.append(text);
        }
        assert!(fs::metadata(talks.path()).unwrap().len() > 5 * BLOCK as u64);
        for n in [0, 1, 2, 9, 10, 11, 500, 1_999, 2_000, 3_000] {
            assert_eq!(talks.last(n), texts[texts.len().saturating_sub(n)..], "{n}");
        }
    }

    /// Pages of all sizes, while more is said and the file becomes the previous one.
    #[test]
    fn whatever_is_read_page_by_page_is_all_there_is() {
        for n in [1, 7, 100, 5_000] {
            let mut talks = Talks::new();
            let texts: Vec<_> = (0..1_000).map(|n| format!("{n} {}", "ò".repeat(n % 61))).collect();
            talks.append("another file");
            fs::rename(talks.path(), old(&talks.path())).unwrap();
            texts.iter().for_each(|text| talks.append(text));
            let (mut pages, mut mark) = (Vec::new(), None);
            loop {
                let page = talks.history.before(&talks.joya, mark, n).unwrap();
                assert!(page.entries.len() <= n);
                pages.push(page.entries);
                mark = page.earlier;
                if mark.is_none() {
                    break;
                }
                talks.append("said meanwhile");
            }
            let read = pages.into_iter().rev().flatten().map(|entry| entry.text);
            let all = ["another file".to_owned()].into_iter().chain(texts);
            assert_eq!(read.collect::<Vec<_>>(), all.collect::<Vec<_>>(), "{n}");
        }
        let mut talks = Talks::new();
        ["one", "two", "three"].iter().for_each(|text| talks.append(text));
        let Recalled { earlier, .. } = talks.history.before(&talks.joya, None, 1).unwrap();
        fs::rename(talks.path(), old(&talks.path())).unwrap();
        talks.append("four");
        let Recalled { entries, .. } = talks.history.before(&talks.joya, earlier, 9).unwrap();
        assert_eq!(entries.iter().map(|entry| entry.text.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        fs::remove_file(old(&talks.path())).unwrap();
        let gone = talks.history.before(&talks.joya, earlier, 9).unwrap();
        assert_eq!(gone, Recalled { entries: Vec::new(), earlier: None });
    }

    #[test]
    fn lines_that_are_none_are_skipped_and_half_a_line_is_ended() {
        let mut talks = Talks::new();
        talks.append("one");
        talks
            .add_raw(b"\n\xff\xfe\n{\"at\":\"now\"}\n{\"at\":\"2026-11-25T15:40:00Z\",\"way\":\"sent\",\"ni");
        assert_eq!(talks.last(9), ["one"]);
        talks.append("two");
        assert_eq!(talks.last(9), ["one", "two"]);
        // A complete line may lack its end.
        let whole = in_a_line(&entry("three")).unwrap();
        talks.add_raw(whole.as_bytes());
        assert_eq!(talks.last(9), ["one", "two", "three"]);
        talks.append("four");
        assert_eq!(talks.last(9), ["one", "two", "three", "four"]);
        assert_eq!(talks.last(2), ["three", "four"]);
    }

    #[test]
    fn a_full_file_is_put_aside_and_still_read() {
        let mut talks = Talks::new();
        let full = |talks: &Talks| fs::metadata(talks.path()).unwrap().len();
        let text = "x".repeat(1 << 20);
        for n in 0..9 {
            talks.append(&format!("{n}{text}"));
        }
        talks.append("last");
        let length = full(&talks);
        // Fills the file to one byte below its limit and the room for a note; a line is longer than its text.
        let around = (in_a_line(&entry("y")).unwrap() + "\n").len() as u64 - 1;
        talks.append(&"y".repeat(usize::try_from(MAX_FILE - length - around - 1 - NOTE).unwrap()));
        assert_eq!(full(&talks), MAX_FILE - 1 - NOTE);
        assert!(!old(&talks.path()).exists());
        talks.append("new");
        assert_eq!(full(&talks), around + 3);
        assert_eq!(fs::metadata(old(&talks.path())).unwrap().len(), MAX_FILE - 1 - NOTE);
        talks.append("newer");
        let last = talks.last(3);
        assert_eq!(last.iter().map(|text| &text[..3]).collect::<Vec<_>>(), ["yyy", "new", "new"]);
        for _ in 0..11 {
            talks.append(&text);
        }
        assert_eq!(fs::read_dir(&talks.folder).unwrap().count(), 2, "one old one is kept");
        assert!(full(&talks) <= MAX_FILE);
    }

    /// An entry larger than a file is not written either.
    #[test]
    fn no_more_is_read_than_needed() {
        let mut talks = Talks::new();
        talks.append("far away");
        talks.add_raw(&vec![b'x'; 9 << 20]);
        talks.append("near");
        assert_eq!(talks.last(9), ["near"], "what is further than that from the end is not looked for");
        let error = talks.history.append(&talk_with(talks.joya), &entry(&"x".repeat(10 << 20))).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 10485760 bytes");
        assert_eq!(talks.last(9), ["near"]);
    }

    #[test]
    fn a_link_is_not_followed() {
        let mut talks = Talks::new();
        let elsewhere = talks.folder.join("elsewhere");
        fs::write(&elsewhere, "").unwrap();
        symlink(&elsewhere, talks.path()).unwrap();
        talks.history.append(&talk_with(talks.joya), &entry("hola")).unwrap_err();
        talks.history.last(&talks.joya, 1).unwrap_err();
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "");
    }
}
