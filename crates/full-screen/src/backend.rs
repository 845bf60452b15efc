//! The backend of ratatui: that of crossterm, but it asks the terminal nothing, and no row depends on how
//! wide the terminal thinks a character is.
//!
//! ratatui wants to know where the cursor is when a window gets another size. Asking the terminal would wait
//! for its answer, and take keys that are pressed meanwhile.
//!
//! Terminals disagree on the width of clusters of several code points (☕️, 👋🏽), of new emoji, and of
//! characters that are wide in East Asian fonts only. So the cursor is positioned by its coordinates after
//! each of them, and a row with a cluster is drawn whole: see [`draw_whole_rows_of_clusters`].

use std::io::{self, Write};

use crossterm::queue;
use crossterm::terminal::{DisableLineWrap, EnableLineWrap};
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::{Buffer, Cell, CellDiffOption, CellWidth};
use ratatui::layout::{Position, Size};

/// A backend that writes to `W` and remembers where it put the cursor.
#[derive(Debug)]
pub(super) struct Unasking<W: Write> {
    backend: CrosstermBackend<W>,
    cursor: Position,
}

impl<W: Write> Unasking<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { backend: CrosstermBackend::new(writer), cursor: Position::ORIGIN }
    }
}

impl<W: Write> Backend for Unasking<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let cells = in_drawing_order(content);
        if cells.is_empty() {
            return Ok(());
        }
        // A cluster that is wider than it should be would go on in the next row.
        queue!(self.backend, DisableLineWrap)?;
        // Each call begins with the position of its first cell.
        for run in
            cells.split_inclusive(|(_, _, cell)| cell.cell_width() < 2 && !has_certain_width(cell.symbol()))
        {
            self.backend.draw(run.iter().map(|(x, y, cell)| (*x, *y, cell)))?;
        }
        queue!(self.backend, EnableLineWrap)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.backend.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.backend.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(self.cursor)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.cursor = position.into();
        self.backend.set_cursor_position(self.cursor)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.backend.clear()
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.backend.clear_region(region)
    }

    fn size(&self) -> io::Result<Size> {
        self.backend.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.backend.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.backend)
    }
}

/// Has every row with a cluster of several code points drawn whole: after it, the terminal may have other
/// cells than `buffer`. As the option is a part of a cell, a row that had such a cluster in the drawing
/// before is drawn whole, too.
pub(super) fn draw_whole_rows_of_clusters(buffer: &mut Buffer) {
    let columns = usize::from(buffer.area.width).max(1);
    for row in buffer.content.chunks_mut(columns) {
        if row.iter().any(|cell| is_cluster(cell.symbol())) {
            row.iter_mut().for_each(|cell| cell.diff_option = CellDiffOption::AlwaysUpdate);
        }
    }
}

/// Returns the cells in the order in which they are written. An emoji comes after blanks for its columns: a
/// terminal that thinks it narrower, or does not know it at all, would leave there what was there before. The
/// cells covered by a wide one are left out.
fn in_drawing_order<'a>(content: impl Iterator<Item = (u16, u16, &'a Cell)>) -> Vec<(u16, u16, Cell)> {
    let mut cells = Vec::new();
    // The row and the columns of the last wide cell.
    let (mut row, mut covered) = (0, 0..0);
    for (x, y, cell) in content {
        if y == row && covered.contains(&x) {
            continue;
        }
        let end = x.saturating_add(cell.cell_width());
        (row, covered) = (y, x.saturating_add(1)..end);
        if is_cluster(cell.symbol()) || cell.symbol().starts_with(is_emoji) {
            cells.extend((x..end).map(|x| {
                let mut blank = cell.clone();
                blank.set_symbol(" ");
                (x, y, blank)
            }));
        }
        cells.push((x, y, cell.clone()));
    }
    cells
}

/// Returns whether every terminal moves its cursor by one column for `symbol`.
///
/// Wide characters need no answer: the cursor is positioned after each of them. Box drawing characters count
/// as certain, because those of a frame are all the same, and look right wherever they are.
fn has_certain_width(symbol: &str) -> bool {
    symbol.is_ascii()
        || (!is_cluster(symbol) && symbol.starts_with(|first| matches!(first, '\u{2500}'..='\u{257f}')))
}

/// Returns whether `symbol` has several code points.
fn is_cluster(symbol: &str) -> bool {
    symbol.chars().nth(1).is_some()
}

/// Returns whether terminals older than `character` may think it narrow.
fn is_emoji(character: char) -> bool {
    character >= '\u{1f000}'
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    fn row(text: &str) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 1));
        buffer.set_string(0, 0, text, Style::new());
        draw_whole_rows_of_clusters(&mut buffer);
        buffer
    }

    /// Returns what is written for a drawing after another one, with `<column>` for a position and without
    /// styles.
    fn written(before: &str, after: &str) -> String {
        let mut bytes = Vec::new();
        Unasking::new(&mut bytes).draw(row(before).diff_iter(&row(after))).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let mut written = String::new();
        for (at, part) in text.split('\x1b').enumerate() {
            let end = if at == 0 { 0 } else { part.find(char::is_alphabetic).unwrap() + 1 };
            let (order, shown) = part.split_at(end);
            if let Some(column) = order.strip_prefix("[1;").and_then(|order| order.strip_suffix('H')) {
                written += &format!("<{column}>");
            }
            written += shown;
        }
        written
    }

    #[test]
    fn plain_text_is_written_in_one_run() {
        assert_eq!(written("", "hola"), "<1>hola");
        assert_eq!(written("hola", "hula"), "<2>u");
        assert_eq!(written("", "┌──┐"), "<1>┌──┐");
        assert_eq!(written("hola", "hola"), "");
    }

    #[test]
    fn after_a_cluster_the_cursor_is_positioned_and_the_row_is_drawn_whole() {
        for (text, shown) in [
            ("e\u{301}bc", "<1> <1>e\u{301}<2>bc     "),
            ("☕\u{fe0f}bc", "<1>  <1>☕\u{fe0f}<3>bc    "),
            ("👋🏽bc", "<1>  <1>👋🏽<3>bc    "),
            ("👩\u{200d}💻bc", "<1>  <1>👩\u{200d}💻<3>bc    "),
            ("🇨🇦bc", "<1>  <1>🇨🇦<3>bc    "),
        ] {
            assert_eq!(written("", text), shown, "{text}");
            // Another drawing leaves nothing of it.
            assert_eq!(written(text, "x"), "<1>x       ", "{text}");
            assert_eq!(written("xxxx", text), shown, "{text}");
        }
    }

    #[test]
    fn after_a_character_of_uncertain_width_the_cursor_is_positioned() {
        assert_eq!(written("", "è·bc"), "<1>è<2>·<3>bc");
        assert_eq!(written("", "你bc"), "<1>你<3>bc");
        // The text beside an emoji does not show through.
        assert_eq!(written("xxxx", "🫨xx"), "<1>  <1>🫨");
        assert_eq!(written("🫨xx", "xxxx"), "<1>xx");
    }

    #[test]
    fn no_row_goes_on_in_the_next_one() {
        let mut bytes = Vec::new();
        Unasking::new(&mut bytes).draw(row("").diff_iter(&row("abcdef👋🏽"))).unwrap();
        assert!(bytes.starts_with(b"\x1b[?7l") && bytes.ends_with(b"\x1b[?7h"), "{bytes:?}");
    }
}
