//! The location of a user of this domain, there and back.

use std::time::Duration;

use lumi_node_core::{DropReason, NodeSettings, Output};

use crate::{LAURA, OTHER_NODE, PERE, STRANGER, TestNode, found, sent};

#[test]
fn a_location_of_an_own_user_goes_to_the_agent_and_back() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLjoya@cc.com:laura@bb.com";
    assert_eq!(node.receive(OTHER_NODE, question), [sent(LAURA, question)]);
    let answer = "RL0joya@cc.com:laura@bb.com:84.88.154.3:4456";
    assert_eq!(node.receive(LAURA, answer), [sent(OTHER_NODE, answer)]);
}

#[test]
fn a_location_keeps_its_bytes() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for question in ["PLjoya@cc.com.:laura@BB.com", "PLjoya@10.0.0.1:laura@bb.COM."] {
        assert_eq!(node.receive(OTHER_NODE, question), [sent(LAURA, question)]);
    }
}

#[test]
fn a_location_of_nobody_is_answered_at_once() {
    let mut node = TestNode::new();
    assert_eq!(
        node.receive(OTHER_NODE, "PLjoya@cc.com:joan@bb.com"),
        [sent(OTHER_NODE, "RL2joya@cc.com:joan@bb.com")]
    );
    assert_eq!(
        node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com"),
        [sent(OTHER_NODE, "RL3joya@cc.com:laura@bb.com")]
    );
}

#[test]
fn an_answer_passes_once_and_only_from_where_the_question_went() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLjoya@cc.com:laura@bb.com";
    let answer = "RL1joya@cc.com:laura@bb.com";
    assert_eq!(node.try_receive(LAURA, answer), Err(DropReason::Unasked), "nobody asked");
    node.receive(OTHER_NODE, question);
    assert_eq!(node.try_receive(STRANGER, answer), Err(DropReason::Unasked), "forged");
    assert_eq!(
        node.try_receive(LAURA, "RL1joan@cc.com:laura@bb.com"),
        Err(DropReason::Unasked),
        "other names"
    );
    assert_eq!(node.receive(LAURA, answer), [sent(OTHER_NODE, answer)]);
    assert_eq!(node.try_receive(LAURA, answer), Err(DropReason::Unasked), "a duplicate");
}

/// A frozen agent that thaws, or one that left: its late answer would be the second one.
#[test]
fn an_answer_after_a_refusal_is_dropped() {
    let question = "PLjoya@cc.com:laura@bb.com";
    let answer = "RL1joya@cc.com:laura@bb.com";
    let offline = [sent(OTHER_NODE, "RL3joya@cc.com:laura@bb.com")];

    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for _ in 0..4 {
        node.receive(OTHER_NODE, question);
        node.pass(1.0);
    }
    assert_eq!(node.receive(OTHER_NODE, question), offline);
    assert_eq!(node.try_receive(LAURA, answer), Err(DropReason::Unasked));

    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(OTHER_NODE, question);
    node.receive(STRANGER, question);
    node.receive(LAURA, "PDlaura@bb.com");
    assert_eq!(node.receive(OTHER_NODE, question), offline);
    assert_eq!(node.receive(LAURA, answer), [sent(STRANGER, answer)], "who was not refused is answered");
    assert_eq!(node.try_receive(LAURA, answer), Err(DropReason::Unasked));
}

#[test]
fn an_agent_hears_one_answer_however_often_it_asked() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(PERE, "PRpere@bb.com");
    let question = "PLlaura@bb.com:pere@bb.com";
    for _ in 0..3 {
        assert_eq!(node.receive(LAURA, question), [sent(PERE, question)]);
        assert_eq!(node.node.pending_count(), 1);
        node.pass(0.2);
    }
    let answer = "RL1laura@bb.com:pere@bb.com";
    assert_eq!(node.receive(PERE, answer), [sent(LAURA, answer)]);
    assert_eq!(node.try_receive(PERE, answer), Err(DropReason::Unasked));
    assert_eq!(node.try_receive(PERE, answer), Err(DropReason::Unasked));
    assert_eq!(node.node.pending_count(), 0);
}

/// An agent that got no answer, because it was lost on the way, asks again.
#[test]
fn a_question_that_was_answered_can_be_asked_again() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for question in ["PLjoya@cc.com:laura@bb.com", "PLjoya@CC.com.:laura@BB.com"] {
        let answer = question.replacen("PL", "RL1", 1);
        for _ in 0..3 {
            assert_eq!(node.receive(OTHER_NODE, question), [sent(LAURA, question)]);
            assert_eq!(node.receive(LAURA, &answer), [sent(OTHER_NODE, &answer)]);
            assert_eq!(node.try_receive(LAURA, &answer), Err(DropReason::Unasked));
        }
    }
}

#[test]
fn a_question_ends_five_seconds_after_it_was_last_asked() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLjoya@cc.com:laura@bb.com";
    let answer = "RL1joya@cc.com:laura@bb.com";
    node.receive(OTHER_NODE, question);
    node.pass(4.0);
    node.receive(OTHER_NODE, question);
    node.pass(4.999);
    assert_eq!(node.receive(LAURA, answer), [sent(OTHER_NODE, answer)]);
    node.receive(OTHER_NODE, question);
    let due = node.node.poll_timeout().expect("a question is pending");
    assert_eq!(due, node.now + Duration::from_secs(5));
    node.pass(5.0);
    assert_eq!(node.try_receive(LAURA, answer), Err(DropReason::Unasked));
    node.node.handle_timeout(node.now);
    assert_eq!(node.node.poll_timeout(), None, "nothing is left of it");
}

#[test]
fn pending_questions_are_bounded() {
    let exempt = vec!["127.0.0.3".parse().expect("a range")];
    let mut node = TestNode::with(NodeSettings::default().exempt(exempt));
    node.receive(LAURA, "PRlaura@bb.com");
    for n in 0..4_096 {
        let question = format!("PLu{n}@cc.com:laura@bb.com");
        assert_eq!(node.receive(OTHER_NODE, &question), [sent(LAURA, &question)]);
    }
    // The owner that has had its requests longest gives way if several have equally many.
    for question in ["PLone@cc.com:laura@bb.com", "PLtwo@cc.com:laura@bb.com"] {
        assert_eq!(node.receive(OTHER_NODE, question), [sent(LAURA, question)]);
        assert_eq!(node.node.pending_count(), 4_096);
    }
    for n in [0, 1] {
        let answer = format!("RL1u{n}@cc.com:laura@bb.com");
        assert_eq!(node.try_receive(LAURA, &answer), Err(DropReason::Unasked));
    }
    let answer = "RL1u2@cc.com:laura@bb.com";
    assert_eq!(node.receive(LAURA, answer), [sent(OTHER_NODE, answer)]);
    assert_eq!(node.node.status().displaced, 2);
}

#[test]
fn two_askers_with_the_same_names_are_answered_in_their_order() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLjoya@cc.com:laura@bb.com";
    let answer = "RL1joya@cc.com:laura@bb.com";
    node.receive(OTHER_NODE, question);
    node.receive(STRANGER, question);
    assert_eq!(node.receive(LAURA, answer), [sent(OTHER_NODE, answer)]);
    assert_eq!(node.receive(LAURA, answer), [sent(STRANGER, answer)]);
    assert_eq!(node.try_receive(LAURA, answer), Err(DropReason::Unasked));
}

#[test]
fn the_node_knows_where_an_agent_is_that_does_not() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
    assert_eq!(
        node.receive(LAURA, "RL0joya@cc.com:laura@bb.com:0.0.0.0:4456"),
        [sent(OTHER_NODE, "RL0joya@cc.com:laura@bb.com:127.0.0.1:4456")]
    );
    // The node of the caller knows no better.
    let lookup = node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
    node.resolved(lookup, found(OTHER_NODE, 60));
    let answer = "RL0laura@bb.com:joya@cc.com:0.0.0.0:4456";
    assert_eq!(node.receive(OTHER_NODE, answer), [sent(LAURA, answer)]);
}

#[test]
fn an_answer_is_passed_on_with_what_follows_its_last_field() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLjoya@cc.com:laura@bb.com";
    for answer in [
        "RL0joya@cc.com:laura@bb.com:84.88.154.3:4456:T",
        "RL0joya@cc.com:laura@bb.com:84.88.154.3:4456:",
        // Agents of S write this when they are busy.
        "RL1joya@cc.com:laura@bb.com:0.0.0.0:4456",
        "RL2joya@CC.com:laura@bb.com.::more\n",
        "RL3joya@cc.com:laura@bb.com:84.88.154.3:4456:ññ",
    ] {
        node.receive(OTHER_NODE, question);
        assert_eq!(node.receive(LAURA, answer), [sent(OTHER_NODE, answer)]);
    }
    let lookup = node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
    node.resolved(lookup, found(OTHER_NODE, 60));
    let answer = "RL0laura@bb.com:joya@cc.com:84.88.154.3:4456:T";
    assert_eq!(node.receive(OTHER_NODE, answer), [sent(LAURA, answer)]);
}

/// The address of the agent can be 8 bytes longer than the one that it gave.
#[test]
fn what_follows_an_answer_is_left_out_if_the_corrected_address_takes_its_room() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLjoya@cc.com:laura@bb.com";
    // The address of laura is two bytes longer.
    for (length, kept) in [(58, true), (59, false)] {
        node.receive(OTHER_NODE, question);
        let more = format!(":{}", "x".repeat(length - 1));
        let answer = format!("RL0joya@cc.com:laura@bb.com:0.0.0.0:4456{more}");
        let corrected =
            format!("RL0joya@cc.com:laura@bb.com:127.0.0.1:4456{}", if kept { &more } else { "" });
        assert!(answer.len() <= 100 && (answer.len() + 2 <= 100) == kept, "{}", answer.len());
        let outputs = node.receive(LAURA, &answer);
        let [Output::Transmit { message, .. }] = outputs[..] else { panic!("{outputs:?}") };
        assert_eq!(*message.encode(), *corrected.as_bytes());
    }
}
