//! The notes on a message that follow from those before it, and the users that it is about.

use message_ladder::{Change, Ladder};

use crate::{drawn, pushed, received, sent};

const PL: &[u8] = b"PLlaura@bb.com:pere@bb.com";

fn note(ladder: &mut Ladder, entry: &message_log::Entry) -> String {
    pushed(ladder, entry).note.unwrap_or_default()
}

#[test]
fn a_request_without_an_answer_is_counted_until_the_user_is_taken_offline() {
    let mut ladder = Ladder::new("bb.com", 100);
    let ladder = &mut ladder;
    for (times, expected) in
        ["", "no answer yet, 2nd time", "no answer yet, 3rd time", "no answer yet, 4th time"]
            .iter()
            .enumerate()
    {
        assert_eq!(note(ladder, &received(1, PL)), *expected, "{times}");
        assert_eq!(note(ladder, &sent(2, PL)), *expected, "{times}");
    }
    assert_eq!(note(ladder, &received(1, PL)), "no answer yet, 5th time");
    let offline = sent(1, b"RL3laura@bb.com:pere@bb.com");
    assert_eq!(note(ladder, &offline), "taken offline: its agent, asked 4 times, was not heard");
    // A later question is answered at once, and there is nothing to note.
    assert_eq!(note(ladder, &received(1, PL)), "");
    assert_eq!(note(ladder, &offline), "");
}

#[test]
fn an_agent_that_was_heard_is_counted_anew() {
    for heard in [&b"RL1joya@cc.com:pere@bb.com"[..], b"PRpere@bb.com"] {
        let mut ladder = Ladder::new("bb.com", 100);
        note(&mut ladder, &sent(2, PL));
        // The agent is silent to every asker.
        let other = sent(2, b"PLjoan@bb.com:pere@bb.com");
        assert_eq!(note(&mut ladder, &other), "no answer yet, 2nd time");
        pushed(&mut ladder, &received(2, heard));
        let other = sent(2, b"PLmarta@bb.com:pere@bb.com");
        assert_eq!(note(&mut ladder, &other), "", "{}", heard.escape_ascii());
    }
}

#[test]
fn a_note_stands_behind_the_words_or_where_it_is_seen() {
    let mut ladder = Ladder::new("bb.com", 100);
    (0..2).for_each(|_| drop(pushed(&mut ladder, &received(1, PL))));
    let wide = drawn(&ladder, None, 200);
    let words = "PLlaura@bb.com:pere@bb.com  26 B  laura@bb.com asks where pere@bb.com is";
    assert!(wide.ends_with(&format!("│      {words}  ·  no answer yet, 2nd time\n")), "{wide}");
    let narrow = drawn(&ladder, None, 80);
    assert!(narrow.contains("│      no answer yet, 2nd time  ·  PLlaura@bb.com"), "{narrow}");
}

#[test]
fn one_who_registers_elsewhere_is_not_silent() {
    let mut ladder = Ladder::new("bb.com", 100);
    note(&mut ladder, &sent(2, PL));
    pushed(&mut ladder, &received(3, b"PRpere@bb.com"));
    pushed(&mut ladder, &received(3, b"PDpere@bb.com"));
    pushed(&mut ladder, &received(1, PL));
    assert_eq!(note(&mut ladder, &sent(1, b"RL3laura@bb.com:pere@bb.com")), "");
}

#[test]
fn answers_are_matched_to_requests() {
    let mut ladder = Ladder::new("bb.com", 100);
    let ladder = &mut ladder;
    let nothing = "answers nothing that was asked";
    for (expected, entry) in [
        ("", received(2, b"PDlaura@bb.com")),
        (nothing, sent(1, b"RR0")),
        ("", received(1, b"PRlaura@bb.com")),
        (nothing, sent(2, b"RR0")),
        (nothing, sent(1, b"RD0")),
        ("", sent(1, b"RR0")),
        ("was answered before", sent(1, b"RR0")),
        // Registering again is not asking again.
        ("", received(1, b"PRlaura@bb.com")),
        ("", sent(1, b"RR0")),
        // Two that came together, and their answers.
        ("", received(1, b"PDlaura@bb.com")),
        ("no answer yet, 2nd time", received(1, b"PDlaura@bb.com")),
        ("", sent(1, b"RD0")),
        ("", sent(1, b"RD0")),
        ("", sent(3344, b"PLlaura@bb.com:joya@cc.com")),
        (nothing, received(3344, b"RL1laura@bb.com:joan@cc.com")),
        (nothing, received(3345, b"RL1laura@bb.com:joya@cc.com")),
        ("", received(3344, b"RL1laura@bb.com:joya@cc.com")),
        ("was answered before", received(3344, b"RL1laura@bb.com:joya@CC.com")),
    ] {
        assert_eq!(note(ladder, &entry), expected, "{entry}");
    }
}

#[test]
fn nothing_is_said_of_answers_to_what_was_not_seen() {
    let mut ladder = Ladder::new("bb.com", 100);
    ladder.skip_to(1000);
    let arrow = pushed(&mut ladder, &sent(1, b"RR0"));
    assert_eq!((arrow.number, arrow.note), (1000, None));
    // A log that was put aside begins so.
    let mut ladder = Ladder::new("bb.com", 100);
    assert_eq!(note(&mut ladder, &sent(1, b"RR0")), "");
    assert_eq!(note(&mut ladder, &sent(2, b"RL3laura@bb.com:pere@bb.com")), "");
}

#[test]
fn a_message_is_about_the_users_in_it_and_an_answer_about_those_of_its_request() {
    let mut ladder = Ladder::new("bb.com", 100);
    for entry in [
        received(1, b"PRlaura"),
        sent(1, b"RR0"),
        received(2, b"PRpere@bb.com"),
        sent(2, b"RR0"),
        received(1, b"PLlaura@bb.com:joya@cc.com"),
        sent(3344, b"PLlaura@bb.com:joya@cc.com"),
        received(2, b"rubbish"),
        received(3, b"rubbish"),
    ] {
        pushed(&mut ladder, &entry);
    }
    let about = |user| {
        let arrows = ladder.arrows().filter(|arrow| arrow.concerns(user));
        arrows.map(|arrow| arrow.number).collect::<Vec<_>>()
    };
    assert_eq!(about("laura"), [1, 2, 5, 6]);
    assert_eq!(about("laura@BB.com."), [1, 2, 5, 6]);
    assert_eq!(about("pere"), [3, 4, 7]);
    assert_eq!(about("joya@cc.com"), [5, 6]);
    for nobody in ["Laura", "joya@bb.com", "", "@", "bb.com"] {
        assert_eq!(about(nobody), [0; 0], "{nobody}");
    }
}

#[test]
fn arrows_and_parties_have_a_form_for_programs() {
    let mut ladder = Ladder::new("bb.com", 100);
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_795_624_920_123);
    let changes = ladder.push(Some(at), &received(4500, b"PRlaura@bb.com"));
    assert_eq!(
        serde_json::to_value(changes).unwrap(),
        serde_json::json!([
            { "party": { "id": 1, "role": "agent", "name": "laura@bb.com", "address": "10.0.0.1:4500", "addresses": 1 } },
            { "arrow": {
                "number": 1, "at": 1_795_624_920_123_u64, "from": 1, "to": 0, "remote": "10.0.0.1:4500",
                "sent": false, "kind": "PR", "message": "PRlaura@bb.com", "length": 14,
                "words": "register laura@bb.com", "users": ["laura@bb.com"], "note": null,
            } },
        ])
    );
    assert_eq!(serde_json::to_value(Change::Missed(3)).unwrap(), serde_json::json!({ "missed": 3 }));
}

const PROOF: &[u8] =
    b"PKRAq83vASNFAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw";

/// A proof names nobody. It is of the user in the last request for a challenge from the same socket.
#[test]
fn a_proof_is_of_the_user_for_whom_its_socket_asked() {
    let mut ladder = Ladder::new("bb.com", 100);
    let ladder = &mut ladder;
    let unknown = pushed(ladder, &received(3, PROOF));
    assert_eq!((unknown.words.as_str(), unknown.kind.as_str()), ("proof of ?, to register", "PK"));
    assert!(unknown.users.is_empty());

    pushed(ladder, &received(1, b"PRpere@bb.com:A................."));
    let asked = pushed(ladder, &received(1, b"PRlaura@bb.com:A................"));
    assert_eq!(asked.words, "register laura@bb.com, asks for a challenge");
    let challenge = sent(1, b"RR1:AAECAwQFBgcICQoLxjNkBxOI1");
    for user in ["pere@bb.com", "laura@bb.com"] {
        let challenge = pushed(ladder, &challenge);
        assert_eq!((challenge.users[0].as_str(), challenge.note), (user, None));
        assert_eq!(challenge.words, "not registered yet: prove it (seen at 198.51.100.7:5000)");
    }
    let proof = pushed(ladder, &received(1, PROOF));
    assert_eq!(proof.words, "proof of laura@bb.com, to register");
    assert!(proof.concerns("laura") && !proof.concerns("pere"));
    assert_eq!(note(ladder, &received(1, PROOF)), "no answer yet, 2nd time");
    let registered = pushed(ladder, &sent(1, b"RR0"));
    assert_eq!((registered.users.len(), registered.note.as_deref()), (1, None));
    assert!(registered.concerns("laura"));

    let elsewhere = pushed(ladder, &received(2, PROOF));
    assert_eq!(elsewhere.words, "proof of ?, to register");
}

#[test]
fn an_enrolment_is_about_its_user_and_registers_nobody() {
    let mut ladder = Ladder::new("bb.com", 100);
    let ladder = &mut ladder;
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:ZGVmZ2hpamtsbW5v";
    let enrol = pushed(ladder, &received(1, format!("PRlaura@bb.com:E{key}").as_bytes()));
    assert_eq!(enrol.words, "enrol a key of laura@bb.com, by an invitation");
    let enrolled = pushed(ladder, &sent(1, format!("RR0:{key}").as_bytes()));
    assert_eq!(enrolled.words, "enrolled: the node has taken the key, and knows the invitation");
    assert!(enrolled.concerns("laura") && enrolled.note.is_none());
}
