//! Datagrams that are dropped.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::time::Duration;

use lumi_node_core::{DropReason, NodeSettings, RateLimit};

use crate::{LAURA, OTHER_NODE, PERE, STRANGER, TestNode, address, sent};

#[test]
fn what_is_no_message_or_no_request_is_dropped() {
    let mut node = TestNode::new();
    for bytes in ["", "P", "XX", "PL", "PLlaura@bb.com", "PRla ura", "RL0laura@bb.com:joya@cc.com:1.2.3.4:0"]
    {
        assert!(matches!(node.try_receive(LAURA, bytes), Err(DropReason::Malformed(_))), "{bytes}");
    }
    for answer in ["RR0", "RR1", "RD0", "RD1"] {
        assert_eq!(node.try_receive(LAURA, answer), Err(DropReason::Unexpected));
    }
    assert_eq!((node.node.dropped().malformed, node.node.dropped().unexpected), (7, 4));
}

#[test]
fn one_source_may_send_so_much_and_no_more() {
    let [per_second, burst] = [10, 20].map(|number| NonZeroU32::new(number).expect("is not 0"));
    let limit = RateLimit::new(per_second).with_burst(burst);
    let mut node = TestNode::with(NodeSettings::default().rate_limit(Some(limit)));
    let source = *address(LAURA).ip();
    let admitted =
        |node: &mut TestNode, tries: u32| (0..tries).filter(|_| node.node.admit(node.now, source)).count();
    assert_eq!(admitted(&mut node, 50), 20);
    assert_eq!(node.node.dropped().too_many, 30);
    assert!(node.node.admit(node.now, *address(STRANGER).ip()), "others are not concerned");
    node.pass(1.0);
    assert_eq!(admitted(&mut node, 50), 10);
    node.pass(0.05);
    assert_eq!(admitted(&mut node, 50), 0);
    node.pass(3600.0);
    assert_eq!(admitted(&mut node, 50), 20);

    let mut unlimited = TestNode::with(NodeSettings::default().rate_limit(None));
    assert_eq!(admitted(&mut unlimited, 100_000), 100_000);
}

#[test]
fn a_flood_of_sources_neither_grows_the_limiter_nor_shuts_others_out() {
    let mut node = TestNode::new();
    for source in 0..100_000_u32 {
        assert!(node.node.admit(node.now, Ipv4Addr::from(source)));
    }
}

#[test]
fn who_is_exempt_may_send_any_number() {
    let exempt = vec!["127.0.0.9".parse().expect("a range")];
    let mut node = TestNode::with(NodeSettings::default().exempt(exempt));
    let admitted = |node: &mut TestNode, source: &str| {
        (0..5_000).filter(|_| node.node.admit(node.now, *address(source).ip())).count()
    };
    assert_eq!(admitted(&mut node, STRANGER), 5_000);
    assert_eq!(admitted(&mut node, LAURA), 1_000);
    assert_eq!(node.node.dropped().too_many, 4_000);
}

/// A clock that stands still or is read out of order gives nobody more.
#[test]
fn nothing_is_gained_while_no_time_passes() {
    let mut node = TestNode::new();
    let source = *address(LAURA).ip();
    node.pass(10.0);
    for _ in 0..1_000 {
        assert!(node.node.admit(node.now, source));
    }
    assert!(!node.node.admit(node.now, source));
    assert!(!node.node.admit(node.now - Duration::from_secs(10), source));
    assert!(!node.node.admit(node.now, source));
}

#[test]
fn one_source_has_a_bounded_share_of_what_is_pending() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = |n: u32| format!("PLu{n}@cc.com:laura@bb.com");
    // Any of its ports will do: the source is the IP address.
    let port = |n: u32| format!("127.0.0.9:{}", 5_000 + n);
    for n in 0..64 {
        assert_eq!(node.receive(&port(n), &question(n)), [sent(LAURA, &question(n))]);
    }
    for _ in 0..9 {
        node.pass(0.5);
        assert_eq!(node.try_receive(STRANGER, &question(64)), Err(DropReason::NoRoom));
    }
    assert_eq!(node.address_of("laura"), Some(address(LAURA)), "what was not sent on is no strike");
    assert_eq!(node.node.pending_count(), 64);
    assert_eq!(node.receive(&port(1), &question(1)), [sent(LAURA, &question(1))], "repetitions need no room");
    assert_eq!(node.receive(OTHER_NODE, &question(64)), [sent(LAURA, &question(64))], "others have theirs");

    // A request leaves the share when it is answered or refused, or when it ends.
    node.receive(LAURA, "RL1u7@cc.com:laura@bb.com");
    assert_eq!(node.receive(STRANGER, &question(65)), [sent(LAURA, &question(65))]);
    assert_eq!(node.try_receive(STRANGER, &question(66)), Err(DropReason::NoRoom));
    node.receive(LAURA, "PDlaura@bb.com");
    assert_eq!(node.receive(&port(1), &question(1)), [sent(&port(1), "RL3u1@cc.com:laura@bb.com")]);
    node.receive(LAURA, "PRlaura@bb.com");
    assert_eq!(node.receive(STRANGER, &question(66)), [sent(LAURA, &question(66))]);
    assert_eq!(node.try_receive(STRANGER, &question(67)), Err(DropReason::NoRoom));
    node.pass(5.0);
    for n in 0..64 {
        assert_eq!(node.receive(STRANGER, &question(n)), [sent(LAURA, &question(n))]);
    }
    assert_eq!(node.try_receive(STRANGER, &question(64)), Err(DropReason::NoRoom));
    node.remove("laura");
    assert_eq!(node.node.pending_count(), 0);
    node.receive(PERE, "PRpere@bb.com");
    for n in 0..64 {
        node.receive(STRANGER, &format!("PLu{n}@cc.com:pere@bb.com"));
    }
    assert_eq!(node.node.pending_count(), 64);
}

/// The fifth request is not sent on, but a source that has used its share up cannot even make it.
#[test]
fn a_request_without_room_is_not_even_the_last_strike() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(PERE, "PRpere@bb.com");
    for n in 0..4 {
        node.receive(OTHER_NODE, &format!("PLu{n}@cc.com:laura@bb.com"));
        node.pass(0.5);
    }
    for n in 0..64 {
        node.receive(STRANGER, &format!("PLu{n}@cc.com:pere@bb.com"));
    }
    assert_eq!(node.try_receive(STRANGER, "PLjoya@cc.com:laura@bb.com"), Err(DropReason::NoRoom));
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
    assert_eq!(
        node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com"),
        [sent(OTHER_NODE, "RL3joya@cc.com:laura@bb.com")]
    );
    assert_eq!(node.node.pending_count(), 68, "the last strike is not pending");
}
