//! The location of a user of another domain.

use lumi_dns::LookupError;
use lumi_node_core::DropReason;

use crate::{LAURA, NODE, OTHER_NODE, PERE, STRANGER, TestNode, found, sent};

#[test]
fn a_location_in_another_domain_goes_through_its_node() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLlaura@bb.com:joya@cc.com";
    let lookup = node.ask_elsewhere(LAURA, question, "cc.com");
    assert_eq!(node.resolved(lookup, found(OTHER_NODE, 60)), [sent(OTHER_NODE, question)]);
    for answer in ["RL0laura@bb.com:joya@cc.com:84.88.154.3:4456", "RL3laura@bb.com:joya@cc.com"] {
        assert_eq!(node.receive(OTHER_NODE, answer), [sent(LAURA, answer)]);
        assert_eq!(node.receive(LAURA, question), [sent(OTHER_NODE, question)], "the address is known now");
    }
}

#[test]
fn a_domain_that_is_not_found_is_no_domain() {
    for error in [LookupError::NotFound, LookupError::NoAnswer, LookupError::Unusable([0, 0, 0, 0].into())] {
        let mut node = TestNode::new();
        node.receive(LAURA, "PRlaura@bb.com");
        let question = "PLlaura@bb.com:joya@cc.com";
        let no_such_user = [sent(LAURA, "RL2laura@bb.com:joya@cc.com")];
        let lookup = node.ask_elsewhere(LAURA, question, "cc.com");
        assert_eq!(node.resolved(lookup, Err(error)), no_such_user);
        node.pass(4.9);
        assert_eq!(node.receive(LAURA, question), no_such_user, "a failure is kept");
        node.pass(0.2);
        node.ask_elsewhere(LAURA, question, "cc.com");
    }
}

#[test]
fn a_name_is_looked_up_once_at_a_time_and_again_when_it_is_out_of_date() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(PERE, "PRpere@bb.com");
    let lookup = node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
    assert_eq!(node.receive(LAURA, "PLlaura@bb.com:joya@cc.com"), [], "a repetition waits too");
    assert_eq!(node.receive(PERE, "PLpere@bb.com:joya@CC.com."), []);
    assert_eq!(
        node.resolved(lookup, found(OTHER_NODE, 7)),
        [sent(OTHER_NODE, "PLlaura@bb.com:joya@cc.com"), sent(OTHER_NODE, "PLpere@bb.com:joya@CC.com.")]
    );
    assert_eq!(node.resolved(lookup, found(STRANGER, 7)), [], "a look-up is answered once");
    node.pass(7.0);
    node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
}

#[test]
fn no_answer_is_kept_longer_than_a_minute() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let lookup = node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
    node.resolved(lookup, found(OTHER_NODE, 86_400));
    node.pass(60.0);
    node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
}

#[test]
fn lookups_are_bounded() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let lookups: Vec<_> = (0..32)
        .map(|n| node.ask_elsewhere(LAURA, &format!("PLlaura@bb.com:joya@d{n}.com"), &format!("d{n}.com")))
        .collect();
    let one_more = "PLlaura@bb.com:joya@cc.com";
    assert_eq!(node.try_receive(LAURA, one_more), Err(DropReason::NoRoom));
    node.resolved(lookups[0], Err(LookupError::NotFound));
    let lookup = node.ask_elsewhere(LAURA, one_more, "cc.com");
    node.resolved(lookup, Err(LookupError::NotFound));
    // Far more names than are kept: the node goes on, and asks again for what it forgot.
    for n in 0..10_000 {
        let lookup =
            node.ask_elsewhere(LAURA, &format!("PLlaura@bb.com:joya@e{n}.com"), &format!("e{n}.com"));
        node.resolved(lookup, Err(LookupError::NotFound));
    }
}

#[test]
fn only_an_online_user_at_its_own_address_may_ask_elsewhere() {
    let mut node = TestNode::new();
    let question = "PLlaura@bb.com:joya@cc.com";
    assert_eq!(node.try_receive(LAURA, question), Err(DropReason::Foreign), "offline");
    node.receive(LAURA, "PRlaura@bb.com");
    assert_eq!(node.try_receive(STRANGER, question), Err(DropReason::Foreign), "from elsewhere");
    let neither = "PLjoan@dd.com:joya@cc.com";
    assert_eq!(node.try_receive(LAURA, neither), Err(DropReason::Foreign), "neither party is of this domain");
    assert_eq!(node.try_receive(OTHER_NODE, neither), Err(DropReason::Foreign));
    assert_eq!(node.node.dropped().foreign, 4);
}

#[test]
fn another_name_of_this_node_is_no_domain() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let lookup = node.ask_elsewhere(LAURA, "PLlaura@bb.com:pere@alias.com", "alias.com");
    assert_eq!(node.resolved(lookup, found(NODE, 60)), [sent(LAURA, "RL2laura@bb.com:pere@alias.com")]);
}
