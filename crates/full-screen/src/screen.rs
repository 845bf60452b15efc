//! The terminal: taken over at the start, given back at the end, however that comes.
//!
//! The picture goes through memory to a stdout that is never waited for: a terminal that takes nothing must
//! not keep the program from whatever else it has to do, nor from its end.

use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::os::unix::fs::OpenOptionsExt;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste, EnableFocusChange,
    EnableMouseCapture,
};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, queue};
use ratatui::{Frame, Terminal};
use rustix::fs::OFlags;
use standard_streams::{BackgroundWriter, Stdout, stdout};
use tokio::io::AsyncWriteExt;

use crate::backend::{Unasking, draw_whole_rows_of_clusters};

/// The whole terminal. Dropped, it is given back without being waited for.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<Unasking<Drawn>>,
    drawn: Drawn,
    stdout: BackgroundWriter<Stdout>,
    /// The bytes that are being written, of which `written` have been.
    writing: Vec<u8>,
    written: usize,
    is_flushed: bool,
    reports: Reports,
}

/// The reports of the terminal besides keys and pasted text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reports {
    /// The mouse. Without, the terminal keeps it for itself, for text to be marked with.
    pub mouse: bool,
    /// That the user looks at another window, or at this one again.
    pub focus: bool,
}

/// The bytes that were drawn and are yet to be written.
#[derive(Clone, Debug, Default)]
struct Drawn(Arc<Mutex<Vec<u8>>>);

impl Screen {
    /// Takes over the terminal of stdout, and with it the panics of the program: before one is printed, the
    /// terminal is given back. What is to be seen of it is still to be written.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn enter(reports: Reports) -> io::Result<Self> {
        let drawn = Drawn::default();
        let terminal = Terminal::new(Unasking::new(drawn.clone()))?;
        let stdout = BackgroundWriter::new(stdout());
        let mut screen =
            Self { terminal, drawn, stdout, writing: Vec::new(), written: 0, is_flushed: true, reports };
        RESTORE_ON_PANIC.call_once(|| {
            let hook = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                restore();
                hook(panic);
            }));
        });
        screen.take_over()?;
        Ok(screen)
    }

    /// Draws, if all that was drawn before has been written. `false`: it has not.
    ///
    /// # Errors
    /// The size of the terminal cannot be had.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<bool> {
        if self.has_to_write() {
            return Ok(false);
        }
        self.terminal.draw(|frame| {
            draw(frame);
            draw_whole_rows_of_clusters(frame.buffer_mut());
        })?;
        Ok(true)
    }

    /// The next draw draws everything.
    ///
    /// # Errors
    /// The size of the terminal cannot be had.
    pub fn clear(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }

    /// Rings the terminal's bell, with what is drawn next.
    pub fn ring(&mut self) {
        self.drawn.lock().push(BELL);
    }

    /// Returns whether something that was drawn is yet to be written: [`Screen::write`] is to be called.
    pub fn has_to_write(&self) -> bool {
        !self.is_flushed || !self.drawn.lock().is_empty()
    }

    /// Writes what was drawn.
    ///
    /// # Errors
    /// The terminal is gone.
    ///
    /// # Cancel safety
    /// Cancel safe. The next call goes on with the rest.
    pub async fn write(&mut self) -> io::Result<()> {
        loop {
            if self.written == self.writing.len() {
                self.writing = mem::take(&mut *self.drawn.lock());
                self.written = 0;
                if self.writing.is_empty() {
                    break;
                }
            }
            self.is_flushed = false;
            self.written += self.stdout.write(&self.writing[self.written..]).await?;
        }
        self.stdout.flush().await?;
        self.is_flushed = true;
        Ok(())
    }

    /// Gives the terminal back, until [`Screen::resume`].
    ///
    /// # Errors
    /// The terminal is gone.
    ///
    /// # Cancel safety
    /// Not cancel safe. If this is dropped, the program still has the terminal, although the screen may
    /// already show what was there before: call it again.
    pub async fn leave(&mut self) -> io::Result<()> {
        queue_leave(&mut self.drawn)?;
        self.write().await?;
        disable_raw_mode()?;
        IS_TAKEN.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Takes the terminal again, after any other program had it.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn resume(&mut self) -> io::Result<()> {
        self.take_over()?;
        self.clear()
    }

    fn take_over(&mut self) -> io::Result<()> {
        // The program before may have left the terminal as it was set up for itself.
        _ = disable_raw_mode();
        enable_raw_mode()?;
        IS_TAKEN.store(true, Ordering::Relaxed);
        queue!(self.drawn, EnterAlternateScreen, EnableBracketedPaste)?;
        if self.reports.focus {
            queue!(self.drawn, EnableFocusChange)?;
        }
        if self.reports.mouse {
            queue!(self.drawn, EnableMouseCapture)?;
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back at once, if it is taken: for a panic, and for an end that cannot wait.
pub fn restore() {
    if !IS_TAKEN.swap(false, Ordering::Relaxed) {
        return;
    }
    // If the terminal is gone, there is nothing to give back.
    _ = disable_raw_mode();
    // This does not use stdout, which somebody may be holding, and does not wait for a terminal that takes
    // nothing.
    let at_once = i32::try_from(OFlags::NONBLOCK.bits()).expect("flags of open(2) fit in an int");
    if let Ok(mut terminal) = File::options().write(true).custom_flags(at_once).open("/dev/tty") {
        _ = queue_leave(&mut terminal);
    }
}

/// Queues what gives the terminal back, in the opposite order.
fn queue_leave(output: &mut impl Write) -> io::Result<()> {
    queue!(
        output,
        DisableMouseCapture,
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    )
}

impl Drawn {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Drawn {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const BELL: u8 = 0x07;

static RESTORE_ON_PANIC: Once = Once::new();

static IS_TAKEN: AtomicBool = AtomicBool::new(false);

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;

    use integration_tests::programs::Terminal;

    use super::*;

    /// This test runs itself at a terminal.
    #[test]
    fn a_panic_gives_the_terminal_back() {
        if env::var_os(AT_A_TERMINAL).is_some() {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let mut screen = Screen::enter(Reports::default()).unwrap();
                screen.write().await.unwrap();
                panic!("on purpose");
            });
        }
        let folder = tempfile::tempdir().unwrap();
        let mut itself = Command::new(env::current_exe().unwrap());
        itself.args(["--exact", "screen::tests::a_panic_gives_the_terminal_back", "--nocapture"]);
        itself.env(AT_A_TERMINAL, "1").env("RUST_BACKTRACE", "0");
        let terminal = Terminal::start_command(&itself, folder.path(), (24, 80));
        assert_eq!(terminal.left_behind(), [""; 0]);
        terminal.expect_text("on purpose");
        assert!(terminal.raw_output().contains("\x1b[?1049h"), "it was taken");
    }

    const AT_A_TERMINAL: &str = "FULL_SCREEN_TEST_AT_A_TERMINAL";
}
