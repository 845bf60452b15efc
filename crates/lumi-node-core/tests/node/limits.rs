//! What is dropped.

use std::num::NonZeroU32;

use lumi_node_core::{DropReason, NodeSettings, RateLimit};

use crate::{LAURA, STRANGER, TestNode, address};

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
    let limit = RateLimit {
        per_second: NonZeroU32::new(10).expect("is not 0"),
        burst: NonZeroU32::new(20).expect("is not 0"),
    };
    let mut node = TestNode::with(NodeSettings { rate_limit: Some(limit), ..NodeSettings::default() });
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

    let mut unlimited = TestNode::with(NodeSettings { rate_limit: None, ..NodeSettings::default() });
    assert_eq!(admitted(&mut unlimited, 100_000), 100_000);
}

#[test]
fn a_flood_of_sources_neither_grows_the_limiter_nor_shuts_others_out() {
    let mut node = TestNode::new();
    for source in 0..100_000_u32 {
        assert!(node.node.admit(node.now, source.into()));
    }
}
