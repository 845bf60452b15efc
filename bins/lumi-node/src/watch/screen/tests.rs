use std::time::{Duration, UNIX_EPOCH};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use integration_tests::captured::LOG_OF_PC_C;
use jiff::tz::TimeZone;
use message_log::{Direction, Entry};
use ratatui::backend::TestBackend;

use super::*;

/// A user in front of a ladder.
struct Viewer {
    app: App,
    terminal: ratatui::Terminal<TestBackend>,
}

impl Viewer {
    fn new(width: u16, height: u16) -> Self {
        let mut app = App::new("PC-c", None);
        app.zone = TimeZone::UTC;
        Self { app, terminal: ratatui::Terminal::new(TestBackend::new(width, height)).unwrap() }
    }

    /// Shows the captured exchange.
    fn of_captured(width: u16, height: u16) -> Self {
        let mut viewer = Self::new(width, height);
        for line in LOG_OF_PC_C.lines() {
            viewer.sees(Entry::parse("PC-c", line).unwrap());
        }
        viewer
    }

    fn sees(&mut self, entry: Entry) {
        let at = Some(UNIX_EPOCH + Duration::from_millis(1_795_624_920_123));
        self.app.handle(Ok(SourceEvent::Message { number: None, at, entry }));
    }

    fn press(&mut self, code: KeyCode) {
        // The effect of keys depends on the last drawing.
        self.rows();
        self.app.key(KeyEvent::new(code, KeyModifiers::NONE));
    }

    fn types(&mut self, text: &str) {
        text.chars().for_each(|character| self.press(KeyCode::Char(character)));
    }

    fn rows(&mut self) -> Vec<String> {
        let app = &mut self.app;
        self.terminal.draw(|frame| view::draw(frame, app, &Theme::new(false))).unwrap();
        let buffer = self.terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        let row = |cells: &[ratatui::buffer::Cell]| {
            cells.iter().map(ratatui::buffer::Cell::symbol).collect::<String>()
        };
        buffer.content.chunks(width).map(|cells| row(cells).trim_end().to_owned()).collect()
    }

    fn bar(&mut self) -> String {
        self.rows().pop().unwrap()
    }
}

/// The columns are those of the shown messages, for any number of parties.
#[test]
fn of_many_agents_those_whose_messages_are_in_view_have_columns() {
    let mut viewer = Viewer::new(80, 8);
    for number in 0..40 {
        let remote = format!("10.0.0.{number}:4500").parse().unwrap();
        let message = format!("PRu{number:02}@PC-c");
        viewer.sees(Entry::new("PC-c", Direction::Received, remote, message.as_bytes()));
        viewer.sees(Entry::new("PC-c", Direction::Sent, remote, b"RR0"));
    }
    let last = viewer.rows();
    assert!(last[0].contains("u39@PC-c") && !last[0].contains("u30@PC-c"), "{last:?}");
    let arrow = last[6].trim_end();
    assert!(arrow.contains("◀─") && arrow.contains("RR0"), "{last:?}");
    viewer.press(KeyCode::Home);
    assert!(viewer.rows()[0].contains("u00@PC-c"));
    viewer.press(KeyCode::Char('u'));
    viewer.types("u20");
    viewer.press(KeyCode::Enter);
    assert!(viewer.rows()[0].contains("u20@PC-c") && viewer.bar().contains("about u20"));
    viewer.press(KeyCode::Esc);
    assert!(!viewer.bar().contains("about u20") && !viewer.app.is_left(), "the filter goes first");
    // An impossible user is not a filter.
    viewer.press(KeyCode::Char('u'));
    viewer.types("u:");
    viewer.press(KeyCode::Enter);
    assert_eq!(
        viewer.bar(),
        " only about user: u:▏ the user name has ':' at byte 2, which may not stand there"
    );
    viewer.press(KeyCode::Backspace);
    assert_eq!(viewer.bar(), " only about user: u▏ Enter takes it, empty is all, Esc leaves it");
}

#[test]
fn a_message_is_chosen_by_keys_and_kept_while_others_come() {
    let mut viewer = Viewer::of_captured(150, 7);
    let expected = " 8 messages · b bytes  ? help  q quit";
    assert_eq!(viewer.bar(), expected);
    for (key, bar) in [
        (KeyCode::Up, " 7 of 8"),
        (KeyCode::PageUp, " 3 of 8"),
        (KeyCode::PageUp, " 1 of 8"),
        (KeyCode::Up, " 1 of 8"),
        (KeyCode::PageDown, " 5 of 8"),
        (KeyCode::Home, " 1 of 8"),
        (KeyCode::Down, " 2 of 8"),
        (KeyCode::End, " 8 messages"),
        (KeyCode::Up, " 7 of 8"),
        (KeyCode::Down, " 8 messages"),
        (KeyCode::Home, " 1 of 8"),
    ] {
        viewer.press(key);
        let shown = viewer.bar();
        assert!(shown.starts_with(&format!("{bar} · ")), "{key:?}: {shown}");
    }
    viewer.sees(Entry::parse("PC-c", LOG_OF_PC_C.lines().next().unwrap()).unwrap());
    assert!(viewer.bar().starts_with(" 1 of 9 · "));
    assert!(viewer.rows()[2].starts_with("16:42:00.123 "));
}

#[test]
fn the_help_is_whole_at_every_width() {
    for width in [150, 80, 60, 40] {
        let mut viewer = Viewer::of_captured(width, 40);
        viewer.press(KeyCode::Char('?'));
        let rows = viewer.rows();
        let inside = |row: &String| Some(row.split_once('│')?.1.rsplit_once('│')?.0.trim_end().to_owned());
        let top = rows.iter().position(|row| row.contains("┌ keys ")).unwrap();
        let bottom = rows.iter().position(|row| row.contains('└')).unwrap();
        let help: Vec<_> = rows[top + 1..bottom].iter().filter_map(inside).collect();
        let is_wrapped = help.iter().any(|row| row.starts_with("   "));
        assert_eq!(is_wrapped, width < 80, "{rows:#?}");
        let words = help.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
        for end in [
            "Enter all about the chosen message, its bytes too, or no more",
            "Esc close these lines, the details, the filter; or leave",
            "green, cyan the node sent it, the node received it; yellow: a note",
        ] {
            assert!(words.contains(end), "{width}: {words}");
        }
    }
}

#[test]
fn a_filter_is_typed_and_can_be_left() {
    let mut viewer = Viewer::of_captured(150, 20);
    viewer.types("/u2");
    assert!(viewer.bar().starts_with(" only about user: u2"));
    // Keys with another meaning are text while the user types.
    viewer.types("q?p\u{202e}");
    assert!(viewer.bar().contains("u2q?p▏"), "what is not seen is not typed");
    viewer.press(KeyCode::Esc);
    assert_eq!(viewer.bar(), " 8 messages · b bytes  ? help  q quit");
    viewer.types("uu2");
    viewer.press(KeyCode::Enter);
    assert_eq!(viewer.bar(), " 4 messages · about u2 · b bytes  ? help  q quit");
    viewer.types("/");
    (0..2).for_each(|_| viewer.press(KeyCode::Backspace));
    viewer.app.paste("nobody\n");
    viewer.press(KeyCode::Enter);
    assert!(viewer.rows().iter().any(|row| row == "nothing about this user has passed yet"));
    assert!(!viewer.app.is_left());
    viewer.types("q");
    assert!(viewer.app.is_left());
}

#[test]
fn what_comes_while_it_is_paused_is_counted() {
    let mut viewer = Viewer::of_captured(150, 20);
    viewer.types("p");
    for _ in 0..3 {
        viewer.sees(Entry::new("PC-c", Direction::Sent, "1.2.3.4:5".parse().unwrap(), b"RR0"));
    }
    assert_eq!(viewer.bar(), " paused, 3 more · 8 messages · b bytes  ? help  q quit");
    viewer.types("p");
    assert_eq!(viewer.bar(), " 11 messages · b bytes  ? help  q quit");
    viewer.app.handle(Ok(SourceEvent::Missed(7)));
    viewer.app.handle(Ok(SourceEvent::Wrong { line: 3, reason: "it is not UTF-8".into() }));
    viewer.app.handle(Ok(SourceEvent::End("the end of it".into())));
    let bar =
        " 11 messages · 7 missed · 1 line is no line of a log · the end of it · b bytes  ? help  q quit";
    assert_eq!(viewer.bar(), bar);
}

/// A flood does not push out the messages of a pause.
#[test]
fn what_is_shown_while_it_is_paused_stays() {
    let mut viewer = Viewer::of_captured(150, 20);
    let before = viewer.rows();
    viewer.types("p");
    for _ in 0..20_005 {
        viewer.sees(Entry::new("PC-c", Direction::Received, "1.2.3.4:5".parse().unwrap(), b"PRu9@PC-c"));
    }
    let rows = viewer.rows();
    assert_eq!(rows[..19], before[..19]);
    assert_eq!(viewer.bar(), " paused, 20005 more · 8 messages · b bytes  ? help  q quit");
    viewer.types("p");
    assert_eq!(viewer.bar(), " 20000 messages · 13 before them forgotten · b bytes  ? help  q quit");
}

#[test]
fn there_is_room_for_something_whatever_the_size() {
    for (width, height) in [1, 2, 3, 9, 13, 14, 15, 30, 60, 90]
        .into_iter()
        .flat_map(|width| (1..14).map(move |height| (width, height)))
    {
        let mut viewer = Viewer::of_captured(width, height);
        for keys in ["", "?", "?\r", "u", "\u{1b}", "p"] {
            for key in keys.chars() {
                viewer.press(match key {
                    '\r' => KeyCode::Enter,
                    '\u{1b}' => KeyCode::Esc,
                    key => KeyCode::Char(key),
                });
            }
            assert_eq!(viewer.rows().len(), usize::from(height));
        }
        viewer.press(KeyCode::Char('b'));
        viewer.press(KeyCode::PageUp);
        viewer.rows();
    }
}

#[test]
fn all_about_a_message_is_shown() {
    let mut viewer = Viewer::of_captured(100, 24);
    viewer.sees(Entry::new("PC-c", Direction::Received, "1.2.3.4:5".parse().unwrap(), b"\x1b[2J"));
    viewer.press(KeyCode::Enter);
    let rows = viewer.rows().join("\n");
    for text in [
        "message 9 · ? · ",
        "not a PLUMI message: it begins with none of PR, RR, PD, RD, PL, RL, PK (at byte 1)",
        "from     1.2.3.4:5",
        "to       PC-c, this node",
        r"message  \x1b[2J",
        "length   4 bytes",
    ] {
        assert!(rows.contains(text), "{text}\n{rows}");
    }
}
