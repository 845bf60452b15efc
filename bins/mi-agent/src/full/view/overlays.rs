//! The windows over the rest: help, contacts, the question before several lines are sent.

use std::mem;

use full_screen::side_by_side;
use jiff::Timestamp;
use mi_agent_core::{KeyWords, safe_text};
use plumi_proto::MiAddress;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Clear, List, ListState, Paragraph, Wrap};

use super::{cut, date_and_time};
use crate::command::{Mode, also, in_mode};
use crate::full::app::{App, Overlay};
use crate::full::key_help::KEYS;
use crate::full::theme::Theme;
use crate::store::contacts::{Contact, Way};

/// Draws the overlay over `area`, if there is one.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &mut App, theme: &Theme, now: Timestamp) {
    match app.overlay.clone() {
        Some(Overlay::Help(row)) => {
            let row = draw_help(frame, area, row, theme);
            app.overlay = Some(Overlay::Help(row));
        }
        Some(Overlay::Contacts(chosen)) => draw_contacts(frame, area, app, chosen, theme, now),
        Some(Overlay::Paste { lines, .. }) => draw_paste(frame, area, &lines, theme),
        Some(Overlay::Words(words)) => draw_words(frame, area, &app.own, &words, theme),
        None => {}
    }
}

/// Returns the first row in view, which is limited so that the view is never empty.
fn draw_help(frame: &mut Frame<'_>, area: Rect, row: u16, theme: &Theme) -> u16 {
    let inside = over(frame, area, (84, area.height), " help · Esc closes, ↑ ↓ scroll ", theme);
    let mut text = Text::default();
    let mut rows = |title: &str, rows: &mut dyn Iterator<Item = (String, &str)>| {
        text.push_line(Line::styled(title.to_owned(), theme.own));
        for (left, right) in rows {
            let mut left = format!("  {left}");
            let mut indent = 26;
            if inside.width < SIDE_BY_SIDE {
                text.push_line(Line::styled(mem::take(&mut left), theme.own));
                indent = 4;
            }
            for row in side_by_side(&left, right, indent, inside.width.into()) {
                text.push_line(Line::styled(row, theme.text));
            }
        }
    };
    let also = also(Mode::Full).map(|(left, right)| (left.to_owned(), right));
    rows("Commands", &mut in_mode(Mode::Full).map(|known| (known.usage(), known.meaning)).chain(also));
    rows("Keys", &mut KEYS.iter().map(|(left, right)| ((*left).to_owned(), *right)));
    rows("What you see", &mut WHAT_YOU_SEE.iter().map(|(left, right)| ((*left).to_owned(), *right)));
    let help = Paragraph::new(text).wrap(Wrap { trim: false });
    let count = u16::try_from(help.line_count(inside.width)).unwrap_or(u16::MAX);
    let row = row.min(count.saturating_sub(inside.height));
    frame.render_widget(help.scroll((row, 0)), inside);
    row
}

fn draw_contacts(frame: &mut Frame<'_>, area: Rect, app: &App, chosen: usize, theme: &Theme, now: Timestamp) {
    let rows: Vec<_> = app.contacts().map(|contact| contact_row(contact, app, now)).collect();
    let height = u16::try_from(rows.len().max(1)).unwrap_or(u16::MAX).saturating_add(2);
    let inside = over(
        frame,
        area,
        (70, height),
        " contacts · Enter calls, h history, Del removes, Esc closes ",
        theme,
    );
    if rows.is_empty() {
        let nobody = "nobody yet: /call ADDRESS calls, /add ADDRESS adds one";
        return frame.render_widget(Paragraph::new(nobody).wrap(Wrap { trim: true }), inside);
    }
    let rows = rows.into_iter().map(|row| cut(&row, usize::from(inside.width)));
    let list = List::new(rows).highlight_style(theme.chosen);
    frame.render_stateful_widget(list, inside, &mut ListState::default().with_selected(Some(chosen)));
}

fn contact_row(contact: &Contact, app: &App, now: Timestamp) -> String {
    let way = match contact.way {
        _ if !contact.missed.is_empty() => "missed",
        Way::Called => "called",
        Way::CalledBy => "called you",
        Way::Added => "added",
    };
    let at = if contact.missed.is_empty() {
        date_and_time(contact.at, now, &app.zone)
    } else {
        let times: Vec<_> = contact.missed.iter().map(|&at| date_and_time(at, now, &app.zone)).collect();
        times.join(", ")
    };
    let address = safe_text(contact.address.as_str());
    match &contact.nickname {
        Some(nickname) => format!("{address}  {way} {at}  {}", safe_text(nickname)),
        None => format!("{address}  {way} {at}"),
    }
}

fn draw_paste(frame: &mut Frame<'_>, area: Rect, lines: &[String], theme: &Theme) {
    let count = lines.len();
    let height = u16::try_from(count).unwrap_or(u16::MAX).saturating_add(3);
    let inside = over(frame, area, (70, height), &format!(" {count} lines were pasted "), theme);
    let question = "Enter sends them all, Esc sends none:";
    let mut text = Text::from(Line::styled(question, theme.own));
    let room = usize::from(inside.height).saturating_sub(1);
    for line in lines.iter().take(room) {
        text.push_line(Line::styled(cut(&safe_text(line), usize::from(inside.width)), theme.text));
    }
    if count > room {
        let more = count - room.saturating_sub(1);
        text.lines.pop();
        text.push_line(Line::styled(format!("… and {more} more"), theme.faint));
    }
    frame.render_widget(Paragraph::new(text), inside);
}

/// Draws the words of the user's own key, far enough apart to be read out.
fn draw_words(frame: &mut Frame<'_>, area: Rect, own: &MiAddress, words: &KeyWords, theme: &Theme) {
    let before = "Read these words out to the one you talk with, by phone or in person:";
    let after = format!("They are typed there: /verify {own} and the words.");
    let rows = words.words();
    let mut numbered = (1..).zip(rows);
    let mut text = Text::default();
    text.push_line(Line::styled(before, theme.text));
    text.push_line(Line::default());
    while let Some((number, word)) = numbered.next() {
        let mut row = format!("    {number}  {word:<12}");
        if let Some((number, word)) = numbered.next() {
            row.push_str(&format!("{number}  {word}"));
        }
        text.push_line(Line::styled(row, theme.own));
    }
    text.push_line(Line::default());
    text.push_line(Line::styled(after, theme.text));
    let paragraph = Paragraph::new(text).wrap(Wrap { trim: false });
    let width = WORDS_WIDTH.min(area.width);
    let count = paragraph.line_count(width.saturating_sub(2));
    let height = u16::try_from(count).unwrap_or(u16::MAX).saturating_add(2);
    let inside = over(frame, area, (width, height), " the words of your key · Esc closes ", theme);
    frame.render_widget(paragraph, inside);
}

/// Draws a frame in the middle, of so many columns and rows at most. Returns the area inside.
fn over(frame: &mut Frame<'_>, area: Rect, (width, height): (u16, u16), title: &str, theme: &Theme) -> Rect {
    let over =
        area.centered(Constraint::Length(width.min(area.width)), Constraint::Length(height.min(area.height)));
    let title = cut(title, usize::from(over.width.saturating_sub(2)));
    let block = Block::bordered().title(title).border_style(theme.faint);
    let inside = block.inner(over);
    frame.render_widget(Clear, over);
    frame.render_widget(block, over);
    inside
}

/// The columns of the window with words.
const WORDS_WIDTH: u16 = 74;

/// The columns that help needs to show a command and its meaning in one row.
const SIDE_BY_SIDE: u16 = 70;

/// Explanations of signs on the screen that are not obvious.
const WHAT_YOU_SEE: [(&str, &str); 8] = [
    ("* !", "news, a failure and its reason"),
    ("(2) behind a tab", "so many lines came that you have not seen"),
    ("· plain", "anyone on the way can read and change what is said"),
    ("· new · known", "encrypted; a key met for the first time, or again"),
    ("· introduced", "encrypted; the node of the peer's domain has its key"),
    ("· verified", "encrypted, and you compared the words of the key"),
    ("as Joya, unverified", "nicknames prove nothing; addresses only with a key"),
    ("E 4 R 4", "messages sent and received, as in the message log"),
];
