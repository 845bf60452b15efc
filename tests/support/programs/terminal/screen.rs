//! A screen at one moment.

use std::fmt;

use super::window::{Heard, Shown};

/// The content of a terminal's screen at one moment, and everything that it has told its user until then.
/// Rows and columns are counted from 0.
#[derive(Clone, Debug)]
pub struct Screen {
    pub(super) cells: vt100::Screen,
    pub(super) heard: Heard,
}

impl Screen {
    /// Returns a screen of `size`, rows and columns, on which `printed` was printed.
    ///
    /// # Panics
    /// If a side is 0.
    pub fn of(size: (u16, u16), printed: &str) -> Self {
        let mut shown = Shown::new(size);
        shown.print(printed.as_bytes());
        shown.screen()
    }

    /// Every row, without the spaces at its end.
    pub fn rows(&self) -> Vec<String> {
        let (_, columns) = self.size();
        self.cells.rows(0, columns).map(|row| row.trim_end().to_owned()).collect()
    }

    /// The rows, one to a line, without those at the end that are empty.
    pub fn text(&self) -> String {
        self.rows().join("\n").trim_end().to_owned()
    }

    /// The first row that has `text` in it.
    pub fn row_containing(&self, text: &str) -> Option<String> {
        self.rows().into_iter().find(|row| row.contains(text))
    }

    /// Row and column of the cell where `text` begins, if a row has it; the first one.
    pub fn position_of(&self, text: &str) -> Option<(u16, u16)> {
        let (rows, columns) = self.size();
        let begins = |&(row, column): &(u16, u16)| {
            let is_cell = self.cells.cell(row, column).is_some_and(|cell| !cell.is_wide_continuation());
            is_cell && self.row_from(row, column).starts_with(text)
        };
        let has_it = |&row: &u16| self.row_from(row, 0).contains(text);
        (0..rows).filter(has_it).flat_map(|row| (0..columns).map(move |column| (row, column))).find(begins)
    }

    /// Row and column of the cursor, if it is shown.
    pub fn cursor(&self) -> Option<(u16, u16)> {
        (!self.cells.hide_cursor()).then(|| self.cells.cursor_position())
    }

    /// Rows and columns.
    pub fn size(&self) -> (u16, u16) {
        let (rows, columns) = self.cells.size();
        (rows.get(), columns.get())
    }

    /// Returns the number of times that the bell has rung.
    pub fn bells(&self) -> usize {
        self.heard.bells
    }

    /// The title of the window; empty if the program gave it none.
    pub fn title(&self) -> &str {
        &self.heard.title
    }

    /// Returns whether the program is told of the focus.
    pub fn reports_focus(&self) -> bool {
        self.heard.reports_focus
    }

    /// The cells with their colours, and what else the program has set.
    pub fn cells(&self) -> &vt100::Screen {
        &self.cells
    }

    /// The text from `column` on, with the spaces at its end.
    fn row_from(&self, row: u16, column: u16) -> String {
        let (_, columns) = self.size();
        let cells = (column..columns).filter_map(|column| self.cells.cell(row, column));
        let text = cells.filter(|cell| !cell.is_wide_continuation());
        text.map(|cell| if cell.has_contents() { cell.contents() } else { " " }).collect()
    }
}

/// The picture of it, for people.
impl fmt::Display for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, columns) = self.size();
        writeln!(f, "{rows} rows of {columns}, titled {:?}, bells: {}", self.title(), self.bells())?;
        match self.cursor() {
            Some((row, column)) => writeln!(f, "the cursor in row {row}, column {column}")?,
            None => writeln!(f, "no cursor")?,
        }
        self.text().lines().try_for_each(|row| writeln!(f, "  | {row}"))
    }
}
