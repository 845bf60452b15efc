//! A program at a terminal of its own: its screen is read, keys are pressed, the window gets another size.

mod key;
mod screen;
mod window;

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, MutexGuard};

use pty_process::blocking;
use rustix::process::{self, Pid};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use vt100::{MouseProtocolEncoding, MouseProtocolMode};

use super::process::{Signal, at_home, executable};
use window::{Shown, Window};

pub use key::{Key, Wheel};
pub use screen::Screen;

/// A program at a terminal of its own, which is the controlling terminal of its session. Killed when dropped.
///
/// A shell leads the session and waits for the program, as at home: when the leader ends, the kernel puts the
/// terminal in order, and nobody would see how the program left it.
#[derive(Debug)]
pub struct Terminal {
    /// The shell, which stays until this is dropped.
    leader: Child,
    /// The end of the line at which the window and the keyboard are.
    line: File,
    window: Arc<Window>,
    /// The settings of stty(1), before the program could change them.
    settings: String,
}

impl Terminal {
    /// Starts the program of `package`, built as this test is, with the working directory `folder`, at a
    /// terminal of `size`: rows and columns.
    ///
    /// # Panics
    /// If it cannot be built or started.
    pub fn start(package: &'static str, folder: &Path, arguments: &[&str], size: (u16, u16)) -> Self {
        Self::start_command(Command::new(executable(package)).args(arguments), folder, size)
    }

    /// Starts a program like [`Terminal::start`], but from a shell with job control. When the program is
    /// suspended, the shell says `it stopped` and lets it go on at the next line; at its end, `it ended with`
    /// and its exit code.
    ///
    /// # Panics
    /// As [`Terminal::start`].
    pub fn start_in_shell(
        package: &'static str,
        folder: &Path,
        arguments: &[&str],
        size: (u16, u16),
    ) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", JOB_CONTROL, "sh"]).arg(executable(package)).args(arguments);
        Self::start_command(&shell, folder, size)
    }

    /// Starts `command`, of which only the program, the arguments and the environment count, with the working
    /// directory `folder`, at a terminal of `size`: rows and columns.
    ///
    /// It finds its settings and data in `folder`, a terminal of 256 colours, and nothing that says how to
    /// draw or to log, unless `command` says otherwise.
    ///
    /// # Panics
    /// If there is no terminal or no shell; a program that is not there ends with 127.
    pub fn start_command(command: &Command, folder: &Path, size: (u16, u16)) -> Self {
        let (line, program_side) = blocking::open().expect("there are terminals left");
        let line = File::from(OwnedFd::from(line));
        tcsetwinsize(&line, in_cells(size)).expect(A_TERMINAL);
        let settings = settings(&line);
        // Tests that run in the background may ignore Ctrl-C; a program at a terminal does not.
        let mut shell = Command::new("env");
        shell
            .args(["--default-signal=INT,QUIT", "sh", "-c", SESSION, "sh"])
            .arg(command.get_program())
            .args(command.get_args());
        at_home(&mut shell, folder);
        shell.env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
        for name in ["NO_COLOR", "COLORTERM", "LC_ALL", "LINES", "COLUMNS"] {
            shell.env_remove(name);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        // The shell's message about the program's end is not for the screen.
        let shell = blocking::Command::from(shell).stderr(Stdio::null());
        let leader = shell.spawn(program_side).expect("there is a shell");
        let window = Window::open(line.try_clone().expect("there are descriptors left"), size);
        Self { leader, line, window, settings }
    }

    /// Types `text`. A line ends with the key that ends it: `\r`, or [`Key::Enter`].
    ///
    /// # Panics
    /// If the terminal is gone.
    pub fn type_text(&self, text: &str) {
        (&self.line).write_all(text.as_bytes()).expect(A_TERMINAL);
    }

    /// Types `line`, and Enter.
    ///
    /// # Panics
    /// If the terminal is gone.
    pub fn type_line(&self, line: &str) {
        self.type_text(&format!("{line}\r"));
    }

    /// Presses `key`.
    ///
    /// # Panics
    /// If there is no such key, or the terminal is gone.
    pub fn press(&self, key: Key) {
        let application_cursor = self.window.lock().cells().application_cursor();
        self.type_text(&key.sequence(application_cursor));
    }

    /// Pastes `text`, between marks if the program has asked for them by now. As in other terminals, line
    /// ends are those of the keyboard.
    ///
    /// # Panics
    /// If the terminal is gone.
    pub fn paste(&self, text: &str) {
        let is_bracketed = self.window.lock().cells().bracketed_paste();
        let text = text.replace("\r\n", "\r").replace('\n', "\r");
        self.type_text(&if is_bracketed { format!("\x1b[200~{text}\x1b[201~") } else { text });
    }

    /// The window gains the focus, or loses it. The program is told if it has asked for that by now.
    ///
    /// # Panics
    /// If the terminal is gone.
    pub fn focus(&self, has_it: bool) {
        let is_told = self.window.lock().reports_focus();
        if is_told {
            self.type_text(if has_it { "\x1b[I" } else { "\x1b[O" });
        }
    }

    /// Turns the wheel of the mouse by a notch over the cell at `row` and `column`, counted from 0. The
    /// program is told if it has asked for the mouse by now, and to be told as xterm does it (1006).
    ///
    /// # Panics
    /// If the terminal is gone.
    pub fn wheel(&self, wheel: Wheel, row: u16, column: u16) {
        let shown = self.window.lock();
        let has_mouse = shown.cells().mouse_protocol_mode() != MouseProtocolMode::None;
        let is_told = has_mouse && shown.cells().mouse_protocol_encoding() == MouseProtocolEncoding::Sgr;
        drop(shown);
        if is_told {
            self.type_text(&wheel.sequence(row, column));
        }
    }

    /// Gives the window another size: rows and columns. The program is told by SIGWINCH.
    ///
    /// # Panics
    /// If a side is 0, or the terminal is gone.
    pub fn resize(&self, size: (u16, u16)) {
        // Together, so that nothing drawn for the new size is taken for one of the old.
        let mut shown = self.window.lock();
        shown.resize(size);
        tcsetwinsize(&self.line, in_cells(size)).expect(A_TERMINAL);
    }

    /// Returns the screen as it is by now.
    pub fn screen(&self) -> Screen {
        self.window.lock().screen()
    }

    /// Waits until the screen `is_it`, and returns it.
    ///
    /// # Panics
    /// If it has not come to be within [`DEADLINE`](super::DEADLINE), or the program ends before; with a
    /// picture of the screen.
    pub fn wait_for(&self, is_it: impl Fn(&Screen) -> bool) -> Screen {
        let shown = self.window.wait_until(|shown| is_it(&shown.screen()));
        let screen = shown.screen();
        assert!(is_it(&screen), "what was waited for is not on the screen; {shown}");
        screen
    }

    /// Waits until one row of the screen has `text` in it, and returns the screen.
    ///
    /// # Panics
    /// As [`Terminal::wait_for`].
    pub fn expect_text(&self, text: &str) -> Screen {
        let shown = self.window.wait_until(|shown| shown.screen().position_of(text).is_some());
        let screen = shown.screen();
        assert!(screen.position_of(text).is_some(), "{text:?} is not on the screen; {shown}");
        screen
    }

    /// The end of what was printed, the last 64 KiB at most, as it was printed.
    pub fn raw_output(&self) -> String {
        self.window.lock().raw_output()
    }

    /// The process of the program; waits until it has one.
    ///
    /// # Panics
    /// If it has none within [`DEADLINE`](super::DEADLINE).
    pub fn pid(&self) -> Pid {
        let shown = self.window.wait_until(|shown| shown.program().is_some());
        shown.program().unwrap_or_else(|| panic!("the program does not start; {shown}"))
    }

    /// Sends it `signal`.
    ///
    /// # Panics
    /// If it has ended.
    pub fn signal(&self, signal: Signal) {
        let pid = self.pid();
        assert!(!self.has_ended(), "the program has ended; {}", self.window.lock());
        process::kill_process(pid, signal.into()).expect("the program is there");
    }

    /// Returns whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.window.lock().is_over()
    }

    /// Waits for its end, and returns its exit code. All that it printed has been read then.
    ///
    /// # Panics
    /// If it has not ended within [`DEADLINE`](super::DEADLINE), or was ended by a signal.
    pub fn wait_exit(&self) -> i32 {
        let (code, shown) = self.ended();
        // A shell reports signals in this way.
        assert!(code <= 128, "the program was ended by signal {}; {shown}", code - 128);
        code
    }

    /// Waits for its end, and returns what it left behind that its user must put in order: nothing, if it
    /// ended as it should.
    ///
    /// # Panics
    /// If it has not ended within [`DEADLINE`](super::DEADLINE).
    pub fn left_behind(&self) -> Vec<&'static str> {
        let (_, shown) = self.ended();
        let mut left = shown.left_behind();
        left.extend((settings(&self.line) != self.settings).then_some("settings of the line"));
        left
    }

    fn ended(&self) -> (i32, MutexGuard<'_, Shown>) {
        let shown = self.window.wait_until(|_| false);
        let Some(code) = shown.exit_code() else { panic!("the program does not end; {shown}") };
        (code, shown)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The leader leads the group of the program too, and its number is its own until it is waited for. A
        // group that is gone has nothing left to kill.
        _ = process::kill_process_group(Pid::from_child(&self.leader), process::Signal::KILL);
        _ = self.leader.wait();
    }
}

fn in_cells((rows, columns): (u16, u16)) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// All that stty(1) shows, for comparison.
fn settings(line: &File) -> String {
    format!("{:?}", tcgetattr(line).expect(A_TERMINAL))
}

/// A shell that suspends a program, lets it go on, and tells how it ended.
const JOB_CONTROL: &str = r#"set -m; "$@"; echo it stopped; read -r go; fg; echo "it ended with $?""#;

const A_TERMINAL: &str = "the terminal is there for as long as this is";

/// The leader of the session. It runs the program in the foreground, with all three streams at the terminal,
/// and says in sequences that only [`Window`] understands which process that is and, once all that it printed
/// has been, how it ended. Keys that interrupt are for the program alone. Then it stays, and the terminal as
/// it is.
const SESSION: &str = r#"
trap : INT QUIT
sh -c 'printf "\033]terminal;started;%s\007" $$; exec "$@" 2>&1' sh "$@"
printf '\030\033]terminal;ended;%s\007' $?
kill -STOP $$
"#;
