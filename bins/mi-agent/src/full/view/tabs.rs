//! The bar of tabs.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use unicode_width::UnicodeWidthStr;

use super::{bar, cut, span};
use crate::full::app::App;
use crate::full::tab::Tab;
use crate::full::theme::Theme;

/// Draws as many tabs as there is room for, the one in view among them.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: &Theme) {
    let width = usize::from(area.width);
    let labels: Vec<_> =
        app.tabs.iter().enumerate().map(|(at, tab)| label(at, tab, app.missed, width)).collect();
    let mut first = 0;
    while first < app.current && columns(&labels[first..=app.current]) + ROOM_FOR_MORE > width {
        first += 1;
    }
    let mut line = Line::default();
    if first > 0 {
        line.push_span(span(format!("‹{}", unread(&app.tabs[..first])), theme.bar));
    }
    let mut left = width.saturating_sub(line.width());
    for (at, text) in labels.iter().enumerate().skip(first) {
        let is_last = at + 1 == labels.len();
        if text.width() + usize::from(!is_last) > left {
            let more = format!("›{}", unread(&app.tabs[at..]));
            line.push_span(span(cut(&more, left), theme.bar));
            break;
        }
        left -= text.width();
        let style = match () {
            () if at == app.current => theme.text.patch(theme.own),
            () if app.tabs[at].unread > 0 => theme.chosen,
            () => theme.bar,
        };
        line.push_span(span(text.as_str(), style));
    }
    bar(frame, area, line, theme.bar);
}

fn label(at: usize, tab: &Tab, missed: usize, width: usize) -> String {
    let number = at + 1;
    let missed = if at == 0 && missed > 0 { format!(" · {missed} missed") } else { String::new() };
    let unread = if tab.unread > 0 { format!(" ({})", tab.unread) } else { String::new() };
    let title = cut(&tab.title(), width.saturating_sub(14).clamp(6, MAX_TITLE));
    format!(" {number} {title}{missed}{unread} ")
}

/// The unread lines of tabs that have no room.
fn unread(hidden: &[Tab]) -> String {
    let unread: usize = hidden.iter().map(|tab| tab.unread).sum();
    if unread > 0 { format!("({unread})") } else { String::new() }
}

fn columns(labels: &[String]) -> usize {
    labels.iter().map(|label| label.width()).sum()
}

/// The columns of a title: enough for every address.
const MAX_TITLE: usize = 36;

/// The columns on either side that report tabs without room.
const ROOM_FOR_MORE: usize = 6;
