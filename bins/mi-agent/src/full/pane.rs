//! The entries of one tab, and the part of them that is in view.

use std::cell::Cell;
use std::collections::VecDeque;

use jiff::Timestamp;
use mi_agent_core::Direction;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use super::theme::Theme;

/// An event, or a line of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    pub(crate) kind: Kind,
    /// Safe to show.
    pub(crate) text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `*`
    News,
    /// `!`
    Failure,
    /// A line of this user, under this nickname.
    Own(String),
    /// A line of the peer, under this nickname. Safe to show.
    Peer(String),
    /// A line of an earlier conversation, with the nickname of its author.
    Earlier(String),
    /// A message of a protocol.
    Passed(Direction),
}

/// Entries, the newest at the bottom, and a place in them. While the place is not the end, new entries do not
/// move the view.
#[derive(Debug)]
pub(crate) struct Pane {
    entries: VecDeque<Kept>,
    /// The memory of the entries in bytes.
    bytes: usize,
    /// There was no room for entries before the first one.
    is_cut: bool,
    /// The number of the next entry.
    next: u64,
    place: Place,
    /// Entries from this number on came while the end was out of view.
    unseen: u64,
    /// The columns for text and the rows of the view when it was last drawn.
    size: (u16, u16),
}

#[derive(Debug)]
struct Kept {
    entry: Entry,
    /// The rows that the entry takes at a width.
    rows: Cell<Option<(u16, usize)>>,
}

/// The last row in view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    End,
    /// A row of the entry with this number: so many of its rows are below the view.
    Above {
        number: u64,
        hidden: usize,
    },
}

impl Kept {
    /// Cuts a text off that is longer than [`MAX_TEXT`].
    fn new(mut entry: Entry) -> Self {
        if entry.text.len() > MAX_TEXT {
            let end = (0..=MAX_TEXT).rev().find(|&at| entry.text.is_char_boundary(at)).unwrap_or(0);
            entry.text.truncate(end);
            entry.text.push('…');
            entry.text.shrink_to_fit();
        }
        Self { entry, rows: Cell::new(None) }
    }

    /// Returns its memory in bytes.
    fn bytes(&self) -> usize {
        let name = match &self.entry.kind {
            Kind::Own(name) | Kind::Peer(name) | Kind::Earlier(name) => name.capacity(),
            Kind::News | Kind::Failure | Kind::Passed(_) => 0,
        };
        size_of::<Self>() + name + self.entry.text.capacity()
    }
}

/// An entry in view.
pub(crate) struct Visible<'a> {
    pub(crate) entry: &'a Entry,
    /// The place of its first row in view, from the top of the view.
    pub(crate) top: u16,
    /// The rows of it that are above the view.
    pub(crate) above: u16,
    /// The rows of it that are in view.
    pub(crate) rows: u16,
}

impl Default for Pane {
    fn default() -> Self {
        let entries = VecDeque::new();
        let (next, unseen) = (FIRST_NUMBER, FIRST_NUMBER);
        Self { entries, bytes: 0, is_cut: false, next, place: Place::End, unseen, size: (0, 0) }
    }
}

impl Pane {
    /// Adds `entry` at the bottom. The oldest ones are removed above [`MAX_ENTRIES`] entries or
    /// [`MAX_BYTES`].
    pub(crate) fn push(&mut self, entry: Entry) {
        let kept = Kept::new(entry);
        self.bytes += kept.bytes();
        self.entries.push_back(kept);
        self.next += 1;
        if self.place == Place::End {
            self.unseen = self.next;
        }
        self.remove_oldest();
    }

    /// Replaces the text `from` by `to`, which is safe to show, wherever it stands.
    pub(crate) fn replace(&mut self, from: &str, to: &str) {
        for kept in self.entries.iter_mut().filter(|kept| kept.entry.text.contains(from)) {
            self.bytes -= kept.bytes();
            kept.entry.text = kept.entry.text.replace(from, to);
            kept.rows.set(None);
            self.bytes += kept.bytes();
        }
        self.remove_oldest();
    }

    /// Adds `text`, which is safe to show, to the end of the newest entry if that is of this kind and has
    /// room for it. Returns whether it is and has.
    pub(crate) fn extend_last(&mut self, kind: &Kind, text: &str) -> bool {
        // Rows that are counted from the end of this entry would move.
        let is_in_place = matches!(self.place, Place::Above { number, .. } if number + 1 == self.next);
        let last = self.entries.back_mut().filter(|last| {
            last.entry.kind == *kind && !is_in_place && last.entry.text.len() + text.len() <= MAX_TEXT
        });
        let Some(last) = last else { return false };
        self.bytes -= last.bytes();
        last.entry.text.push_str(text);
        last.rows.set(None);
        self.bytes += last.bytes();
        self.remove_oldest();
        true
    }

    /// Adds entries older than all others, the oldest first, as far as there is room and none are missing
    /// between.
    pub(crate) fn prepend(&mut self, entries: impl DoubleEndedIterator<Item = Entry>) {
        for kept in entries.rev().map(Kept::new) {
            if self.is_cut || self.entries.len() == MAX_ENTRIES || self.bytes + kept.bytes() > MAX_BYTES {
                self.is_cut = true;
                break;
            }
            self.push_front(kept);
        }
    }

    /// Returns whether entries are missing before the first one, as there was no room for them.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Adds news as the first entry, unless it is there. Other entries make room for it.
    pub(crate) fn note_cut(&mut self, text: String) {
        let Some(Kept { entry: first, .. }) = self.entries.front() else { return };
        if first.text == text {
            return;
        }
        let note = Kept::new(Entry { at: first.at, kind: Kind::News, text });
        while self.entries.len() >= MAX_ENTRIES || self.bytes + note.bytes() > MAX_BYTES {
            self.pop_front();
        }
        self.push_front(note);
    }

    fn push_front(&mut self, kept: Kept) {
        self.bytes += kept.bytes();
        self.entries.push_front(kept);
    }

    /// Returns the memory of the entries in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Removes the oldest entries, so that at least so many `bytes` are free, or everything.
    pub(crate) fn give_up(&mut self, bytes: usize) {
        let most = self.bytes.saturating_sub(bytes);
        while self.bytes > most {
            self.pop_front();
        }
        self.entries.shrink_to(2 * self.entries.len());
    }

    fn remove_oldest(&mut self) {
        while self.entries.len() > MAX_ENTRIES || self.bytes > MAX_BYTES {
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        if let Some(oldest) = self.entries.pop_front() {
            self.is_cut = true;
            self.bytes -= oldest.bytes();
        }
    }

    /// Counts the entries that came while the end was out of view and have not been in view since.
    pub(crate) fn unseen(&self) -> usize {
        usize::try_from(self.next - self.unseen).unwrap_or(usize::MAX)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.place == Place::End
    }

    /// Returns whether the first entry is in view.
    pub(crate) fn is_at_start(&self) -> bool {
        self.rows_below() + usize::from(self.size.1) >= self.rows_of_all()
    }

    pub(crate) fn go_to_end(&mut self) {
        self.place = Place::End;
        self.unseen = self.next;
    }

    pub(crate) fn go_to_start(&mut self) {
        self.scroll(isize::MAX);
    }

    /// Scrolls up by `rows`, or down if they are negative.
    pub(crate) fn scroll(&mut self, up: isize) {
        let below = self.rows_below();
        let most = self.rows_of_all().saturating_sub(usize::from(self.size.1));
        let below = below.saturating_add_signed(up).min(most);
        if below == 0 {
            return self.go_to_end();
        }
        let mut hidden = below;
        for (at, kept) in self.entries.iter().enumerate().rev() {
            let rows = self.rows_of(kept);
            if hidden < rows {
                self.place = Place::Above { number: self.first() + at as u64, hidden };
                break;
            }
            hidden -= rows;
        }
        self.see();
    }

    /// Returns the rows of a page for [`Pane::scroll`]: one row stays in view.
    pub(crate) fn page(&self) -> isize {
        isize::try_from(self.size.1.saturating_sub(1).max(1)).unwrap_or(1)
    }

    /// Returns the entries in a view of `width` columns and `height` rows.
    pub(crate) fn visible(&mut self, width: u16, height: u16) -> Vec<Visible<'_>> {
        self.size = (width, height);
        // The place must exist: the oldest entries may be gone, and heights depend on the width.
        self.scroll(0);
        let mut hidden = self.rows_below();
        let mut free = usize::from(height).min(self.rows_of_all() - hidden);
        let mut visible = Vec::new();
        for kept in self.entries.iter().rev() {
            let rows = self.rows_of(kept);
            let shown = rows.saturating_sub(hidden);
            hidden = hidden.saturating_sub(rows);
            if shown == 0 {
                continue;
            }
            let above = shown.saturating_sub(free);
            free -= shown - above;
            visible.push(Visible {
                entry: &kept.entry,
                top: small(free),
                above: small(above),
                rows: small(shown - above),
            });
            if free == 0 {
                break;
            }
        }
        visible
    }

    #[cfg(test)]
    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter().map(|kept| &kept.entry)
    }

    fn first(&self) -> u64 {
        self.next - self.entries.len() as u64
    }

    /// Marks the entries in view as seen.
    fn see(&mut self) {
        if let Place::Above { number, .. } = self.place {
            self.unseen = self.unseen.max(number + 1);
        }
    }

    fn rows_below(&self) -> usize {
        let Place::Above { number, hidden } = self.place else { return 0 };
        let Some(at) = number.checked_sub(self.first()) else { return self.rows_of_all() };
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(self.entries.len());
        let after = self.entries.iter().skip(at + 1).map(|kept| self.rows_of(kept)).sum::<usize>();
        let own = self.entries.get(at).map_or(0, |kept| self.rows_of(kept));
        after + hidden.min(own.saturating_sub(1))
    }

    fn rows_of_all(&self) -> usize {
        self.entries.iter().map(|kept| self.rows_of(kept)).sum()
    }

    fn rows_of(&self, kept: &Kept) -> usize {
        let width = self.size.0;
        match kept.rows.get() {
            Some((of, rows)) if of == width => rows,
            _ => {
                let rows = paragraph(&kept.entry, &Theme::PLAIN).line_count(width).max(1);
                kept.rows.set(Some((width, rows)));
                rows
            }
        }
    }
}

/// Wraps the text of an entry at a width.
pub(crate) fn paragraph(entry: &Entry, theme: &Theme) -> Paragraph<'static> {
    let style = match entry.kind {
        Kind::News => theme.news,
        Kind::Failure => theme.failure,
        Kind::Earlier(_) => theme.faint,
        Kind::Own(_) | Kind::Peer(_) => theme.text,
        Kind::Passed(Direction::Sent) => theme.sent,
        Kind::Passed(Direction::Received) => theme.received,
    };
    // Only messages have a second line, their bytes.
    let rest = |at| if at == 0 { style } else { theme.faint };
    let lines = entry.text.split('\n').enumerate().map(|(at, line)| Line::styled(line.to_owned(), rest(at)));
    Paragraph::new(lines.collect::<Vec<_>>()).wrap(Wrap { trim: false })
}

fn small(rows: usize) -> u16 {
    u16::try_from(rows).unwrap_or(u16::MAX)
}

/// The number of the first entry, with room for those that are added before it.
const FIRST_NUMBER: u64 = 1 << 32;

/// The most entries of a tab in memory: a day of much talk. Older lines are in the history file.
pub(crate) const MAX_ENTRIES: usize = 5_000;

/// The most bytes of a tab in memory: as many lines of a frame each, and a screen full of the longest.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// The most bytes of one entry: a line of the most pieces takes less, and it is many screens.
const MAX_TEXT: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pane(texts: &[&str]) -> Pane {
        let mut pane = Pane::default();
        texts.iter().for_each(|text| pane.push(said(text)));
        pane
    }

    fn said(text: &str) -> Entry {
        Entry { at: Timestamp::UNIX_EPOCH, kind: Kind::Peer("joya".into()), text: text.into() }
    }

    /// The texts in view, from the top, with where they are, rows above the view and rows in it.
    fn view(pane: &mut Pane, width: u16, height: u16) -> Vec<(String, u16, u16, u16)> {
        let mut seen: Vec<_> = pane
            .visible(width, height)
            .into_iter()
            .map(|visible| (visible.entry.text.clone(), visible.top, visible.above, visible.rows))
            .collect();
        seen.reverse();
        seen
    }

    fn texts(pane: &mut Pane, height: u16) -> Vec<String> {
        view(pane, 10, height).into_iter().map(|(text, ..)| text).collect()
    }

    #[test]
    fn few_entries_begin_at_the_top() {
        let mut pane = pane(&["one", "two"]);
        assert_eq!(view(&mut pane, 10, 5), [("one".into(), 0, 0, 1), ("two".into(), 1, 0, 1)]);
    }

    #[test]
    fn long_texts_take_rows_by_what_they_are_wide() {
        // Ten columns each: letters, letters with accents that combine, wide letters.
        for text in ["abcdefghij", "a\u{301}bcdefghij", "你好你好你", "👍👍👍👍👍"] {
            assert_eq!(view(&mut pane(&[text]), 10, 5), [(text.into(), 0, 0, 1)], "{text}");
            let longer = format!("{text}x");
            assert_eq!(view(&mut pane(&[&longer]), 10, 5), [(longer.clone(), 0, 0, 2)], "{longer}");
        }
        assert_eq!(view(&mut pane(&[""]), 10, 5), [(String::new(), 0, 0, 1)]);
    }

    #[test]
    fn the_end_is_in_view_unless_one_has_scrolled() {
        let mut pane = pane(&["1", "2", "3", "4", "5"]);
        assert_eq!(texts(&mut pane, 3), ["3", "4", "5"]);
        pane.push(said("6"));
        assert_eq!(texts(&mut pane, 3), ["4", "5", "6"]);
        assert_eq!(pane.unseen(), 0);
        pane.scroll(2);
        assert_eq!(texts(&mut pane, 3), ["2", "3", "4"]);
        pane.push(said("7"));
        pane.push(said("8"));
        assert_eq!(texts(&mut pane, 3), ["2", "3", "4"], "what is read stays where it is");
        assert_eq!(pane.unseen(), 2);
        pane.scroll(-3);
        assert_eq!(texts(&mut pane, 3), ["5", "6", "7"]);
        assert_eq!(pane.unseen(), 1);
        pane.scroll(-1);
        assert!(pane.is_at_end());
        assert_eq!((texts(&mut pane, 3), pane.unseen()), (vec!["6".into(), "7".into(), "8".into()], 0));
    }

    #[test]
    fn the_view_does_not_leave_what_there_is() {
        let mut pane = pane(&["1", "2", "3", "4", "5"]);
        assert_eq!(texts(&mut pane, 3), ["3", "4", "5"]);
        pane.go_to_start();
        assert_eq!(texts(&mut pane, 3), ["1", "2", "3"]);
        pane.scroll(1);
        assert_eq!(texts(&mut pane, 3), ["1", "2", "3"]);
        pane.scroll(isize::MIN);
        assert!(pane.is_at_end());
        // All of it fits.
        assert_eq!(texts(&mut pane, 9).len(), 5);
        pane.scroll(1);
        assert!(pane.is_at_end());
    }

    #[test]
    fn rows_of_a_long_entry_are_cut_above_and_below() {
        let mut pane = pane(&["aaaaaaaaaabbbbbbbbbbcccccccccc", "dddddddddd"]);
        assert_eq!(view(&mut pane, 10, 2)[0], ("aaaaaaaaaabbbbbbbbbbcccccccccc".into(), 0, 2, 1));
        pane.scroll(1);
        assert_eq!(view(&mut pane, 10, 2), [("aaaaaaaaaabbbbbbbbbbcccccccccc".into(), 0, 1, 2)]);
        pane.scroll(1);
        assert_eq!(view(&mut pane, 10, 2), [("aaaaaaaaaabbbbbbbbbbcccccccccc".into(), 0, 0, 2)]);
    }

    #[test]
    fn another_width_keeps_the_place() {
        let lines: Vec<_> = (0..50).map(|n| format!("line {n:02} of fifty")).collect();
        let mut pane = Pane::default();
        lines.iter().for_each(|line| pane.push(said(line)));
        assert_eq!(view(&mut pane, 20, 5)[4].0, lines[49]);
        pane.scroll(20);
        assert_eq!(view(&mut pane, 20, 5)[4].0, lines[29]);
        // Two rows each.
        assert_eq!(view(&mut pane, 10, 5)[2].0, lines[29]);
        assert_eq!(view(&mut pane, 20, 5)[4].0, lines[29]);
        assert_eq!(pane.unseen(), 0);
    }

    #[test]
    fn what_is_older_comes_before_and_moves_nothing() {
        let mut pane = pane(&["4", "5", "6"]);
        pane.prepend(["1", "2", "3"].into_iter().map(said));
        assert_eq!(texts(&mut pane, 9), ["1", "2", "3", "4", "5", "6"]);
        assert_eq!(texts(&mut pane, 2), ["5", "6"]);
        pane.scroll(2);
        assert_eq!(texts(&mut pane, 2), ["3", "4"]);
        pane.prepend([said("0")].into_iter());
        assert_eq!(texts(&mut pane, 2), ["3", "4"]);
    }

    #[test]
    fn where_entries_are_missing_there_is_a_note_and_nothing_older() {
        let mut pane = pane(&["4", "5"]);
        pane.prepend(["2", "3"].into_iter().map(said));
        assert!(!pane.is_cut());
        pane.give_up(1);
        assert!(pane.is_cut());
        pane.prepend(["0", "1"].into_iter().map(said));
        assert_eq!(texts(&mut pane, 9), ["3", "4", "5"]);
        for _ in 0..2 {
            pane.note_cut("cut".into());
            assert_eq!(texts(&mut pane, 9), ["cut", "3", "4", "5"]);
        }
        let mut full = Pane::default();
        (0..MAX_ENTRIES).for_each(|n| full.push(said(&n.to_string())));
        assert!(!full.is_cut());
        full.prepend([said("before")].into_iter());
        assert!(full.is_cut());
        full.note_cut("cut".into());
        assert_eq!(texts(&mut full, 2).len(), 2);
        full.go_to_start();
        assert_eq!(texts(&mut full, 2), ["cut", "1"]);
        assert_eq!(full.entries.len(), MAX_ENTRIES);
    }

    /// An entry, the next piece of a line, lines of earlier conversations, or the note of missing ones.
    #[derive(Clone, Debug)]
    enum Added {
        Said(usize),
        Continued(usize),
        Earlier(usize, usize),
        Note,
    }

    fn added() -> impl Strategy<Value = Added> {
        let length = || prop_oneof![9 => 0..3_000_usize, 1 => 0..3 * MAX_TEXT];
        prop_oneof![
            4 => length().prop_map(Added::Said),
            2 => length().prop_map(Added::Continued),
            1 => (0..100_usize, length()).prop_map(|(count, length)| Added::Earlier(count, length)),
            1 => Just(Added::Note),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_pane_keeps_no_more_than_its_bound(
            all in prop::collection::vec((added(), 0..10_u8), 0..500)
        ) {
            let mut pane = Pane::default();
            for (added, letter) in all {
                let text = |length| char::from(b'a' + letter).to_string().repeat(length);
                match added {
                    Added::Said(length) => pane.push(said(&text(length))),
                    Added::Continued(length) => {
                        pane.extend_last(&Kind::Peer("joya".into()), &text(length));
                    }
                    Added::Earlier(count, length) => pane.prepend((0..count).map(|_| said(&text(length)))),
                    Added::Note => pane.note_cut("cut".into()),
                }
                if letter == 9 {
                    pane.give_up(100_000);
                }
                let sum: usize = pane.entries.iter().map(Kept::bytes).sum();
                prop_assert_eq!(pane.bytes, sum);
                prop_assert!(sum <= MAX_BYTES && pane.entries.len() <= MAX_ENTRIES);
            }
        }
    }

    #[test]
    fn an_endless_text_is_cut() {
        let mut pane = Pane::default();
        pane.push(said(&"é".repeat(MAX_TEXT)));
        let first = pane.entries().next().unwrap();
        assert!(first.text.len() <= MAX_TEXT + 3 && first.text.ends_with("é…"), "{}", first.text.len());
        assert!(!pane.extend_last(&Kind::Peer("joya".into()), "x"));
    }

    #[test]
    fn the_oldest_go_and_a_place_among_them_is_the_start() {
        let mut pane = pane(&["first"]);
        for n in 1..MAX_ENTRIES {
            pane.push(said(&n.to_string()));
        }
        assert_eq!(texts(&mut pane, 1), [(MAX_ENTRIES - 1).to_string()]);
        pane.go_to_start();
        assert_eq!(texts(&mut pane, 1), ["first"]);
        pane.push(said("one more"));
        assert_eq!(texts(&mut pane, 1), ["1"]);
        assert_eq!(pane.entries().count(), MAX_ENTRIES);
    }
}
