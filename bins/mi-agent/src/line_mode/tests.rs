use mi_agent_core::{KeyWords, Peer, PeerText, PublicKey};

use super::*;
use crate::session::End;

fn line_mode() -> LineMode {
    LineMode::new("laura@bb.com".parse().unwrap(), Admission::default(), false, &[])
}

fn effects(state: &mut LineMode) -> Vec<Effect> {
    std::iter::from_fn(|| state.poll_effect()).collect()
}

fn print(line: &str) -> Effect {
    Effect::Print(line.into())
}

fn begun(number: u64) -> Happened {
    let mut peer = Peer::new(PeerText::new("joya"), "127.0.0.1:4456".parse().unwrap());
    peer.address = Some("joya@cc.com".parse().unwrap());
    Happened::Begun { id: number.into(), peer, call: None }
}

fn line(number: u64, text: &str) -> Happened {
    Happened::Line { id: number.into(), nickname: PeerText::new("joya"), text: PeerText::new(text) }
}

fn ended(number: u64) -> Happened {
    Happened::Ended { id: number.into(), nickname: PeerText::new("joya"), end: End::ByPeer, unsaid: 0 }
}

/// Line mode in a conversation with Joya, the caller.
fn talking() -> LineMode {
    let mut state = line_mode();
    state.happened(&begun(1));
    let begun = "* in conversation with joya (joya@cc.com) at 127.0.0.1:4456\n\
        * plain: anyone on the way can read and change this";
    assert_eq!(effects(&mut state), [print(begun)]);
    state
}

#[test]
fn the_next_line_waits_until_the_last_one_is_handed_over() {
    let mut state = talking();
    state.typed(Some("/var/log is full".into()));
    let wish = Wish::Say { id: 1.into(), text: "/var/log is full".into() };
    assert_eq!(effects(&mut state), [Effect::Wish(wish)]);
    assert!(!state.takes_input());
    state.answered(Ok(Done::Queued { waiting: 1 }));
    state.happened(&line(1, "bon dia"));
    assert!(!state.takes_input());
    state.happened(&Happened::HandedOver(2.into()));
    assert!(!state.takes_input(), "that was another conversation");
    state.happened(&Happened::HandedOver(1.into()));
    assert!(state.takes_input());
    assert_eq!(effects(&mut state), [print("<joya> bon dia")]);

    state.typed(Some("the last one".into()));
    state.happened(&ended(1));
    assert!(state.takes_input(), "nothing is handed over any more");
    state.typed(Some("hola?".into()));
    let printed = effects(&mut state).split_off(1);
    let nobody = "! you are in no conversation, so nobody hears that; /call ADDRESS starts one";
    assert_eq!(printed, [print("* conversation with joya ended by joya"), print(nobody)]);
}

#[test]
fn a_line_that_is_not_sent_says_why_unless_the_end_does() {
    for (refused, told) in
        [(SayError::Full, Some("! not sent: too many lines wait to be sent")), (SayError::Ended, None)]
    {
        let mut state = talking();
        state.typed(Some("hola".into()));
        effects(&mut state);
        state.answered(Err(Refused::NotSaid(refused)));
        assert!(state.takes_input());
        assert_eq!(effects(&mut state), told.map(print).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn the_next_line_waits_for_the_end_of_a_conversation_and_for_a_call() {
    let mut state = talking();
    state.typed(Some("/bye".into()));
    assert_eq!(effects(&mut state), [Effect::Wish(Wish::HangUp(1.into()))]);
    state.answered(Ok(Done::AtOnce));
    assert!(!state.takes_input());
    state.happened(&ended(1));
    assert!(state.takes_input());
    state.typed(Some("/call joan@bb.com".into()));
    let joan = "joan@bb.com".parse().unwrap();
    assert_eq!(effects(&mut state)[1..], [print("* calling joan@bb.com"), Effect::Wish(Wish::Call(joan))]);
    // Another peer calls meanwhile, and ends it again.
    state.happened(&begun(2));
    state.happened(&ended(2));
    assert!(!state.takes_input());
}

/// The program leaves. The conversation was hung up before its beginning was reported.
#[test]
fn a_conversation_that_was_not_reported_says_nothing() {
    let mut state = line_mode();
    state.happened(&line(1, "hola"));
    state.happened(&ended(1));
    assert_eq!(effects(&mut state), []);
}

#[test]
fn what_is_not_kept_is_told_before_what_holds() {
    let mut state = line_mode();
    state.typed(Some("/block joya@cc.com".into()));
    let Some(Effect::Wish(Wish::SetAdmission(admission))) = state.poll_effect() else { panic!("a wish") };
    assert_eq!(admission.blocked().count(), 1);
    state.answered(Err(Refused::NotKept("the disk takes too long")));
    let told =
        "* joya@cc.com is blocked, and is told that you are busy; a conversation that has begun goes on";
    assert_eq!(effects(&mut state), [print("! the disk takes too long"), print(told)]);
    state.typed(Some("/block joya@cc.com".into()));
    assert_eq!(effects(&mut state), [print(told)], "nothing changes");
}

#[test]
fn the_end_of_input_leaves() {
    // A script's lines are sent first. A leaving user waits for peers that read.
    for (line, how) in [(None, Leave::InOrder), (Some("/quit"), Leave::Soon), (Some("EXIT"), Leave::Soon)] {
        let mut state = talking();
        state.typed(line.map(str::to_owned));
        assert_eq!(effects(&mut state), [Effect::Leave(how)]);
    }
}

#[test]
fn commands_about_keys_are_wishes_and_say_what_came_of_them() {
    let mut state = talking();
    let joya: MiAddress = "joya@cc.com".parse().unwrap();
    let key = PublicKey::from_bytes([7; 32]);
    let words = KeyWords::of(&joya, &key);
    for (line, wish, answer, told) in [
        (
            "/words".to_owned(),
            Wish::OwnWords,
            Ok(Done::OwnWords(words)),
            "* your words: strike enroll rail empty predict try deal whip",
        ),
        (
            format!("/verify joya@cc.com {words}"),
            Wish::Verify { address: joya, words },
            Ok(Done::Verified { address: joya, key }),
            "* the words are right: the key of joya@cc.com is verified from now on",
        ),
        (
            format!("/trust joya@cc.com {words}"),
            Wish::Verify { address: joya, words },
            Err(Refused::NotTrusted { address: joya, reason: "word 3, `rail`, is another one".into() }),
            "! the key of joya@cc.com is not trusted: word 3, `rail`, is another one",
        ),
        (
            "/trust joya@cc.com".to_owned(),
            Wish::Trust(joya),
            Ok(Done::Trusted { address: joya, key }),
            "* the key of joya@cc.com that begins with `strike enroll` is known from now on; \
             /verify joya@cc.com compares words",
        ),
    ] {
        state.typed(Some(line));
        assert_eq!(effects(&mut state), [Effect::Wish(wish.clone())]);
        if matches!(wish, Wish::OwnWords) {
            state.answered(answer);
        } else {
            state.answered(Ok(Done::Later));
            assert!(!state.takes_input(), "the next line may depend on it");
            state.happened(&Happened::Answered(answer));
        }
        assert_eq!(effects(&mut state), [print(told)]);
        assert!(state.takes_input());
    }
    // Words that are none are not said to the peer.
    state.typed(Some("/verify joya@cc.com candy zebra".into()));
    assert_eq!(effects(&mut state), [print("! these words are 2, and a key has 8")]);
}

#[test]
fn a_plain_call_is_permitted_and_made() {
    let mut state = line_mode();
    state.typed(Some("/plain joya@cc.com".into()));
    let joya = "joya@cc.com".parse().unwrap();
    let calling = print("* calling joya@cc.com once without encryption");
    assert_eq!(
        effects(&mut state),
        [Effect::Wish(Wish::PermitPlain(joya)), calling, Effect::Wish(Wish::Call(joya))]
    );
    assert!(!state.takes_input(), "the next line waits for the answer");
    state.answered(Ok(Done::AtOnce));
    assert!(!state.takes_input());
    let mut state = talking();
    state.typed(Some("/plain joya@cc.com".into()));
    assert_eq!(effects(&mut state), [print("! you are in a conversation; /bye ends it")]);
}
