//! `lumi-node watch --text`: a line for each message.

use std::env;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::pin::pin;

use anyhow::Context;
use futures_util::FutureExt;
use jiff::tz::TimeZone;
use message_ladder::{Arrow, Change, Ladder, Line, Look, Picture};
use rustix::termios::tcgetwinsize;

use super::source::{Lines, Seen, Source, say};
use super::time_of_day;
use crate::signals::EndSignals;

/// Prints what `source` has about `user`, or all of it, until that ends or a signal comes.
///
/// # Errors
/// It cannot be read, or not be printed.
pub(super) async fn run(mut source: Source, user: Option<&str>, signals: EndSignals) -> anyhow::Result<()> {
    let mut signals = pin!(signals.come());
    let mut ladder = Ladder::new(&source.owner, TOGETHER);
    let mut printer = Printer::new(user);
    let mut lines = Lines::default();
    loop {
        let (seen, is_end) = tokio::select! {
            () = &mut signals => return Ok(()),
            seen = together(&mut source) => seen,
        };
        let mut arrows = Vec::new();
        let mut missed = Vec::new();
        for seen in seen {
            match seen {
                Seen::Message { number, at, entry } => {
                    lines.read();
                    number.into_iter().for_each(|number| ladder.skip_to(number));
                    arrows.extend(ladder.push(at, &entry).into_iter().filter_map(|change| match change {
                        Change::Arrow(arrow) => Some(arrow),
                        _ => None,
                    }));
                }
                Seen::Missed(count) => missed.push((arrows.len(), count)),
                Seen::Wrong { line, reason } => lines.wrong(line, &reason),
                Seen::End(reason) if source.is_live => say(&reason),
                Seen::End(_) => {}
            }
        }
        match printer.print(&ladder, &arrows, &missed) {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            printed => printed.context("cannot write to stdout")?,
        }
        match is_end {
            Some(Ok(())) => return lines.end(),
            Some(Err(error)) => return Err(error),
            None => {}
        }
    }
}

/// What there is, [`TOGETHER`] at most; of a file, as much if there is as much. Whether that was all, and how it ended.
async fn together(source: &mut Source) -> (Vec<Seen>, Option<anyhow::Result<()>>) {
    let mut all = Vec::new();
    while all.len() < TOGETHER {
        // Of what comes as it likes, the rest is not waited for.
        let next = if all.is_empty() || !source.is_live {
            source.next().await
        } else {
            let Some(next) = source.next().now_or_never() else { break };
            next
        };
        match next {
            Ok(Seen::End(reason)) => {
                all.push(Seen::End(reason));
                return (all, Some(Ok(())));
            }
            Ok(seen) => all.push(seen),
            Err(error) => return (all, Some(Err(error))),
        }
    }
    (all, None)
}

struct Printer<'a> {
    user: Option<&'a str>,
    zone: TimeZone,
    is_coloured: bool,
    /// That of the header above.
    picture: Option<Picture>,
}

impl<'a> Printer<'a> {
    fn new(user: Option<&'a str>) -> Self {
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_coloured = io::stdout().is_terminal() && !no_color;
        Self { user, zone: TimeZone::system(), is_coloured, picture: None }
    }

    fn print(&mut self, ladder: &Ladder, arrows: &[Arrow], missed: &[(usize, u64)]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        let mut missed = missed.iter().peekable();
        let picture = Picture::new(ladder, self.user, width());
        for (at, arrow) in arrows.iter().enumerate() {
            while let Some((_, count)) = missed.next_if(|(before, _)| *before <= at) {
                writeln!(stdout, "({count} messages passed too fast to be shown)")?;
            }
            if self.user.is_some_and(|user| !arrow.concerns(user)) {
                continue;
            }
            if self.picture.as_ref() != Some(&picture) {
                let is_first = self.picture.replace(picture.clone()).is_none();
                if !is_first {
                    writeln!(stdout)?;
                }
                for line in picture.header() {
                    writeln!(stdout, "{}", self.styled(&line))?;
                }
            }
            let line = picture.line(arrow, &time_of_day(arrow.at, &self.zone));
            writeln!(stdout, "{}", self.styled(&line))?;
            stdout.flush()?;
        }
        for (_, count) in missed {
            writeln!(stdout, "({count} messages passed too fast to be shown)")?;
        }
        stdout.flush()
    }

    fn styled(&self, line: &Line) -> String {
        if !self.is_coloured {
            return line.text();
        }
        line.spans.iter().map(|span| format!("\x1b[{}m{}\x1b[m", code(span.look), span.text)).collect()
    }
}

/// How the terminal shows it (ECMA-48, SGR).
fn code(look: Look) -> &'static str {
    match look {
        Look::Plain => "",
        Look::Faint => "2",
        Look::Name => "1",
        Look::Sent => "32",
        Look::Received => "36",
        Look::Malformed => "31",
        Look::Note => "1;33",
    }
}

/// That of the terminal; without one, there is room for all.
fn width() -> usize {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => usize::MAX,
    }
}

/// The most messages that have their columns in common: those that are there when one begins to watch, and a screen or
/// two of a file.
const TOGETHER: usize = 500;
