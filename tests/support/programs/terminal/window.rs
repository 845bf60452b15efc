//! The window of a terminal: what a program prints becomes a screen.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::num::NonZeroU16;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{fmt, thread};

use rustix::process::Pid;
use vt100::{Callbacks, Color, MouseProtocolMode, Parser};

use super::screen::Screen;
use crate::programs::DEADLINE;

/// A window, and how to wait for what is shown in it.
#[derive(Debug)]
pub(super) struct Window {
    shown: Mutex<Shown>,
    changed: Condvar,
}

/// The content of a window.
pub(super) struct Shown {
    parser: Parser<Heard>,
    /// The last of what was printed; [`TAIL`] bytes at most.
    tail: VecDeque<u8>,
    /// The other end is gone.
    is_closed: bool,
}

impl Window {
    /// Shows what is printed on `line`, on a thread that ends with it.
    pub(super) fn open(mut line: File, size: (u16, u16)) -> Arc<Self> {
        let window = Arc::new(Self { shown: Mutex::new(Shown::new(size)), changed: Condvar::new() });
        let this = Arc::clone(&window);
        thread::spawn(move || {
            let mut buffer = [0; 4_096];
            loop {
                match line.read(&mut buffer) {
                    Ok(length) if length > 0 => this.lock().print(&buffer[..length]),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // The end of a terminal is no end of file but EIO.
                    _ => break,
                }
                this.changed.notify_all();
            }
            this.lock().is_closed = true;
            this.changed.notify_all();
        });
        window
    }

    /// Waits until what is shown `is_enough`, no more can come, or [`DEADLINE`] is over; which one it is, the
    /// caller sees.
    pub(super) fn wait_until(&self, is_enough: impl Fn(&Shown) -> bool) -> MutexGuard<'_, Shown> {
        let lacks = |shown: &mut Shown| !shown.is_over() && !is_enough(shown);
        let waited = self.changed.wait_timeout_while(self.lock(), DEADLINE, lacks);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Shown> {
        // A test that fails while it looks at the screen is not what another one shall tell about.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    pub(super) fn new(size: (u16, u16)) -> Self {
        let (rows, columns) = sides(size);
        let parser = Parser::new_with_callbacks(rows, columns, 0, Heard::default());
        Self { parser, tail: VecDeque::new(), is_closed: false }
    }

    pub(super) fn print(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.tail.extend(bytes);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
    }

    pub(super) fn resize(&mut self, size: (u16, u16)) {
        let (rows, columns) = sides(size);
        self.parser.set_size(rows, columns);
    }

    pub(super) fn cells(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    pub(super) fn screen(&self) -> Screen {
        Screen { cells: self.cells().clone(), heard: self.heard().clone() }
    }

    pub(super) fn reports_focus(&self) -> bool {
        self.heard().reports_focus
    }

    /// The process of the program, once it has one.
    pub(super) fn program(&self) -> Option<Pid> {
        self.heard().program
    }

    /// Returns the exit code of the program, which the shell reports at its end.
    pub(super) fn exit_code(&self) -> Option<i32> {
        self.heard().exit_code
    }

    /// Returns whether no more can come.
    pub(super) fn is_over(&self) -> bool {
        self.is_closed || self.exit_code().is_some()
    }

    /// Returns the things that a user would have to put in order.
    pub(super) fn left_behind(&self) -> Vec<&'static str> {
        let cells = self.cells();
        let is_plain = cells.fgcolor() == Color::Default
            && cells.bgcolor() == Color::Default
            && ![cells.bold(), cells.dim(), cells.italic(), cells.underline(), cells.inverse()]
                .contains(&true);
        let left = [
            (cells.alternate_screen(), "the alternate screen"),
            (cells.hide_cursor(), "a hidden cursor"),
            (!is_plain, "a colour or a style"),
            (cells.bracketed_paste(), "bracketed paste"),
            (cells.mouse_protocol_mode() != MouseProtocolMode::None, "reports of the mouse"),
            (self.reports_focus(), "reports of the focus"),
            (cells.application_cursor() || cells.application_keypad(), "keys of an application"),
        ];
        left.into_iter().filter_map(|(is_left, what)| is_left.then_some(what)).collect()
    }

    /// The last of what the program printed.
    pub(super) fn raw_output(&self) -> String {
        let bytes: Vec<_> = self.tail.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        // The text leaves out what the leader of the session says before and after it.
        let begins = text.find(STARTED).and_then(|at| Some(at + text[at..].find('\x07')? + 1));
        let ends = text.rfind(ENDED).unwrap_or(text.len());
        text[begins.unwrap_or(0)..ends].to_owned()
    }

    fn heard(&self) -> &Heard {
        self.parser.callbacks()
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.exit_code() {
            Some(code) => writeln!(f, "it has ended with {code}, and this is its screen:")?,
            None => writeln!(f, "it goes on, and this is its screen:")?,
        }
        write!(f, "{}", self.screen())?;
        let output = self.raw_output();
        let from = output.char_indices().rev().nth(TOLD).map_or(0, |(at, _)| at);
        writeln!(f, "the last that it printed: {:?}", &output[from..])
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Everything that a program says to a terminal besides what is drawn.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    pub(super) bells: usize,
    pub(super) title: String,
    pub(super) reports_focus: bool,
    program: Option<Pid>,
    exit_code: Option<i32>,
}

impl Callbacks for Heard {
    fn audible_bell(&mut self, _: &mut vt100::Screen) {
        self.bells += 1;
    }

    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.title = String::from_utf8_lossy(title).into_owned();
    }

    fn unhandled_csi(
        &mut self,
        _: &mut vt100::Screen,
        first: Option<u8>,
        _second: Option<u8>,
        parameters: &[&[u16]],
        end: char,
    ) {
        if first == Some(b'?') && parameters.contains(&&[FOCUS][..]) {
            match end {
                'h' => self.reports_focus = true,
                'l' => self.reports_focus = false,
                _ => {}
            }
        }
    }

    fn unhandled_osc(&mut self, _: &mut vt100::Screen, words: &[&[u8]]) {
        let [b"terminal", what, number] = words else { return };
        let number = str::from_utf8(number).ok().and_then(|number| number.parse().ok());
        match *what {
            b"started" => self.program = number.and_then(Pid::from_raw),
            b"ended" => self.exit_code = number,
            _ => {}
        }
    }
}

fn sides((rows, columns): (u16, u16)) -> (NonZeroU16, NonZeroU16) {
    let side = |cells| NonZeroU16::new(cells).expect("a window has rows and columns");
    (side(rows), side(columns))
}

/// The private mode in which a program is told of the focus.
const FOCUS: u16 = 1004;

/// The beginning of what the leader of the session says.
const STARTED: &str = "\x1b]terminal;started;";

/// The beginning of its last words. The first character ends a sequence that the program did not.
const ENDED: &str = "\x18\x1b]terminal;ended;";

/// The number of printed bytes that are kept: some full screens.
const TAIL: usize = 64 * 1_024;

/// The number of its characters that are shown when a test fails.
const TOLD: usize = 400;
