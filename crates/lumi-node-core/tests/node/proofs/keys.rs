//! Keys that come and go, their text, and registrations that outlive a node.

use lumi_node_core::{Auth, Binding, GoneReason, Keys, KeysReason, NodeEvent};
use plumi_proto::Verb;

use super::{keys, line, proof, proving};
use crate::{LAURA, PERE, STRANGER, TestNode, address, sent};

const L: &str = "laura@bb.com";

#[test]
fn a_first_key_and_the_loss_of_the_one_that_proved_end_a_registration() {
    let mut node = proving();
    node.node.report_events(true);
    node.receive(PERE, "PRpere@bb.com");
    node.receive(PERE, "PLpere@bb.com:pere@bb.com");
    node.register_with_proof(LAURA);
    while node.node.poll_event().is_some() {}
    // Another key beside it changes nothing.
    node.node.handle_keys(&keys(&[("laura", 1), ("laura", 2), ("pere", 3)]));
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
    assert_eq!(node.address_of("pere"), None, "a first key");
    assert_eq!(node.node.pending_count(), 0, "and the requests of that user");
    let gone = NodeEvent::Gone {
        user: "pere".parse().expect("a name"),
        from: address(PERE),
        reason: GoneReason::Unproved,
    };
    assert_eq!(node.node.poll_event(), Some(gone));
    node.node.handle_keys(&keys(&[("laura", 2)]));
    assert_eq!(node.address_of("laura"), None, "the key that proved is gone");
    assert_eq!(node.prove(LAURA, Verb::Register, L, 1), "RR1");
    assert_eq!(node.prove(LAURA, Verb::Register, L, 2), "RR0");
    node.node.handle_keys(&keys(&[]));
    assert_eq!(node.address_of("laura"), None, "the last key is gone");
    assert_eq!(node.receive(STRANGER, "PRlaura@bb.com"), [sent(STRANGER, "RR0")]);
}

#[test]
fn each_of_four_keys_proves() {
    let mut node = proving();
    node.node.handle_keys(&keys(&[("laura", 1), ("laura", 2), ("laura", 3), ("laura", 4)]));
    for key in 1..=4 {
        assert_eq!(node.prove(LAURA, Verb::Register, L, key), "RR0", "{key}");
    }
    assert_eq!(node.prove(LAURA, Verb::Register, L, 5), "RR1");
}

/// A number that began again would make old proofs good again.
#[test]
fn a_user_who_loses_all_keys_and_has_one_again_is_not_bound_by_an_old_proof() {
    let mut node = proving();
    let challenge = node.challenge(LAURA, Verb::Register, L);
    let old = proof(Verb::Register, L, 1, &challenge);
    assert_eq!(node.answer(LAURA, &old), Ok("RR0".into()));
    node.node.handle_keys(&keys(&[]));
    node.node.handle_keys(&keys(&[("laura", 1)]));
    assert_eq!(node.answer(LAURA, &old), Ok("RR1".into()));
    assert_eq!(node.address_of("laura"), None);
}

#[test]
fn keys_wait_for_users_of_the_roster_and_stay_with_them() {
    let mut node = proving();
    node.node.handle_keys(&keys(&[("laura", 1), ("joan", 2)]));
    assert_eq!(node.receive(STRANGER, "PRjoan@bb.com:A................."), [sent(STRANGER, "RR1")]);
    node.add("joan");
    assert_eq!(node.prove(STRANGER, Verb::Register, "joan@bb.com", 2), "RR0");
    node.register_with_proof(LAURA);
    node.reload("bb.com\nlaura\njoan\nmaria\n");
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
    assert_eq!(node.receive(STRANGER, "PRlaura@bb.com"), [sent(STRANGER, "RR1")]);
    node.remove("laura");
    node.add("laura");
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR1")]);
    node.register_with_proof(LAURA);
}

#[test]
fn another_rule_for_proofs_ends_registrations_that_it_would_not_have_allowed() {
    let mut node = proving();
    node.register_with_proof(LAURA);
    node.receive(PERE, "PRpere@bb.com");
    node.set_auth(Auth::Required);
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
    assert_eq!(node.address_of("pere"), None);
    node.set_auth(Auth::Off);
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
    assert_eq!(node.receive(STRANGER, "PRlaura@bb.com"), [sent(STRANGER, "RR0")]);
    node.set_auth(Auth::On);
    assert_eq!(node.address_of("laura"), None, "nothing has proved this one");
}

#[test]
fn a_registration_outlives_the_node_with_the_key_that_proved_it() {
    let mut old = proving();
    old.register_with_proof(LAURA);
    old.receive(PERE, "PRpere@bb.com");
    let mut bindings: Vec<Binding> = old.node.bindings(old.now).collect();
    bindings.sort_by_key(|binding| binding.user);
    let [laura, pere] = bindings[..] else { panic!("{bindings:?}") };
    assert!(laura.proved_by.is_some() && pere.proved_by.is_none());

    let mut node = proving();
    let now = node.now;
    assert!(!node.node.restore(now, &laura.proved_by(None)), "nothing has proved it");
    assert!(!node.node.restore(now, &laura.proved_by(Some([0; 8]))), "another key");
    assert!(node.node.restore(now, &laura) && node.node.restore(now, &pere));
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR0")]);
    node.node.handle_keys(&keys(&[("laura", 2)]));
    assert_eq!(node.address_of("laura"), None);
    node.set_auth(Auth::Required);
    assert!(!node.node.restore(now, &pere));
    // A node without her key takes it as any other.
    let mut node = TestNode::new();
    assert!(node.node.restore(now, &laura));
}

#[test]
fn a_file_of_keys_is_read_as_it_is_written() {
    let text =
        format!("# for the class\n\n{}\r\n  {}\n{}", line("laura", 1), line("laura", 2), line("pere", 1));
    let keys = Keys::parse(text.as_bytes()).expect("keys");
    let laura = "laura".parse().expect("a name");
    assert_eq!((keys.len(), keys.of(&laura).len()), (2, 2));
    assert_eq!(keys.of(&laura)[0].line(&laura), line("laura", 1));
    assert!(Keys::parse(b"").expect("no keys").is_empty());
    let four = (1..=4).map(|number| line("laura", number)).collect::<Vec<_>>().join("\n");
    for (text, at, words) in [
        ("laura", 1, "a line is a user, `ed25519`, a key, a day, and `invited` or `added`"),
        (&*line("laura", 1).replace("ed25519", "rsa"), 1, "the second word of a line is `ed25519`"),
        (
            &*line("laura", 1).replace('=', ""),
            1,
            "the third word of a line is a key, 44 characters of base64",
        ),
        (&*line("laura", 1).replace("2026", "26"), 1, "the fourth word of a line is a day as 2026-11-29"),
        (
            &*line("laura", 1).replace("invited", "found"),
            1,
            "the fifth word of a line is `invited` or `added`",
        ),
        (&*line("l@b", 1), 1, "the user name has '@' at byte 2, which may not stand there"),
        (&*format!("{0}\n{0}", line("laura", 1)), 2, "laura has that key already"),
        (
            &*format!("{four}\n{}", line("laura", 5)),
            5,
            "laura has 4 keys, which are the most; remove one first",
        ),
    ] {
        let error = Keys::parse(text.as_bytes()).expect_err(text);
        assert_eq!((error.line, error.reason.to_string().as_str()), (at, words));
    }
    assert_eq!(Keys::parse(b"\xff").expect_err("bytes").reason, KeysReason::NotUtf8);
}
