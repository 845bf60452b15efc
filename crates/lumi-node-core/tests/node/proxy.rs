//! The location of a user of another domain.

use std::time::Duration;

use lumi_dns::{AddressOfNode, LookupError};
use lumi_node_core::{DropReason, NodeSettings, Output};

use crate::{LAURA, NODE, OTHER_NODE, PERE, STRANGER, TestNode, address, found, sent};

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
    // The first one gives way, and its result is no longer wanted.
    let lookup = match node.receive(LAURA, one_more)[..] {
        [Output::Resolve { id, instead_of: Some(given_up), .. }] if given_up == lookups[0] => id,
        ref outputs => panic!("{outputs:?}"),
    };
    assert_eq!(node.resolved(lookups[0], found(OTHER_NODE, 60)), []);
    assert_eq!((node.node.lookups_in_flight(), node.node.status().lookups.displaced), (32, 1));
    node.resolved(lookup, Err(LookupError::NotFound));
    assert_eq!(
        node.receive(LAURA, one_more),
        [sent(LAURA, "RL2laura@bb.com:joya@cc.com")],
        "known, no look-up"
    );
    // Far more names than are kept: the node goes on, and asks again for what it forgot.
    for n in 0..10_000 {
        let lookup =
            node.ask_elsewhere(LAURA, &format!("PLlaura@bb.com:joya@e{n}.com"), &format!("e{n}.com"));
        node.resolved(lookup, Err(LookupError::NotFound));
    }
}

/// Those of others stay, also if the insider waits for them as well.
#[test]
fn who_looks_up_many_domains_displaces_nobody_else() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(STRANGER, "PRpere@bb.com");
    let own = node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
    let shared = node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@dd.com", "dd.com");
    assert_eq!(node.receive(STRANGER, "PLpere@bb.com:joya@dd.com"), []);
    for n in 0..1_000 {
        node.ask_elsewhere(STRANGER, &format!("PLpere@bb.com:joya@s{n}.com"), &format!("s{n}.com"));
    }
    assert_eq!(node.node.status().lookups.displaced, 1_000 - 30);
    assert_eq!(node.resolved(own, found(OTHER_NODE, 60)), [sent(OTHER_NODE, "PLlaura@bb.com:joya@cc.com")]);
    // The oldest of pere's own questions gave way.
    assert_eq!(
        node.resolved(shared, found(OTHER_NODE, 60)),
        [sent(OTHER_NODE, "PLlaura@bb.com:joya@dd.com")]
    );
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

#[test]
fn who_waits_for_a_lookup_is_bounded() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = |n: u32| format!("PLlaura@bb.com:u{n}@cc.com");
    let lookup = node.ask_elsewhere(LAURA, &question(0), "cc.com");
    for n in 1..100 {
        assert_eq!(node.receive(LAURA, &question(n)), []);
    }
    assert_eq!(node.receive(LAURA, &question(99)), [], "a repetition needs no room");
    // Her last eight, the most that one user may wait for.
    let asked: Vec<_> = (92..100).map(|n| sent(OTHER_NODE, &question(n))).collect();
    assert_eq!(node.resolved(lookup, found(OTHER_NODE, 60)), asked);
    assert_eq!(node.receive(LAURA, &question(100)), [sent(OTHER_NODE, &question(100))]);
    assert_eq!(node.node.pending_count(), 8);
}

/// A gateway with an exempt address has many users at one socket. Each of them is a source, as for requests
/// that were sent on.
#[test]
fn a_host_that_speaks_for_many_may_wait_for_any_number() {
    let names: String = (0..100).map(|n| format!("u{n}\n")).collect();
    let exempt = vec!["127.0.0.9".parse().expect("a range")];
    let roster = format!("bb.com\nlaura\n{names}");
    let mut node = TestNode::of(&roster, NODE, NodeSettings::default().exempt(exempt));
    node.receive(LAURA, "PRlaura@bb.com");
    (0..100).for_each(|n| _ = node.receive(STRANGER, &format!("PRu{n}@bb.com")));
    let question = |n: u32| format!("PLu{}@bb.com:x{n}@cc.com", n % 100);
    let lookup = node.ask_elsewhere(STRANGER, &question(0), "cc.com");
    for n in 1..1_000 {
        assert_eq!(node.receive(STRANGER, &question(n)), []);
    }
    // Another look-up does not take the place of waiting requests.
    node.ask_elsewhere(STRANGER, "PLu0@bb.com:x@dd.com", "dd.com");
    assert_eq!(node.node.status().displaced, 0);
    assert_eq!(node.resolved(lookup, found(OTHER_NODE, 60)).len(), 1_000);
}

/// Both those that give way themselves and those that wait for a look-up that does.
#[test]
fn requests_that_give_way_while_they_wait_are_counted() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for n in 0..100 {
        node.receive(LAURA, &format!("PLlaura@bb.com:u{n}@cc.com"));
    }
    assert_eq!(node.node.status().displaced, 92);
    let mut node = TestNode::of("bb.com\nu0\nu1\nu2\nu3\nu4\n", NODE, NodeSettings::default());
    for user in 0..5 {
        node.receive(LAURA, &format!("PRu{user}@bb.com"));
        for n in 0..8 {
            node.receive(LAURA, &format!("PLu{user}@bb.com:joya@d{user}e{n}.com"));
        }
    }
    let status = node.node.status();
    assert_eq!((status.displaced, status.lookups.displaced, status.lookups.in_flight), (8, 8, 32));
}

/// Nobody waits for longer than 5 s after asking last, whether it is DNS that is slow or the other node.
#[test]
fn a_question_ends_while_it_waits_for_a_lookup() {
    let question = "PLlaura@bb.com:joya@cc.com";
    for (since_first, since_last, is_sent_on) in
        [(4.999, 4.999, true), (5.0, 5.0, false), (8.0, 4.0, true), (60.0, 59.0, false)]
    {
        for answer in [found(OTHER_NODE, 60), Err(LookupError::NoAnswer)] {
            let mut node = TestNode::new();
            node.receive(LAURA, "PRlaura@bb.com");
            let lookup = node.ask_elsewhere(LAURA, question, "cc.com");
            node.pass(since_first - since_last);
            assert_eq!(node.receive(LAURA, question), []);
            node.pass(since_last);
            let outputs = node.resolved(lookup, answer.clone());
            assert_eq!(outputs.len(), usize::from(is_sent_on), "{since_last} s, {answer:?}: {outputs:?}");
            assert_eq!(node.node.lookups_in_flight(), 0);
            if is_sent_on && answer.is_ok() {
                let asked_at = node.now - Duration::from_secs_f64(since_last);
                let end = node.node.poll_timeout().expect("it is pending");
                assert_eq!(end, asked_at + Duration::from_secs(5), "its time began when it was asked");
            }
        }
    }
}

#[test]
fn requests_that_have_ended_make_room_for_others() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let lookup = node.ask_elsewhere(LAURA, "PLlaura@bb.com:u0@cc.com", "cc.com");
    for n in 1..64 {
        node.receive(LAURA, &format!("PLlaura@bb.com:u{n}@cc.com"));
    }
    node.pass(5.0);
    assert_eq!(node.receive(LAURA, "PLlaura@bb.com:joya@cc.com"), []);
    assert_eq!(
        node.resolved(lookup, found(OTHER_NODE, 60)),
        [sent(OTHER_NODE, "PLlaura@bb.com:joya@cc.com")]
    );
}

/// Nothing is sent to another domain unless the user is online at that address, also when DNS took its time.
#[test]
fn who_has_gone_when_the_lookup_ends_is_not_asked_for() {
    for (gone, event) in [
        (true, (LAURA, "PDlaura@bb.com")),
        (true, (STRANGER, "PRlaura@bb.com")),
        (false, (LAURA, "PRlaura@bb.com")),
        (false, (STRANGER, "PDlaura@bb.com")),
    ] {
        for answer in [found(OTHER_NODE, 60), Err(LookupError::NotFound), found(NODE, 60)] {
            let mut node = TestNode::new();
            node.receive(LAURA, "PRlaura@bb.com");
            node.receive(PERE, "PRpere@bb.com");
            let lookup = node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
            node.receive(PERE, "PLpere@bb.com:joya@cc.com");
            node.receive(event.0, event.1);
            let outputs = node.resolved(lookup, answer.clone());
            assert_eq!(outputs.len(), if gone { 1 } else { 2 }, "{event:?}, {answer:?}: {outputs:?}");
            assert_eq!(node.node.dropped().foreign, u64::from(gone));
        }
    }
}

#[test]
fn who_is_back_after_strikes_may_ask_elsewhere_at_once() {
    let mut node = TestNode::new();
    node.strike_laura_out();
    let question = "PLlaura@bb.com:joya@cc.com";
    assert_eq!(node.try_receive(STRANGER, question), Err(DropReason::Foreign));
    let lookup = node.ask_elsewhere(LAURA, question, "cc.com");
    assert_eq!(node.resolved(lookup, found(OTHER_NODE, 60)), [sent(OTHER_NODE, question)]);
}

/// Its answers are the last word: an earlier question is not answered a second time by the other node.
#[test]
fn a_domain_that_is_gone_when_it_is_looked_up_again_ends_what_is_pending_there() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLlaura@bb.com:joya@cc.com";
    let lookup = node.ask_elsewhere(LAURA, question, "cc.com");
    assert_eq!(node.resolved(lookup, found(OTHER_NODE, 1)), [sent(OTHER_NODE, question)]);
    node.pass(1.0);
    let lookup = node.ask_elsewhere(LAURA, question, "cc.com");
    let refused = [sent(LAURA, "RL2laura@bb.com:joya@cc.com")];
    assert_eq!(node.resolved(lookup, Err(LookupError::NotFound)), refused);
    let answer = "RL1laura@bb.com:joya@cc.com";
    assert_eq!(node.try_receive(OTHER_NODE, answer), Err(DropReason::Unasked));
}

/// DNS says that the node of each domain is the other one: a question goes one way once, and is not passed
/// on.
#[test]
fn two_nodes_that_are_sent_to_each_other_do_not_pass_a_question_on() {
    let mut here = TestNode::new();
    let mut there = TestNode::of("cc.com\njoya\n", OTHER_NODE, NodeSettings::default());
    here.receive(LAURA, "PRlaura@bb.com");
    there.receive(STRANGER, "PRjoya@cc.com");
    for alias in ["cc.com", "CC.com.", "alias.com", "10.0.0.1"] {
        let question = format!("PLlaura@bb.com:joya@{alias}");
        for node in [&mut here, &mut there] {
            node.pass(1.0);
        }
        let outputs = match here.receive(LAURA, &question)[..] {
            [Output::Resolve { id, .. }] => here.resolved(id, found(OTHER_NODE, 60)),
            ref outputs => outputs.to_vec(),
        };
        assert_eq!(outputs, [sent(OTHER_NODE, &question)]);
        match there.try_receive(NODE, &question) {
            Ok(outputs) => assert_eq!(outputs, [sent(STRANGER, &question)]),
            Err(reason) => assert_eq!(reason, DropReason::Foreign),
        }
        assert_eq!(there.node.lookups_in_flight(), 0);
    }
    assert_eq!(there.node.dropped().foreign, 2, "the two that are no names of its domain");
    assert_eq!(there.address_of("joya"), Some(address(STRANGER)));
}

/// One of several A records leads nowhere.
#[test]
fn a_repetition_goes_to_the_next_address_and_any_of_them_may_answer() {
    let question = "PLlaura@bb.com:joya@cc.com";
    let answer = "RL3laura@bb.com:joya@cc.com";
    for answerer in [OTHER_NODE, THIRD_NODE] {
        let mut node = TestNode::new();
        node.receive(LAURA, "PRlaura@bb.com");
        let lookup = node.ask_elsewhere(LAURA, question, "cc.com");
        // The second leads here.
        let mut both = found(OTHER_NODE, 60).expect("a node");
        both.others = [NODE, THIRD_NODE].map(|at| AddressOfNode::new(address(at), false)).to_vec();
        assert_eq!(node.resolved(lookup, Ok(both)), [sent(OTHER_NODE, question)]);
        for at in [THIRD_NODE, OTHER_NODE, THIRD_NODE] {
            node.pass(0.2);
            assert_eq!(node.receive(LAURA, question), [sent(at, question)]);
        }
        assert_eq!(node.try_receive(STRANGER, answer), Err(DropReason::Unasked));
        assert_eq!(node.receive(answerer, answer), [sent(LAURA, answer)]);
        for late in [OTHER_NODE, THIRD_NODE] {
            assert_eq!(node.try_receive(late, answer), Err(DropReason::Unasked), "one RL for a PL");
        }
        // Another user's request is none of these repetitions.
        node.receive(PERE, "PRpere@bb.com");
        let question = "PLpere@bb.com:joya@cc.com";
        assert_eq!(node.receive(PERE, question), [sent(OTHER_NODE, question)]);
    }
}

const THIRD_NODE: &str = "10.0.0.8:3344";
