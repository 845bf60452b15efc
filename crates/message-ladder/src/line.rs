//! A line of text, made of cells of a terminal.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// A line of text, its parts in different looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The parts, one after the other.
    pub spans: Vec<Span>,
}

/// Text in one look, without controls in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The text.
    pub text: String,
    /// Its look.
    pub look: Look,
}

/// The look of a text, by its purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Look {
    /// Words.
    Plain,
    /// Times, sizes, the lines of columns.
    Faint,
    /// The name of a party.
    Name,
    /// A message that the owner of the log sent.
    Sent,
    /// A message that it received.
    Received,
    /// Bytes that are no message.
    Malformed,
    /// An observation about a message.
    Note,
}

impl Line {
    /// Its text alone.
    pub fn text(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }

    pub(crate) fn push(&mut self, text: &str, look: Look) {
        match self.spans.last_mut() {
            Some(last) if last.look == look => last.text.push_str(text),
            _ if text.is_empty() => {}
            _ => self.spans.push(Span { text: text.to_owned(), look }),
        }
    }

    pub(crate) fn trim_end(&mut self) {
        while let Some(last) = self.spans.last_mut() {
            last.text.truncate(last.text.trim_end().len());
            if !last.text.is_empty() {
                return;
            }
            self.spans.pop();
        }
    }
}

/// The text in each column of the terminal; nothing in the second one of a wide character.
pub(crate) struct Cells(Vec<(String, Look)>);

impl Cells {
    pub(crate) fn blank(width: usize) -> Self {
        Self(vec![(" ".into(), Look::Plain); width])
    }

    pub(crate) fn write(&mut self, at: usize, text: &str, look: Look) {
        let mut at = at;
        for grapheme in text.graphemes(true) {
            let width = grapheme.width();
            if width == 0 || at + width > self.0.len() {
                continue;
            }
            self.0[at] = (grapheme.to_owned(), look);
            self.0[at + 1..at + width].fill((String::new(), look));
            at += width;
        }
    }

    /// Returns the first `width` columns, with blanks in place of a character of which only a part is seen.
    pub(crate) fn seen(&self, width: usize) -> impl Iterator<Item = (String, Look)> {
        let seen = &self.0[..width.min(self.0.len())];
        seen.iter().enumerate().map(|(at, (text, look))| {
            let is_whole = at + text.width() <= seen.len();
            (if is_whole { text.clone() } else { " ".to_owned() }, *look)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_wide_character_all_is_seen_or_nothing() {
        let mut cells = Cells::blank(6);
        cells.write(0, "東a京b", Look::Name);
        let seen = |width| cells.seen(width).map(|(text, _)| text).collect::<String>();
        for (width, expected) in
            [(6, "東a京b"), (5, "東a京"), (4, "東a "), (3, "東a"), (1, " "), (9, "東a京b"), (0, "")]
        {
            assert_eq!(seen(width), expected, "{width}");
        }
    }
}
