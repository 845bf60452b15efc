//! The backend of ratatui: that of crossterm, but it asks the terminal nothing.
//!
//! ratatui wants to know where the cursor is when a window gets another size. Asking the terminal would wait
//! for its answer, and take keys that are pressed meanwhile.

use std::io::{self, Write};

use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
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
        self.backend.draw(content)
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
