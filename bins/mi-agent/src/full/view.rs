//! Draws an [`App`]. The view decides the layout and the styles, and nothing else.

mod conversation;
mod overlays;
mod states;
mod tabs;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::app::App;
use super::theme::Theme;

/// Draws the whole screen, as of `now`.
pub(crate) fn draw(frame: &mut Frame<'_>, app: &mut App, theme: &Theme, now: Timestamp) {
    let [tab_bar, middle, states, input] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(2),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let (conversation, protocol) = if app.protocol.is_open {
        let [upper, lower] = Layout::vertical([Constraint::Fill(2), Constraint::Fill(3)]).areas(middle);
        (upper, Some(lower))
    } else {
        (middle, None)
    };
    tabs::draw(frame, tab_bar, app, theme);
    conversation::draw(frame, conversation, app, theme, now);
    app.protocol_top = protocol.map(|area| area.y);
    if let Some(area) = protocol {
        conversation::draw_protocol(frame, area, app, theme);
    }
    states::draw(frame, states, app, theme);
    states::draw_input(frame, input, app, theme);
    overlays::draw(frame, middle, app, theme, now);
}

/// The time of an event, or the date if it was on another day.
fn time(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let format = if at.date() == now.date() { "%H:%M" } else { "%m-%d" };
    at.strftime(format).to_string()
}

/// The time of an event, after the date if it was on another day.
fn date_and_time(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let [day, today] = [at, now].map(|at| at.to_zoned(zone.clone()).date());
    let format = if day == today { "%H:%M" } else { "%m-%d %H:%M" };
    at.to_zoned(zone.clone()).strftime(format).to_string()
}

/// The beginning of `text` that fits `width` columns, with an ellipsis if there is more.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let fits = text.graphemes(true).take_while(|grapheme| {
        let fits = grapheme.width() <= room;
        room = room.saturating_sub(grapheme.width());
        fits
    });
    let mut cut: String = fits.collect();
    if width > 0 {
        cut.push('…');
    }
    cut
}

/// The first of `variants` that fits `width` columns, or the beginning of the last one.
fn first_that_fits(variants: &[String], width: u16) -> String {
    let width = usize::from(width);
    let fitting = variants.iter().find(|variant| variant.width() <= width);
    fitting.cloned().unwrap_or_else(|| cut(variants.last().map_or("", String::as_str), width))
}

/// Draws one row in one style, up to the edge.
fn bar(frame: &mut Frame<'_>, area: Rect, line: Line<'_>, style: ratatui::style::Style) {
    frame.render_widget(line.style(style), area);
}

fn span(text: impl Into<String>, style: ratatui::style::Style) -> Span<'static> {
    Span::styled(text.into(), style)
}

#[cfg(test)]
mod tests;
