//! The state of user and conversation, and the input line.

use mi_agent_core::{Peer, PeerSecurity};
use mi_proto::split_line;
use plumi_proto::MiAddress;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Position, Rect};
use ratatui::text::Line;
use unicode_width::UnicodeWidthStr;

use super::{bar, cut, first_that_fits, span};
use crate::command::{Command, Mode, in_mode};
use crate::full::app::{App, Registration};
use crate::full::protection::{self, Sentence};
use crate::full::tab::{About, ConversationState, address_of};
use crate::full::theme::Theme;

/// Draws two rows: the user, and the conversation or the completions on offer.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: &Theme) {
    let [own, state] = Layout::vertical([Constraint::Length(1), Constraint::Length(1)]).areas(area);
    let is_unregistered = matches!(app.registration, Registration::Waiting(_) | Registration::Lost(_));
    let needs_attention = is_unregistered || app.disk_trouble.is_some() || app.key_log.is_some();
    let style = if needs_attention { theme.chosen } else { theme.bar };
    bar(frame, own, Line::raw(first_that_fits(&own_variants(app), own.width)), style);
    if let Some(line) = offered(app, state.width, theme) {
        return frame.render_widget(line, state);
    }
    bar(frame, state, Line::raw(first_that_fits(&conversation_variants(app), state.width)), theme.bar);
}

/// Draws the input line, with its number of frames if there are several.
pub(super) fn draw_input(frame: &mut Frame<'_>, area: Rect, app: &App, theme: &Theme) {
    let counter = frames(app).map_or_else(String::new, |count| format!(" {count} frames"));
    let counted = u16::try_from(counter.width()).unwrap_or(0);
    let [prompt, line, count] =
        Layout::horizontal([Constraint::Length(2), Constraint::Min(1), Constraint::Length(counted)])
            .areas(area);
    frame.render_widget(Line::styled("> ", theme.own), prompt);
    let (text, cursor) = app.tab().editor.visible(line.width);
    frame.render_widget(Line::styled(text, theme.text), line);
    frame.render_widget(Line::styled(counter, theme.faint).alignment(Alignment::Right), count);
    if app.overlay.is_none() {
        frame.set_cursor_position(Position { x: line.x + cursor, y: line.y });
    }
}

/// Counts the frames of the line in view; `None` if the line is not sent, or fits one frame.
fn frames(app: &App) -> Option<usize> {
    let line = app.tab().editor.line();
    let Ok(Command::Say(text)) = Command::parse(line, Mode::Full, &app.own) else { return None };
    split_line(text).ok().map(Iterator::count).filter(|count| *count > 1)
}

fn own_variants(app: &App) -> Vec<String> {
    let (own, nickname) = (app.own, &app.nickname);
    let counts = app.messages.map(|messages| format!(" · E {} R {}", messages.sent, messages.received));
    let counts = counts.unwrap_or_default();
    let (long, short) = match &app.registration {
        Registration::Registering => ("registering …".into(), "registering …"),
        Registration::Waiting(reason) => (format!("NOT registered yet: {reason}"), "NOT registered yet"),
        Registration::Registered { node } => (format!("registered at node {node}"), "registered"),
        Registration::Lost(reason) => (format!("NOT registered: {reason}"), "NOT registered"),
        Registration::Leaving => ("deregistering …".into(), "deregistering …"),
    };
    // Both are in every tab, as neither may be overlooked.
    let key_log = app.key_log.as_ref().map(|file| format!("keys are written to {file}"));
    let notes: Vec<_> = key_log.into_iter().chain(app.disk_trouble.clone()).collect();
    if !notes.is_empty() {
        let notes = notes.join(" · ");
        return vec![
            format!(" {own} as {nickname} · {long} · {notes}"),
            format!(" {own} · {short} · {notes}"),
            format!(" {short} · {notes}"),
            format!(" {notes}"),
        ];
    }
    vec![
        format!(" {own} as {nickname} · {long}{counts}"),
        format!(" {own} · {long}{counts}"),
        format!(" {own} · {short}{counts}"),
        format!(" {short} · {own}"),
    ]
}

fn conversation_variants(app: &App) -> Vec<String> {
    match &app.tab().conversation {
        ConversationState::Open { peer, waiting, is_ending, .. } => {
            let mut state = String::new();
            if *is_ending {
                state.push_str(" · ending");
            }
            if *waiting > 0 {
                state.push_str(&format!(" · {waiting} lines wait"));
            }
            open_variants(peer, &app.own, &state)
        }
        ConversationState::Calling => {
            vec![format!(" calling {} … /bye gives up", app.tab().title()), " calling … /bye gives up".into()]
        }
        ConversationState::None => match app.tab().about {
            About::Contact(address) => vec![
                format!(" in no conversation · /call calls {address}, /close closes the tab"),
                format!(" /call calls {address}"),
                " /call calls again".into(),
            ],
            About::Stranger(_) => {
                vec![" in no conversation · /close closes the tab".into(), " /close".into()]
            }
            About::Agent => vec![
                " in no conversation here · /call ADDRESS calls somebody, F1 helps".into(),
                " /call ADDRESS calls · F1 helps".into(),
            ],
        },
    }
}

/// The variants of a conversation that is open, in this `state`. The address is what a key proves; a nickname
/// is chosen.
fn open_variants(peer: &Peer, own: &MiAddress, state: &str) -> Vec<String> {
    let Sentence { long, short } = Sentence::about(&peer.security, peer.address.as_ref());
    let address = address_of(peer, own).unwrap_or_else(|| "?".into());
    let who = format!("{address} as {}", peer.nickname);
    let (remote, doubt) = match peer.security {
        PeerSecurity::Plain { .. } => (peer.remote, ", both unverified"),
        _ => (peer.remote, ""),
    };
    vec![
        format!(" in conversation with {who}{doubt}, at {remote}{state} · {long}"),
        format!(" {who}{doubt}{state} · {long}"),
        format!(" {who}{state} · {long}"),
        format!(" {who}{state} · {short}"),
        format!(" {long}{state}"),
        format!(" {short}{state}"),
        format!(" {}{state}", protection::word(&peer.security)),
    ]
}

/// The completions on offer, or the meaning of the command that is being typed.
fn offered(app: &App, width: u16, theme: &Theme) -> Option<Line<'static>> {
    let editor = &app.tab().editor;
    if let Some(completion) = editor.completion() {
        let mut line = Line::default();
        // The selected one is in view, whatever precedes it.
        let first = completion.chosen.saturating_sub(2);
        for (at, offered) in completion.lines.iter().enumerate().skip(first) {
            let word = offered.trim_end().rsplit(' ').next().unwrap_or_default().to_owned();
            let style = if at == completion.chosen { theme.chosen } else { theme.faint };
            line.push_span(span(format!(" {word} "), style));
        }
        return Some(line);
    }
    let rest = editor.line().strip_prefix('/').filter(|rest| !rest.starts_with('/'))?;
    let word = rest.split(' ').next().unwrap_or_default();
    let known: Vec<_> = in_mode(Mode::Full).filter(|known| known.begins_with(word)).collect();
    let text = match &known[..] {
        [] => format!("there is no command /{word}; F1 lists them"),
        [one] => format!("{} – {}", one.usage(), one.meaning),
        several => several.iter().map(|one| one.usage()).collect::<Vec<_>>().join("  "),
    };
    let safe = mi_agent_core::safe_text(&text);
    Some(Line::styled(cut(&format!(" {safe}"), usize::from(width)), theme.faint))
}
