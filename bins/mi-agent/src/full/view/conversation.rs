//! The pane of a tab, and that of the protocol.

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders};
use unicode_width::UnicodeWidthStr;

use super::{cut, span, time};
use crate::full::app::App;
use crate::full::pane::{Kind, Pane, paragraph};
use crate::full::theme::Theme;

/// Draws the entries: time, nickname and text side by side.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &mut App, theme: &Theme, now: Timestamp) {
    let zone = app.zone.clone();
    let names = match area.width {
        ..50 => 7,
        50..70 => 9,
        70.. => 12,
    };
    let before = TIME + names + 1;
    draw_pane(frame, area, &mut app.tab_mut().pane, before, theme, |at, kind| {
        let (name, style) = match kind {
            Kind::News => ("*", theme.news),
            Kind::Failure => ("!", theme.failure),
            Kind::Own(name) => (name.as_str(), theme.own),
            Kind::Peer(name) => (name.as_str(), theme.peer),
            Kind::Earlier(name) => (name.as_str(), theme.faint),
            Kind::Passed(_) => ("", theme.text),
        };
        let name = cut(name, usize::from(names));
        let room = " ".repeat(usize::from(names).saturating_sub(name.width()));
        let time = time(at, now, &zone);
        Line::from(vec![span(format!("{time} "), theme.faint), span(format!("{room}{name} "), style)])
    });
}

/// Draws the protocol window, below a line.
pub(super) fn draw_protocol(frame: &mut Frame<'_>, area: Rect, app: &mut App, theme: &Theme) {
    let title = " protocol: E sent, R received · F2 closes ";
    let title = cut(title, usize::from(area.width));
    let block = Block::new().borders(Borders::TOP).title(title).border_style(theme.faint);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let zone = app.zone.clone();
    draw_pane(frame, inner, &mut app.protocol.pane, SECONDS + 1, theme, |at, _| {
        let time = at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string();
        Line::from(span(time, theme.faint))
    });
    if app.protocol.pane.is_empty() {
        frame.render_widget(Line::styled("nothing has passed yet", theme.faint), inner);
    }
}

/// Draws entries, each with a prefix of so many columns `before` its text.
fn draw_pane(
    frame: &mut Frame<'_>,
    area: Rect,
    pane: &mut Pane,
    before: u16,
    theme: &Theme,
    prefix: impl Fn(Timestamp, &Kind) -> Line<'static>,
) {
    let before = before.min(area.width);
    let (is_at_end, unseen) = (pane.is_at_end(), pane.unseen());
    let text_width = area.width - before;
    for visible in pane.visible(text_width, area.height) {
        let top = area.y + visible.top;
        if visible.above == 0 {
            let beside = Rect { y: top, width: before, height: 1, ..area };
            frame.render_widget(prefix(visible.entry.at, &visible.entry.kind), beside);
        }
        let beside = Rect { x: area.x + before, y: top, width: text_width, height: visible.rows };
        frame.render_widget(paragraph(visible.entry, theme).scroll((visible.above, 0)), beside);
    }
    if !is_at_end && area.height > 0 {
        let mark = match unseen {
            0 => " ↓ Esc: to the end ".into(),
            1 => " ↓ 1 new line · Esc ".into(),
            more => format!(" ↓ {more} new lines · Esc "),
        };
        mark_at_bottom(frame, area, &mark, theme.chosen);
    }
}

fn mark_at_bottom(frame: &mut Frame<'_>, area: Rect, mark: &str, style: Style) {
    let width = u16::try_from(mark.width()).unwrap_or(u16::MAX).min(area.width);
    let place = Rect { x: area.right() - width, y: area.bottom() - 1, width, height: 1 };
    frame.render_widget(Line::styled(mark.to_owned(), style).alignment(Alignment::Right), place);
}

/// The columns of a time and the blank behind it.
const TIME: u16 = 6;

/// The columns of a time with seconds.
const SECONDS: u16 = 8;
