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
    let labels = |all_words: bool| -> Vec<_> {
        let tabs = app.tabs.iter().enumerate();
        tabs.map(|(at, tab)| label(at, tab, all_words || at == app.current, app.missed, width)).collect()
    };
    let mut all = labels(true);
    if columns(&all) > width {
        // Nothing is said in a tab out of view, and none should have to be looked for.
        all = labels(false);
    }
    let (labels, has_room) = (&all, columns(&all) <= width);
    let mut first = 0;
    while !has_room && first < app.current && columns(&labels[first..=app.current]) + ROOM_FOR_MORE > width {
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

/// Returns the label of a tab, with the word for its protection if `has_word`.
fn label(at: usize, tab: &Tab, has_word: bool, missed: usize, width: usize) -> String {
    let number = at + 1;
    let missed = if at == 0 && missed > 0 { format!(" · {missed} missed") } else { String::new() };
    let unread = if tab.unread > 0 { format!(" ({})", tab.unread) } else { String::new() };
    let word = tab.protection().filter(|_| has_word);
    let protection = word.map_or_else(String::new, |word| format!(" · {word}"));
    let room = width.saturating_sub(14 + protection.width());
    let title = cut(&tab.title(), room.clamp(6, MAX_TITLE));
    format!(" {number} {title}{protection}{missed}{unread} ")
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
