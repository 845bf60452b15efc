//! A program in a window of xterm, on a display that nobody sees.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::output::eventually;
use super::process::at_home;
use crate::skipped;

/// A program in a window of an xterm of its own, on a display of its own. All are killed when this is
/// dropped.
#[derive(Debug)]
pub struct Xterm {
    display: Child,
    xterm: Child,
    /// The terminal of the program.
    terminal: PathBuf,
    /// The folder for the file to which xterm prints its screen.
    folder: TempDir,
}

impl Xterm {
    /// Starts `command`, of which only the program and the arguments count, with the working directory
    /// `folder`, in a window of `size`: rows and columns. [`Xterm::answer`] types `answer`, in which a
    /// character may be `\nnn`. `None`, and a line on stderr, if there is no xterm or no Xvfb here.
    ///
    /// # Panics
    /// If they do not start.
    pub fn start(command: &Command, folder: &Path, answer: &str, size: (u16, u16)) -> Option<Self> {
        let own = tempfile::tempdir().expect("there can be temporary folders");
        let mut display = Command::new("Xvfb");
        // Larger than any window of the tests.
        display.args(["-displayfd", "1", "-screen", "0", "2000x1500x8", "-nolisten", "tcp"]);
        let display = display.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let has_xterm = Command::new("xterm").arg("-version").stdout(Stdio::null()).status();
        let (Ok(mut display), Ok(_)) = (display, has_xterm) else {
            skipped("there is no xterm or no Xvfb here");
            return None;
        };
        let mut number = String::new();
        let stdout = display.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut number).expect("Xvfb says its number");

        let printer = own.path().join("printer");
        fs::write(&printer, PRINTER).expect("the folder is new");
        fs::set_permissions(&printer, fs::Permissions::from_mode(0o755)).expect("the file is new");
        let mut xterm = Command::new("xterm");
        at_home(&mut xterm, folder).env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR");
        xterm.env("DISPLAY", format!(":{}", number.trim()));
        xterm.args(["-u8", "-geometry", &format!("{}x{}", size.1, size.0)]);
        xterm.args(["-xrm", &format!("XTerm*printerCommand: {}", printer.display())]);
        xterm.args(["-xrm", &format!("XTerm*answerbackString: {answer}")]);
        let tty = own.path().join("tty");
        xterm.args(["-e", "sh", "-c", "tty >\"$1.part\"; mv \"$1.part\" \"$1\"; shift; exec \"$@\"", "sh"]);
        xterm.arg(&tty).arg(command.get_program()).args(command.get_args());
        let xterm = xterm.stderr(Stdio::null()).spawn().expect("there is an xterm");
        let mut this = Self { display, xterm, terminal: PathBuf::new(), folder: own };
        eventually("xterm has a terminal", || tty.exists());
        this.terminal = fs::read_to_string(&tty).expect("it was written").trim().into();
        Some(this)
    }

    /// Has the terminal type its answer.
    ///
    /// # Panics
    /// If the program has ended.
    pub fn answer(&self) {
        self.order("\x05");
    }

    /// Every row of the screen, without the spaces at its end.
    ///
    /// # Panics
    /// If the program has ended, or xterm prints nothing.
    pub fn rows(&self) -> Vec<String> {
        let printed = self.folder.path().join("printed");
        // Nothing is printed if nobody has asked.
        _ = fs::remove_file(&printed);
        self.order("\x1b[i");
        eventually("xterm prints its screen", || printed.exists());
        let text = fs::read(&printed).expect("it was written");
        String::from_utf8_lossy(&text).lines().map(plain).collect()
    }

    /// Waits until the rows of the screen `are_it`, and returns them.
    ///
    /// # Panics
    /// As [`Xterm::rows`]; if they have not come to be within [`DEADLINE`](super::DEADLINE).
    pub fn wait_for(&self, what: &str, are_it: impl Fn(&[String]) -> bool) -> Vec<String> {
        let mut rows = Vec::new();
        eventually(what, || {
            rows = self.rows();
            are_it(&rows)
        });
        rows
    }

    /// Writes to the terminal, beside the program, in one piece.
    fn order(&self, order: &str) {
        let mut terminal = File::options().write(true).open(&self.terminal).expect("the program is there");
        terminal.write_all(order.as_bytes()).expect("the program is there");
    }
}

impl Drop for Xterm {
    fn drop(&mut self) {
        for child in [&mut self.xterm, &mut self.display] {
            // It may have ended with its program.
            _ = child.kill();
            _ = child.wait();
        }
    }
}

/// A printed row without sequences, the cells that wide characters cover, and the spaces at its end.
fn plain(row: &str) -> String {
    let mut plain = String::new();
    for (at, part) in row.split('\x1b').enumerate() {
        let end = match part.as_bytes() {
            _ if at == 0 => 0,
            [b'[', ..] => part.find(char::is_alphabetic).map_or(part.len(), |end| end + 1),
            _ => part.len().min(2),
        };
        plain.push_str(&part[end..]);
    }
    plain.retain(|character| !matches!(character, '\u{ffff}' | '\r' | '\x0c'));
    plain.trim_end().to_owned()
}

/// The program that xterm runs as its printer.
const PRINTER: &str = r#"#!/bin/sh
folder=$(dirname "$0")
cat >"$folder/part" && mv "$folder/part" "$folder/printed"
"#;
