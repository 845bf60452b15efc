mod bounds;
mod contacts;
mod kept;
mod keys;
mod later;

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::ToSpan;
use mi_agent_core::{ConversationError, LookupError, Peer, PeerText, Refusal, StartError};

use plumi_proto::MiSocketAddress;

use super::*;
use crate::full::pane::Kind;
use crate::full::tab::ConversationState;
use crate::full::tests::fixtures::{id, now, peer, setup, stranger};
use crate::session::{End, Happened};
use crate::store::contacts::Way;
use crate::store::history;

/// A registered user in front of a screen.
struct User {
    app: App,
    now: Timestamp,
}

impl User {
    fn new(conversations: usize) -> Self {
        let mut app = App::new(Setup { conversations, ..setup() });
        app.registering(now());
        app.registered(now(), "127.0.0.2:3344".parse().unwrap(), listening());
        Self { app, now: now() }
    }

    fn press(&mut self, code: KeyCode) -> &mut Self {
        self.press_with(code, KeyModifiers::NONE)
    }

    fn press_with(&mut self, code: KeyCode, modifiers: KeyModifiers) -> &mut Self {
        self.app.key(self.now, KeyEvent::new(code, modifiers));
        self
    }

    fn types(&mut self, text: &str) -> &mut Self {
        text.chars().for_each(|character| _ = self.press(KeyCode::Char(character)));
        self
    }

    fn enters(&mut self, line: &str) -> &mut Self {
        self.types(line).press(KeyCode::Enter)
    }

    fn calls(&mut self, number: u64, address: &str) -> &mut Self {
        self.enters(&format!("/call {address}"));
        self.app.begun(self.now, id(number), peer(address), Way::Called);
        self
    }

    fn is_called(&mut self, number: u64, peer: Peer) -> &mut Self {
        self.app.begun(self.now, id(number), peer, Way::CalledBy);
        self
    }

    fn hears(&mut self, number: u64, text: &str) -> &mut Self {
        self.app.heard(self.now, id(number), &PeerText::new(text));
        self
    }

    fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.app.poll_effect()).collect()
    }

    /// Returns the effects, except those that store or load data.
    fn acts(&mut self) -> Vec<Effect> {
        let kept = |effect: &Effect| {
            matches!(
                effect,
                Effect::Wish(Wish::SaveContacts(_))
                    | Effect::Wish(Wish::Recall(_))
                    | Effect::Wish(Wish::Remember { .. })
            )
        };
        self.effects().into_iter().filter(|effect| !kept(effect)).collect()
    }

    /// The last two entries of the tab in view, the older one first.
    fn last_two(&self) -> [&str; 2] {
        let mut entries = self.app.tab().pane.entries().rev().map(|entry| entry.text.as_str());
        let mut next = || entries.next().expect("something was said");
        let last = next();
        [next(), last]
    }

    fn last(&self) -> &str {
        &self.app.tab().pane.entries().last().expect("something was said").text
    }
}

/// All there is of a history.
fn recalled<const N: usize>(entries: [history::Entry; N]) -> history::Recalled {
    history::Recalled { entries: entries.into(), earlier: None }
}

fn listening() -> MiSocketAddress {
    MiSocketAddress::new("127.0.0.1:3500".parse().unwrap()).unwrap()
}

fn address(text: &str) -> MiAddress {
    text.parse().unwrap()
}

#[test]
fn a_call_has_a_tab_of_its_own() {
    let mut user = User::new(1);
    user.enters("/call joya@cc.com");
    assert_eq!(user.acts(), [Effect::Wish(Wish::Call(address("joya@cc.com")))]);
    assert_eq!((user.app.current, user.app.tab().title().as_str()), (1, "joya@cc.com"));
    user.enters("hola");
    assert_eq!(
        user.last(),
        "the call has not been answered, so nobody hears that yet (Ctrl-U deletes the line)"
    );
    assert_eq!(user.app.tab().editor.line(), "hola", "it stays until somebody hears it");
    user.app.begun(user.now, id(1), peer("joya@cc.com"), Way::Called);
    let [begun, protection] = user.last_two();
    assert!(begun.starts_with("in conversation with joya (joya@cc.com) at "), "{begun}");
    assert_eq!(protection, "plain: anyone on the way can read and change this");
    user.press(KeyCode::Enter);
    assert_eq!(user.acts(), [Effect::Wish(Wish::Say { id: id(1), text: "hola".into() })]);
    assert!(user.app.tab().editor.is_empty());
    user.app.said(user.now, id(1), "hola");
    assert_eq!(user.last(), "hola");
    user.hears(1, "bon dia");
    assert_eq!(user.last(), "bon dia");
    user.enters("/bye");
    assert_eq!(user.acts(), [Effect::Wish(Wish::HangUp(id(1)))]);
    user.app.ended(user.now, id(1), End::ByPeer, 0);
    assert_eq!(user.last(), "conversation with joya ended by joya; /call calls again, /close closes the tab");
    user.enters("/call");
    assert_eq!(user.acts(), [Effect::Wish(Wish::Call(address("joya@cc.com")))]);
    assert_eq!(user.app.tabs.len(), 2, "in the same tab");
}

#[test]
fn a_call_that_fails_says_why_and_can_be_given_up() {
    let mut user = User::new(1);
    user.enters("/call joya@cc.com");
    user.app.not_reached(user.now, address("joya@cc.com"), "user is offline", true);
    assert_eq!(user.last(), "cannot reach joya@cc.com: user is offline; /call calls again");
    assert_eq!(user.app.contacts().count(), 1);
    user.enters("/call nobody@cc.com");
    user.app.not_reached(user.now, address("nobody@cc.com"), "no such user or domain", false);
    assert_eq!(user.app.contacts().count(), 1, "there is no nobody");
    user.enters("/call joya@cc.com").acts();
    user.enters("/bye");
    assert_eq!(user.acts(), [Effect::GiveUp(address("joya@cc.com"))]);
    user.app.not_reached(user.now, address("joya@cc.com"), "user is offline", true);
    assert_eq!(user.last(), "the call was given up");
    // The reasons outlive the tabs of their calls.
    let failures = user.app.tabs[0].pane.entries().filter(|entry| matches!(entry.kind, Kind::Failure));
    let failures: Vec<_> = failures.map(|entry| entry.text.as_str()).collect();
    assert_eq!(
        failures,
        ["cannot reach joya@cc.com: user is offline", "cannot reach nobody@cc.com: no such user or domain"]
    );
}

#[test]
fn a_call_to_somebody_in_view_says_what_is_going_on() {
    let mut user = User::new(2);
    user.enters("/call joya@cc.com").acts();
    user.enters("/call joya@cc.com");
    assert_eq!(user.last(), "you are already calling joya@cc.com; /bye gives up");
    user.app.begun(user.now, id(1), peer("joya@cc.com"), Way::Called);
    user.acts();
    user.enters("/call");
    assert_eq!(user.last(), "you are already talking with joya");
    assert_eq!(user.acts(), []);
    user.enters("/bye now");
    assert_eq!(
        user.last(),
        "/bye stands alone, without anything behind it; to send the line, type //bye now"
    );
}

/// The key that ends it depends on the tab.
#[test]
fn a_user_is_told_in_which_tab_the_only_conversation_is() {
    let mut user = User::new(1);
    user.enters("/bye");
    assert_eq!(user.last(), "you are in no conversation here");
    user.calls(1, "joya@cc.com").enters("/call pere@bb.com");
    assert_eq!(user.last(), "you are in a conversation; /bye ends it");
    user.press_with(KeyCode::Char('1'), KeyModifiers::ALT).enters("/call pere@bb.com");
    assert_eq!(user.last(), "you are in a conversation in tab 2 (joya@cc.com); /bye there ends it");
    user.enters("/bye");
    assert_eq!(user.last(), "you are in no conversation here; Ctrl-N goes to the next tab");
}

#[test]
fn a_start_that_fails_says_what_may_help() {
    let mut user = User { app: App::new(setup()), now: now() };
    let node = "127.0.0.2:3344".parse().unwrap();
    for (error, hint) in [
        (StartError::NoAnswer { node, unsent: None }, "is lumi-node running there, and is that its port?"),
        (
            StartError::Domain { domain: "bb.com".parse().unwrap(), error: LookupError::NotFound },
            "check the spelling of bb.com; with --node IP:PORT, the domain is not looked up",
        ),
    ] {
        let pause = Duration::from_secs(5);
        user.app.happened(user.now, Happened::StartDelayed { error, pause, is_news: true });
        assert_eq!(user.last(), hint);
    }
}

/// The messages of the registration are not counted before it succeeds.
#[test]
fn messages_are_counted_from_the_registration_on() {
    assert_eq!(App::new(setup()).messages, None);
    assert_eq!(User::new(1).app.messages, Some(MessageCounts::default()));
}

#[test]
fn the_example_of_an_address_is_that_of_somebody_else() {
    let mut app = App::new(Setup { own: address("joya@cc.com"), ..setup() });
    app.registered(now(), "127.0.0.2:3344".parse().unwrap(), listening());
    let mut joya = User { app, now: now() };
    assert_eq!(joya.last(), "type /call and an address, such as /call laura@bb.com");
    joya.enters("/call");
    assert_eq!(joya.last(), "/call needs an address, such as /call laura@bb.com");
}

/// A line that the session refuses is back in the input line, unless something else is there.
#[test]
fn a_line_that_is_not_sent_stays() {
    let mut user = User::new(1);
    user.calls(1, "joya@cc.com").acts();
    user.enters("hola").acts();
    user.app.not_said(user.now, id(1), "hola", "too many lines wait to be sent");
    assert_eq!(user.last(), "not sent: too many lines wait to be sent");
    assert_eq!(user.app.tab().editor.line(), "hola");
    user.app.not_said(user.now, id(1), "adeu", "too many lines wait to be sent");
    assert_eq!(user.last(), "not sent, too many lines wait to be sent: adeu");
    assert_eq!(user.app.tab().editor.line(), "hola");
}

#[test]
fn there_are_as_many_conversations_as_may_be() {
    let mut user = User::new(2);
    user.calls(1, "joya@cc.com").calls(2, "pere@bb.com").acts();
    user.enters("/call joan@cc.com");
    assert_eq!(user.acts(), []);
    assert_eq!(user.last(), "you are in 2 conversations, as many as may be; /bye ends this one");
    user.press_with(KeyCode::Char('1'), KeyModifiers::ALT).enters("/call joan@cc.com");
    assert_eq!(user.last(), "you are in 2 conversations, as many as may be; /bye in the tab of one ends it");
    user.enters("/call laura@bb.com");
    assert_eq!(user.last(), "cannot reach laura@bb.com: that is your own address");
    // The tab of an ongoing conversation is shown, and its peer is not called again.
    user.enters("/call joya@cc.com");
    assert_eq!((user.acts(), user.app.current), (vec![], 1));
}

#[test]
fn who_types_is_not_disturbed() {
    let mut user = User::new(3);
    user.is_called(1, peer("joya@cc.com"));
    assert_eq!(user.app.current, 1, "who only waits sees who calls");
    user.types("bon d").is_called(2, peer("pere@bb.com")).hears(2, "ei!").hears(1, "hola");
    assert_eq!((user.app.current, user.app.tab().editor.line()), (1, "bon d"));
    assert_eq!((user.app.tabs[1].unread, user.app.tabs[2].unread), (0, 2), "the call and the line");
    user.press_with(KeyCode::Char('n'), KeyModifiers::CONTROL);
    assert_eq!((user.app.current, user.app.tab().unread, user.app.tab().editor.line()), (2, 0, ""));
    user.press_with(KeyCode::Char('2'), KeyModifiers::ALT);
    assert_eq!((user.app.current, user.app.tab().editor.line()), (1, "bon d"));
    // This also holds in the first tab, while something is being typed.
    let mut user = User::new(3);
    user.types("/ca").is_called(1, peer("joya@cc.com"));
    assert_eq!((user.app.current, user.app.tabs[1].unread), (0, 1));
}

#[test]
fn what_is_read_stays_in_view_until_something_is_said() {
    let mut user = User::new(1);
    user.calls(1, "joya@cc.com");
    (0..30).for_each(|n| _ = user.hears(1, &n.to_string()));
    user.app.tab_mut().pane.visible(40, 5);
    user.press(KeyCode::PageUp).hears(1, "one more");
    assert_eq!(user.app.tab().pane.unseen(), 1);
    user.enters("hola");
    assert!(user.app.tab().pane.is_at_end());
}

#[test]
fn the_end_tells_what_was_lost() {
    let mut user = User::new(1);
    user.calls(1, "joya@cc.com");
    let lost = ConversationError::Lost(std::io::ErrorKind::ConnectionReset.into());
    user.app.conversation_failed(user.now, id(1), &lost);
    assert_eq!(user.last(), "conversation with joya: connection lost: connection reset");
    user.app.ended(user.now, id(1), End::Lost, 3);
    let texts: Vec<_> =
        user.app.tab().pane.entries().rev().take(2).map(|entry| entry.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "the connection with joya is lost; /call calls again, /close closes the tab",
            "3 lines were not sent"
        ]
    );
    user.enters("hola");
    assert_eq!(
        user.last(),
        "the conversation has ended, so nobody hears that; /call calls again (Ctrl-U deletes the line)"
    );
    user.press_with(KeyCode::Char('u'), KeyModifiers::CONTROL);
    user.enters("/close");
    assert_eq!((user.app.current, user.app.tabs.len()), (0, 1));
    user.enters("/close");
    assert_eq!(user.last(), "this tab stays; /quit leaves");
}

#[test]
fn callers_without_an_address_have_tabs_too() {
    let mut user = User::new(2);
    user.is_called(1, stranger("qui sap\u{202e}"));
    assert_eq!(user.app.tab().title(), r"? qui sap\u{202e}");
    user.enters("/call");
    assert_eq!(user.last(), "/call needs an address, such as /call joya@cc.com");
    assert_eq!(user.app.contacts().count(), 0);
    assert!(!user.effects().iter().any(|effect| matches!(effect, Effect::Wish(Wish::Recall(_)))));
}

/// Boss asked just before or after Joan, so that her call would get his name.
#[test]
fn a_caller_who_may_be_one_of_several_is_nobody_whom_the_user_knows() {
    let mut user = User::new(2);
    let mut joan = stranger("Joan");
    joan.candidates = ["joan@bb.com", "boss@evil.com"].map(|candidate| candidate.parse().unwrap()).into();
    user.is_called(1, joan);
    assert_eq!(user.app.tab().title(), "? Joan");
    assert_eq!(user.last_two()[0], "in conversation with Joan (joan or boss@evil.com?) at 127.0.0.1:4457");
    user.hears(1, "hola");
    user.app.said(user.now, id(1), "who is it?");
    assert_eq!(user.app.contacts().count(), 0, "it is a conversation with none of them");
    let mut kept = Vec::new();
    for effect in user.effects() {
        match effect {
            Effect::Wish(Wish::Remember { talk, entry }) => {
                assert_eq!((talk.peer, talk.is_known), (None, false));
                assert_eq!(entry.candidates, ["joan@bb.com", "boss@evil.com"].map(address));
                kept.push(entry.text);
            }
            effect => assert!(!matches!(effect, Effect::Wish(Wish::Recall(_)))),
        }
    }
    assert_eq!(kept, ["hola", "who is it?"]);
    user.enters("/find hola");
    assert!(user.last().ends_with("mi-agent history --unknown prints it"), "{}", user.last());
}

#[test]
fn several_pasted_lines_are_asked_about() {
    let mut user = User::new(1);
    user.app.paste(user.now, "one\ntwo");
    assert_eq!(user.app.overlay, None);
    assert!(user.last().starts_with("several lines were pasted, but you are in no conversation"));
    user.calls(1, "joya@cc.com").acts();
    user.types("before ");
    user.app.paste(user.now, "pasted\n");
    assert_eq!(user.acts(), [], "one line is only typed");
    assert_eq!(user.app.tab().editor.line(), "before pasted");
    for (answer, said) in [(KeyCode::Esc, 0), (KeyCode::Char('x'), 0), (KeyCode::Enter, 3)] {
        user.app.paste(user.now, "one\r\n\ntwo\n");
        assert!(
            matches!(&user.app.overlay, Some(Overlay::Paste { lines, .. }) if lines == &["one", "", "two"])
        );
        user.press(answer);
        assert_eq!(user.acts().len(), said, "{answer:?}");
        assert_eq!(user.app.tab().editor.line(), "before pasted");
        if answer == KeyCode::Char('x') {
            assert!(user.app.overlay.is_some(), "it is answered first");
        }
    }
    user.app.paste(user.now, &"line\n".repeat(201));
    assert_eq!(user.last(), "201 lines were pasted and not sent: 200 are the most");
    // The question disappears with the conversation.
    user.app.paste(user.now, "one\ntwo");
    user.app.ended(user.now, id(1), End::ByPeer, 0);
    assert_eq!(user.app.overlay, None);
}

#[test]
fn who_is_blocked_is_told_and_kept() {
    let mut user = User::new(1);
    user.enters("/block joya@cc.com");
    let mut blocked = Admission::default();
    blocked.block(address("joya@cc.com")).unwrap();
    assert_eq!(user.acts(), [Effect::Wish(Wish::SetAdmission(blocked))]);
    user.enters("/block");
    assert_eq!(user.last(), "blocked: joya@cc.com; everybody else may call");
    user.enters("/block joya@cc.com");
    assert_eq!(user.acts(), [], "nothing changes");
    user.enters("/unblock joya@cc.com");
    assert_eq!(user.acts(), [Effect::Wish(Wish::SetAdmission(Admission::default()))]);
    user.enters("/allow-only pere@bb.com joya@cc.com");
    assert_eq!(user.last(), "only these may call: joya@cc.com, pere@bb.com");
    assert_eq!(user.acts().len(), 1);
    user.enters("/allow-only off");
    assert_eq!(user.acts(), [Effect::Wish(Wish::SetAdmission(Admission::default()))]);
    user.enters("/block");
    assert_eq!(user.last(), "nobody is blocked");
    user.app.missed(user.now, address("joya@cc.com"), Refusal::Blocked);
    assert!(user.last().starts_with("joya@cc.com wanted to call and was refused: "), "{}", user.last());
}

#[test]
fn the_bell_rings_for_who_looks_elsewhere() {
    let mut user = User::new(2);
    user.calls(1, "joya@cc.com").hears(1, "hola");
    assert!(!user.effects().contains(&Effect::Bell), "the terminal has the focus");
    user.app.focus(false);
    user.hears(1, "hola").hears(1, "que hi ets?");
    assert_eq!(user.acts(), [Effect::Bell], "once");
    user.now += 1.second();
    user.is_called(2, peer("pere@bb.com"));
    assert_eq!(user.acts(), [Effect::Bell]);
    user.app.rings_bell = false;
    user.now += 1.minute();
    user.hears(1, "hola");
    assert_eq!(user.acts(), []);
}

#[test]
fn leaving_is_meant() {
    let (c, d) = (KeyCode::Char('c'), KeyCode::Char('d'));
    let mut user = User::new(1);
    user.types("hola").press_with(c, KeyModifiers::CONTROL);
    assert_eq!(user.acts(), []);
    assert_eq!(user.app.tab().editor.line(), "");
    user.press(KeyCode::Up);
    assert_eq!(user.app.tab().editor.line(), "hola", "it is not lost");
    user.press(KeyCode::Home).press_with(d, KeyModifiers::CONTROL);
    assert_eq!(user.acts(), []);
    assert_eq!(user.app.tab().editor.line(), "ola");
    user.press_with(c, KeyModifiers::CONTROL).press_with(c, KeyModifiers::CONTROL);
    assert_eq!(user.acts(), [Effect::Quit { in_a_hurry: true }]);
    for leaves in ["/quit", "EXIT"] {
        user.enters(leaves);
        assert_eq!(user.acts(), [Effect::Quit { in_a_hurry: false }]);
    }
    user.press_with(d, KeyModifiers::CONTROL);
    assert_eq!(user.acts(), [Effect::Quit { in_a_hurry: false }]);
}

#[test]
fn nothing_is_called_before_the_user_is_registered() {
    let mut user = User { app: App::new(setup()), now: now() };
    user.enters("/call joya@cc.com");
    assert_eq!(user.acts(), []);
    assert_eq!(user.last(), "not yet: you are not registered");
}

#[test]
fn a_loss_of_the_registration_is_told_where_it_is_seen() {
    let mut user = User::new(1);
    user.calls(1, "joya@cc.com");
    user.app.registration_lost(user.now, "node 127.0.0.2:3344 does not answer");
    assert_eq!(user.app.registration, Registration::Lost("node 127.0.0.2:3344 does not answer".into()));
    assert_eq!(user.app.tabs[0].unread, 1);
    user.app.registration_regained(user.now, "127.0.0.2:3344".parse().unwrap());
    assert_eq!(user.app.registration, Registration::Registered { node: "127.0.0.2:3344".parse().unwrap() });
}

#[test]
fn who_calls_while_another_tab_is_in_view_is_told_of_there() {
    let mut user = User::new(3);
    user.types("bon d").is_called(1, peer("joya@cc.com"));
    assert_eq!(user.last(), "joya (joya@cc.com) calls, in tab 2; Alt-2 shows it");
    assert_eq!(user.app.tab().editor.line(), "bon d");
}

#[test]
fn calls_that_came_to_nothing_leave_one_tab_at_most() {
    let mut user = User::new(1);
    for who in ["u1@cc.com", "u2@cc.com", "u3@cc.com"] {
        user.enters(&format!("/call {who}"));
        user.app.not_reached(user.now, address(who), "user is offline", true);
        assert_eq!((user.app.tabs.len(), user.app.current), (2, 1), "{who}");
        assert_eq!(user.app.tab().title(), who);
    }
    user.calls(1, "joya@cc.com");
    user.app.ended(user.now, id(1), End::ByPeer, 0);
    user.enters("/call u1@cc.com");
    assert_eq!(user.app.tabs.len(), 3, "what was said stays");
}
