//! The source of the console's lines: a terminal with line editing, or any other input.

use std::io::{self, BufRead, Read};

use rustyline::completion::Completer;
use rustyline::config::{CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, ConditionalEventHandler, Context, Editor, Event, EventContext, EventHandler, ExternalPrinter,
    Helper, KeyEvent, Movement, RepeatCount,
};

use standard_streams::Stdin;

use crate::admin::command;

/// A source of lines.
pub(super) enum Input {
    Terminal(Box<Editor<Words, MemHistory>>),
    Stdin(Stdin),
}

/// A line, or why there is none.
pub(super) enum Line {
    Typed(String),
    /// The user pressed Ctrl-C on an empty line.
    Interrupt,
    End,
}

impl Input {
    /// Edits lines at the terminal of stdin and stdout, with a history of [`MAX_HISTORY`] lines. Tab
    /// completes the names of commands.
    pub(super) fn terminal() -> io::Result<Self> {
        let config = Config::builder()
            .max_history_size(MAX_HISTORY)
            .map_err(into_io)?
            .auto_add_history(true)
            .completion_type(CompletionType::List)
            // A program that ends in the middle of a line would leave it on.
            .bracketed_paste(false)
            .build();
        let history = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, history).map_err(into_io)?;
        editor.bind_sequence(KeyEvent::ctrl('C'), EventHandler::Conditional(Box::new(Interrupt)));
        if let Ok(mut printer) = editor.create_external_printer() {
            diagnostics::print_by(move |text| printer.print(text).map_err(into_io));
        }
        editor.set_helper(Some(Words(command::words())));
        Ok(Self::Terminal(Box::new(editor)))
    }

    /// Reads lines without editing.
    pub(super) fn stdin() -> Self {
        Self::Stdin(standard_streams::stdin())
    }

    /// Returns the next line. A long line without editing is cut after [`MAX_LINE`] bytes.
    pub(super) fn next(&mut self) -> io::Result<Line> {
        match self {
            Self::Terminal(editor) => match editor.readline(PROMPT) {
                Ok(line) => Ok(Line::Typed(line)),
                Err(ReadlineError::Interrupted) => Ok(Line::Interrupt),
                Err(ReadlineError::Eof) => Ok(Line::End),
                Err(error) => Err(into_io(error)),
            },
            Self::Stdin(input) => {
                let mut line = Vec::new();
                input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
                if line.is_empty() {
                    return Ok(Line::End);
                }
                if !line.ends_with(b"\n") {
                    input.skip_until(b'\n')?;
                }
                Ok(Line::Typed(String::from_utf8_lossy(&line).into_owned()))
            }
        }
    }
}

/// Completes the first word of a line.
pub(super) struct Words(Vec<String>);

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..at).unwrap_or_default();
        let word = typed.trim_start().trim_start_matches('/');
        if word.is_empty() {
            return Ok((at, Vec::new()));
        }
        let matching = self.0.iter().filter(|known| known.starts_with(word)).map(|known| format!("{known} "));
        Ok((typed.len() - word.len(), matching.collect()))
    }
}

/// Ctrl-C deletes the typed text; on an empty line it ends the node.
struct Interrupt;

impl ConditionalEventHandler for Interrupt {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        let is_empty = context.line().is_empty();
        Some(if is_empty { Cmd::Interrupt } else { Cmd::Kill(Movement::WholeLine) })
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}

impl Validator for Words {}

impl Helper for Words {}

fn into_io(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        error => io::Error::other(error),
    }
}

const PROMPT: &str = "lumi-node> ";

/// The maximum number of lines in the history.
const MAX_HISTORY: usize = 100;

/// The maximum number of bytes of a line: many times what a command needs.
const MAX_LINE: u64 = 1024;
