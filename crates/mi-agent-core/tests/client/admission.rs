//! The users that may call, and the answers to the others: state, with a made-up clock.

use mi_agent_core::Admission;

use super::*;

const BUSY: &str = "RL1joya@cc.com:laura@bb.com";
const FREE: &str = "RL0joya@cc.com:laura@bb.com:127.0.0.1:3500";
const JOYA_ASKS: &str = "PLjoya@cc.com:laura@bb.com";

#[test]
fn who_may_not_call_is_told_busy_from_the_next_question_on() {
    let mut client = TestClient::new();
    assert_eq!(client.receive(NODE, JOYA_ASKS), [sends(FREE)]);
    client.client.set_admission(blocks("joya@CC.com"));
    assert_eq!(client.receive(NODE, JOYA_ASKS), [sends(BUSY), missed("joya@cc.com", Refusal::Blocked)]);
    let other = "RL0pere@bb.com:laura@bb.com:127.0.0.1:3500";
    assert_eq!(client.receive(NODE, "PLpere@bb.com:laura@bb.com"), [sends(other)]);
    client.client.set_admission(Admission::default());
    assert_eq!(client.receive(NODE, JOYA_ASKS), [sends(FREE)]);

    let mut admission = Admission::default();
    admission.allow_only([address("pere@bb.com")]).expect("room");
    client.client.set_admission(admission);
    assert_eq!(client.receive(NODE, JOYA_ASKS), [sends(BUSY), missed("joya@cc.com", Refusal::NotAllowed)]);
    assert_eq!(client.receive(NODE, "PLpere@bb.com:laura@bb.com"), [sends(other)]);
    // The rule gives a reason also for an asker that would hear "busy" anyhow.
    client.client.set_admission(blocks("anna@cc.com"));
    client.client.set_busy(true);
    let busy = sends("RL1anna@cc.com:laura@bb.com");
    assert_eq!(
        client.receive(NODE, "PLanna@cc.com:laura@bb.com"),
        [busy, missed("anna@cc.com", Refusal::Blocked)]
    );
}

/// Deployed agents ask up to ten times for one call.
#[test]
fn a_refusal_is_told_once_a_minute() {
    let mut client = TestClient::new();
    client.client.set_admission(blocks("joya@cc.com"));
    let told = [sends(BUSY), missed("joya@cc.com", Refusal::Blocked)];
    for minute in [0.0, 60.0, 120.0] {
        client.pass_to(minute);
        assert_eq!(client.receive(NODE, JOYA_ASKS), told);
        for repeats in [0.2, 30.0, 59.9] {
            client.pass_to(minute + repeats);
            assert_eq!(client.receive(NODE, JOYA_ASKS), [sends(BUSY)]);
        }
    }
    // Another reason is news.
    client.client.set_admission(Admission::default());
    client.client.set_busy(true);
    assert_eq!(client.receive(NODE, JOYA_ASKS), [sends(BUSY), missed("joya@cc.com", Refusal::Busy)]);
    assert_eq!(client.receive(NODE, JOYA_ASKS), [sends(BUSY)]);
}

/// Names are made up easily.
#[test]
fn so_many_are_told_of_within_a_minute() {
    let mut client = TestClient::new();
    client.client.set_busy(true);
    for minute in [0.0, 60.0] {
        client.pass_to(minute);
        let ask = |client: &mut TestClient, n| {
            client.receive(NODE, &format!("PLu{n}@cc.com:laura@bb.com")).len() - 1
        };
        let told: usize = (0..100).map(|n| ask(&mut client, n)).sum();
        assert_eq!(told, 32);
        client.pass_to(minute + 59.9);
        assert_eq!(ask(&mut client, 200), 0);
    }
}

#[test]
fn who_may_not_call_and_calls_all_the_same_is_known() {
    let mut client = TestClient::new();
    client.client.set_admission(blocks("joya@cc.com"));
    let joya = address("joya@cc.com");
    client.receive(NODE, JOYA_ASKS);
    assert_eq!(client.client.refusal(&[joya]), Some(Refusal::Blocked));
    assert_eq!(client.askers(), ["joya@cc.com"]);
    assert_eq!(client.askers(), [""; 0]);
    client.receive(NODE, JOYA_ASKS);
    client.pass_to(31.0);
    assert_eq!(client.askers(), [""; 0], "too long ago");

    // Asking repeatedly takes no place from an allowed caller.
    client.receive(NODE, "PLpere@bb.com:laura@bb.com");
    client.receive(NODE, JOYA_ASKS);
    assert_eq!(client.askers(), ["pere@bb.com"]);
    assert_eq!(client.askers(), ["joya@cc.com"]);
    // Blocked after it was told where: it is the same one, and one call.
    client.receive(NODE, "PLpere@bb.com:laura@bb.com");
    client.client.set_admission(blocks("pere@bb.com"));
    client.receive(NODE, "PLpere@bb.com:laura@bb.com");
    assert_eq!(client.askers(), ["pere@bb.com"]);
    assert_eq!(client.askers(), [""; 0]);
    client.receive(NODE, "PLpere@bb.com:laura@bb.com");
    client.client.set_admission(Admission::default());
    client.receive(NODE, "PLpere@bb.com:laura@bb.com");
    assert_eq!(client.askers(), ["pere@bb.com"]);
    assert_eq!(client.askers(), [""; 0]);
}

fn blocks(who: &str) -> Admission {
    let mut admission = Admission::default();
    assert_eq!(admission.block(address(who)), Ok(true));
    admission
}

fn missed(from: &str, reason: Refusal) -> LumiOutput {
    LumiOutput::Missed { from: address(from), reason }
}
