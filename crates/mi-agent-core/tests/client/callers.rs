//! Questions of others, and the callers behind them.

use super::*;

#[test]
fn a_question_is_answered_by_where_the_user_listens_or_by_busy() {
    let mut client = TestClient::new();
    let question = "PLjoya@cc.com:laura@bb.com";
    let free = [sends("RL0joya@cc.com:laura@bb.com:127.0.0.1:3500")];
    assert_eq!(client.receive(NODE, question), free);
    client.client.set_busy(true);
    let missed = LumiOutput::Missed { from: address("joya@cc.com"), reason: Refusal::Busy };
    assert_eq!(client.receive(NODE, question), [sends("RL1joya@cc.com:laura@bb.com"), missed]);
    client.client.set_busy(false);
    assert_eq!(client.receive(NODE, question), free);
    // The same holds while an answer is waited for.
    client.request(LumiRequest::Locate(address("joya@cc.com")), "PLlaura@bb.com:joya@cc.com");
    assert_eq!(client.receive(NODE, question), free);

    assert_eq!(client.receive(STRANGER, question), [], "only the node is answered");
    assert_eq!(client.receive(NODE, "PLjoya@cc.com:pere@bb.com"), [], "and only about this user");
    assert_eq!(
        client.receive(NODE, "PLjoya@cc.com:laura@127.0.0.2"),
        [sends("RL0joya@cc.com:laura@127.0.0.2:127.0.0.1:3500")],
        "by whichever name of the domain"
    );
}

#[test]
fn who_asked_just_before_is_known_once() {
    let mut client = TestClient::new();
    let asks = |client: &mut TestClient, user: &str| {
        client.receive(NODE, &format!("PL{user}@cc.com:laura@bb.com"));
    };
    assert_eq!(client.askers(), [""; 0]);
    asks(&mut client, "joya");
    assert_eq!(client.askers(), ["joya@cc.com"]);
    assert_eq!(client.askers(), [""; 0]);
    asks(&mut client, "joya");
    client.pass_to(31.0);
    assert_eq!(client.askers(), [""; 0], "too long ago");
    asks(&mut client, "pere");
    client.pass_to(41.1);
    asks(&mut client, "joya");
    assert_eq!(client.askers(), ["joya@cc.com"], "pere would have called");
    assert_eq!(client.askers(), [""; 0]);
    client.client.set_busy(true);
    asks(&mut client, "joya");
    assert_eq!(client.askers(), [""; 0], "who was told that the user is busy does not call");
}

/// An asker just before or after a friend does not give the friend another name.
#[test]
fn of_several_who_ask_together_each_may_be_the_caller() {
    let orders =
        [&["boss", "joan"][..], &["joan", "boss"], &["boss", "joan", "boss"], &["joan", "boss", "joan"]];
    for order in orders {
        let mut client = TestClient::new();
        for (seconds, user) in (0..).zip(order) {
            client.pass_to(f64::from(seconds) * 5.0);
            client.receive(NODE, &format!("PL{user}@cc.com:laura@bb.com"));
        }
        for _ in 0..2 {
            let mut askers = client.askers();
            askers.sort();
            assert_eq!(askers, ["boss@cc.com", "joan@cc.com"], "{order:?}");
        }
        client.pass_to(41.0);
        assert_eq!(client.askers(), [""; 0], "too long ago");
    }
    let mut client = TestClient::new();
    for n in 1..=70 {
        client.receive(NODE, &format!("PLu{n}@cc.com:laura@bb.com"));
        // A single one would be taken.
        if n > 1 {
            assert_eq!(
                client.askers().len(),
                if n > 64 { 0 } else { n },
                "nobody can tell who of so many calls"
            );
        }
    }
}

/// Each row: whether calls may be encrypted, and how the answers to three questions end. Joan calls after the
/// second. Somebody else asks after that.
#[test]
fn encryption_is_offered_again_once_the_asker_has_called() {
    for (offers_tls, ends) in [(true, [":T", "", ":T"]), (false, ["", "", ""])] {
        let mut client = TestClient::with(|settings| settings.offers_tls = offers_tls);
        for (n, end) in ends.into_iter().enumerate() {
            if n == 2 {
                client.client.handle_encrypted_call(client.now());
            }
            let told = client.receive(NODE, "PLjoan@cc.com:laura@bb.com");
            assert_eq!(told, [sends(&format!("RL0joan@cc.com:laura@bb.com:127.0.0.1:3500{end}"))]);
        }
        client.receive(NODE, "PLboss@cc.com:laura@bb.com");
        client.client.handle_encrypted_call(client.now());
        let told = client.receive(NODE, "PLboss@cc.com:laura@bb.com");
        assert_eq!(
            told,
            [sends("RL0boss@cc.com:laura@bb.com:127.0.0.1:3500")],
            "nobody knows who of both calls"
        );
    }
}

/// Pere calls, and his key is known. Joan asked after him and may still call.
#[test]
fn a_caller_whose_key_is_known_takes_nobody_elses_question() {
    let mut client = TestClient::with(|settings| settings.offers_tls = true);
    for user in ["pere", "joan"] {
        client.receive(NODE, &format!("PL{user}@cc.com:laura@bb.com"));
    }
    client.client.take_known_caller(&address("pere@cc.com"));
    let told = client.receive(NODE, "PLjoan@cc.com:laura@bb.com");
    assert_eq!(
        told,
        [sends("RL0joan@cc.com:laura@bb.com:127.0.0.1:3500")],
        "her answer may have been dropped"
    );
    assert_eq!(client.askers(), ["joan@cc.com"]);
    let told = client.receive(NODE, "PLpere@cc.com:laura@bb.com");
    assert_eq!(told, [sends("RL0pere@cc.com:laura@bb.com:127.0.0.1:3500:T")]);
}

/// A class, of which everybody may call the teacher.
#[test]
fn many_who_may_call_may_call_together() {
    let mut client = TestClient::new();
    let pupils: Vec<_> = (1..=40).map(|n| address(&format!("u{n}@cc.com"))).collect();
    let mut admission = Admission::default();
    admission.allow_only(pupils.clone()).expect("there is room");
    client.client.set_admission(admission);
    for pupil in &pupils {
        client.receive(NODE, &format!("PL{pupil}:laura@bb.com"));
    }
    let askers = client.client.take_askers(client.now());
    assert_eq!((askers.len(), client.client.refusal(&askers)), (40, None));
}
