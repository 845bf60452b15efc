//! The bytes of a keyboard and a mouse, as xterm sends them.

/// A key, or some of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The key that ends a line.
    Enter,
    /// The key Esc. Most programs take it with a key that follows at once for [`Key::Alt`]: wait for its
    /// effect.
    Esc,
    /// Tab.
    Tab,
    /// Shift and Tab.
    BackTab,
    /// Removes what is left of the cursor.
    Backspace,
    /// Removes what is at the cursor.
    Delete,
    /// Arrow.
    Up,
    /// Arrow.
    Down,
    /// Arrow.
    Left,
    /// Arrow.
    Right,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Ctrl and an arrow.
    CtrlLeft,
    /// Ctrl and an arrow.
    CtrlRight,
    /// Ctrl and Home.
    CtrlHome,
    /// Ctrl and End.
    CtrlEnd,
    /// Ctrl and page up.
    CtrlPageUp,
    /// Ctrl and page down.
    CtrlPageDown,
    /// F1 to F12.
    F(u8),
    /// Ctrl and a letter, or one of `@ [ \ ] ^ _`.
    Ctrl(char),
    /// Alt and a character.
    Alt(char),
}

impl Key {
    /// Returns the bytes that are sent for it; arrows depend on whether the program wants those of an
    /// `application`.
    pub(in crate::programs) fn sequence(self, application: bool) -> String {
        let arrow = |letter| format!("\x1b{}{letter}", if application { 'O' } else { '[' });
        match self {
            Self::Enter => "\r".into(),
            Self::Esc => "\x1b".into(),
            Self::Tab => "\t".into(),
            Self::BackTab => "\x1b[Z".into(),
            Self::Backspace => "\x7f".into(),
            Self::Delete => "\x1b[3~".into(),
            Self::Up => arrow('A'),
            Self::Down => arrow('B'),
            Self::Right => arrow('C'),
            Self::Left => arrow('D'),
            Self::Home => arrow('H'),
            Self::End => arrow('F'),
            Self::PageUp => "\x1b[5~".into(),
            Self::PageDown => "\x1b[6~".into(),
            Self::CtrlRight => "\x1b[1;5C".into(),
            Self::CtrlLeft => "\x1b[1;5D".into(),
            Self::CtrlHome => "\x1b[1;5H".into(),
            Self::CtrlEnd => "\x1b[1;5F".into(),
            Self::CtrlPageUp => "\x1b[5;5~".into(),
            Self::CtrlPageDown => "\x1b[6;5~".into(),
            Self::F(number) => function_key(number),
            Self::Ctrl(key) => match key.to_ascii_uppercase() {
                key @ '@'..='_' => char::from(key as u8 & 0x1f).into(),
                _ => panic!("there is no Ctrl and {key:?}"),
            },
            Self::Alt(key) => format!("\x1b{key}"),
        }
    }
}

fn function_key(number: u8) -> String {
    match number {
        1..=4 => format!("\x1bO{}", char::from(b'P' + number - 1)),
        // The numbers have gaps, where other keyboards have other keys.
        5 => "\x1b[15~".into(),
        6..=10 => format!("\x1b[{}~", number + 11),
        11..=12 => format!("\x1b[{}~", number + 12),
        _ => panic!("there is no F{number}"),
    }
}

/// A notch of the wheel of a mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wheel {
    /// Away from the user.
    Up,
    /// Towards the user.
    Down,
}

impl Wheel {
    pub(super) fn sequence(self, row: u16, column: u16) -> String {
        let button = match self {
            Self::Up => 64,
            Self::Down => 65,
        };
        format!("\x1b[<{button};{};{}M", column + 1, row + 1)
    }
}
