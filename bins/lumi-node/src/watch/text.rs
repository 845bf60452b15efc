//! `lumi-node watch --text`: prints a line for each message.

use std::collections::VecDeque;
use std::env;
use std::io;

use futures_util::FutureExt;
use jiff::tz::TimeZone;
use message_ladder::{Arrow, Change, Ladder, Line, Look, PartyId, Picture, Role, Telling};
use rustix::termios::tcgetwinsize;

use super::source::{AWAY, BACK, LineCounts, Source, SourceEvent, say};
use super::{can_draw, print, time_of_day};
use crate::signals::EndSignals;

/// Prints the messages about `user`, or all, until `source` ends or a signal comes.
///
/// # Errors
/// The source cannot be read, or stdout cannot be written to.
pub(super) async fn run(
    mut source: Source,
    user: Option<&str>,
    mut signals: EndSignals,
) -> anyhow::Result<()> {
    let mut ladder = Ladder::new(&source.owner, TOGETHER);
    let mut printer = Printer::new(user);
    let mut lines = LineCounts::default();
    loop {
        let (seen, is_end) = tokio::select! {
            () = signals.come() => return Ok(()),
            seen = together(&mut source) => seen,
        };
        let mut arrows = Vec::new();
        let mut missed = Vec::new();
        for seen in seen {
            match seen {
                SourceEvent::Message { number, at, entry } => {
                    lines.read();
                    number.into_iter().for_each(|number| ladder.skip_to(number));
                    arrows.extend(ladder.push(at, &entry).into_iter().filter_map(|change| match change {
                        Change::Arrow(arrow) => Some(arrow),
                        _ => None,
                    }));
                }
                SourceEvent::Missed(count) => missed.push((arrows.len(), count)),
                SourceEvent::Wrong { line, reason } => lines.wrong(line, &reason),
                SourceEvent::Away => say(AWAY),
                SourceEvent::Back => say(BACK),
                SourceEvent::End(reason) if source.is_live => say(&reason),
                SourceEvent::End(_) => {}
            }
        }
        let text = printer.text(&ladder, &arrows, &missed);
        if !print(text.as_bytes(), &mut signals).await? {
            return Ok(());
        }
        match is_end {
            Some(Ok(())) => return lines.end(),
            Some(Err(error)) => return Err(error),
            None => {}
        }
    }
}

/// Collects the events that are there, up to [`TOGETHER`]. A file always fills the batch. Also returns the
/// end of the source, if it has come.
async fn together(source: &mut Source) -> (Vec<SourceEvent>, Option<anyhow::Result<()>>) {
    let mut all = Vec::new();
    while all.len() < TOGETHER {
        // A live source may be silent for long, so only its first event is waited for.
        let next = if all.is_empty() || !source.is_live {
            source.next().await
        } else {
            let Some(next) = source.next().now_or_never() else { break };
            next
        };
        match next {
            Ok(SourceEvent::End(reason)) => {
                all.push(SourceEvent::End(reason));
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
    /// The columns of the header that was printed last.
    picture: Option<Picture>,
    /// The parties of the columns, the most important ones first.
    columns: Vec<PartyId>,
    /// The parties of the last messages, the oldest first.
    recent: VecDeque<[PartyId; 2]>,
}

impl<'a> Printer<'a> {
    fn new(user: Option<&'a str>) -> Self {
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_coloured = can_draw() && !no_color;
        Self {
            user,
            zone: TimeZone::system(),
            is_coloured,
            picture: None,
            columns: Vec::new(),
            recent: VecDeque::new(),
        }
    }

    /// Formats `arrows`, with a line before each one that follows `missed` messages.
    fn text(&mut self, ladder: &Ladder, arrows: &[Arrow], missed: &[(usize, u64)]) -> String {
        let missed_line = |count| format!("({count} messages passed too fast to be shown)\n");
        let mut text = String::new();
        let mut missed = missed.iter().peekable();
        let mut picture = self.picture_of(ladder);
        let between = |arrow: &Arrow| [arrow.from, arrow.to];
        for (at, arrow) in arrows.iter().enumerate() {
            while let Some((_, count)) = missed.next_if(|(before, _)| *before <= at) {
                text += &missed_line(count);
            }
            if self.user.is_some_and(|user| !arrow.concerns(user)) {
                continue;
            }
            let lacks_column = |id: &PartyId| {
                let is_check = ladder.party(*id).is_some_and(|party| party.role == Role::Check);
                !is_check && !picture.has_column(*id)
            };
            if between(arrow).iter().any(lacks_column) {
                // Parties that come soon get columns too, so that each of them does not need a header of its
                // own.
                let is_shown = |arrow: &&Arrow| self.user.is_none_or(|user| arrow.concerns(user));
                let soon = arrows[at..].iter().filter(is_shown).take(NEAR).map(between);
                self.columns = soon.chain(self.recent.iter().rev().copied()).flatten().collect();
                picture = self.picture_of(ladder);
            }
            if self.recent.len() == NEAR {
                self.recent.pop_front();
            }
            self.recent.push_back(between(arrow));
            // A new address alone is not worth a header.
            if !self.picture.as_ref().is_some_and(|printed| printed.is_aligned_with(&picture)) {
                let is_first = self.picture.replace(picture.clone()).is_none();
                if !is_first {
                    text.push('\n');
                }
                picture.header().iter().for_each(|line| text += &self.styled(line));
            }
            text += &self.styled(&picture.line(arrow, &time_of_day(arrow.at, &self.zone)));
        }
        missed.for_each(|(_, count)| text += &missed_line(count));
        text
    }

    fn picture_of(&self, ladder: &Ladder) -> Picture {
        let width = width();
        // Nothing is cut off if this is no terminal.
        let telling = if width == usize::MAX { Telling::BytesFirst } else { Telling::WordsFirst };
        Picture::of(ladder, self.columns.iter().copied(), width).telling(telling)
    }

    /// Formats a line with its line end.
    fn styled(&self, line: &Line) -> String {
        if !self.is_coloured {
            return line.text() + "\n";
        }
        let spans = line.spans.iter();
        let text: String =
            spans.map(|span| format!("\x1b[{}m{}\x1b[m", code(span.look), span.text)).collect();
        text + "\n"
    }
}

/// The code for a look on the terminal (ECMA-48, SGR).
fn code(look: Look) -> &'static str {
    match look {
        Look::Faint => "2",
        Look::Name => "1",
        Look::Sent => "32",
        Look::Received => "36",
        Look::Malformed => "31",
        Look::Note => "1;33",
        // Plain text, and a look that is new.
        _ => "",
    }
}

/// The width of the terminal; unlimited without one.
fn width() -> usize {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => usize::MAX,
    }
}

/// The maximum size of a batch: the number of messages that a node sends at first.
const TOGETHER: usize = 500;

/// The number of messages, before and after a party gets a column, with columns for their parties as well:
/// about a screen.
const NEAR: usize = 24;
