//! The state of the screen. It receives keys and messages, draws nothing and waits for nothing.

use std::mem;
use std::ops::Range;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use jiff::tz::TimeZone;
use message_ladder::{Arrow, Ladder};

use crate::reason;
use crate::watch::source::{LineCounts, SourceEvent};
use crate::watch::user;

/// The messages and what is shown of them.
pub(super) struct App {
    live: MessageHistory,
    /// A copy of the messages at the moment of a pause, which is shown meanwhile.
    paused: Option<MessageHistory>,
    pub(super) zone: TimeZone,
    pub(super) user: Option<String>,
    /// The text of the filter while the user types it.
    pub(super) typing: Option<String>,
    /// The number of the chosen arrow; `None` follows the last one.
    pub(super) chosen: Option<u64>,
    pub(super) has_details: bool,
    pub(super) has_help: bool,
    /// Set if the bytes of messages are shown, and not their meaning alone.
    pub(super) has_bytes: bool,
    /// The number of arrows that fit, as of the last drawing.
    pub(super) height: usize,
    pub(super) missed: u64,
    pub(super) wrong: u64,
    pub(super) ended: Option<String>,
    /// Set if the node has ended and is waited for.
    pub(super) is_away: bool,
    /// The reason why the typed text is not a user.
    pub(super) wrong_user: Option<String>,
    failure: Option<anyhow::Error>,
    lines: LineCounts,
    is_left: bool,
    is_suspended: bool,
    is_redrawn: bool,
}

/// The last messages, and the number of all so far.
#[derive(Clone)]
struct MessageHistory {
    ladder: Ladder,
    count: u64,
}

impl App {
    /// A state without messages, for those of `owner`.
    pub(super) fn new(owner: &str, user: Option<&str>) -> Self {
        Self {
            live: MessageHistory { ladder: Ladder::new(owner, MAX_ARROWS), count: 0 },
            paused: None,
            zone: TimeZone::system(),
            user: user.map(str::to_owned),
            typing: None,
            chosen: None,
            has_details: false,
            has_help: false,
            has_bytes: false,
            height: 1,
            missed: 0,
            wrong: 0,
            ended: None,
            is_away: false,
            wrong_user: None,
            failure: None,
            lines: LineCounts::default(),
            is_left: false,
            is_suspended: false,
            is_redrawn: false,
        }
    }

    /// Handles an event of the source, or its failure.
    pub(super) fn handle(&mut self, event: anyhow::Result<SourceEvent>) {
        match event {
            Ok(SourceEvent::Message { number, at, entry }) => {
                self.lines.read();
                let MessageHistory { ladder, count } = &mut self.live;
                *count += 1;
                number.into_iter().for_each(|number| ladder.skip_to(number));
                ladder.push(at, &entry);
            }
            Ok(SourceEvent::Missed(count)) => self.missed = self.missed.saturating_add(count),
            Ok(SourceEvent::Wrong { .. }) => {
                self.lines.wrong_unseen();
                self.wrong += 1;
            }
            Ok(SourceEvent::Away) => self.is_away = true,
            Ok(SourceEvent::Back) => self.is_away = false,
            Ok(SourceEvent::End(reason)) => self.ended = Some(reason),
            Err(error) => {
                self.ended = Some(reason::in_one_line(&error));
                self.failure = Some(error);
            }
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Returns whether the user has quit.
    pub(super) fn is_left(&self) -> bool {
        self.is_left
    }

    /// Asks for the shell to get the terminal.
    pub(super) fn suspend(&mut self) {
        self.is_suspended = true;
    }

    /// Returns whether the shell is to get the terminal now, and resets the request.
    pub(super) fn take_suspended(&mut self) -> bool {
        mem::take(&mut self.is_suspended)
    }

    /// Returns whether every cell is to be drawn again, and resets the request.
    pub(super) fn take_redrawn(&mut self) -> bool {
        mem::take(&mut self.is_redrawn)
    }

    /// Ends the screen.
    ///
    /// # Errors
    /// The source could not be read, or contained no log.
    pub(super) fn end(self) -> anyhow::Result<()> {
        self.failure.map_or_else(|| self.lines.end(), Err)
    }

    fn shown(&self) -> &MessageHistory {
        self.paused.as_ref().unwrap_or(&self.live)
    }

    /// The ladder that is shown.
    pub(super) fn ladder(&self) -> &Ladder {
        &self.shown().ladder
    }

    /// The arrows that are shown, the oldest first.
    pub(super) fn arrows(&self) -> Vec<&Arrow> {
        let is_shown = |arrow: &&Arrow| self.user.as_deref().is_none_or(|user| arrow.concerns(user));
        self.ladder().arrows().filter(is_shown).collect()
    }

    /// Returns the index of the chosen arrow. If that one is gone, returns the one beside it.
    pub(super) fn chosen_of(&self, arrows: &[&Arrow]) -> Option<usize> {
        let last = arrows.len().checked_sub(1)?;
        let Some(chosen) = self.chosen else { return Some(last) };
        Some(arrows.partition_point(|arrow| arrow.number < chosen).min(last))
    }

    /// The arrows that fit. The chosen one is in the middle, as far as there are others on both sides.
    pub(super) fn in_view(&self) -> Range<usize> {
        let arrows = self.arrows();
        let last_top = arrows.len().saturating_sub(self.height);
        let top = match self.chosen_of(&arrows) {
            Some(chosen) if self.chosen.is_some() => chosen.saturating_sub(self.height / 2).min(last_top),
            _ => last_top,
        };
        top..arrows.len().min(top + self.height)
    }

    /// Returns the number of messages that are no longer stored, if any.
    pub(super) fn forgotten(&self) -> Option<u64> {
        let MessageHistory { ladder, count } = self.shown();
        let kept = u64::try_from(ladder.arrows().len()).ok()?;
        count.checked_sub(kept).filter(|&forgotten| forgotten > 0)
    }

    /// The number of messages since the pause; `None` without a pause.
    pub(super) fn waiting(&self) -> Option<u64> {
        self.paused.as_ref().map(|paused| self.live.count - paused.count)
    }

    /// Handles a key.
    pub(super) fn key(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            match key.code {
                KeyCode::Char('c' | 'd') => self.is_left = true,
                KeyCode::Char('l') => self.is_redrawn = true,
                KeyCode::Char('z') => self.suspend(),
                _ => {}
            }
            return;
        }
        if self.typing.is_some() {
            return self.type_key(key.code);
        }
        let page = i64::try_from(self.height).unwrap_or(1).max(1);
        match key.code {
            KeyCode::Char('q') => self.is_left = true,
            KeyCode::Esc if self.has_help => self.has_help = false,
            KeyCode::Esc if self.has_details => self.has_details = false,
            KeyCode::Esc if self.user.is_some() => self.user = None,
            KeyCode::Esc => self.is_left = true,
            KeyCode::Char('?') => self.has_help = !self.has_help,
            KeyCode::Enter => self.has_details = !self.has_details,
            KeyCode::Char('b') => self.has_bytes = !self.has_bytes,
            KeyCode::Char('/' | 'u') => self.typing = Some(self.user.clone().unwrap_or_default()),
            KeyCode::Char('p') => {
                self.paused = if self.paused.is_some() { None } else { Some(self.live.clone()) };
            }
            KeyCode::Up => self.go(-1),
            KeyCode::Down => self.go(1),
            KeyCode::PageUp => self.go(-page),
            KeyCode::PageDown => self.go(page),
            KeyCode::Home => self.chosen = self.arrows().first().map(|arrow| arrow.number),
            KeyCode::End => self.chosen = None,
            _ => {}
        }
    }

    /// Handles pasted text.
    pub(super) fn paste(&mut self, text: &str) {
        self.wrong_user = None;
        text.chars().for_each(|character| self.type_character(character));
    }

    fn type_key(&mut self, key: KeyCode) {
        match key {
            KeyCode::Char(character) => self.type_character(character),
            KeyCode::Backspace => _ = self.typing.as_mut().and_then(String::pop),
            KeyCode::Esc => self.typing = None,
            KeyCode::Enter => {
                let typed = self.typing.as_deref().unwrap_or_default();
                if let Some(wrong) = user(typed).err().filter(|_| !typed.is_empty()) {
                    self.wrong_user = Some(wrong);
                    return;
                }
                self.user = self.typing.take().filter(|user| !user.is_empty());
            }
            _ => {}
        }
        self.wrong_user = None;
    }

    fn type_character(&mut self, character: char) {
        if let Some(typing) = &mut self.typing
            && typing.len() + character.len_utf8() <= plumi_proto::MAX_ADDRESS
            && message_log::is_visible(character)
        {
            typing.push(character);
        }
    }

    /// Moves the choice by this many arrows. Beyond the last one, it follows the last.
    fn go(&mut self, by: i64) {
        let arrows = self.arrows();
        let Some(at) = self.chosen_of(&arrows) else { return };
        let to = i64::try_from(at).unwrap_or(i64::MAX).saturating_add(by).max(0);
        let to = usize::try_from(to).unwrap_or(0);
        self.chosen = arrows.get(to).filter(|_| to + 1 < arrows.len()).map(|arrow| arrow.number);
    }
}

/// The maximum number of stored arrows: hours of a class, and some ten megabytes.
const MAX_ARROWS: usize = 20_000;
