//! The bounds of what the screen keeps, and of what callers have kept.

use super::*;
use crate::store::folder::DataFolder;

/// Peers say much, one after the other, under many names.
#[test]
fn all_tabs_together_keep_no_more_than_their_bound() {
    let mut user = User::new(1);
    let bytes = |user: &User| user.app.tabs.iter().map(|tab| tab.pane.bytes()).sum::<usize>();
    for n in 1..MAX_TABS as u64 {
        user.is_called(n, peer(&format!("u{n}@cc.com")));
        for _ in 0..40 {
            let (nickname, text) = (PeerText::new("u"), PeerText::new("x".repeat(30_000)));
            user.app.happened(user.now, Happened::Line { id: id(n), nickname, text });
            assert!(bytes(&user) <= MAX_BYTES);
        }
        user.app.ended(user.now, id(n), End::ByPeer, 0);
        user.effects();
    }
    let entries = |at: usize| user.app.tabs[at].pane.entries().count();
    assert!(bytes(&user) > MAX_BYTES / 10 * 9, "{}", bytes(&user));
    assert_eq!(entries(MAX_TABS / 4), 0, "the oldest of them have given way");
    assert!(entries(MAX_TABS - 2) > 30 && entries(0) > 0, "the newest have not");
    // A conversation goes on while all others have ended.
    user.enters("/call u1@cc.com");
    user.app.begun(user.now, id(99), peer("u1@cc.com"), Way::Called);
    user.hears(99, "hola");
    assert_eq!(user.last(), "hola");
}

#[test]
fn tabs_are_bounded() {
    let mut user = User::new(1);
    for n in 0..2 * MAX_TABS as u64 {
        user.calls(n + 1, &format!("u{n}@cc.com"));
        user.app.ended(user.now, id(n + 1), End::ByPeer, 0);
    }
    assert_eq!(user.app.tabs.len(), MAX_TABS);
    assert_eq!(user.app.tabs[0].about, About::Agent);
    assert_eq!(user.app.tab().title(), format!("u{}@cc.com", 2 * MAX_TABS - 1));
    assert!(user.app.tabs.iter().all(|tab| matches!(tab.conversation, ConversationState::None)));
}

#[test]
fn callers_close_no_tab_of_a_friend() {
    let mut user = User::new(1);
    user.calls(1, "joya@cc.com").hears(1, "hola");
    user.app.ended(user.now, id(1), End::ByPeer, 0);
    user.app.show(0);
    for n in 0..2 * MAX_TABS as u64 {
        user.is_called(n + 2, peer(&format!("u{n}@cc.com")));
        user.app.ended(user.now, id(n + 2), End::ByPeer, 0);
        user.effects();
    }
    assert_eq!(user.app.tabs.len(), MAX_TABS);
    let joya = About::Contact(address("joya@cc.com"));
    assert!(user.app.tabs.iter().any(|tab| tab.about == joya));
}

#[test]
fn a_caller_who_is_answered_is_a_contact_of_the_user() {
    let mut user = User::new(1);
    let joya = address("joya@cc.com");
    user.is_called(1, peer("joya@cc.com")).hears(1, "hola").effects();
    assert!(!user.app.contacts.is_of_the_user(&joya));
    user.app.said(user.now, id(1), "bon dia");
    assert!(user.app.contacts.is_of_the_user(&joya));
    let effects = user.effects();
    let [Effect::Wish(Wish::SaveContacts(_)), Effect::Wish(Wish::Remember { talk, .. })] = &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert!(talk.is_known);
    user.app.said(user.now, id(1), "adeu");
    assert_eq!(user.effects().len(), 1, "that is no news");
}

/// The history left out what came in between, and the screen gave up the oldest lines.
#[test]
fn scrolling_goes_on_where_it_stopped_or_says_why_not() {
    let (data, folder) = DataFolder::temporary();
    let mut kept = history::History::of(&folder);
    let joya = address("joya@cc.com");
    let entry = |n: usize| history::Entry {
        at: Timestamp::UNIX_EPOCH,
        way: history::Way::Sent,
        nick: "Laura".into(),
        text: format!("Line {n}."),
        continues: false,
        candidates: Vec::new(),
    };
    let talk = history::Talk { id: id(9), peer: Some(joya), is_known: true, is_sure: true };
    (0..10).for_each(|n| _ = kept.append(&talk, &entry(n)).unwrap());
    let mut user = User::new(1);
    user.calls(1, "joya@cc.com").effects();
    let first = kept.before(&joya, None, 3).unwrap();
    user.app.recalled(user.now, joya, &first);
    for _ in 0..50 {
        user.hears(1, "it is left out");
    }
    user.effects();
    user.app.tab_mut().pane.visible(40, 100);
    user.press(KeyCode::PageUp);
    let [Effect::Wish(Wish::RecallMore { peer, before })] = user.effects()[..] else {
        panic!("more is asked for")
    };
    assert_eq!((peer, Some(before)), (joya, first.earlier));
    user.press(KeyCode::PageUp);
    assert_eq!(user.effects(), [], "once");
    user.app.recalled(user.now, joya, &kept.before(&joya, Some(before), 4).unwrap());
    let top = |user: &User| -> Vec<_> {
        user.app.tab().pane.entries().take(7).map(|entry| entry.text.clone()).collect()
    };
    assert_eq!(top(&user), (3..10).map(|n| format!("Line {n}.")).collect::<Vec<_>>());

    user.app.tab_mut().pane.give_up(1);
    user.press(KeyCode::PageUp).press(KeyCode::PageUp);
    assert_eq!(user.effects(), [], "lines would be missing between");
    let note = "earlier lines are not on the screen; mi-agent history joya@cc.com prints them";
    assert_eq!(top(&user)[..2], [note, "Line 4."]);
    drop(data);
}

#[test]
fn what_is_left_out_is_told_where_it_was_said() {
    let mut user = User::new(1);
    user.calls(1, "joya@cc.com");
    user.app.happened(user.now, Happened::LeftOut(id(1)));
    assert_eq!(user.last(), history::LEFT_OUT);
    let note = history::Entry {
        at: user.now,
        way: history::Way::LeftOut,
        nick: String::new(),
        text: history::LEFT_OUT.into(),
        continues: false,
        candidates: Vec::new(),
    };
    user.app.recalled(user.now, address("joya@cc.com"), &recalled([note]));
    assert_eq!(user.app.tab().pane.entries().next().unwrap().kind, Kind::Earlier("*".into()));
}
