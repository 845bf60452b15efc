//! The screens, as docs/agent.md draws them: one design.

use mi_agent_core::{CallError, ConversationError, KeyWords, LocateError, NotSecure, Pin, Refusal, Trust};

use super::*;
use crate::full::tests::fixtures::{key, with_key};
use crate::session::{CallId, Done};
use crate::store::history;

const DOCUMENT: &str = include_str!("../../../../../../docs/agent.md");

#[test]
fn the_screens_are_those_of_the_document() {
    let drawn = DOCUMENT.split("\n```screen\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    let drawn: Vec<_> = drawn.collect();
    let screens = [
        first(),
        talking(),
        tabs(),
        own_words(),
        compared(),
        another_key(),
        no_encryption(),
        contacts(),
        protocol(),
    ];
    let pictures = screens.map(|mut screen| screen.picture());
    let told = || pictures.join("\n```\n\n```screen\n");
    assert!(drawn == pictures, "they look so, and not as they are drawn:\n\n```screen\n{}\n```", told());
}

fn first() -> Screen {
    Screen::new(80, 11)
}

/// A conversation goes on after one of the day before.
fn talking() -> Screen {
    let mut screen = Screen::new(80, 13);
    screen.types("/call joya@cc.com\n");
    let entry = |minutes: i64, way, nick: &str, text: &str| history::Entry {
        at: now() - 24.hours() + minutes.minutes(),
        way,
        nick: nick.into(),
        text: text.into(),
        continues: false,
        candidates: Vec::new(),
    };
    let entries = vec![
        entry(0, history::Way::Sent, "Laura", "fins demà"),
        entry(1, history::Way::Received, "Joya", "adéu!"),
    ];
    let recalled = history::Recalled { entries, earlier: None };
    screen.app.recalled(now(), "joya@cc.com".parse().unwrap(), &recalled);
    let mut joya = peer("joya@cc.com");
    joya.nickname = PeerText::new("Joya");
    let verified = Trust::Verified("2026-11-20".parse().unwrap());
    screen.app.begun(now() + 1.minutes(), id(1), with_key(joya, verified), Way::Called);
    screen.app.messages = Some(MessageCounts::new(2, 2));
    screen.app.said(now() + 1.minutes(), id(1), "hola, com va la pràctica?");
    screen.app.heard(now() + 2.minutes(), id(1), &PeerText::new("bé! el node ja respon 👩\u{200d}💻"));
    let long = "quedem demà? m'han dit que el 日本 de la plaça és bo, i a prop de la facultat";
    screen.app.said(now() + 2.minutes(), id(1), long);
    screen.app.heard(now() + 3.minutes(), id(1), &PeerText::new("perfecte, a les dues"));
    screen.types("porto els apunts");
    screen
}

/// Three conversations, of which one has ended, and one is lost. A call that was missed is counted in the
/// first tab.
fn tabs() -> Screen {
    let mut screen = Screen::new(84, 13);
    screen.app.messages = Some(MessageCounts::new(9, 9));
    screen.app.begun(now(), id(1), peer("joya@cc.com"), Way::CalledBy);
    screen.app.begun(now() + 1.minutes(), id(2), peer("pere@bb.com"), Way::CalledBy);
    screen.app.heard(now() + 2.minutes(), id(2), &PeerText::new("laura, hi ets?"));
    screen.app.ended(now() + 3.minutes(), id(1), End::ByPeer, 0);
    screen.app.missed(now() + 3.minutes(), "anna@bb.com".parse().unwrap(), Refusal::Busy);
    screen.types_at(now() + 4.minutes(), "/call eva@bb.com\n");
    screen.app.begun(now() + 4.minutes(), id(3), peer("eva@bb.com"), Way::Called);
    screen.app.said(now() + 4.minutes(), id(3), "hola, eva");
    let lost = ConversationError::Lost(std::io::Error::from_raw_os_error(104));
    screen.app.conversation_failed(now() + 6.minutes(), id(3), &lost);
    screen.app.ended(now() + 6.minutes(), id(3), End::Lost, 0);
    screen.types_at(now() + 7.minutes(), "/call\n");
    let (to, error) = ("eva@bb.com".parse().unwrap(), CallError::Locate(LocateError::Offline));
    screen.app.not_reached(now() + 7.minutes(), to, &error.to_string(), true);
    screen
}

/// Laura types the words that Joya reads out.
fn compared() -> Screen {
    let mut screen = Screen::new(80, 9);
    screen.types("/call joya@cc.com\n");
    screen.app.begun(now(), id(1), with_key(peer("joya@cc.com"), Trust::New), Way::Called);
    screen.app.said(now(), id(1), "hola! ets tu?");
    screen
        .app
        .done(now() + 4.minutes(), Done::Verified { address: "joya@cc.com".parse().unwrap(), key: key(7) });
    screen.app.messages = Some(MessageCounts::new(2, 2));
    screen
}

fn own_words() -> Screen {
    let mut screen = Screen::new(80, 15);
    let known = Trust::Known("2026-11-02".parse().unwrap());
    screen.app.begun(now(), id(1), with_key(peer("joya@cc.com"), known), Way::CalledBy);
    let words = KeyWords::of(&screen.app.own, &key(3));
    screen.app.done(now(), Done::OwnWords(words));
    screen.app.messages = Some(MessageCounts::new(2, 2));
    screen
}

/// Joya has a new machine, or somebody sits in between.
fn another_key() -> Screen {
    let known = Pin::seen(key(7), "2026-11-02".parse().unwrap()).verified("2026-11-20".parse().unwrap());
    refused(CallError::KeyChanged { known, offered: key(8) }, 11)
}

/// Keys are written to a file meanwhile, which the line with the registration says.
fn no_encryption() -> Screen {
    let mut screen = refused(NotSecure::HasKey.into(), 13);
    screen.app.key_log = Some("/tmp/keys.log".into());
    screen.types_at(now() + 2.minutes(), "/plain joya@cc.com\n");
    screen.app.begun(now() + 2.minutes(), id(1), peer("joya@cc.com"), Way::Called);
    screen
}

fn refused(error: CallError, height: u16) -> Screen {
    let mut screen = Screen::new(80, height);
    screen.types("/call joya@cc.com\n");
    let (call, to) = (CallId::of_test(1), "joya@cc.com".parse().unwrap());
    screen.app.happened(now(), Happened::CallFailed { call, to, error });
    screen.app.messages = Some(MessageCounts::new(2, 2));
    screen
}

fn contacts() -> Screen {
    let mut screen = Screen::new(80, 12);
    screen.app.begun(now() - 22.hours(), id(1), peer("pere@bb.com"), Way::CalledBy);
    screen.app.ended(now() - 22.hours(), id(1), End::ByPeer, 0);
    screen.app.begun(now() - 2.hours(), id(2), peer("joya@cc.com"), Way::Called);
    screen.app.ended(now() - 2.hours(), id(2), End::ByYou, 0);
    for minutes in [76, 74] {
        screen.app.missed(now() - minutes.minutes(), "joya@cc.com".parse().unwrap(), Refusal::Busy);
    }
    screen.app.missed(now() - 23.hours(), "eva@bb.com".parse().unwrap(), Refusal::Busy);
    screen.app.key(now(), KeyEvent::new(KeyCode::Char('1'), KeyModifiers::ALT));
    screen.types("/add anna@bb.com\n");
    screen.press(KeyCode::F(3));
    screen
}

fn protocol() -> Screen {
    let mut screen = Screen::new(80, 26);
    screen.types("/call joya@cc.com\n");
    let known = Trust::Known("2026-11-02".parse().unwrap());
    screen.app.begun(now(), id(1), with_key(peer("joya@cc.com"), known), Way::Called);
    screen.app.messages = Some(MessageCounts::new(2, 2));
    screen.press(KeyCode::F(2));
    screen.app.said(now(), id(1), "hola");
    screen.calls_in_the_protocol();
    screen.passes_handshake();
    screen.passes_frame(Direction::Sent, FrameKind::Nickname, b"N05Laura");
    screen.passes_frame(Direction::Received, FrameKind::Nickname, b"N04joya");
    screen.passes_frame(Direction::Sent, FrameKind::Line, b"L04hola");
    screen
}
