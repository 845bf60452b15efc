//! A ladder as lines of text: the places of columns, the arrows between them, the text beside them.

use std::collections::HashSet;

use unicode_width::UnicodeWidthStr;

use crate::arrow::{Arrow, MALFORMED, Party, PartyId, Role};
use crate::ladder::Ladder;
use crate::line::{Cells, Line, Look};
use crate::text::{cut, cut_front};

/// The places of the columns, and the room beside them.
///
/// The column of the owner of the log is always there. If there is not room for all others, those that come
/// last share one. So each arrow has both ends in view, but for those of `lumi-node check`, which has no
/// column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    columns: Vec<Column>,
    /// The party that has no column.
    check: Option<PartyId>,
    /// The width of all columns together.
    columns_width: usize,
    /// The width of the whole picture.
    width: usize,
    has_times: bool,
    telling: Telling,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    party: PartyId,
    role: Role,
    name: String,
    address: String,
    /// The number of addresses besides that one, as ` +9`.
    more: String,
    /// The width of its head.
    head: usize,
    /// The place of its line.
    at: usize,
}

/// The text beside an arrow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Telling {
    /// The message as it is, its length, its meaning and its note.
    #[default]
    BytesFirst,
    /// Its meaning and its note, then the message as it is and its length.
    WordsFirst,
    /// Its meaning and its note.
    Words,
}

impl Picture {
    /// Draws the parties of `ladder` that have an arrow which is about `user`, or all that have one, on
    /// `width` columns of a terminal.
    pub fn new(ladder: &Ladder, user: Option<&str>, width: usize) -> Self {
        let shown = |arrow: &&Arrow| user.is_none_or(|user| arrow.concerns(user));
        let parties = ladder.arrows().rev().filter(shown).flat_map(|arrow| [arrow.from, arrow.to]);
        Self::of(ladder, parties, width)
    }

    /// Draws those `parties` of `ladder`, and the owner of the log. If there is not room for all, the first
    /// ones get columns of their own.
    pub fn of(ladder: &Ladder, parties: impl IntoIterator<Item = PartyId>, width: usize) -> Self {
        let has_times = width >= LEAST_WITH_TIMES && ladder.arrows().any(|arrow| arrow.at.is_some());
        let check = ladder.parties().find(|party| party.role == Role::Check).map(|party| party.id);
        let telling = Telling::default();
        let mut picture = Self { columns: Vec::new(), check, columns_width: 0, width, has_times, telling };
        let mut used = Vec::new();
        let mut seen = HashSet::from([PartyId::THIS]);
        seen.extend(check);
        used.extend(parties.into_iter().filter(|&party| seen.insert(party)));
        picture.columns = columns_of(ladder, &used);
        if picture.fit() {
            return picture;
        }
        let most = (picture.room_of_columns(SMALL) + SMALL.gap) / (SMALL.head + SMALL.gap);
        let all = used.len();
        used.retain(|&party| ladder.party(party).is_some_and(|party| party.role != Role::Others));
        let is_all = all == used.len();
        // The owner of the log has a column, and those that have none share one.
        let shared = used.split_off(most.saturating_sub(2).min(used.len())).len();
        picture.columns = columns_of(ladder, &used);
        if most > 1 {
            let name = if is_all { format!("{shared} others") } else { "others".to_owned() };
            picture.share(name, ladder.is_of_agent());
        }
        picture.fit();
        picture
    }

    /// Adds the column of those that have none, to the right of agents.
    fn share(&mut self, name: String, is_of_agent: bool) {
        let (party, role) = (PartyId::NONE, Role::Others);
        let column =
            Column { party, role, name, address: String::new(), more: String::new(), head: 0, at: 0 };
        let is_right = |column: &Column| match column.role {
            Role::This => !is_of_agent,
            role => role == Role::Node,
        };
        let at = self.columns.iter().position(is_right).unwrap_or(self.columns.len());
        self.columns.insert(at, column);
    }

    /// Chooses the text beside the arrows.
    #[must_use]
    pub fn telling(self, telling: Telling) -> Self {
        Self { telling, ..self }
    }

    /// Returns whether the party has a column that it does not share.
    pub fn has_column(&self, party: PartyId) -> bool {
        self.columns.iter().any(|column| column.party == party)
    }

    /// Returns whether `other` has the same columns at the same places. Their addresses may differ, and the
    /// number of parties that share one.
    pub fn is_aligned_with(&self, other: &Self) -> bool {
        let is_same = |one: &Column, other: &Column| {
            let is_named_so = one.name == other.name || one.party == PartyId::NONE;
            (one.party, one.at, one.head) == (other.party, other.at, other.head) && is_named_so
        };
        (self.width, self.has_times, self.columns.len())
            == (other.width, other.has_times, other.columns.len())
            && self.columns.iter().zip(&other.columns).all(|(one, other)| is_same(one, other))
    }

    /// Draws the lines above the arrows: the names of the columns, and their latest addresses.
    pub fn header(&self) -> [Line; 2] {
        let (mut names, mut addresses) = (Cells::blank(self.columns_width), Cells::blank(self.columns_width));
        for Column { role, name, address, more, head, at, .. } in &self.columns {
            let user = name.split('@').next().filter(|_| *role == Role::Agent && name.width() > *head);
            let name = cut(user.unwrap_or(name), *head);
            let address = match role {
                // Its last word is enough.
                Role::This if address.width() > *head => {
                    address.rsplit(' ').next().unwrap_or_default().to_owned()
                }
                _ => cut_front(address, head.saturating_sub(more.width())) + more,
            };
            names.write(at.saturating_sub(name.width() / 2), &name, Look::Name);
            addresses.write(at.saturating_sub(address.width() / 2), &address, Look::Faint);
        }
        [names, addresses].map(|cells| self.line_of(&cells, self.columns_width, "", &[]))
    }

    /// Draws the line of `arrow`, which passed at `time`. If its words and its note do not fit, the note
    /// comes first.
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
        self.draw_arrow(&mut cells, arrow, look);
        // Words begin beside the last line, for as much of them to be seen as can be.
        let last = self.columns.last().map_or(0, |column| column.at + 1);
        let is_words = self.telling != Telling::BytesFirst;
        let lines_width = if is_words { last } else { self.columns_width }.min(self.seen_width());
        let size = format!("{} B", arrow.length);
        let bytes = [(&*arrow.message, look), (&*size, Look::Faint)];
        let mut said = vec![(&*arrow.words, Look::Plain)];
        if self.telling == Telling::BytesFirst {
            said.splice(0..0, bytes);
        }
        if let Some(note) = &arrow.note {
            said.push(("·", Look::Note));
            said.push((note, Look::Note));
            // A note is not what is cut off: the arrow itself does not show it.
            let wanted: usize = said.iter().map(|(text, _)| text.width() + 2).sum();
            if self.times_width() + lines_width + wanted > self.width {
                said.rotate_right(2);
                // The dot stays between the note and the rest.
                said.swap(0, 1);
            }
        }
        if self.telling == Telling::WordsFirst {
            said.extend(bytes);
        }
        self.line_of(&cells, lines_width, time, &said)
    }

    fn draw_arrow(&self, cells: &mut Cells, arrow: &Arrow, look: Look) {
        let kind = &*arrow.kind;
        let (from, to) = (self.end_of(arrow.from), self.end_of(arrow.to));
        let ((start, has_start), (end, has_end)) = (from, to);
        if start == end {
            return;
        }
        let is_right = start < end;
        let (low, high) = (start.min(end), start.max(end));
        for cell in low + 1..high {
            cells.write(cell, "─", look);
        }
        let between = |column: &&Column| (low + 1..high).contains(&column.at);
        for column in self.columns.iter().filter(between) {
            cells.write(column.at, "┼", look);
        }
        let tail = match (has_start, is_right) {
            (false, _) => "─",
            (true, true) => "├",
            (true, false) => "┤",
        };
        cells.write(start, tail, look);
        let point = match (has_end, is_right) {
            (false, _) => end,
            (true, true) => end - 1,
            (true, false) => end + 1,
        };
        // The kind is beside the sender, so that it is not on the line of another column.
        let nearest = self.columns.iter().filter(between).map(|column| column.at);
        let next = if is_right { nearest.min() } else { nearest.max() }.unwrap_or(end);
        let (first, last) = (start.min(next) + 1, start.max(next));
        let spare = (last - first).saturating_sub(kind.width() + 1);
        cells.write(first + spare.div_ceil(2), kind, look);
        cells.write(point, if is_right { "▶" } else { "◀" }, look);
    }

    /// Returns where the arrows of a party begin and end, and whether it has a column there.
    fn end_of(&self, party: PartyId) -> (usize, bool) {
        let own = self.columns.iter().find(|column| column.party == party);
        let shared = self.columns.iter().find(|column| column.role == Role::Others);
        if let Some(column) = own.or(shared.filter(|_| Some(party) != self.check)) {
            return (column.at, true);
        }
        let this = self.columns.iter().find(|column| column.role == Role::This).map_or(0, |column| column.at);
        (this.saturating_sub(STUB), false)
    }

    /// Puts the text together: time, `width` cells of the columns, and `said`. What does not fit is cut off.
    fn line_of(&self, cells: &Cells, width: usize, time: &str, said: &[(&str, Look)]) -> Line {
        let mut line = Line::default();
        let mut room = self.width;
        let mut put = |text: &str, look: Look| {
            let text = cut(text, room);
            room -= text.width();
            line.push(&text, look);
        };
        if let Some(before) = self.times_width().checked_sub(1) {
            let time: String = time.chars().take(before).collect();
            put(&format!("{time:<before$} "), Look::Faint);
        }
        for (text, look) in cells.seen(width.min(self.seen_width())) {
            put(&text, look);
        }
        for (text, look) in said {
            put("  ", Look::Plain);
            put(text, *look);
        }
        line.trim_end();
        line
    }

    /// Puts the columns side by side, as wide as there is room for. Returns whether they fit at all.
    fn fit(&mut self) -> bool {
        [WIDE, NARROW, TIGHT, SMALL].into_iter().any(|size| {
            self.place(size);
            self.columns_width <= self.room_of_columns(size)
        })
    }

    /// Puts the columns side by side: each head has room, and so has a kind between two lines.
    fn place(&mut self, size: Size) {
        let mut end = 0;
        let mut before: Option<usize> = None;
        for column in &mut self.columns {
            let address = if size == WIDE { column.address.width() + column.more.width() } else { 0 };
            let wanted = column.name.width().max(address);
            column.head = wanted.clamp(MIN_HEAD.min(size.head), size.head);
            let first = if before.is_some() { end + size.gap } else { 0 };
            column.at = (first + column.head / 2).max(before.map_or(0, |before| before + size.pitch));
            before = Some(column.at);
            end = column.at + column.head.div_ceil(2);
        }
        self.columns_width = end;
    }

    fn times_width(&self) -> usize {
        match self.has_times {
            false => 0,
            true if self.width < LEAST_WITH_FRACTIONS => SHORT_TIME + 1,
            true => LONG_TIME + 1,
        }
    }

    /// Returns the width that columns of this size may have, for the text to have room beside them.
    fn room_of_columns(&self, size: Size) -> usize {
        let room = self.width.saturating_sub(self.times_width());
        if size == WIDE {
            return room / 5 * 3;
        }
        let least = 3 * SMALL.head + 2 * SMALL.gap;
        room.saturating_sub(size.beside).max(room / 2).max(least.min(room))
    }

    /// Returns the width of the columns in view, which is all of them but in a tiny window.
    fn seen_width(&self) -> usize {
        self.columns_width.min(self.room_of_columns(SMALL))
    }
}

impl Column {
    fn new(party: &Party, is_of_agent: bool) -> Self {
        let address = match party.address {
            Some(address) => address.to_string(),
            None if party.role == Role::This && is_of_agent => "this agent".to_owned(),
            None if party.role == Role::This => "this node".to_owned(),
            None => String::new(),
        };
        let more = party.addresses.saturating_sub(1);
        Self {
            party: party.id,
            role: party.role,
            name: if party.name == address { String::new() } else { party.name.clone() },
            address,
            more: if more > 0 { format!(" +{more}") } else { String::new() },
            head: 0,
            at: 0,
        }
    }
}

/// The columns of `parties` and of the owner of the log, in the order of the ladder.
fn columns_of(ladder: &Ladder, parties: &[PartyId]) -> Vec<Column> {
    let has_column = |party: &&Party| party.role == Role::This || parties.contains(&party.id);
    ladder.parties().filter(has_column).map(|party| Column::new(party, ladder.is_of_agent())).collect()
}

/// The sizes that columns can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    /// The maximum width of a head.
    head: usize,
    /// The blanks between two heads.
    gap: usize,
    /// The minimum distance of two lines: an arrow with `RL0` on it.
    pitch: usize,
    /// The width that is left for text.
    beside: usize,
}

/// An address and a port, or a name of some length; for heads of this size, text gets two fifths of the room.
const WIDE: Size = Size { head: 24, gap: 2, pitch: 10, beside: 0 };

/// A name, and the end of an address.
const NARROW: Size = Size { head: 16, gap: 2, pitch: 10, beside: 30 };

/// The beginning of a name, and a port.
const TIGHT: Size = Size { head: 10, ..NARROW };

/// The smallest size in which columns can be told apart.
const SMALL: Size = Size { head: 8, gap: 1, pitch: 8, ..NARROW };

/// The minimum width of a head, where there is room for it: "this agent".
const MIN_HEAD: usize = 10;

/// The length of an arrow that has no column at one end.
const STUB: usize = 5;

/// The widths of `12:34:56.789` and `12:34:56`.
const LONG_TIME: usize = 12;
const SHORT_TIME: usize = 8;

/// The minimum width of a picture with fractions of seconds.
const LEAST_WITH_FRACTIONS: usize = 100;

/// The minimum width of a picture with times.
const LEAST_WITH_TIMES: usize = 30;
