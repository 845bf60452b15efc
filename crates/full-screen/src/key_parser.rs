//! The parser of the bytes that a terminal sends: keys, pasted text, and reports of the mouse and the focus.
//!
//! It reads no clock.
//!
//! ```text
//! ESC [ 200 ~ text ESC [ 201 ~                          pasted text
//! ESC [ parameters letter · ESC [ number ; modifiers ~  keys that are no characters
//! ESC [ < button ; column ; row M                       the mouse, as xterm (1006) has it
//! ESC [ M button column row · ESC [ b ; c ; r M         the mouse, as older terminals have it
//! ESC [ I · ESC [ O                                     the focus
//! ESC O letter                                          F1 to F4, and keys of an application
//! ESC character                                         Alt and a character
//! ```

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

/// Bytes of a terminal, as events.
#[derive(Debug, Default)]
pub(crate) struct KeyParser {
    /// The beginning of a sequence or of a character.
    begun: Vec<u8>,
    paste: Option<Paste>,
    events: VecDeque<Event>,
}

/// Pasted text without its end so far.
#[derive(Debug, Default)]
struct Paste {
    text: Vec<u8>,
    /// The bytes of [`PASTE_END`] that came last.
    ended: usize,
}

/// The meaning of a sequence.
#[derive(Debug)]
enum Meaning {
    /// More of it has to come.
    Begun,
    Event(Event),
    PasteBegins,
    /// No known key.
    Nothing,
}

impl KeyParser {
    /// Returns the next event.
    pub(crate) fn next(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes what a terminal sent, as it was read at once.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match self.paste.as_mut().map(|paste| paste.is_ended_by(byte)) {
                Some(true) => self.end_paste(),
                Some(false) => {}
                None => self.read_byte(byte),
            }
        }
        // Pressed by a user that waits, because nothing follows. Pasted text may have one as well.
        if self.paste.is_some() && bytes.last() == Some(&CTRL_C) {
            self.paste = None;
            self.events.push_back(Event::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
        }
    }

    /// Returns how long to wait for the rest of what has begun, before [`KeyParser::give_up`].
    pub(crate) fn patience(&self) -> Option<Duration> {
        match self.paste {
            Some(_) => Some(REST_OF_PASTE),
            None => Some(REST_OF_KEY).filter(|_| !self.begun.is_empty()),
        }
    }

    /// The rest has not come: ends a paste with what there is, and takes an ESC for the key.
    pub(crate) fn give_up(&mut self) {
        if self.paste.is_some() {
            return self.end_paste();
        }
        match mem::take(&mut self.begun)[..] {
            [ESC] => self.events.push_back(key(KeyCode::Esc)),
            [ESC, letter @ (b'[' | b'O')] => {
                let code = KeyCode::Char(letter.into());
                self.events.push_back(Event::Key(KeyEvent::new(code, KeyModifiers::ALT)));
            }
            _ => {}
        }
    }

    fn read_byte(&mut self, byte: u8) {
        // A sequence that is interrupted by another one is no key.
        if byte == ESC && self.begun.len() > 1 {
            self.begun.clear();
        }
        self.begun.push(byte);
        let meaning = match self.begun[..] {
            [ESC, ESC] => {
                self.begun.pop();
                self.events.push_back(key(KeyCode::Esc));
                return;
            }
            _ if self.begun.len() > MAX_SEQUENCE => Meaning::Nothing,
            _ => meaning(&self.begun),
        };
        match meaning {
            Meaning::Begun => return,
            Meaning::Event(event) => self.events.push_back(event),
            Meaning::PasteBegins => self.paste = Some(Paste::default()),
            Meaning::Nothing => {}
        }
        self.begun.clear();
    }

    fn end_paste(&mut self) {
        let Some(paste) = self.paste.take() else { return };
        self.events.push_back(Event::Paste(String::from_utf8_lossy(&paste.text).into_owned()));
    }
}

impl Paste {
    /// Takes a byte, and returns whether it is the last one. Above [`MAX_PASTE`], the rest of the text is
    /// left out.
    fn is_ended_by(&mut self, byte: u8) -> bool {
        let has_room = self.text.len() < MAX_PASTE;
        if byte != PASTE_END[self.ended] {
            let text = &PASTE_END[..mem::take(&mut self.ended)];
            self.text.extend_from_slice(if has_room { text } else { &[] });
        }
        if byte == PASTE_END[self.ended] {
            self.ended += 1;
        } else if has_room {
            self.text.push(byte);
        }
        self.ended == PASTE_END.len()
    }
}

/// Reads a sequence from its beginning: one byte at least.
fn meaning(bytes: &[u8]) -> Meaning {
    let character =
        |code, modifiers| Meaning::Event(Event::Key(KeyEvent::new(KeyCode::Char(code), modifiers)));
    match bytes {
        [ESC] | [ESC, b'O'] => Meaning::Begun,
        [ESC, b'[', sequence @ ..] => control_sequence(sequence),
        [ESC, b'O', letter] => named(*letter).map_or(Meaning::Nothing, |code| Meaning::Event(key(code))),
        [ESC, rest @ ..] => match meaning(rest) {
            Meaning::Event(Event::Key(key)) => {
                Meaning::Event(Event::Key(KeyEvent { modifiers: key.modifiers | KeyModifiers::ALT, ..key }))
            }
            meaning => meaning,
        },
        [b'\r'] => Meaning::Event(key(KeyCode::Enter)),
        [b'\t'] => Meaning::Event(key(KeyCode::Tab)),
        [0x7f] => Meaning::Event(key(KeyCode::Backspace)),
        [0] => character(' ', KeyModifiers::CONTROL),
        [letter @ 1..=0x1a] => character((letter - 1 + b'a').into(), KeyModifiers::CONTROL),
        [digit @ 0x1c..=0x1f] => character((digit - 0x1c + b'4').into(), KeyModifiers::CONTROL),
        _ => match str::from_utf8(bytes) {
            Ok(text) => text.chars().next().map_or(Meaning::Nothing, |letter| {
                let shift = if letter.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
                character(letter, shift)
            }),
            Err(error) if error.error_len().is_none() => Meaning::Begun,
            Err(_) => Meaning::Nothing,
        },
    }
}

/// Reads what follows `ESC [`.
fn control_sequence(sequence: &[u8]) -> Meaning {
    match sequence {
        [] => Meaning::Begun,
        // Three bytes follow, of any value.
        [b'M', report @ ..] => match report {
            [button, column, row] => {
                let [button, column, row] =
                    [button, column, row].map(|&byte| u16::from(byte.saturating_sub(32)));
                mouse(button, column, row, false)
            }
            _ => Meaning::Begun,
        },
        // The Linux console has F1 to F5 so.
        [b'['] => Meaning::Begun,
        [b'[', letter @ b'A'..=b'E'] => Meaning::Event(key(KeyCode::F(letter - b'A' + 1))),
        [parameters @ .., last @ 0x40..=0x7e] => ended_sequence(parameters, *last),
        [.., 0x20..=0x3f] => Meaning::Begun,
        _ => Meaning::Nothing,
    }
}

fn ended_sequence(parameters: &[u8], last: u8) -> Meaning {
    let text = str::from_utf8(parameters).unwrap_or_default();
    let (text, is_sgr) = text.strip_prefix('<').map_or((text, false), |text| (text, true));
    // Sub-parameters, which follow a colon, come only to programs that have asked for them.
    let mut numbers =
        text.split(';').map(|number| number.split(':').next().unwrap_or_default().parse::<u16>().ok());
    let mut next = || numbers.next().flatten();
    let (first, second, third) = (next(), next(), next());
    let modifiers = second.map_or(KeyModifiers::NONE, modifiers);
    let with_modifiers = |code| Meaning::Event(Event::Key(KeyEvent::new(code, modifiers)));
    match (last, first) {
        (b'M' | b'm', Some(button)) => match (second, third) {
            (Some(column), Some(row)) if is_sgr => mouse(button, column, row, last == b'm'),
            (Some(column), Some(row)) => mouse(button.saturating_sub(32), column, row, false),
            _ => Meaning::Nothing,
        },
        (b'~', Some(200)) => Meaning::PasteBegins,
        (b'~', Some(number)) => numbered(number).map_or(Meaning::Nothing, with_modifiers),
        (b'I', None) => Meaning::Event(Event::FocusGained),
        (b'O', None) => Meaning::Event(Event::FocusLost),
        (b'Z', _) => Meaning::Event(Event::Key(KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT))),
        (b'u', Some(code)) => character_of_code(code).map_or(Meaning::Nothing, with_modifiers),
        (letter, _) => named(letter).map_or(Meaning::Nothing, with_modifiers),
    }
}

/// Returns the key with a letter: `ESC [ A`, `ESC O A`.
fn named(letter: u8) -> Option<KeyCode> {
    Some(match letter {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'F' => KeyCode::End,
        b'H' => KeyCode::Home,
        b'M' => KeyCode::Enter,
        b'P'..=b'S' => KeyCode::F(letter - b'P' + 1),
        _ => return None,
    })
}

/// Returns the key with a number: `ESC [ 5 ~`.
fn numbered(number: u16) -> Option<KeyCode> {
    let function = |less| u8::try_from(number - less).ok().map(KeyCode::F);
    match number {
        1 | 7 => Some(KeyCode::Home),
        2 => Some(KeyCode::Insert),
        3 => Some(KeyCode::Delete),
        4 | 8 => Some(KeyCode::End),
        5 => Some(KeyCode::PageUp),
        6 => Some(KeyCode::PageDown),
        // The numbers have gaps, where other keyboards have other keys.
        11..=15 => function(10),
        17..=21 => function(11),
        23..=26 => function(12),
        28..=29 => function(15),
        31..=34 => function(17),
        _ => None,
    }
}

/// Returns the key of a character, as some terminals send it with modifiers: `ESC [ 97 ; 5 u`.
fn character_of_code(code: u16) -> Option<KeyCode> {
    Some(match code {
        9 => KeyCode::Tab,
        13 => KeyCode::Enter,
        27 => KeyCode::Esc,
        127 => KeyCode::Backspace,
        code => KeyCode::Char(char::from_u32(code.into()).filter(|character| !character.is_control())?),
    })
}

fn modifiers(number: u16) -> KeyModifiers {
    let bits = number.saturating_sub(1);
    [(1, KeyModifiers::SHIFT), (2, KeyModifiers::ALT), (4, KeyModifiers::CONTROL)]
        .into_iter()
        .filter_map(|(bit, modifier)| (bits & bit != 0).then_some(modifier))
        .collect()
}

/// Reads a report of the mouse. Columns and rows are counted from 1.
fn mouse(bits: u16, column: u16, row: u16, is_release: bool) -> Meaning {
    let is_moved = bits & 32 != 0;
    let button = match bits & 3 {
        0 => MouseButton::Left,
        1 => MouseButton::Middle,
        _ => MouseButton::Right,
    };
    let kind = match (bits & 0b1100_0011, is_moved) {
        (0..=2, false) if is_release => MouseEventKind::Up(button),
        (0..=2, false) => MouseEventKind::Down(button),
        (0..=2, true) => MouseEventKind::Drag(button),
        (3, false) => MouseEventKind::Up(MouseButton::Left),
        (3, true) => MouseEventKind::Moved,
        (64, false) => MouseEventKind::ScrollUp,
        (65, false) => MouseEventKind::ScrollDown,
        (66, false) => MouseEventKind::ScrollLeft,
        (67, false) => MouseEventKind::ScrollRight,
        _ => return Meaning::Nothing,
    };
    let modifiers = [(4, KeyModifiers::SHIFT), (8, KeyModifiers::ALT), (16, KeyModifiers::CONTROL)]
        .into_iter()
        .filter_map(|(bit, modifier)| (bits & bit != 0).then_some(modifier))
        .collect();
    let [column, row] = [column, row].map(|place| place.saturating_sub(1));
    Meaning::Event(Event::Mouse(MouseEvent { kind, column, row, modifiers }))
}

fn key(code: KeyCode) -> Event {
    Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

const ESC: u8 = 0x1b;

const CTRL_C: u8 = 0x03;

const PASTE_END: &[u8; 6] = b"\x1b[201~";

/// The time without input after which a paste ends: its end may have been lost on the way.
const REST_OF_PASTE: Duration = Duration::from_secs(2);

/// The time without input after which an ESC is the key. A terminal sends the bytes of one key together.
const REST_OF_KEY: Duration = Duration::from_millis(100);

/// The most bytes of a sequence; longer than all of those above.
const MAX_SEQUENCE: usize = 32;

/// The most bytes of a paste that are kept. The programs send far fewer, and refuse the rest with a reason.
const MAX_PASTE: usize = 1 << 20;

#[cfg(test)]
mod tests;
