//! Colours and styles: the terminal's own foreground and background, and those of its sixteen colours that
//! are readable on dark and on light. Nothing is shown by colour alone.

use ratatui::style::{Color, Modifier, Style};

/// Styles by their purpose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme {
    pub(crate) text: Style,
    pub(crate) own: Style,
    pub(crate) peer: Style,
    pub(crate) news: Style,
    pub(crate) failure: Style,
    /// Times, lines of earlier conversations, hints.
    pub(crate) faint: Style,
    /// The bars of tabs and of the state.
    pub(crate) bar: Style,
    /// The selected item, and items that need attention.
    pub(crate) chosen: Style,
    pub(crate) sent: Style,
    pub(crate) received: Style,
}

impl Theme {
    pub(crate) const PLAIN: Self = Self {
        text: Style::new(),
        own: Style::new().add_modifier(Modifier::BOLD),
        peer: Style::new().add_modifier(Modifier::BOLD),
        news: Style::new(),
        failure: Style::new().add_modifier(Modifier::BOLD),
        faint: Style::new().add_modifier(Modifier::DIM),
        bar: Style::new().add_modifier(Modifier::REVERSED),
        chosen: Style::new().add_modifier(Modifier::REVERSED).add_modifier(Modifier::BOLD),
        sent: Style::new(),
        received: Style::new().add_modifier(Modifier::BOLD),
    };

    pub(crate) const COLOURED: Self = Self {
        own: Style::new().fg(Color::Green).add_modifier(Modifier::BOLD),
        peer: Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD),
        failure: Style::new().fg(Color::Red),
        sent: Style::new().fg(Color::Green),
        received: Style::new().fg(Color::Cyan),
        ..Self::PLAIN
    };

    /// Uses colours, unless `NO_COLOR` is set and not empty (no-color.org).
    pub(crate) fn new(no_color: Option<&str>) -> Self {
        if no_color.is_some_and(|value| !value.is_empty()) { Self::PLAIN } else { Self::COLOURED }
    }
}
