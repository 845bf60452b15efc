//! A program in a window of tmux, a real terminal that measures some clusters otherwise than our programs do.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::Key;
use super::output::eventually;
use super::process::at_home;
use crate::skipped;

/// A program in a window of a tmux of its own, which nobody is attached to. Both are killed when this is
/// dropped.
#[derive(Debug)]
pub struct Tmux {
    /// The folder of the socket.
    folder: TempDir,
}

impl Tmux {
    /// Starts `command`, of which only the program and the arguments count, with the working directory
    /// `folder` and this `TERM`, in a window of `size`: rows and columns. `None`, and a line on stderr, if
    /// there is no tmux here.
    ///
    /// # Panics
    /// If tmux does not start.
    pub fn start(command: &Command, folder: &Path, term: &str, size: (u16, u16)) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            skipped("there is no tmux here");
            return None;
        }
        let this = Self { folder: tempfile::tempdir().expect("there can be temporary folders") };
        let mut start = this.command("new-session");
        at_home(&mut start, folder).env("LC_ALL", "C.UTF-8").env_remove("TMUX").env_remove("NO_COLOR");
        let (rows, columns) = (size.0.to_string(), size.1.to_string());
        start.args(["-d", "-x", &columns, "-y", &rows, "-c"]).arg(folder);
        start.args(["env", &format!("TERM={term}")]).arg(command.get_program()).args(command.get_args());
        let output = start.output().expect("there is a tmux");
        assert!(output.status.success(), "tmux: {output:?}");
        Some(this)
    }

    /// Types `text`, at once.
    ///
    /// # Panics
    /// If the program has ended.
    pub fn type_text(&self, text: &str) {
        self.run("send-keys", &["-l", "--", text]);
    }

    /// Presses `key`.
    ///
    /// # Panics
    /// As [`Tmux::type_text`].
    pub fn press(&self, key: Key) {
        self.type_text(&key.sequence(false));
    }

    /// Gives the window another size: rows and columns.
    ///
    /// # Panics
    /// As [`Tmux::type_text`].
    pub fn resize(&self, (rows, columns): (u16, u16)) {
        self.run("resize-window", &["-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// Every row of the screen, without the spaces at its end.
    ///
    /// # Panics
    /// As [`Tmux::type_text`].
    pub fn rows(&self) -> Vec<String> {
        let output = self.run("capture-pane", &["-p"]);
        let text = String::from_utf8(output.stdout).expect("tmux writes UTF-8");
        text.lines().map(|row| row.trim_end().to_owned()).collect()
    }

    /// Waits until the rows of the screen `are_it`, and returns them.
    ///
    /// # Panics
    /// If they have not come to be within [`DEADLINE`](super::DEADLINE).
    pub fn wait_for(&self, what: &str, are_it: impl Fn(&[String]) -> bool) -> Vec<String> {
        let mut rows = Vec::new();
        eventually(what, || {
            rows = self.rows();
            are_it(&rows)
        });
        rows
    }

    fn run(&self, order: &str, arguments: &[&str]) -> Output {
        let output = self.command(order).args(arguments).output().expect("there is a tmux");
        assert!(output.status.success(), "tmux {order}: {output:?}");
        output
    }

    fn command(&self, order: &str) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-u", "-f", "/dev/null", "-S"]).arg(self.folder.path().join("socket")).arg(order);
        command
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // It may have ended with its program.
        _ = self.command("kill-server").output();
    }
}
