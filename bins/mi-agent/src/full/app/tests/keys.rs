//! Keys of users: commands, refused calls, and what is kept.

use mi_agent_core::{KeyWords, PeerSecurity, Trust};

use super::*;
use crate::full::tests::fixtures::{key, with_key, without_key};
use crate::session::Done;

fn texts(user: &User, at: usize) -> Vec<&str> {
    user.app.tabs[at].pane.entries().map(|entry| entry.text.as_str()).collect()
}

#[test]
fn a_conversation_says_how_it_is_protected() {
    let mut user = User::new(2);
    user.calls(1, "pere@bb.com");
    assert_eq!(user.last(), "plain: anyone on the way can read and change this");
    user.enters("/call joya@cc.com");
    user.app.begun(user.now, id(2), with_key(peer("joya@cc.com"), Trust::New), Way::Called);
    assert_eq!(user.last(), "encrypted, new key: /verify joya@cc.com compares words");
    assert_eq!(user.app.tab().protection(), Some("new"));
    user.app.ended(user.now, id(2), End::ByPeer, 0);
    assert_eq!(user.app.tab().protection(), None, "there is nothing to protect");
}

#[test]
fn words_are_compared_with_the_key_of_a_conversation() {
    let mut user = User::new(2);
    user.is_called(1, with_key(peer("joya@cc.com"), Trust::New)).is_called(2, peer("pere@bb.com")).acts();
    let words = KeyWords::of(&address("joya@cc.com"), &key(7));
    user.enters(&format!("/verify joya@cc.com {words}"));
    let joya = address("joya@cc.com");
    assert_eq!(user.acts(), [Effect::Wish(Wish::Verify { address: joya, words })]);
    // A command in her tab is about her.
    for line in [format!("/verify {words}"), format!("/trust {words}")] {
        user.press_with(KeyCode::Char('2'), KeyModifiers::ALT).enters(&line);
        assert_eq!(user.acts(), [Effect::Wish(Wish::Verify { address: joya, words })]);
    }
    user.enters("/trust");
    assert_eq!(user.acts(), [Effect::Wish(Wish::Trust(joya))]);
    user.press_with(KeyCode::Char('1'), KeyModifiers::ALT).enters(&format!("/verify {words}"));
    assert_eq!((user.acts(), user.last()), (vec![], "/verify needs an address, such as /verify joya@cc.com"));
    // Another key of hers was meant.
    user.app.done(user.now, Done::Verified { address: joya, key: key(8) });
    assert_eq!(user.app.tabs[1].protection(), Some("new"));
    user.app.done(user.now, Done::Verified { address: joya, key: key(7) });
    assert_eq!(user.app.tabs[1].protection(), Some("verified"), "at once");
    assert_eq!(user.app.tabs[2].protection(), Some("plain"));
    assert_eq!(user.last(), "the words are right: the key of joya@cc.com is verified from now on");
    let Some(ConversationState::Open { peer, .. }) = user.app.tabs.get(1).map(|tab| &tab.conversation) else {
        panic!("it goes on")
    };
    let today = "2026-11-25".parse().unwrap();
    assert_eq!(peer.security, PeerSecurity::Tls { key: key(7), trust: Trust::Verified(today) });
}

#[test]
fn a_command_about_keys_is_answered_where_it_was_typed() {
    let mut user = User::new(2);
    user.is_called(1, with_key(peer("joya@cc.com"), Trust::New)).acts();
    user.enters("/trust joya@cc.com");
    assert_eq!(user.acts(), [Effect::Wish(Wish::Trust(address("joya@cc.com")))]);
    user.app.not_done(user.now, "the key of joya@cc.com is not trusted: word 3, `zoo`, is another one");
    assert_eq!(user.app.current, 1);
    assert!(user.last().ends_with("word 3, `zoo`, is another one"), "{}", user.last());
    user.enters("/words");
    assert_eq!(user.acts(), [Effect::Wish(Wish::OwnWords)]);
    let words = KeyWords::of(&user.app.own, &key(3));
    user.app.done(user.now, Done::OwnWords(words));
    assert_eq!(user.app.overlay, Some(Overlay::Words(words)));
    // A user that goes on typing need not close it.
    user.types("h");
    assert_eq!((&user.app.overlay, user.app.tab().editor.line()), (&None, "h"));
}

#[test]
fn a_plain_call_is_permitted_only_if_it_is_made() {
    let joya = address("joya@cc.com");
    let mut user = User::new(2);
    user.enters("/plain joya@cc.com");
    assert_eq!(user.acts(), [Effect::Wish(Wish::PermitPlain(joya)), Effect::Wish(Wish::Call(joya))]);
    assert_eq!(user.last(), "this call is not encrypted");
    user.app.begun(user.now, id(1), with_key(peer("joya@cc.com"), Trust::New), Way::Called);
    user.effects();
    user.enters("/plain joya@cc.com");
    assert_eq!((user.acts(), user.last()), (vec![], "you are already talking with joya"));
    user.enters("/plain laura@bb.com");
    assert_eq!(user.acts(), [], "that is the user's own address");
}

#[test]
fn what_a_caller_without_its_key_says_is_not_kept_as_that_of_the_user() {
    let mut user = User::new(1);
    let joya = address("joya@cc.com");
    user.is_called(1, without_key("joya@cc.com"));
    assert_eq!(user.last(), "joya@cc.com has a key, and this call does not show it");
    assert_eq!(user.app.contacts().count(), 0, "somebody else may be calling");
    user.hears(1, "hola");
    user.app.said(user.now, id(1), "qui ets?");
    let kept: Vec<_> = user
        .effects()
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Wish(Wish::Remember { talk, entry }) => {
                Some((talk.peer, talk.is_known, entry.candidates))
            }
            _ => None,
        })
        .collect();
    assert_eq!(kept, [(None, false, vec![joya]), (None, false, vec![joya])]);
    assert_eq!(user.app.contacts().count(), 0);
}

#[test]
fn somebody_with_another_key_is_told_of_in_the_first_tab() {
    let mut user = User::new(1);
    let joya = address("joya@cc.com");
    user.app.happened(
        user.now,
        Happened::Refused {
            nickname: PeerText::new("joya"),
            remote: "127.0.0.1:9".parse().unwrap(),
            address: Some(joya),
            reason: Refusal::KeyChanged(joya),
            keys: None,
            is_news: true,
        },
    );
    let told: Vec<_> = texts(&user, 0).into_iter().filter(|text| text.contains("joya@cc.com")).collect();
    let [hint, told] = told[..] else { panic!("{told:?}") };
    assert!(hint.starts_with("type /call"), "{hint}");
    assert!(told.starts_with("somebody called as joya@cc.com with another key, and was refused"), "{told}");
    assert!(!told.contains("cannot reach"), "no call of the user was refused");
    assert_eq!(user.app.missed, 0);
}

#[test]
fn who_is_refused_with_a_new_key_is_told_what_to_do() {
    let mut user = User::new(1);
    user.calls(1, "joya@cc.com");
    let to = Some(address("joya@cc.com"));
    user.app.happened(user.now, Happened::KeyRefused { id: id(1), nickname: PeerText::new("joya"), to });
    user.app.ended(user.now, id(1), End::ByPeer, 0);
    let texts = texts(&user, 1);
    let [.., failure, advice, end] = texts[..] else { panic!("{texts:?}") };
    assert_eq!(failure, "cannot reach joya@cc.com: it knows another key for laura@bb.com");
    assert!(advice.contains("the words that /words shows here"), "{advice}");
    assert!(advice.ends_with("/trust laura@bb.com WORD…"), "{advice}");
    assert!(end.starts_with("conversation with joya ended by joya"), "{end}");
}
