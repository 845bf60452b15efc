//! A ladder as lines of text.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::arrow::{Arrow, MALFORMED, PartyId, Role};
use crate::ladder::Ladder;
use crate::text::{cut, cut_front};

/// Where the columns are, and what there is room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    columns: Vec<Column>,
    /// The width of all columns together.
    columns_width: usize,
    /// That of the whole picture.
    width: usize,
    /// How much of the columns is out of sight on the left.
    left: usize,
    has_times: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    party: PartyId,
    name: String,
    address: String,
    /// How wide its head is.
    head: usize,
    /// Where its line is.
    at: usize,
}

/// A line of text, its parts in different looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// One after the other.
    pub spans: Vec<Span>,
}

/// Text in one look, without controls in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The text.
    pub text: String,
    /// How it looks.
    pub look: Look,
}

/// How text looks, by what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Look {
    /// Words.
    Plain,
    /// Times, sizes, the lines of columns.
    Faint,
    /// The name of a party.
    Name,
    /// What the one whose log it is sent.
    Sent,
    /// What it received.
    Received,
    /// What is no message.
    Malformed,
    /// What can be seen by a message.
    Note,
}

impl Picture {
    /// Draws the parties of `ladder` that have an arrow which is about `user`, or all that have one, on
    /// `width` columns of a terminal.
    pub fn new(ladder: &Ladder, user: Option<&str>, width: usize) -> Self {
        let shown = |arrow: &&Arrow| user.is_none_or(|user| arrow.concerns(user));
        let parties = ladder.arrows().filter(shown).flat_map(|arrow| [arrow.from, arrow.to]);
        Self::of(ladder, parties, width)
    }

    /// Draws those `parties` of `ladder`, and the one whose log it is.
    pub fn of(ladder: &Ladder, parties: impl IntoIterator<Item = PartyId>, width: usize) -> Self {
        let mut used: Vec<_> = parties.into_iter().collect();
        used.sort_unstable();
        used.dedup();
        let has_times = ladder.arrows().any(|arrow| arrow.at.is_some());
        let this = if ladder.is_of_agent() { "this agent" } else { "this node" };
        let parties = ladder
            .parties()
            .filter(|party| party.role == Role::This || used.binary_search(&party.id).is_ok());
        let columns = parties.map(|party| {
            let address = match party.address {
                Some(address) => address.to_string(),
                None if party.role == Role::This => this.to_owned(),
                None => String::new(),
            };
            let name = if party.name == address { String::new() } else { party.name.clone() };
            Column { party: party.id, name, address, head: 0, at: 0 }
        });
        let mut picture = Self { columns: columns.collect(), columns_width: 0, width, left: 0, has_times };
        let room = width.saturating_sub(picture.times_width());
        picture.place(WIDE_HEAD);
        if picture.columns_width > room / 5 * 3 {
            picture.place(NARROW_HEAD);
        }
        picture
    }

    /// Scrolls `left` columns of the terminal out of sight, if there is that much more than fits.
    #[must_use]
    pub fn scrolled(self, left: usize) -> Self {
        let left = left.min(self.columns_width.saturating_sub(self.seen_width()));
        Self { left, ..self }
    }

    /// How much is out of sight on the left.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Whether a part of its columns is out of sight on the right.
    pub fn has_more(&self) -> bool {
        self.left + self.seen_width() < self.columns_width
    }

    /// The lines above the arrows: who the columns are, and at which addresses.
    pub fn header(&self) -> [Line; 2] {
        let (mut names, mut addresses) = (Cells::blank(self.columns_width), Cells::blank(self.columns_width));
        for Column { name, address, head, at, .. } in &self.columns {
            let (name, address) = (cut(name, *head), cut_front(address, *head));
            names.write(at.saturating_sub(name.width() / 2), &name, Look::Name);
            addresses.write(at.saturating_sub(address.width() / 2), &address, Look::Faint);
        }
        [names, addresses].map(|cells| self.line_of(&cells, "", &[]))
    }

    /// The line of `arrow`, which passed at `time`: its message, its length, what it says and what can be seen by it,
    /// which comes first if there is not room for all.
    pub fn line(&self, arrow: &Arrow, time: &str) -> Line {
        let look = match (&*arrow.kind, arrow.sent) {
            (MALFORMED, _) => Look::Malformed,
            (_, true) => Look::Sent,
            (_, false) => Look::Received,
        };
        let mut cells = Cells::blank(self.columns_width);
        for column in &self.columns {
            cells.write(column.at, "│", Look::Faint);
        }
        let place = |party| self.columns.iter().position(|column| column.party == party);
        if let (Some(from), Some(to)) = (place(arrow.from), place(arrow.to)) {
            self.draw_arrow(&mut cells, from, to, &arrow.kind, look);
        }
        let size = format!("{} B", arrow.length);
        let mut said = vec![(&*arrow.message, look), (&*size, Look::Faint), (&*arrow.words, Look::Plain)];
        if let Some(note) = &arrow.note {
            said.push(("·", Look::Note));
            said.push((note, Look::Note));
            // What cannot be seen by the arrow itself is not what is cut off.
            let wanted: usize = said.iter().map(|(text, _)| text.width() + 2).sum();
            if self.times_width() + self.seen_width() + wanted > self.width {
                said.rotate_right(2);
            }
        }
        self.line_of(&cells, time, &said)
    }

    fn draw_arrow(&self, cells: &mut Cells, from: usize, to: usize, kind: &str, look: Look) {
        let at = |column: usize| self.columns[column].at;
        let (begin, end) = (at(from).min(at(to)), at(from).max(at(to)));
        for cell in begin + 1..end {
            cells.write(cell, "─", look);
        }
        for column in &self.columns {
            if (begin + 1..end).contains(&column.at) {
                cells.write(column.at, "┼", look);
            }
        }
        let is_right = from < to;
        cells.write(at(from), if is_right { "├" } else { "┤" }, look);
        // Beside the one who sends, so that it is not on the line of another.
        let (next, head) = if is_right { (at(from + 1), end - 1) } else { (at(from - 1), begin + 1) };
        let (first, last) = (at(from).min(next) + 1, at(from).max(next));
        let spare = (last - first).saturating_sub(kind.width() + 1);
        cells.write(first + spare.div_ceil(2), kind, look);
        cells.write(head, if is_right { "▶" } else { "◀" }, look);
    }

    /// Time, columns, and what is said, which is cut off where there is no more room.
    fn line_of(&self, cells: &Cells, time: &str, said: &[(&str, Look)]) -> Line {
        let mut line = Line::default();
        let mut room = self.width;
        let mut put = |text: &str, look: Look| {
            let text = cut(text, room);
            room -= text.width();
            line.push(&text, look);
        };
        if self.has_times {
            put(&format!("{time:<TIME_WIDTH$} "), Look::Faint);
        }
        for (text, look) in cells.seen(self.left, self.seen_width()) {
            put(&text, look);
        }
        for (text, look) in said {
            put("  ", Look::Plain);
            put(text, *look);
        }
        line.trim_end();
        line
    }

    /// Puts the columns side by side: each head has room, and so has a kind between two lines.
    fn place(&mut self, most: usize) {
        let mut end = 0;
        let mut before: Option<usize> = None;
        for column in &mut self.columns {
            let name = column.name.width();
            let wanted = if most == WIDE_HEAD { name.max(column.address.width()) } else { name };
            column.head = wanted.clamp(MIN_HEAD, most);
            let first = if before.is_some() { end + GAP } else { 0 };
            column.at = (first + column.head / 2).max(before.map_or(0, |before| before + MIN_PITCH));
            before = Some(column.at);
            end = column.at + column.head.div_ceil(2);
        }
        self.columns_width = end;
    }

    fn times_width(&self) -> usize {
        if self.has_times { TIME_WIDTH + 1 } else { 0 }
    }

    /// How much of the columns is in sight: all, if that leaves some room for what is said.
    fn seen_width(&self) -> usize {
        let room = self.width.saturating_sub(self.times_width());
        self.columns_width.min(room.saturating_sub(LEAST_SAID).max(room / 2))
    }
}

impl Line {
    /// Its text alone.
    pub fn text(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }

    fn push(&mut self, text: &str, look: Look) {
        match self.spans.last_mut() {
            Some(last) if last.look == look => last.text.push_str(text),
            _ if text.is_empty() => {}
            _ => self.spans.push(Span { text: text.to_owned(), look }),
        }
    }

    fn trim_end(&mut self) {
        while let Some(last) = self.spans.last_mut() {
            last.text.truncate(last.text.trim_end().len());
            if !last.text.is_empty() {
                return;
            }
            self.spans.pop();
        }
    }
}

/// What stands in each column of the terminal; nothing in the second one of a wide character.
struct Cells(Vec<(String, Look)>);

impl Cells {
    fn blank(width: usize) -> Self {
        Self(vec![(" ".into(), Look::Plain); width])
    }

    fn write(&mut self, at: usize, text: &str, look: Look) {
        let mut at = at;
        for grapheme in text.graphemes(true) {
            let width = grapheme.width();
            if width == 0 || at + width > self.0.len() {
                continue;
            }
            self.0[at] = (grapheme.to_owned(), look);
            self.0[at + 1..at + width].fill((String::new(), look));
            at += width;
        }
    }

    /// `width` columns from `left` on; blanks in place of a character of which a part is seen.
    fn seen(&self, left: usize, width: usize) -> impl Iterator<Item = (String, Look)> {
        let seen = &self.0[left.min(self.0.len())..(left + width).min(self.0.len())];
        let mut room = seen.len();
        let mut covered = 0_usize;
        seen.iter().map(move |(text, look)| {
            let wide = text.width();
            let shown = match wide {
                0 if covered > 0 => {
                    covered -= 1;
                    String::new()
                }
                0 => " ".to_owned(),
                wide if wide > room => " ".to_owned(),
                wide => {
                    covered = wide - 1;
                    text.clone()
                }
            };
            room -= 1;
            (shown, *look)
        })
    }
}

/// `12:34:56.789`.
const TIME_WIDTH: usize = 12;

/// The least between two columns: an arrow with `RL0` on it.
const MIN_PITCH: usize = 10;

/// Blanks between two heads.
const GAP: usize = 2;

/// The least width of a head: "this agent", or the end of an address.
const MIN_HEAD: usize = 10;

/// The most of a head where there is room: an address and a port, or a name of some length.
const WIDE_HEAD: usize = 24;

/// The most of a head where there is not.
const NARROW_HEAD: usize = 16;

/// What is kept free beside the columns, if that is not more than half: the beginning of a message.
const LEAST_SAID: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_wide_character_all_is_seen_or_nothing() {
        let mut cells = Cells::blank(6);
        cells.write(0, "東a京b", Look::Name);
        let seen = |left, width| cells.seen(left, width).map(|(text, _)| text).collect::<String>();
        for (left, width, expected) in [
            (0, 6, "東a京b"),
            (1, 4, " a京"),
            (0, 4, "東a "),
            (2, 2, "a "),
            (4, 2, " b"),
            (3, 2, "京"),
            (0, 1, " "),
            (7, 9, ""),
        ] {
            assert_eq!(seen(left, width), expected, "{width} from {left}");
        }
    }
}
