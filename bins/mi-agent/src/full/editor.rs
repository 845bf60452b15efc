//! The input line: moving and deleting by letters and words, the history, completion.

use std::collections::VecDeque;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::{Input, InputRequest};

/// The input line and its history.
#[derive(Debug, Default)]
pub(crate) struct Editor {
    input: Input,
    /// The oldest first.
    history: VecDeque<String>,
    /// The history line in view, if any, and the input that it replaced.
    recalled: Option<(usize, String)>,
    completion: Option<Completion>,
}

/// The lines that Tab can complete to.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) lines: Vec<String>,
    pub(crate) chosen: usize,
}

impl Editor {
    pub(crate) fn line(&self) -> &str {
        self.input.value()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.line().is_empty()
    }

    /// The completions on offer, if any.
    pub(crate) fn completion(&self) -> Option<&Completion> {
        self.completion.as_ref()
    }

    /// Returns the part of the line that fits `width` columns, and the column of the cursor in it.
    pub(crate) fn visible(&self, width: u16) -> (String, u16) {
        // One column is for a cursor behind the end.
        let room = usize::from(width.saturating_sub(1));
        let skipped = self.input.visual_scroll(room);
        let mut columns = 0;
        let visible = graphemes(self.line()).filter(|(_, wide)| {
            let is_in_view = columns >= skipped && columns + wide <= skipped + usize::from(width);
            columns += wide;
            is_in_view
        });
        let text = visible.map(|(grapheme, _)| grapheme).collect();
        let cursor = self.input.visual_cursor().saturating_sub(skipped);
        (text, u16::try_from(cursor).unwrap_or(width).min(width.saturating_sub(1)))
    }

    /// Takes a key. Returns `false` if no line uses it.
    pub(crate) fn key(&mut self, key: KeyEvent) -> bool {
        let Some(request) = request(key) else { return false };
        if !matches!(request, InputRequest::InsertChar(character) if !is_typed(character)) {
            self.input.handle(request);
        }
        self.completion = None;
        true
    }

    /// Inserts `text` at the cursor, without the characters that cannot be shown.
    pub(crate) fn insert(&mut self, text: &str) {
        let visible = text.chars().map(|character| if character == '\t' { ' ' } else { character });
        let inserted: String = visible.filter(|&character| is_typed(character)).collect();
        // All of it at once: each single character would be looked for from the beginning of the line.
        let mut line = self.line().to_owned();
        let cursor = self.input.cursor();
        let at = line.char_indices().nth(cursor).map_or(line.len(), |(at, _)| at);
        line.insert_str(at, &inserted);
        let input = std::mem::take(&mut self.input).with_value(line);
        self.input = input.with_cursor(cursor + inserted.chars().count());
        self.completion = None;
    }

    /// Takes the line out, to be carried out, and adds it to the history.
    pub(crate) fn take(&mut self) -> String {
        let line = self.input.value_and_reset();
        (self.recalled, self.completion) = (None, None);
        if !line.is_empty() && self.history.back() != Some(&line) {
            if self.history.len() == MAX_HISTORY {
                self.history.pop_front();
            }
            self.history.push_back(line.clone());
        }
        line
    }

    /// Replaces the line by `line`.
    pub(crate) fn set(&mut self, line: String) {
        self.input = std::mem::take(&mut self.input).with_value(line);
        self.completion = None;
    }

    /// Clears the line; the history keeps it.
    pub(crate) fn clear(&mut self) {
        self.take();
    }

    /// Shows the previous line of the history.
    pub(crate) fn earlier(&mut self) {
        let at = self.recalled.as_ref().map_or(self.history.len(), |(at, _)| *at);
        if let Some(line) = at.checked_sub(1).and_then(|at| self.history.get(at)).cloned() {
            let typed = self.recalled.take().map_or_else(|| self.line().to_owned(), |(_, typed)| typed);
            self.set(line);
            self.recalled = Some((at - 1, typed));
        }
    }

    /// Shows the next line of the history, and at last the input that the history replaced.
    pub(crate) fn later(&mut self) {
        let Some((at, typed)) = self.recalled.take() else { return };
        match self.history.get(at + 1).cloned() {
            Some(line) => {
                self.set(line);
                self.recalled = Some((at + 1, typed));
            }
            None => self.set(typed),
        }
    }

    /// Completes the line to the first of its `completions`. Called again, it goes to the next one, or `back`
    /// to the previous one.
    pub(crate) fn complete(&mut self, back: bool, completions: impl FnOnce(&str) -> Vec<String>) {
        let completion = match self.completion.take() {
            Some(Completion { lines, chosen }) => {
                let step = if back { lines.len() - 1 } else { 1 };
                Completion { chosen: (chosen + step) % lines.len(), lines }
            }
            None => Completion { lines: completions(self.line()), chosen: 0 },
        };
        let Some(line) = completion.lines.get(completion.chosen).cloned() else { return };
        self.set(line);
        self.completion = Some(completion).filter(|completion| completion.lines.len() > 1);
    }
}

/// The edit that a key makes, as in shells.
fn request(key: KeyEvent) -> Option<InputRequest> {
    const NONE: KeyModifiers = KeyModifiers::NONE;
    const CTRL: KeyModifiers = KeyModifiers::CONTROL;
    const ALT: KeyModifiers = KeyModifiers::ALT;
    let modifiers = key.modifiers.difference(KeyModifiers::SHIFT);
    Some(match (key.code, modifiers) {
        (KeyCode::Left, NONE) | (KeyCode::Char('b'), CTRL) => InputRequest::GoToPrevChar,
        (KeyCode::Right, NONE) | (KeyCode::Char('f'), CTRL) => InputRequest::GoToNextChar,
        (KeyCode::Left, CTRL | ALT) | (KeyCode::Char('b'), ALT) => InputRequest::GoToPrevWord,
        (KeyCode::Right, CTRL | ALT) | (KeyCode::Char('f'), ALT) => InputRequest::GoToNextWord,
        (KeyCode::Home, NONE) | (KeyCode::Char('a'), CTRL) => InputRequest::GoToStart,
        (KeyCode::End, NONE) | (KeyCode::Char('e'), CTRL) => InputRequest::GoToEnd,
        (KeyCode::Backspace, NONE) | (KeyCode::Char('h'), CTRL) => InputRequest::DeletePrevChar,
        (KeyCode::Delete, NONE) => InputRequest::DeleteNextChar,
        (KeyCode::Backspace, CTRL | ALT) | (KeyCode::Char('w'), CTRL) => InputRequest::DeletePrevWord,
        (KeyCode::Delete, CTRL | ALT) | (KeyCode::Char('d'), ALT) => InputRequest::DeleteNextWord,
        (KeyCode::Char('u'), CTRL) => InputRequest::DeleteFromStart,
        (KeyCode::Char('k'), CTRL) => InputRequest::DeleteTillEnd,
        (KeyCode::Char('y'), CTRL) => InputRequest::Yank,
        // Ctrl and Alt together are AltGr: a letter on the third level of some keyboards.
        (KeyCode::Char(character), modifiers) if modifiers.is_empty() || modifiers == CTRL | ALT => {
            InputRequest::InsertChar(character)
        }
        _ => return None,
    })
}

/// Whether a line may contain the character: none that moves its neighbours on the screen.
fn is_typed(character: char) -> bool {
    !character.is_control() && !matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The grapheme clusters of a text, each with its width in columns.
fn graphemes(text: &str) -> impl Iterator<Item = (&str, usize)> {
    use unicode_segmentation::UnicodeSegmentation;
    use unicode_width::UnicodeWidthStr;
    text.graphemes(true).map(|grapheme| (grapheme, grapheme.width()))
}

/// The most lines in the history: those of an evening.
const MAX_HISTORY: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Editor {
        let mut editor = Editor::default();
        editor.insert(text);
        editor
    }

    fn press(editor: &mut Editor, code: KeyCode, modifiers: KeyModifiers) {
        assert!(editor.key(KeyEvent::new(code, modifiers)), "{code:?} {modifiers:?}");
    }

    #[test]
    fn keys_move_and_delete() {
        use KeyCode::{Backspace, Char, Delete, End, Home, Left, Right};
        let (none, ctrl, alt) = (KeyModifiers::NONE, KeyModifiers::CONTROL, KeyModifiers::ALT);
        // After each key, `x` is typed, and this is there.
        for (keys, line) in [
            (&[(Left, none)][..], "una, dos trexs"),
            (&[(Left, ctrl)], "una, dos xtres"),
            (&[(Left, ctrl), (Char('b'), alt)], "una, xdos tres"),
            (&[(Home, none)], "xuna, dos tres"),
            (&[(Char('a'), ctrl), (Right, none)], "uxna, dos tres"),
            (&[(Home, none), (Right, ctrl)], "una, xdos tres"),
            (&[(Home, none), (End, none)], "una, dos tresx"),
            (&[(Backspace, none)], "una, dos trex"),
            (&[(Char('w'), ctrl)], "una, dos x"),
            (&[(Char('w'), ctrl), (Backspace, alt)], "una, x"),
            (&[(Home, none), (Delete, none)], "xna, dos tres"),
            (&[(Home, none), (Char('d'), alt)], "xdos tres"),
            (&[(Left, ctrl), (Char('u'), ctrl)], "xtres"),
            (&[(Left, ctrl), (Char('k'), ctrl)], "una, dos x"),
            (&[(Left, ctrl), (Char('k'), ctrl), (Home, none), (Char('y'), ctrl)], "tresxuna, dos "),
        ] {
            let mut editor = typed("una, dos tres");
            keys.iter().for_each(|&(code, modifiers)| press(&mut editor, code, modifiers));
            press(&mut editor, Char('x'), none);
            assert_eq!(editor.line(), line, "{keys:?}");
        }
        assert!(!Editor::default().key(KeyEvent::new(Char('z'), ctrl)));
        assert!(!Editor::default().key(KeyEvent::new(KeyCode::Up, none)));
    }

    /// A letter with its accent, and an emoji of two parts, are one each.
    #[test]
    fn what_is_one_letter_to_the_reader_is_one() {
        for letter in ["a\u{301}", "❤\u{fe0f}", "👍🏽", "你"] {
            let mut editor = typed(&format!("x{letter}"));
            press(&mut editor, KeyCode::Backspace, KeyModifiers::NONE);
            assert_eq!(editor.line(), "x", "{letter}");
        }
    }

    #[test]
    fn what_is_typed_is_in_view_with_its_cursor() {
        for (text, left, view, cursor) in [
            ("hola", 0, "hola", 4),
            ("hola", 2, "hola", 2),
            ("0123456789", 0, "123456789", 9),
            ("0123456789", 10, "0123456789", 0),
            ("你好你好你", 0, "好你好你", 8),
            ("a\u{301}b", 0, "a\u{301}b", 2),
        ] {
            let mut editor = typed(text);
            (0..left).for_each(|_| press(&mut editor, KeyCode::Left, KeyModifiers::NONE));
            assert_eq!(editor.visible(10), (view.into(), cursor), "{text} {left}");
        }
        assert_eq!(typed("hola").visible(0).1, 0);
    }

    #[test]
    fn what_was_typed_before_is_recalled() {
        let mut editor = Editor::default();
        for line in ["one", "two", "two", ""] {
            editor.set(line.into());
            assert_eq!(editor.take(), line);
        }
        editor.insert("thr");
        let mut seen = Vec::new();
        for step in
            [Editor::earlier, Editor::earlier, Editor::earlier, Editor::later, Editor::later, Editor::later]
        {
            step(&mut editor);
            seen.push(editor.line().to_owned());
        }
        assert_eq!(seen, ["two", "one", "one", "two", "thr", "thr"]);
        editor.clear();
        editor.earlier();
        assert_eq!(editor.line(), "thr", "what was not sent is not lost");
    }

    #[test]
    fn history_is_bounded() {
        let mut editor = Editor::default();
        for n in 0..=MAX_HISTORY {
            editor.set(n.to_string());
            editor.take();
        }
        assert_eq!(editor.history.len(), MAX_HISTORY);
        assert_eq!(editor.history[0], "1");
    }

    #[test]
    fn completion_goes_round_until_something_is_typed() {
        let completions = |line: &str| -> Vec<String> {
            ["/call", "/close"]
                .iter()
                .filter(|whole| whole.starts_with(line))
                .map(|&whole| whole.into())
                .collect()
        };
        let mut editor = typed("/c");
        for (back, line) in [(false, "/call"), (false, "/close"), (false, "/call"), (true, "/close")] {
            editor.complete(back, completions);
            assert_eq!(editor.line(), line);
        }
        assert_eq!(editor.completion().unwrap().chosen, 1);
        editor.insert("!");
        assert!(editor.completion().is_none());
        editor.complete(false, completions);
        assert_eq!(editor.line(), "/close!");
        let mut editor = typed("/cl");
        editor.complete(false, completions);
        assert_eq!(editor.line(), "/close");
        assert!(editor.completion().is_none(), "there is nothing to choose");
    }

    #[test]
    fn what_is_pasted_comes_where_the_cursor_is() {
        let mut editor = typed("你e\u{301}o");
        press(&mut editor, KeyCode::Left, KeyModifiers::NONE);
        editor.insert("x👋🏽\x07");
        press(&mut editor, KeyCode::Char('y'), KeyModifiers::NONE);
        assert_eq!(editor.line(), "你e\u{301}x👋🏽yo");
    }

    #[test]
    fn controls_are_not_typed() {
        assert_eq!(typed("a\tb\x1b\u{7f}\u{202e}c").line(), "a bc");
    }
}
