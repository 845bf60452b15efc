mod document;
mod overlays;
mod protection;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseEvent, MouseEventKind};
use jiff::ToSpan;
use mi_agent_core::{Content, Direction, FrameKind, Handshake, MessageCounts, Passed, PeerText};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Position;
use ratatui::style::Color;

use super::*;
use crate::full::app::{Overlay, Setup};
use crate::full::tests::fixtures::{id, key, now, peer, setup, stranger};
use crate::session::{End, Happened};
use crate::store::contacts::Way;

/// A user in front of a screen.
struct Screen {
    app: App,
    terminal: Terminal<TestBackend>,
}

impl Screen {
    fn new(width: u16, height: u16) -> Self {
        let mut app = App::new(Setup { conversations: 3.try_into().unwrap(), ..setup() });
        app.registering(now());
        let listening = plumi_proto::MiSocketAddress::new("127.0.0.1:3500".parse().unwrap()).unwrap();
        app.registered(now(), "127.0.0.2:3344".parse().unwrap(), listening);
        Self { app, terminal: Terminal::new(TestBackend::new(width, height)).unwrap() }
    }

    /// Creates the screen of a conversation with Joya.
    fn talking(width: u16, height: u16) -> Self {
        let mut screen = Self::new(width, height);
        screen.types("/call joya@cc.com\n");
        screen.app.begun(now(), id(1), peer("joya@cc.com"), Way::Called);
        screen.app.messages = Some(MessageCounts::new(2, 2));
        screen
    }

    fn types(&mut self, text: &str) {
        self.types_at(now(), text);
    }

    /// Lets the messages of a location pass.
    fn calls_in_the_protocol(&mut self) {
        let asks = Content::Plumi(b"PLlaura@bb.com:joya@cc.com"[..].into());
        let answers = Content::Plumi(b"RL0laura@bb.com:joya@cc.com:127.0.0.1:4456"[..].into());
        self.passes(Direction::Sent, "127.0.0.2:3344", asks);
        self.passes(Direction::Received, "127.0.0.2:3344", answers);
    }

    /// Lets the handshake of a call to Joya pass, with her known key.
    fn passes_handshake(&mut self) {
        for (direction, number, user, decision) in [
            (Direction::Received, 7, "joya@cc.com", Some("known since 2026-11-02")),
            (Direction::Sent, 3, "laura@bb.com", None),
        ] {
            let (key, user) = (*key(number).as_bytes(), Some(user.to_owned()));
            let handshake = Handshake { key, user, decision: decision.map(str::to_owned) };
            self.passes(direction, "127.0.0.1:4456", Content::Handshake(handshake));
        }
    }

    fn passes_frame(&mut self, direction: Direction, kind: FrameKind, frame: &[u8]) {
        self.passes(direction, "127.0.0.1:4456", Content::Pmi(kind, frame.into()));
    }

    fn passes(&mut self, direction: Direction, remote: &str, content: Content) {
        self.app.passed(now(), &Passed::new(direction, remote.parse().unwrap(), content));
    }

    fn types_at(&mut self, at: Timestamp, text: &str) {
        for character in text.chars() {
            let code = if character == '\n' { KeyCode::Enter } else { KeyCode::Char(character) };
            self.app.key(at, KeyEvent::new(code, KeyModifiers::NONE));
        }
    }

    fn press(&mut self, code: KeyCode) {
        self.app.key(now(), KeyEvent::new(code, KeyModifiers::NONE));
    }

    fn hears(&mut self, text: &str) {
        self.app.heard(now(), id(1), &PeerText::new(text));
    }

    fn draw(&mut self) {
        let app = &mut self.app;
        self.terminal.draw(|frame| draw(frame, app, &Theme::COLOURED, now())).unwrap();
    }

    /// Returns the text on the screen, row by row.
    fn picture(&mut self) -> String {
        self.draw();
        let buffer = self.terminal.backend().buffer();
        let mut rows = Vec::new();
        for y in 0..buffer.area.height {
            let (mut row, mut x) = (String::new(), 0);
            while x < buffer.area.width {
                let symbol = buffer[(x, y)].symbol();
                row.push_str(symbol);
                x += u16::try_from(symbol.width().max(1)).unwrap();
            }
            rows.push(row.trim_end().to_owned());
        }
        rows.join("\n")
    }

    /// Returns the position of the cursor.
    fn cursor(&mut self) -> Position {
        self.draw();
        self.terminal.backend().cursor_position()
    }
}

#[track_caller]
fn assert_picture(screen: &mut Screen, expected: &str) {
    let picture = screen.picture();
    let expected = expected.trim_matches('\n');
    assert!(picture == expected, "it looks so:\n{picture}\n\nand not so:\n{expected}");
}

#[test]
fn the_first_screen_says_what_to_do() {
    let mut screen = Screen::new(80, 12);
    assert_picture(
        &mut screen,
        r#"
 1 mi-agent
15:42            * registering laura@bb.com
15:42            * registered laura@bb.com at node 127.0.0.2:3344
15:42            * listening for conversations on 127.0.0.1:3500
15:42            * F1 helps · F2 the protocol · F3 contacts · /quit leaves
15:42            * incoming calls are answered automatically, each in a tab
15:42            * type /call and an address, such as /call joya@cc.com


 laura@bb.com as Laura · registered at node 127.0.0.2:3344 · E 0 R 0
 in no conversation here · /call ADDRESS calls somebody, F1 helps
>
"#,
    );
    assert_eq!(screen.cursor(), Position::new(2, 11));
}

#[test]
fn a_conversation_is_wrapped_by_what_it_is_wide() {
    let mut screen = Screen::talking(40, 12);
    screen.hears("què tal? això és una línia més llarga que la finestra");
    screen.hears("你好你好你好你好你好你好你好");
    screen.app.said(now(), id(1), "e\u{301}e\u{301}e\u{301} 👍👍 ❤\u{fe0f}");
    assert_picture(
        &mut screen,
        r#"
 1 mi-agent  2 joya@cc.com · plain
              127.0.0.1:4456
15:42       * plain: anyone on the way
              can read and change this
15:42    joya què tal? això és una línia
              més llarga que la finestra
15:42    joya 你好你好你好你好你好你好你
              好
15:42   Laura ééé 👍👍 ❤️
 laura@bb.com · registered · E 2 R 2
 plain: others can read and change this
>
"#,
    );
}

#[test]
fn who_has_scrolled_up_is_told_what_is_new() {
    let mut screen = Screen::talking(60, 10);
    (1..=9).for_each(|n| screen.hears(&format!("line {n}")));
    screen.draw();
    screen.press(KeyCode::PageUp);
    screen.types("bon di");
    assert_picture(
        &mut screen,
        r#"
 1 mi-agent  2 joya@cc.com · plain
15:42         * plain: anyone on the way can read and change
                this
15:42      joya line 1
15:42      joya line 2
15:42      joya line 3
15:42      joya line 4                    ↓ Esc: to the end
 laura@bb.com · registered at node 127.0.0.2:3344 · E 2 R 2
 plain: anyone on the way can read and change this
> bon di
"#,
    );
    screen.hears("line 10");
    screen.hears("line 11");
    assert_picture(
        &mut screen,
        r#"
 1 mi-agent  2 joya@cc.com · plain
15:42         * plain: anyone on the way can read and change
                this
15:42      joya line 1
15:42      joya line 2
15:42      joya line 3
15:42      joya line 4                  ↓ 2 new lines · Esc
 laura@bb.com · registered at node 127.0.0.2:3344 · E 2 R 2
 plain: anyone on the way can read and change this
> bon di
"#,
    );
    assert_eq!(screen.cursor(), Position::new(8, 9));
    let wheel = |kind| MouseEvent { kind, column: 5, row: 3, modifiers: KeyModifiers::NONE };
    screen.app.mouse(wheel(MouseEventKind::ScrollUp));
    assert!(screen.picture().contains(" line 1  "), "{}", screen.picture());
    (0..4).for_each(|_| screen.app.mouse(wheel(MouseEventKind::ScrollDown)));
    assert!(screen.picture().contains(" line 11\n"), "{}", screen.picture());
    assert!(!screen.picture().contains('↓'), "{}", screen.picture());
}

#[test]
fn a_line_of_several_frames_is_counted() {
    let mut screen = Screen::talking(60, 8);
    screen.types(&"0123456789".repeat(9));
    screen.types("012345678");
    assert!(!screen.picture().contains("frames"));
    screen.types("9");
    assert_picture(
        &mut screen,
        r#"
 1 mi-agent  2 joya@cc.com · plain
15:42         * in conversation with joya (joya@cc.com) at
                127.0.0.1:4456
15:42         * plain: anyone on the way can read and change
                this
 laura@bb.com · registered at node 127.0.0.2:3344 · E 2 R 2
 plain: anyone on the way can read and change this
> 234567890123456789012345678901234567890123456789  2 frames
"#,
    );
    // A command is not sent.
    screen.app.key(now(), KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    screen.types(&format!("/block {}", "x".repeat(200)));
    assert!(!screen.picture().contains("frames"));
}

#[test]
fn what_is_typed_is_helped_along() {
    let mut screen = Screen::talking(60, 8);
    screen.types("/");
    assert_picture(
        &mut screen,
        r#"
 1 mi-agent  2 joya@cc.com · plain
15:42         * in conversation with joya (joya@cc.com) at
                127.0.0.1:4456
15:42         * plain: anyone on the way can read and change
                this
 laura@bb.com · registered at node 127.0.0.2:3344 · E 2 R 2
 /call ADDRESS  /bye, /exit  /contacts  /add ADDRESS  /find…
> /
"#,
    );
    screen.types("c");
    screen.press(KeyCode::Tab);
    assert_picture(
        &mut screen,
        r#"
 1 mi-agent  2 joya@cc.com · plain
15:42         * in conversation with joya (joya@cc.com) at
                127.0.0.1:4456
15:42         * plain: anyone on the way can read and change
                this
 laura@bb.com · registered at node 127.0.0.2:3344 · E 2 R 2
 /call  /contacts  /close
> /call
"#,
    );
    screen.press(KeyCode::BackTab);
    screen.press(KeyCode::BackTab);
    screen.types(" j");
    screen.app.key(now(), KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    screen.types("/call j");
    screen.press(KeyCode::Tab);
    assert_picture(
        &mut screen,
        r#"
 1 mi-agent  2 joya@cc.com · plain
15:42         * in conversation with joya (joya@cc.com) at
                127.0.0.1:4456
15:42         * plain: anyone on the way can read and change
                this
 laura@bb.com · registered at node 127.0.0.2:3344 · E 2 R 2
 /call ADDRESS – call somebody (joya: of your own domain)
> /call joya@cc.com
"#,
    );
}

#[test]
fn several_pasted_lines_are_shown_before_they_are_sent() {
    let mut screen = Screen::talking(60, 12);
    screen.app.paste(now(), "fn main() {\n\tprintln!(\"hola\");\n}\n");
    assert_picture(
        &mut screen,
        r#"
 1 mi-agent  2 joya@cc.com · plain
15:42         * calling joya@cc.com
┌ 3 lines were pasted ─────────────────────────────────────┐
│Enter sends them all, Esc sends none:                     │
│fn main() {                                               │
│    println!("hola");                                     │
│}                                                         │
└──────────────────────────────────────────────────────────┘

 laura@bb.com · registered at node 127.0.0.2:3344 · E 2 R 2
 plain: anyone on the way can read and change this
>
"#,
    );
    screen.app.paste(now(), &"line\n".repeat(40));
    assert!(screen.picture().contains("and 36 more"), "{}", screen.picture());
}

#[test]
fn tabs_count_what_was_not_read() {
    let mut screen = Screen::talking(60, 8);
    screen.app.begun(now(), id(2), peer("pere@bb.com"), Way::CalledBy);
    screen.app.begun(now(), id(3), stranger("qui sap"), Way::CalledBy);
    screen.app.heard(now(), id(2), &PeerText::new("ei"));
    assert_picture(
        &mut screen,
        r#"
 1 mi-agent  2 joya@cc.com · plain  3 pere@bb.com (2) ›(1)
                this
15:42         * pere (pere@bb.com) calls, in tab 3; Alt-3
                shows it
15:42         * qui sap (?) calls, in tab 4; Alt-4 shows it
 laura@bb.com · registered at node 127.0.0.2:3344 · E 2 R 2
 plain: anyone on the way can read and change this
>
"#,
    );
    let mut narrow = Screen { terminal: Terminal::new(TestBackend::new(40, 8)).unwrap(), ..screen };
    assert!(narrow.picture().starts_with("‹ 2 joya@cc.com · plain ›(3)\n"), "{}", narrow.picture());
    narrow.app.key(now(), KeyEvent::new(KeyCode::Char('4'), KeyModifiers::ALT));
    assert!(narrow.picture().starts_with("‹(2) 4 ? qui sap · plain\n"), "{}", narrow.picture());
}

#[test]
fn the_bars_say_how_things_are() {
    let mut screen = Screen::talking(80, 8);
    let bars = |screen: &mut Screen| {
        let picture = screen.picture();
        let rows: Vec<_> = picture.lines().collect();
        rows[rows.len() - 3..rows.len() - 1]
            .iter()
            .map(|row| (*row).trim_end().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        bars(&mut screen),
        [
            " laura@bb.com as Laura · registered at node 127.0.0.2:3344 · E 2 R 2",
            " joya@cc.com as joya · plain: anyone on the way can read and change this"
        ]
    );
    screen.app.set_waiting(id(1), 12);
    screen.app.registration_lost(now(), "node 127.0.0.2:3344 does not answer");
    assert_eq!(
        bars(&mut screen),
        [
            " laura@bb.com · NOT registered: node 127.0.0.2:3344 does not answer · E 2 R 2",
            " joya@cc.com as joya · 12 lines wait · plain: others can read and change this"
        ]
    );
    let mut narrow = Screen { terminal: Terminal::new(TestBackend::new(40, 10)).unwrap(), ..screen };
    assert_eq!(bars(&mut narrow), [" laura@bb.com · NOT registered · E 2 R 2", " plain · 12 lines wait"]);
    narrow.app.ended(now(), id(1), End::ByPeer, 0);
    assert_eq!(bars(&mut narrow)[1], " /call calls joya@cc.com");
    narrow.types("/call\n");
    assert_eq!(bars(&mut narrow)[1], " calling joya@cc.com … /bye gives up");
    narrow.app.leaving();
    assert_eq!(bars(&mut narrow)[0], " deregistering … · laura@bb.com");
}

#[test]
fn any_size_will_do() {
    let words = "zoo zoo zoo zoo zoo zoo zoo zoo".parse().unwrap();
    for width in (0..=45).chain([80, 200]) {
        for height in (0..=12).chain([50]) {
            let mut screen = Screen::talking(width, height);
            screen.hears(&"què tal? 你好 ".repeat(20));
            screen.app.protocol.is_open = height % 2 == 0;
            screen.types("bon dia 你好");
            let lines = vec!["one".into(), "two".into()];
            for overlay in [
                None,
                Some(Overlay::Help(3)),
                Some(Overlay::Contacts(0)),
                Some(Overlay::Paste { id: id(1), lines }),
                Some(Overlay::Words(words)),
            ] {
                screen.app.overlay = overlay;
                screen.draw();
                screen.app.key(now(), KeyEvent::new(KeyCode::PageUp, KeyModifiers::NONE));
            }
        }
    }
    assert_picture(
        &mut Screen::talking(40, 10),
        r#"
 1 mi-agent  2 joya@cc.com · plain
15:42       * calling joya@cc.com
15:42       * in conversation with joya
              (joya@cc.com) at
              127.0.0.1:4456
15:42       * plain: anyone on the way
              can read and change this
 laura@bb.com · registered · E 2 R 2
 plain: others can read and change this
>
"#,
    );
}

/// Hostile names and lines cannot move anything on the screen.
#[test]
fn strangers_cannot_draw() {
    let hostile = "\x1b[2J\x07a\u{202e}b\u{2066}\r\n\t\u{200b}";
    let mut screen = Screen::new(60, 20);
    screen.app.begun(now(), id(1), stranger(hostile), Way::CalledBy);
    screen.hears(hostile);
    screen.app.said(now(), id(1), hostile);
    screen.app.trouble(now(), hostile);
    screen.app.registration_lost(now(), hostile);
    screen.app.passed(
        now(),
        &Passed::new(
            Direction::Received,
            "127.0.0.1:1".parse().unwrap(),
            Content::Plumi(hostile.as_bytes().into()),
        ),
    );
    screen.press(KeyCode::F(2));
    for overlay in [None, Some(Overlay::Paste { id: id(1), lines: vec![hostile.into()] })] {
        screen.app.overlay = overlay;
        let picture = screen.picture();
        let odd =
            |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{200b}' | '\u{202e}' | '\u{2066}'));
        assert!(!picture.contains(odd), "{picture:?}");
        assert!(picture.contains(r"\x1b[2J"), "{picture}");
    }
}

/// NO_COLOR removes all colours, and highlighted text still stands out.
#[test]
fn without_colours_things_still_stand_out() {
    let mut screen = Screen::talking(60, 8);
    screen.hears("hola");
    for (no_color, coloured) in [(None, true), (Some(""), true), (Some("1"), false)] {
        let (app, theme) = (&mut screen.app, Theme::new(no_color));
        screen.terminal.draw(|frame| draw(frame, app, &theme, now())).unwrap();
        let cells = screen.terminal.backend().buffer().content();
        assert_eq!(cells.iter().any(|cell| cell.fg != Color::Reset), coloured, "{no_color:?}");
        assert!(cells.iter().all(|cell| cell.bg == Color::Reset), "the terminal's own, dark or light");
        assert!(cells.iter().any(|cell| cell.modifier.contains(ratatui::style::Modifier::BOLD)));
    }
}

#[test]
fn trouble_with_the_disk_is_seen_in_every_tab_until_something_is_kept() {
    let mut screen = Screen::talking(90, 8);
    let trouble = "cannot keep or read what is said: No space left on device (os error 28)";
    screen.app.happened(now(), Happened::NotKept(trouble.into()));
    let row = |screen: &mut Screen| screen.picture().lines().nth(5).unwrap().to_owned();
    assert_eq!(row(&mut screen), format!(" registered · {trouble}"));
    screen.app.happened(now(), Happened::KeptAgain);
    assert_eq!(row(&mut screen), " laura@bb.com as Laura · registered at node 127.0.0.2:3344 · E 2 R 2");
}
