//! The strikes that detect a user without an agent.

use std::time::Duration;

use lumi_node_core::{DropReason, NodeSettings, Output};

use crate::{LAURA, OTHER_NODE, PERE, STRANGER, TestNode, address, sent};

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

#[test]
fn a_quick_succession_is_one_strike() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    // Seconds since the request before, and which strike this one is, if any.
    for (question, seconds, strike) in [
        (0.0, Some(1)),
        (0.0, None),
        (0.499, None),
        (0.001, Some(2)),
        (0.25, None),
        (0.249, None),
        (0.001, Some(3)),
        (1.0, Some(4)),
        (0.4, None),
        (0.099, None),
    ]
    .into_iter()
    .enumerate()
    .map(|(n, (seconds, strike))| (format!("PLu{n}@cc.com:laura@bb.com"), seconds, strike))
    {
        node.pass(seconds);
        assert_eq!(node.receive(OTHER_NODE, &question), [sent(LAURA, &question)], "strike {strike:?}");
    }
    node.pass(0.001);
    assert_eq!(node.receive(OTHER_NODE, QUESTION), [sent(OTHER_NODE, OFFLINE)]);
}

/// A sign of life between two of them makes them no more than one.
#[test]
fn who_was_heard_is_struck_no_sooner_than_others() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let alive = "RL1joya@cc.com:laura@bb.com";
    assert_eq!(node.receive(OTHER_NODE, QUESTION), [sent(LAURA, QUESTION)]);
    assert_eq!(node.receive(LAURA, alive), [sent(OTHER_NODE, alive)]);
    // The first is none, and the last of the others would be the fifth.
    for (seconds, strike) in [(0.0, 0), (0.5, 1), (0.5, 2), (0.5, 3), (0.5, 4)] {
        node.pass(seconds);
        assert_eq!(node.receive(OTHER_NODE, QUESTION), [sent(LAURA, QUESTION)], "strike {strike}");
    }
    node.pass(0.5);
    assert_eq!(node.receive(OTHER_NODE, QUESTION), [sent(OTHER_NODE, OFFLINE)]);
}

#[test]
fn an_interval_of_zero_makes_each_request_a_strike() {
    let settings = NodeSettings::default().strike_interval(Duration::ZERO);
    let mut node = TestNode::with(settings);
    node.receive(LAURA, "PRlaura@bb.com");
    for n in 0..4 {
        let question = format!("PLu{n}@cc.com:laura@bb.com");
        assert_eq!(node.receive(OTHER_NODE, &question), [sent(LAURA, &question)]);
    }
    assert_eq!(node.receive(OTHER_NODE, QUESTION), [sent(OTHER_NODE, OFFLINE)]);
}

/// Some deployed agents repeat a request ten times, every 200 ms. One that is slow to answer stays online.
#[test]
fn ten_quick_tries_of_one_location_take_nobody_offline() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for _ in 0..10 {
        assert_eq!(node.receive(OTHER_NODE, QUESTION), [sent(LAURA, QUESTION)]);
        node.pass(0.2);
    }
    assert_eq!(node.receive(LAURA, ANSWER), [sent(OTHER_NODE, ANSWER)]);
    // This answer makes the count begin anew.
    for _ in 0..10 {
        assert_eq!(node.receive(OTHER_NODE, QUESTION), [sent(LAURA, QUESTION)]);
        node.pass(0.2);
    }
}

#[test]
fn an_agent_that_is_heard_again_brings_its_user_back() {
    for (message, is_dropped) in [
        ("RL1joya@cc.com:laura@bb.com", true),
        ("RL1nobody@cc.com:laura@BB.com", true),
        ("RL1joan@cc.com:laura@bb.com", false),
        ("PLlaura@bb.com:pere@bb.com", false),
        ("PLlaura@BB.com.:nobody@bb.com", false),
        ("PLlaura@bb.com:joya@cc.com", false),
        ("PRlaura@bb.com", false),
        ("PRlaura", false),
    ] {
        let mut node = TestNode::new();
        node.strike_laura_out();
        assert_eq!(node.receive(STRANGER, QUESTION), [sent(STRANGER, OFFLINE)], "she is offline");
        node.pass(3600.0);
        if message.contains("joan") {
            // Asked while she was online, and not refused.
            node = TestNode::new();
            node.receive(LAURA, "PRlaura@bb.com");
            node.pass(0.5);
            node.receive(STRANGER, "PLjoan@cc.com:laura@bb.com");
            for _ in 0..4 {
                node.pass(0.5);
                node.receive(OTHER_NODE, QUESTION);
            }
            assert_eq!(node.address_of("laura"), None);
        }
        assert_eq!(node.try_receive(LAURA, message).is_err(), is_dropped, "{message}");
        assert_eq!(node.address_of("laura"), Some(address(LAURA)), "{message}");
        node.pass(7.0);
        assert_eq!(node.online_for("laura"), Some(Duration::from_secs(7)), "{message}");
        for _ in 0..4 {
            assert_eq!(node.receive(OTHER_NODE, QUESTION), [sent(LAURA, QUESTION)], "{message}: no strikes");
            node.pass(1.0);
        }
        assert_eq!(node.receive(OTHER_NODE, QUESTION), [sent(OTHER_NODE, OFFLINE)], "{message}");
    }
}

#[test]
fn nobody_else_brings_a_user_back() {
    let mut node = TestNode::new();
    node.strike_laura_out();
    node.receive(PERE, "PRpere@bb.com");
    for (from, message) in [
        (STRANGER, "RL1joya@cc.com:laura@bb.com"),
        (PERE, "RL1joya@cc.com:laura@bb.com"),
        (STRANGER, "PLlaura@bb.com:pere@bb.com"),
        (STRANGER, "PLlaura@bb.com:joya@cc.com"),
        (LAURA, "PLlaura@cc.com:pere@bb.com"),
        (LAURA, "RL1joya@bb.com:laura@cc.com"),
        (LAURA, "PLpere@bb.com:laura@bb.com"),
        (LAURA, "RL1laura@bb.com:pere@bb.com"),
        (LAURA, "PRjoan@bb.com"),
        (LAURA, "RR0"),
        (LAURA, "hello"),
        (STRANGER, "PDlaura@bb.com"),
    ] {
        _ = node.try_receive(from, message);
        assert_eq!(node.address_of("laura"), None, "{message} from {from}");
    }
}

#[test]
fn only_its_own_agent_makes_a_struck_user_be_forgotten() {
    for (from, comes_back) in [(STRANGER, true), (LAURA, false)] {
        let mut node = TestNode::new();
        node.strike_laura_out();
        assert_eq!(node.receive(from, "PDlaura@bb.com"), [sent(from, "RD0")]);
        assert_eq!(node.address_of("laura"), None);
        assert_eq!(node.try_receive(LAURA, ANSWER), Err(DropReason::Unasked));
        assert_eq!(node.address_of("laura").is_some(), comes_back, "after a PD from {from}");
    }
}

/// A frozen agent answers the questions from meanwhile when it thaws. Nobody waits for these answers, but the
/// next asker finds the user.
#[test]
fn a_frozen_agent_that_thaws_is_online_within_one_round_trip() {
    let mut node = TestNode::new();
    node.strike_laura_out();
    for _ in 0..4 {
        assert_eq!(node.try_receive(LAURA, ANSWER), Err(DropReason::Unasked), "refused by then");
        assert_eq!(node.address_of("laura"), Some(address(LAURA)), "with the first of them");
    }
    assert_eq!(node.receive(OTHER_NODE, QUESTION), [sent(LAURA, QUESTION)]);
    assert_eq!(node.receive(LAURA, ANSWER), [sent(OTHER_NODE, ANSWER)]);
}

#[test]
fn an_address_where_somebody_else_is_now_brings_nobody_back() {
    let mut node = TestNode::new();
    node.strike_laura_out();
    node.receive(STRANGER, "PRlaura@bb.com");
    assert_eq!(node.try_receive(LAURA, ANSWER), Err(DropReason::Unasked));
    assert_eq!(node.address_of("laura"), Some(address(STRANGER)));
}

/// An agent that asks and never answers cannot be called, so its questions do not clear the strikes.
#[test]
fn a_question_is_no_answer() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for _ in 0..4 {
        assert_eq!(node.receive(OTHER_NODE, QUESTION), [sent(LAURA, QUESTION)]);
        node.receive(LAURA, "PLlaura@bb.com:pere@bb.com");
        node.pass(1.0);
    }
    assert_eq!(node.receive(OTHER_NODE, QUESTION), [sent(OTHER_NODE, OFFLINE)]);
}

/// Ten thousand requests a second, for ten seconds, to an agent that answers each of them after a while.
#[test]
fn no_flood_of_requests_takes_an_agent_offline_that_answers() {
    // The number of questions, and of those that come before each is answered: the slowest answers are 1.999
    // s late.
    for (requests, delay) in [(5_000, 0), (100_000, 19_990)] {
        let mut node = TestNode::new();
        node.receive(LAURA, "PRlaura@bb.com");
        let askers: Vec<_> = (0..40).map(|n| format!("198.51.100.{n}:4500")).collect();
        let mut to_answer = std::collections::VecDeque::new();
        for n in 0..requests {
            node.pass(0.0001);
            while to_answer.front().is_some_and(|&(due, _)| due <= n) {
                let (_, names) = to_answer.pop_front().expect("there is one");
                _ = node.try_receive(LAURA, &format!("RL1{names}"));
            }
            // Each is repeated once 0.2 s have passed.
            let names = format!("u{}@cc.com:laura@bb.com", n % 2_000);
            let asker = &askers[n % askers.len()];
            let sent = node.receive(asker, &format!("PL{names}"));
            assert!(matches!(sent[..], [Output::Transmit { to, .. }] if to == address(LAURA)));
            assert_eq!(node.address_of("laura"), Some(address(LAURA)), "request {n}, delay {delay}");
            to_answer.push_back((n + delay, names));
        }
    }
}

const QUESTION: &str = "PLjoya@cc.com:laura@bb.com";
const ANSWER: &str = "RL1joya@cc.com:laura@bb.com";
const OFFLINE: &str = "RL3joya@cc.com:laura@bb.com";
