//! The administrator's console: commands on stdin, answers on stdout, failures as `! …`.

mod input;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Context;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use standard_streams::stdout;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::command::{self, ConsoleCommand};
use super::invitation::camera_code_of;
use super::operator::Operator;
use crate::reason;
use input::{Input, Line};

/// The console. When it is dropped, the terminal is as it was found, even in the middle of editing a line.
#[derive(Debug)]
pub(crate) struct Console {
    found: Option<Termios>,
    /// Set when no further line may be read, because that would change the terminal once more.
    is_over: Arc<AtomicBool>,
}

impl Console {
    /// Reads commands for `operator` until the end of input and executes them in `runtime`. `exit` and Ctrl-C
    /// notify `exit`.
    ///
    /// It has a thread of its own, so that an idle terminal, or one stopped by Ctrl-S, does not block the
    /// node.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub(crate) fn start(operator: Operator, runtime: Handle, exit: Arc<Notify>) -> anyhow::Result<Self> {
        let found = tcgetattr(io::stdin()).ok();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let console = move || match converse(&operator, &runtime, &over) {
            Ok(ConsoleEnd::ByExit) => exit.notify_one(),
            Ok(ConsoleEnd::ByInput) => {}
            Err(error) => tracing::warn!(
                "stdin cannot be read, so the console takes no more commands: {}; `lumi-node ctl` does",
                reason::in_words(&error)
            ),
        };
        thread::Builder::new().name("console".into()).spawn(console).context("cannot start the console")?;
        Ok(Self { found, is_over })
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(found) = &self.found {
            // The terminal may be gone.
            _ = tcsetattr(io::stdin(), OptionalActions::Now, found);
        }
    }
}

enum ConsoleEnd {
    ByExit,
    ByInput,
}

fn converse(operator: &Operator, runtime: &Handle, is_over: &AtomicBool) -> io::Result<ConsoleEnd> {
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut input = if terminal { Input::terminal()? } else { Input::stdin() };
    if terminal {
        show("type help for the commands\n");
    }
    while !is_over.load(Ordering::Relaxed) {
        let line = match input.next()? {
            Line::Typed(line) => line,
            Line::Interrupt => return Ok(ConsoleEnd::ByExit),
            Line::End => break,
        };
        let answered = match command::parse(&line) {
            Ok(Some(ConsoleCommand::Command(command))) => {
                let draws = command.draws_camera_codes();
                let answer = runtime.block_on(operator.carry_out(command));
                answer.map(|text| if draws { with_camera_codes(&text) } else { text })
            }
            Ok(Some(ConsoleCommand::Help)) => Ok(command::help()),
            Ok(Some(ConsoleCommand::Exit)) => return Ok(ConsoleEnd::ByExit),
            Ok(None) => continue,
            Err(error) => Err(error),
        };
        match answered {
            Ok(text) => show(&format!("{text}\n")),
            Err(error) => show(&format!("! {}\n", reason::in_one_line(&error))),
        }
    }
    if terminal {
        show("no more commands here, but by `lumi-node ctl`; the node goes on, Ctrl-C ends it\n");
    }
    Ok(ConsoleEnd::ByInput)
}

/// Draws the code for cameras of each line of an answer below it.
fn with_camera_codes(answer: &str) -> String {
    let in_colour = io::stdout().is_terminal();
    let lines: Vec<_> =
        answer.lines().map(|line| format!("{line}\n{}", camera_code_of(line, in_colour))).collect();
    lines.concat().trim_end_matches('\n').to_owned()
}

fn show(text: &str) {
    // Commands are executed even if nobody reads the answers.
    _ = stdout().write_all(text.as_bytes());
}
