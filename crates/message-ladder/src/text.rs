//! Text that fits.

use message_log::printable;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` fit to be shown: as the log would have it, and with nothing before it that a mark at its start
/// could be put on.
pub(crate) fn shown(text: &str) -> String {
    let text = printable(text.as_bytes()).to_string();
    let is_mark = text.chars().next().is_some_and(|first| first.width() == Some(0));
    if is_mark { format!("\u{25cc}{text}") } else { text }
}

/// The beginning of `text` that fits `width` columns of a terminal, with a sign if there is more.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut room = width.saturating_sub(1);
    for grapheme in text.graphemes(true) {
        let Some(left) = room.checked_sub(grapheme.width()) else { break };
        room = left;
        cut.push_str(grapheme);
    }
    if width > 0 {
        cut.push('…');
    }
    cut
}

/// Returns the end of `text` that fits, see [`cut`].
pub(crate) fn cut_front(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let mut from = text.len();
    for (at, grapheme) in text.grapheme_indices(true).rev() {
        let Some(left) = room.checked_sub(grapheme.width()) else { break };
        room = left;
        from = at;
    }
    let sign = if width > 0 { "…" } else { "" };
    format!("{sign}{}", &text[from..])
}
