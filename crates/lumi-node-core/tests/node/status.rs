//! The status of a node, and settings that change while it serves.

use std::num::NonZeroU32;
use std::time::Duration;

use lumi_dns::LookupError;
use lumi_node_core::{LocationTimes, MessageKind, NodeSettings, Output, RateLimit, Takeover};

use crate::{LAURA, NODE, OTHER_NODE, PERE, STRANGER, TestNode, found, sent};

#[test]
fn every_message_is_counted_and_every_drop_by_its_reason() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(STRANGER, "PRjoan@bb.com");
    node.receive(LAURA, "PLlaura@bb.com:joan@bb.com");
    for rubbish in ["", "PL", "XX"] {
        node.try_receive(STRANGER, rubbish).unwrap_err();
    }
    node.try_receive(STRANGER, "RR0").unwrap_err();
    node.try_receive(STRANGER, "PLeve@dd.com:joya@cc.com").unwrap_err();
    let status = node.node.status();
    let counted = |counts: Vec<(MessageKind, u64)>| -> Vec<_> {
        counts.into_iter().filter(|(_, count)| *count > 0).map(|(kind, count)| (kind.name(), count)).collect()
    };
    assert_eq!(counted(status.received.iter().collect()), [("PR", 2), ("RR0", 1), ("PL", 2)]);
    assert_eq!(counted(status.sent.iter().collect()), [("RR0", 1), ("RR1", 1), ("RL2", 1)]);
    let dropped: Vec<_> = status.dropped.iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(dropped, [("malformed", 3), ("unexpected", 1), ("foreign", 1)]);
    assert_eq!((status.users, status.online, status.pendings), (2, 1, 0));
}

#[test]
fn whoever_comes_and_goes_is_counted_once() {
    let mut node = TestNode::new();
    let online = |node: &TestNode| node.node.status().online;
    for from in [LAURA, LAURA, STRANGER] {
        node.receive(from, "PRlaura@bb.com");
        assert_eq!(online(&node), 1, "registered again, and elsewhere");
    }
    node.receive(PERE, "PRpere@bb.com");
    assert_eq!(online(&node), 2);
    for from in [LAURA, STRANGER, STRANGER] {
        node.receive(from, "PDlaura@bb.com");
    }
    assert_eq!(online(&node), 1);
    node.strike_laura_out();
    assert_eq!(online(&node), 1, "pere is left");
    node.receive(LAURA, "PRlaura@bb.com");
    assert_eq!(online(&node), 2, "she is back");
    node.remove("laura");
    assert_eq!((online(&node), node.node.status().users), (1, 1));
}

#[test]
fn a_location_takes_from_the_first_question_to_the_answer() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(PERE, "PRpere@bb.com");
    for _ in 0..2 {
        node.receive(PERE, "PLpere@bb.com:laura@bb.com");
        node.pass(1.0);
    }
    node.receive(LAURA, "RL1pere@bb.com:laura@bb.com");
    let busy = node.node.status().locations.busy;
    assert_eq!((busy.count(), busy.sum()), (1, Duration::from_secs(2)));
    assert_eq!(busy.within()[LocationTimes::BOUNDS.len() - 1], 1, "more than 1 s, and 5 s at most");

    let id = node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
    node.pass(1.5);
    assert_eq!(node.receive(LAURA, "PLlaura@bb.com:joya@cc.com"), []);
    node.pass(0.5);
    node.resolved(id, found(OTHER_NODE, 60));
    node.receive(OTHER_NODE, "RL0laura@bb.com:joya@cc.com:10.0.0.1:4456");
    assert_eq!(node.node.status().locations.found.sum(), Duration::from_secs(2), "DNS included");

    for unanswered in 0..2 {
        assert_eq!(node.node.status().unanswered, unanswered);
        node.receive(PERE, "PLpere@bb.com:laura@bb.com");
        node.pass(5.0);
        node.node.handle_timeout(node.now);
    }
    assert_eq!(node.node.status().unanswered, 2);
}

#[test]
fn a_last_strike_is_the_end_of_a_location_that_began_with_the_first() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for _ in 0..5 {
        node.pass(1.0);
        node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
    }
    assert_eq!(node.node.status().locations.offline.sum(), Duration::from_secs(4));
}

#[test]
fn what_dns_says_is_counted() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let answers = [
        ("cc.com", found(OTHER_NODE, 60)),
        ("dd.com", Err(LookupError::NotFound)),
        ("ee.com", Err(LookupError::NoAnswer)),
        ("ff.com", Err(LookupError::Unusable("0.0.0.0".parse().unwrap()))),
    ];
    for (domain, answer) in answers {
        let id = node.ask_elsewhere(LAURA, &format!("PLlaura@bb.com:joya@{domain}"), domain);
        assert_eq!(node.node.status().lookups.in_flight, 1);
        node.resolved(id, answer);
    }
    node.receive(LAURA, "PLlaura@bb.com:pau@cc.com");
    let lookups = node.node.status().lookups;
    assert_eq!((lookups.from_kept, lookups.kept, lookups.in_flight), (1, 4, 0));
    let ended = [lookups.found, lookups.not_found, lookups.no_answer, lookups.unusable];
    assert_eq!(ended, [1; 4]);
}

#[test]
fn settings_hold_from_when_they_are_set() {
    let limit = |per_second| Some(RateLimit::new(NonZeroU32::new(per_second).unwrap()));
    let mut node = TestNode::with(NodeSettings::default().rate_limit(limit(1)));
    node.receive(LAURA, "PRlaura@bb.com");
    let admitted = |node: &mut TestNode| (0..9).filter(|_| node.admits("10.0.0.1:5000")).count();
    assert_eq!(admitted(&mut node), 2);
    let settings = NodeSettings::default()
        .rate_limit(limit(1))
        .takeover(Takeover::Deny)
        .allow(["127.0.0.1", "127.0.0.8"].map(|range| range.parse().unwrap()).to_vec());
    node.node.handle_settings(settings.clone());
    assert_eq!(admitted(&mut node), 0, "a reload is no way around the limit");
    let elsewhere = "127.0.0.8:4500";
    assert_eq!(
        node.receive(elsewhere, "PRlaura@bb.com"),
        [sent(elsewhere, "RR1")],
        "she is online elsewhere"
    );
    assert_eq!(node.receive(STRANGER, "PRpere@bb.com"), [sent(STRANGER, "RR1")], "not from there");
    assert!(node.address_of("laura").is_some());

    let exempt = vec!["10.0.0.0/8".parse().unwrap()];
    node.node.handle_settings(settings.clone().exempt(exempt));
    assert_eq!(admitted(&mut node), 9);
    node.node.handle_settings(settings.rate_limit(limit(2)));
    assert_eq!(admitted(&mut node), 4);
    node.node.handle_settings(NodeSettings::default().rate_limit(None));
    assert_eq!(admitted(&mut node), 9);
    assert_eq!(node.receive(PERE, "PRlaura@bb.com"), [sent(PERE, "RR0")]);

    // Each of five at once is a strike.
    node.node.handle_settings(NodeSettings::default().strike_interval(Duration::ZERO));
    (0..5).for_each(|n| _ = node.receive(OTHER_NODE, &format!("PLu{n}@cc.com:laura@bb.com")));
    assert_eq!(node.address_of("laura"), None);
}

/// Peers and name servers may be others.
#[test]
fn with_new_settings_domains_are_looked_up_anew() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let id = node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
    node.resolved(id, found(OTHER_NODE, 60));
    let old = node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@dd.com", "dd.com");
    node.node.handle_settings(NodeSettings::default());
    assert_eq!(node.node.status().lookups.kept, 0);
    let id = node.ask_elsewhere(LAURA, "PLlaura@bb.com:pau@cc.com", "cc.com");
    assert_eq!(node.resolved(id, Err(LookupError::NotFound)), [sent(LAURA, "RL2laura@bb.com:pau@cc.com")]);
    // Earlier questions are answered, because their askers have waited.
    let outputs = node.resolved(old, found(NODE_OF_DD, 60));
    assert_eq!(outputs, [sent(NODE_OF_DD, "PLlaura@bb.com:joya@dd.com")]);
    let id = node.ask_elsewhere(LAURA, "PLlaura@bb.com:pau@dd.com", "dd.com");
    assert!(matches!(node.resolved(id, found(NODE, 60))[..], [Output::Transmit { .. }]));
}

const NODE_OF_DD: &str = "127.0.0.4:3344";
