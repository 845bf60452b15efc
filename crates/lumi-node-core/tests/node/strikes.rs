//! How a user whose agent is gone is found out.

use crate::{LAURA, OTHER_NODE, STRANGER, TestNode, sent};

#[test]
fn the_fifth_request_without_an_answer_takes_the_user_offline() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLjoya@cc.com:laura@bb.com";
    for _ in 0..4 {
        assert_eq!(node.receive(OTHER_NODE, question), [sent(LAURA, question)]);
        node.pass(1.0);
    }
    let offline = [sent(OTHER_NODE, "RL3joya@cc.com:laura@bb.com")];
    assert_eq!(node.receive(OTHER_NODE, question), offline, "answered, and not forwarded");
    assert_eq!(node.address_of("laura"), None);
    assert_eq!(node.receive(OTHER_NODE, question), offline);
    node.receive(LAURA, "PRlaura@bb.com");
    assert_eq!(
        node.receive(OTHER_NODE, question),
        [sent(LAURA, question)],
        "a new registration, a new count"
    );
}

#[test]
fn strikes_are_counted_whoever_asks() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for asker in 1..5 {
        node.receive(OTHER_NODE, &format!("PLu{asker}@cc.com:laura@bb.com"));
        node.pass(1.0);
    }
    assert_eq!(
        node.receive(OTHER_NODE, "PLu5@cc.com:laura@bb.com"),
        [sent(OTHER_NODE, "RL3u5@cc.com:laura@bb.com")]
    );
}

#[test]
fn an_answer_or_a_registration_clears_the_strikes() {
    for sign_of_life in ["RL1joya@cc.com:laura@bb.com", "PRlaura@bb.com", "RL1anybody@cc.com:laura@bb.com"] {
        let mut node = TestNode::new();
        node.receive(LAURA, "PRlaura@bb.com");
        let question = "PLjoya@cc.com:laura@bb.com";
        for round in 0..3 {
            for _ in 0..4 {
                assert_eq!(node.receive(OTHER_NODE, question), [sent(LAURA, question)], "round {round}");
                node.pass(1.0);
            }
            _ = node.try_receive(LAURA, sign_of_life);
        }
    }
}

#[test]
fn nobody_else_clears_the_strikes() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for _ in 0..4 {
        node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
        _ = node.try_receive(STRANGER, "RL1joya@cc.com:laura@bb.com");
        node.pass(1.0);
    }
    assert_eq!(
        node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com"),
        [sent(OTHER_NODE, "RL3joya@cc.com:laura@bb.com")]
    );
}
