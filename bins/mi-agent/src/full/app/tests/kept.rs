//! Lines that are kept, and those of earlier conversations.

use super::*;

#[test]
fn more_of_the_history_is_offered_if_there_is_more() {
    let entry = |n: usize| history::Entry {
        at: now(),
        way: history::Way::Sent,
        nick: "Laura".into(),
        text: format!("Line {n}."),
        continues: false,
        candidates: Vec::new(),
    };
    let joya = address("joya@cc.com");
    for (lines, expected) in [
        (2, "that is all of the history; /find TEXT searches it, /call calls"),
        (20, "PageUp shows more of the history, /find TEXT searches it, /call calls"),
    ] {
        let mut user = User::new(1);
        user.enters("/add joya@cc.com").press(KeyCode::F(3)).press(KeyCode::Char('h'));
        user.app.tab_mut().pane.visible(40, 10);
        assert_eq!(user.app.tab().pane.entries().count(), 0, "nothing is said before it is known");
        let recalled = history::Recalled { entries: (0..lines).map(entry).collect(), earlier: None };
        user.app.recalled(user.now, joya, &recalled);
        assert_eq!(user.last(), expected);
        user.press(KeyCode::F(3)).press(KeyCode::Char('h'));
        assert_eq!(user.last(), expected, "it is there already");
    }
}

#[test]
fn what_is_found_in_other_letters_is_told_so() {
    let mut user = User::new(1);
    user.calls(1, "joya@cc.com");
    let entry = |text: &str| history::Entry {
        at: now(),
        way: history::Way::Sent,
        nick: "Laura".into(),
        text: text.into(),
        continues: false,
        candidates: Vec::new(),
    };
    for (found, told) in [
        (vec![], "no line has \"Apunts\" in it"),
        (vec![entry("Apunts!")], "one line has \"Apunts\" in it"),
        (
            vec![entry("Apunts!"), entry("els apunts")],
            "2 lines have \"Apunts\" in it, in upper or lower case",
        ),
    ] {
        let count = found.len();
        user.app.happened(user.now, Happened::Found(address("joya@cc.com"), "Apunts".into(), found));
        let entry = user.app.tab().pane.entries().rev().nth(count).unwrap();
        assert_eq!(entry.text, told);
    }
}

#[test]
fn what_is_said_is_kept_as_it_was_said() {
    let mut user = User::new(1);
    user.calls(1, "joya@cc.com");
    assert!(user.effects().contains(&Effect::Wish(Wish::Recall(address("joya@cc.com")))));
    user.hears(1, "\x1bhola");
    user.app.said(user.now, id(1), "bon\tdia");
    let kept: Vec<_> = user
        .effects()
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Wish(Wish::Remember { talk, entry }) => {
                assert!(talk.id == id(1) && talk.is_known);
                Some((talk.peer.unwrap().to_string(), entry.nick, entry.text))
            }
            _ => None,
        })
        .collect();
    let joya = || String::from("joya@cc.com");
    assert_eq!(
        kept,
        [(joya(), "joya".into(), "\x1bhola".into()), (joya(), "Laura".into(), "bon\tdia".into())]
    );
    assert_eq!(user.last(), "bon    dia");
    user.app.keeps_history = false;
    user.hears(1, "hola");
    assert_eq!(user.effects(), []);
}

#[test]
fn the_pieces_of_a_line_are_one_paragraph() {
    let mut user = User::new(1);
    user.calls(1, "joya@cc.com").hears(1, "at ").effects();
    for piece in ["ninety-nine ", "bytes"] {
        user.app.heard(user.now, id(1), &PeerText::new(piece).continuing());
    }
    assert_eq!(user.last(), "at ninety-nine bytes");
    let kept = user.effects().into_iter().filter_map(|effect| match effect {
        Effect::Wish(Wish::Remember { entry, .. }) => Some((entry.text, entry.continues)),
        _ => None,
    });
    assert_eq!(kept.collect::<Vec<_>>(), [("ninety-nine ".to_owned(), true), ("bytes".to_owned(), true)]);
    user.hears(1, "hola");
    assert_eq!(user.last(), "hola");
}

#[test]
fn earlier_conversations_come_before_this_one() {
    let mut user = User::new(1);
    user.calls(1, "joya@cc.com").hears(1, "hola");
    let earlier = history::Entry {
        at: user.now - 24.hours(),
        way: history::Way::Received,
        nick: "jo\x07ya".into(),
        text: "fins demà\x1b".into(),
        continues: false,
        candidates: Vec::new(),
    };
    user.app.recalled(user.now, address("joya@cc.com"), &recalled([earlier]));
    let first = user.app.tab().pane.entries().next().unwrap();
    assert_eq!((&first.kind, first.text.as_str()), (&Kind::Earlier(r"jo\x07ya".into()), r"fins demà\x1b"));
}
