//! Draws an [`App`]: decides where things are and how they look, and nothing else.

use std::ops::Range;

use full_screen::side_by_side;
use message_ladder::{Arrow, Look, PartyId, Picture, Telling};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::app::App;
use crate::watch::source::AWAY;
use crate::watch::time_of_day;

/// The styles of text, by purpose. The colours are those of the terminal's sixteen that are legible on dark
/// and light. No information is in the colour alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    is_coloured: bool,
}

impl Theme {
    pub(super) fn new(no_color: bool) -> Self {
        Self { is_coloured: !no_color }
    }

    fn style(self, look: Look) -> Style {
        let style = match look {
            Look::Faint => Style::new().add_modifier(Modifier::DIM),
            Look::Name | Look::Malformed | Look::Note => Style::new().add_modifier(Modifier::BOLD),
            // Plain text and messages, and a look that is new.
            _ => Style::new(),
        };
        let colour = match look {
            Look::Sent => Color::Green,
            Look::Received => Color::Cyan,
            Look::Malformed => Color::Red,
            Look::Note => Color::Yellow,
            _ => return style,
        };
        if self.is_coloured { style.fg(colour) } else { style }
    }
}

/// Draws the whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, app: &mut App, theme: &Theme) {
    let details = details(app);
    let height = details.as_ref().map_or(0, |details| {
        let height = details.line_count(frame.area().width.saturating_sub(2));
        u16::try_from(height).unwrap_or(u16::MAX).min(frame.area().height / 2)
    });
    // If the screen is small, the arrows and the bar come first.
    let header = if frame.area().height >= 6 { 2 } else { 0 };
    let [top, middle, lower, bar] = Layout::vertical([
        Constraint::Length(header),
        Constraint::Min(1),
        Constraint::Length(height),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let width = usize::from(frame.area().width);
    app.height = middle.height.into();
    let seen = app.in_view();
    let picture = picture(app, seen.clone(), width);
    for (line, y) in picture.header().iter().zip(top.y..top.bottom()) {
        frame.render_widget(line_of(line, *theme), Rect::new(top.x, y, top.width, 1));
    }
    let arrows = app.arrows();
    let chosen = app.chosen_of(&arrows);
    draw_arrows(frame, middle, app, (&arrows, seen), &picture, *theme);
    if let Some(details) = details {
        frame.render_widget(details, lower);
    }
    draw_bar(frame, bar, app, (chosen, arrows.len()));
    if app.has_help {
        draw_help(frame);
    }
}

/// The columns of the parties that have a part in the messages `seen`. If there is not room for all, those of
/// the chosen message and of the ones beside it have columns of their own.
fn picture(app: &App, seen: Range<usize>, width: usize) -> Picture {
    let arrows = app.arrows();
    let chosen = app.chosen_of(&arrows).unwrap_or_default();
    let mut nearest: Vec<_> = seen.collect();
    nearest.sort_by_key(|at| at.abs_diff(chosen));
    let parties = nearest.into_iter().flat_map(|at| [arrows[at].from, arrows[at].to]);
    let telling = if app.has_bytes { Telling::BytesFirst } else { Telling::Words };
    Picture::of(app.ladder(), parties, width).telling(telling)
}

fn draw_arrows(
    frame: &mut Frame<'_>,
    area: Rect,
    app: &App,
    (arrows, seen): (&[&Arrow], Range<usize>),
    picture: &Picture,
    theme: Theme,
) {
    let Some(chosen) = app.chosen_of(arrows) else {
        let text = match (&app.user, app.ended.is_some()) {
            (Some(_), _) => "nothing about this user has passed yet",
            (None, false) => "nothing has passed yet",
            (None, true) => "nothing has passed",
        };
        return frame.render_widget(Line::raw(text), area);
    };
    for (at, y) in seen.zip(area.y..area.bottom()) {
        let arrow = arrows[at];
        let line = picture.line(arrow, &time_of_day(arrow.at, &app.zone));
        let is_chosen = at == chosen && (app.chosen.is_some() || app.has_details);
        let style = if is_chosen { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        let row = Rect::new(area.x, y, area.width, 1);
        frame.render_widget(line_of(&line, theme).style(style), row);
    }
}

/// The details of the chosen message, if they are shown.
fn details(app: &App) -> Option<Paragraph<'static>> {
    let arrows = app.arrows();
    let arrow = arrows[app.chosen_of(&arrows).filter(|_| app.has_details)?];
    let this = if app.ladder().is_of_agent() { "this agent" } else { "this node" };
    let party = |id: PartyId| {
        let Some(party) = app.ladder().party(id) else { return "?".to_owned() };
        let other = arrow.remote.to_string();
        match party.address {
            _ if id == PartyId::THIS => format!("{}, {this}", party.name),
            Some(_) if party.name == other => other,
            _ => format!("{} at {other}", party.name),
        }
    };
    let time = time_of_day(arrow.at, &app.zone);
    let mut lines = vec![
        Line::raw(arrow.words.clone()).style(Modifier::BOLD),
        Line::raw(format!("from     {}", party(arrow.from))),
        Line::raw(format!("to       {}", party(arrow.to))),
        Line::raw(format!("message  {}", arrow.message)),
        Line::raw(format!("length   {} bytes", arrow.length)),
    ];
    if let Some(note) = &arrow.note {
        lines.insert(1, Line::raw(format!("note     {note}")));
    }
    let title = format!(" message {} · {} · {time} ", arrow.number, arrow.kind);
    let block = Block::bordered().title(title.replace("·  ", ""));
    Some(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block))
}

fn draw_bar(frame: &mut Frame<'_>, area: Rect, app: &App, (chosen, count): (Option<usize>, usize)) {
    let style = Style::new().add_modifier(Modifier::REVERSED);
    if let Some(typing) = &app.typing {
        let hint = app.wrong_user.as_deref().unwrap_or("Enter takes it, empty is all, Esc leaves it");
        let text = format!(" only about user: {typing}▏ {hint}");
        return frame.render_widget(Line::raw(text).style(style), area);
    }
    // If the bar is short, the first parts are shown.
    let mut parts = Vec::new();
    if let Some(waiting) = app.waiting() {
        parts.push(format!("paused, {waiting} more"));
    }
    parts.push(match (chosen, app.chosen) {
        (Some(chosen), Some(_)) => format!("{} of {count}", chosen + 1),
        _ => format!("{count} messages"),
    });
    if let Some(forgotten) = app.forgotten() {
        parts.push(format!("{forgotten} before them forgotten"));
    }
    if let Some(user) = &app.user {
        parts.push(format!("about {}", diagnostics::escaped(user)));
    }
    if app.missed > 0 {
        parts.push(format!("{} missed", app.missed));
    }
    match app.wrong {
        0 => {}
        1 => parts.push("1 line is no line of a log".into()),
        wrong => parts.push(format!("{wrong} lines are no lines of a log")),
    }
    if app.is_away {
        parts.push(AWAY.into());
    }
    if let Some(ended) = &app.ended {
        parts.push(ended.clone());
    }
    parts.push(if app.has_bytes { BYTES_KEYS } else { WORDS_KEYS }.into());
    frame.render_widget(Line::raw(format!(" {}", parts.join(" · "))).style(style), area);
}

fn draw_help(frame: &mut Frame<'_>) {
    let area = frame.area();
    let room = usize::from(area.width.saturating_sub(2));
    let rows: Vec<_> = KEYS
        .iter()
        .flat_map(|(keys, what)| side_by_side(keys, what, KEYS_WIDTH, room))
        .map(Line::raw)
        .collect();
    let of = |length: usize| u16::try_from(length + 2).unwrap_or(u16::MAX);
    let height = of(rows.len()).min(area.height);
    let width = of(rows.iter().map(Line::width).max().unwrap_or_default()).min(area.width);
    let place = Rect::new((area.width - width) / 2, (area.height - height) / 2, width, height);
    frame.render_widget(Clear, place);
    let block = Block::bordered().title(" keys ");
    frame.render_widget(Paragraph::new(rows).block(block), place);
}

fn line_of(line: &message_ladder::Line, theme: Theme) -> Line<'static> {
    line.spans.iter().map(|span| Span::styled(span.text.clone(), theme.style(span.look))).collect()
}

/// The keys that the bar names.
const WORDS_KEYS: &str = "b bytes  ? help  q quit";
const BYTES_KEYS: &str = "b words  ? help  q quit";

/// The keys and their effects, which are in `app.rs`.
const KEYS: [(&str, &str); 11] = [
    ("↑ ↓ PgUp PgDn", "choose a message"),
    ("Home, End", "the first one; the last one, and those to come"),
    ("Enter", "all about the chosen message, its bytes too, or no more"),
    ("b", "the bytes of each message, or what it says alone"),
    ("/ or u", "only what is about a user"),
    ("p", "pause, go on"),
    ("?", "these lines"),
    ("q, Ctrl-C", "leave"),
    ("Ctrl-L, Ctrl-Z", "draw all again; suspend, until the shell's fg"),
    ("Esc", "close these lines, the details, the filter; or leave"),
    ("green, cyan", "the node sent it, the node received it; yellow: a note"),
];

/// The width of the column with the keys.
const KEYS_WIDTH: usize = 17;
