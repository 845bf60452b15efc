//! Keys, the wheel, and pasted text.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseEvent, MouseEventKind};
use jiff::Timestamp;
use mi_agent_core::safe_text;
use plumi_proto::MiAddress;

use super::{App, Effect, Overlay};
use crate::full::tab::{About, ConversationState, More};
use crate::session::Wish;

impl App {
    /// A key was pressed.
    pub(crate) fn key(&mut self, now: Timestamp, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        if self.overlay.is_some() && self.overlay_key(now, key) {
            return;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::F(1) => self.overlay = Some(Overlay::Help(0)),
            KeyCode::F(2) => self.protocol.toggle(now),
            KeyCode::F(3) => self.show_contacts(),
            KeyCode::Enter => self.enter(now),
            KeyCode::Tab => self.complete(false),
            KeyCode::BackTab => self.complete(true),
            KeyCode::Up => self.editor().earlier(),
            KeyCode::Down => self.editor().later(),
            KeyCode::PageUp if alt => self.protocol.pane.scroll(self.protocol.pane.page()),
            KeyCode::PageDown if alt => self.protocol.pane.scroll(-self.protocol.pane.page()),
            KeyCode::PageUp => self.scroll(self.tab().pane.page()),
            KeyCode::PageDown => self.scroll(-self.tab().pane.page()),
            KeyCode::Home if control => self.tab_mut().pane.go_to_start(),
            KeyCode::End if control => self.tab_mut().pane.go_to_end(),
            KeyCode::Esc if self.tab().offered.is_some() => {
                self.tab_mut().offered = None;
                self.editor().clear();
            }
            KeyCode::Esc => {
                self.tab_mut().pane.go_to_end();
                self.protocol.pane.go_to_end();
            }
            KeyCode::Char('n') if control => self.show((self.current + 1) % self.tabs.len()),
            KeyCode::Char('p') if control => {
                self.show((self.current + self.tabs.len() - 1) % self.tabs.len());
            }
            KeyCode::Char(digit @ '1'..='9') if alt => {
                let at = digit as usize - '1' as usize;
                if at < self.tabs.len() {
                    self.show(at);
                }
            }
            // Ctrl-C clears the line, as in a shell.
            KeyCode::Char('c') if control && !self.tab().editor.is_empty() => self.editor().clear(),
            KeyCode::Char('c') if control => self.effects.push_back(Effect::Quit { in_a_hurry: true }),
            KeyCode::Char('d') if control && self.tab().editor.is_empty() => {
                self.effects.push_back(Effect::Quit { in_a_hurry: false });
            }
            KeyCode::Char('d') if control => {
                self.editor().key(KeyEvent::new(KeyCode::Delete, KeyModifiers::NONE));
            }
            KeyCode::Char('l') if control => self.effects.push_back(Effect::Redraw),
            KeyCode::Char('z') if control => self.effects.push_back(Effect::Suspend),
            _ => {
                self.editor().key(key);
            }
        }
    }

    /// The wheel was turned.
    pub(crate) fn mouse(&mut self, event: MouseEvent) {
        let up = match event.kind {
            MouseEventKind::ScrollUp => 1,
            MouseEventKind::ScrollDown => -1,
            _ => return,
        };
        match &mut self.overlay {
            Some(Overlay::Help(row)) => *row = row.saturating_add_signed(-up),
            Some(Overlay::Contacts(chosen)) => {
                let last = self.contacts.iter().count().saturating_sub(1);
                *chosen = chosen.saturating_add_signed(isize::from(-up)).min(last);
            }
            Some(Overlay::Paste { .. } | Overlay::Words(_)) => {}
            None if self.protocol_top.is_some_and(|top| event.row >= top) => {
                self.protocol.pane.scroll(isize::from(up) * WHEEL);
            }
            None => self.scroll(isize::from(up) * WHEEL),
        }
    }

    /// Text was pasted: one line goes to the cursor, and several are sent only after a question.
    pub(crate) fn paste(&mut self, now: Timestamp, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let lines: Vec<_> = text.trim_end_matches('\n').split('\n').map(str::to_owned).collect();
        if let [line] = &lines[..] {
            self.overlay = None;
            return self.editor().insert(line);
        }
        match self.tab().conversation {
            ConversationState::Open { id, is_ending: false, .. } if lines.len() <= MAX_PASTED => {
                self.overlay = Some(Overlay::Paste { id, lines });
            }
            ConversationState::Open { .. } => {
                let count = lines.len();
                let reason = format!("{count} lines were pasted and not sent: {MAX_PASTED} are the most");
                self.tab_mut().failure(now, &reason);
            }
            _ => {
                let reason =
                    "several lines were pasted, but you are in no conversation; /call ADDRESS starts one";
                self.tab_mut().failure(now, reason);
            }
        }
    }

    /// Returns whether the terminal has the focus, as far as it reports that.
    pub(crate) fn is_focused(&self) -> bool {
        self.is_focused
    }

    /// The terminal gained or lost the focus.
    pub(crate) fn focus(&mut self, is_focused: bool) {
        self.is_focused = is_focused;
    }

    /// Scrolls up by `rows`, or down if they are negative. At the top, more of the history comes.
    fn scroll(&mut self, rows: isize) {
        if rows > 0 && self.tab().pane.is_at_start() {
            return self.recall_more();
        }
        self.tab_mut().pane.scroll(rows);
    }

    /// Loads more of the history, before what is in view, or says that lines are missing there.
    fn recall_more(&mut self) {
        if self.tab().pane.is_cut() {
            return self.note_cut(self.current);
        }
        let tab = self.tab_mut();
        if let (Some(peer), More::Before(before)) = (tab.address(), tab.more) {
            tab.more = More::Asked;
            self.effects.push_back(Effect::Wish(Wish::RecallMore { peer, before }));
        }
    }

    /// Says at the top of a tab that there was no room for earlier lines.
    pub(super) fn note_cut(&mut self, at: usize) {
        let tab = &mut self.tabs[at];
        tab.more = More::None;
        let printed = match &tab.about {
            About::Contact(peer) if self.keeps_history => format!("; mi-agent history {peer} prints them"),
            About::Stranger(_) if self.keeps_history => "; mi-agent history --unknown prints them".into(),
            _ => String::new(),
        };
        let note = format!("earlier lines are not on the screen{printed}");
        tab.pane.note_cut(safe_text(&note).into_owned());
        tab.pane.scroll(tab.pane.page());
    }

    /// Shows the history with a contact, without calling.
    fn show_history(&mut self, now: Timestamp, peer: MiAddress) {
        let at = self.tabs.iter().position(|tab| tab.address() == Some(peer));
        let at = at.unwrap_or_else(|| self.tab_about(&About::Contact(peer)));
        self.show(at);
        let keeps_history = self.keeps_history;
        let tab = self.tab_mut();
        match tab.more {
            _ if !keeps_history => tab.news(now, "no history is kept"),
            More::First => tab.tells_of_history = true,
            _ => tab.tell_of_history(now),
        }
    }

    /// Passes a key to the overlay. Returns `false` if the overlay does not use it.
    fn overlay_key(&mut self, now: Timestamp, key: KeyEvent) -> bool {
        let Some(overlay) = &mut self.overlay else { return false };
        let contacts = self.contacts.iter().count();
        match (overlay, key.code) {
            (Overlay::Paste { id, lines }, KeyCode::Enter) => {
                let (id, lines) = (*id, std::mem::take(lines));
                self.effects.extend(lines.into_iter().map(|text| Effect::Wish(Wish::Say { id, text })));
                self.overlay = None;
            }
            (Overlay::Paste { .. }, KeyCode::Esc) => {
                self.overlay = None;
                self.tab_mut().news(now, "what was pasted was not sent");
            }
            // The question must be answered first.
            (Overlay::Paste { .. }, _) => {}
            (_, KeyCode::Esc) => self.overlay = None,
            (Overlay::Help(_), KeyCode::F(1) | KeyCode::Enter) => self.overlay = None,
            (Overlay::Contacts(_), KeyCode::F(3)) => self.overlay = None,
            (Overlay::Help(row), KeyCode::Up) => *row = row.saturating_sub(1),
            (Overlay::Help(row), KeyCode::Down) => *row = row.saturating_add(1),
            (Overlay::Help(row), KeyCode::PageUp) => *row = row.saturating_sub(HELP_PAGE),
            (Overlay::Help(row), KeyCode::PageDown) => *row = row.saturating_add(HELP_PAGE),
            (Overlay::Contacts(chosen), KeyCode::Up) => *chosen = chosen.saturating_sub(1),
            (Overlay::Contacts(chosen), KeyCode::Down) => {
                *chosen = (*chosen + 1).min(contacts.saturating_sub(1));
            }
            (Overlay::Contacts(chosen), KeyCode::Char('h')) => {
                let chosen = *chosen;
                self.overlay = None;
                let peer = self.contacts.iter().nth(chosen).map(|contact| contact.address);
                if let Some(peer) = peer {
                    self.show_history(now, peer);
                }
            }
            (Overlay::Contacts(chosen), KeyCode::Delete) => {
                let removed = *chosen;
                *chosen = removed.min(contacts.saturating_sub(2));
                self.contacts.remove(removed);
                self.save_contacts();
            }
            (Overlay::Contacts(chosen), KeyCode::Enter) => {
                let chosen = *chosen;
                self.overlay = None;
                let to = self.contacts.iter().nth(chosen).map(|contact| contact.address);
                if let Some(Err(reason)) = to.map(|to| self.call(now, to)) {
                    self.tab_mut().failure(now, &reason);
                }
            }
            // Any other key closes the window and goes to the tab, so a user can simply go on typing.
            _ => {
                self.overlay = None;
                return false;
            }
        }
        true
    }
}

/// The rows that one step of the wheel scrolls.
const WHEEL: isize = 3;

/// The rows of help that a page scrolls.
const HELP_PAGE: u16 = 8;

/// The most lines pasted at once: fewer than may wait in a conversation.
const MAX_PASTED: usize = 200;
