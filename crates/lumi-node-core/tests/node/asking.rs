//! The askers that count in the name of a user (protocol.md §9).

use std::collections::HashMap;

use lumi_dns::LookupError;
use lumi_node_core::{Ask, DropReason, NodeSettings, Output};

use crate::{LAURA, OTHER_NODE, OTHER_PORT, PERE, STRANGER, TestNode, address, found, sent};

/// A socket on the host of the other node that is not the node's.
const BESIDE_OTHER_NODE: &str = "127.0.0.3:5000";
/// A second address of the other node.
const SECOND_ADDRESS: &str = "127.0.0.4:3344";

#[test]
fn the_setting_says_which_askers_count() {
    const PASSES: bool = true;
    const DROPS: bool = false;
    // cc.com is a named peer, dd.com has been looked up, and ee.com is not known.
    for (from, asker, [any, bound, nodes]) in [
        (LAURA, "laura@bb.com", [PASSES, PASSES, PASSES]),
        (STRANGER, "laura@bb.com", [DROPS, DROPS, DROPS]),
        (STRANGER, "joan@bb.com", [PASSES, DROPS, DROPS]),
        (OTHER_NODE, "joan@bb.com", [PASSES, DROPS, DROPS]),
        (OTHER_NODE, "joya@cc.com", [PASSES, PASSES, PASSES]),
        (SECOND_ADDRESS, "joya@CC.com.", [PASSES, PASSES, PASSES]),
        (BESIDE_OTHER_NODE, "joya@cc.com", [PASSES, PASSES, DROPS]),
        (STRANGER, "joya@cc.com", [DROPS, DROPS, DROPS]),
        ("10.0.0.4:3344", "eva@dd.com", [PASSES, PASSES, PASSES]),
        ("10.0.0.5:3344", "eva@DD.com", [PASSES, PASSES, PASSES]),
        ("10.0.0.4:3345", "eva@dd.com", [PASSES, PASSES, DROPS]),
        (STRANGER, "eva@dd.com", [PASSES, PASSES, DROPS]),
        ("10.0.0.4:3344", "eva@ee.com", [PASSES, PASSES, DROPS]),
    ] {
        for (ask, passes) in [(Ask::Any, any), (Ask::Bound, bound), (Ask::Nodes, nodes)] {
            let mut node = node_that_knows_others(ask);
            let question = format!("PL{asker}:pere@bb.com");
            let expected = if passes { Ok(vec![sent(PERE, &question)]) } else { Err(DropReason::Foreign) };
            assert_eq!(node.try_receive(from, &question), expected, "{ask}: {question} from {from}");
        }
    }
}

/// Strikes took laura offline, and her agent has the same address as before.
#[test]
fn a_user_who_was_taken_for_gone_is_back_with_a_question() {
    for ask in [Ask::Any, Ask::Bound, Ask::Nodes] {
        let mut node = node_that_knows_others(ask);
        for _ in 0..5 {
            node.pass(1.0);
            node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
        }
        assert_eq!(node.address_of("laura"), None);
        let question = "PLlaura@bb.com:pere@bb.com";
        let elsewhere = node.try_receive(OTHER_PORT, question);
        assert_eq!(elsewhere.is_ok(), ask == Ask::Any, "{ask}: an agent of L at another port");
        node.pass(1.0);
        assert_eq!(node.receive(LAURA, question), [sent(PERE, question)], "{ask}");
        assert_eq!(node.address_of("laura"), Some(address(LAURA)));
    }
}

/// An answer of DNS that is out of date still counts: an asker cannot have the domain looked up again.
#[test]
fn a_node_that_was_looked_up_counts_until_it_is_found_elsewhere() {
    let mut node = node_that_knows_others(Ask::Nodes);
    let question = "PLeva@dd.com:pere@bb.com";
    node.pass(600.0);
    assert_eq!(node.receive("10.0.0.4:3344", question), [sent(PERE, question)]);
    let lookup = node.ask_elsewhere(LAURA, "PLlaura@bb.com:eva@dd.com", "dd.com");
    node.resolved(lookup, found("10.0.0.6:3344", 60));
    node.pass(1.0);
    assert_eq!(node.try_receive("10.0.0.4:3344", question), Err(DropReason::Foreign));
    assert_eq!(node.receive("10.0.0.6:3344", question), [sent(PERE, question)]);
}

/// A user of this domain asks for as many domains as a node keeps, and more. A look-up of the domain in use
/// gives way, too, or ends without an answer.
#[test]
fn nodes_in_use_are_not_forgotten_however_many_domains_others_ask_for() {
    let mut node = node_that_knows_others(Ask::Nodes);
    let question = "PLeva@dd.com:pere@bb.com";
    let ask_for_many = |node: &mut TestNode, numbers: std::ops::Range<usize>| {
        for n in numbers {
            let domain = format!("u{n}.org");
            let lookup = node.ask_elsewhere(PERE, &format!("PLpere@bb.com:eva@{domain}"), &domain);
            node.resolved(lookup, found("10.0.0.9:3344", 3_600));
        }
    };
    ask_for_many(&mut node, 0..5_000);
    assert_eq!(node.receive("10.0.0.4:3344", question), [sent(PERE, question)]);
    let kept = node.node.status().lookups.kept;
    assert!((4_000..=4_096).contains(&kept), "{kept}");
    // The answer is out of date by now, and pere has it looked up again.
    node.pass(600.0);
    let again = node.ask_elsewhere(PERE, "PLpere@bb.com:eva@dd.com", "dd.com");
    for n in 0..32 {
        let question = format!("PLpere@bb.com:eva@silent{n}.org");
        let outputs = node.receive(PERE, &question);
        let gives_up =
            |output: &Output| matches!(output, Output::Resolve { instead_of: Some(id), .. } if *id == again);
        assert_eq!(outputs.iter().any(gives_up), n == 31, "{outputs:?}");
    }
    assert_eq!(node.receive("10.0.0.4:3344", question), [sent(PERE, question)]);
    node.pass(10.0);
    let silent = node.ask_elsewhere(LAURA, "PLlaura@bb.com:eva@dd.com", "dd.com");
    node.resolved(silent, Err(LookupError::NoAnswer));
    assert_eq!(node.receive("10.0.0.4:3344", question), [sent(PERE, question)]);
}

/// Every address of a peer may speak for any number of users.
#[test]
fn a_named_peer_has_several_addresses() {
    let mut node = node_that_knows_others(Ask::Any);
    let before = node.node.pending_count();
    for n in 0..20 {
        let question = format!("PLu{n}@cc.com:pere@bb.com");
        assert_eq!(node.receive(SECOND_ADDRESS, &question), [sent(PERE, &question)]);
    }
    assert_eq!((node.node.pending_count() - before, node.node.status().displaced), (20, 0));
}

/// The node of bb.com, where laura and pere are online. cc.com has a peer with two addresses, and so has
/// dd.com by DNS.
fn node_that_knows_others(ask: Ask) -> TestNode {
    let addresses = [OTHER_NODE, SECOND_ADDRESS].map(|node| address(node).into()).to_vec();
    let peers = HashMap::from([("cc.com".parse().expect("a domain"), addresses)]);
    let settings = NodeSettings::default().peers(peers).ask(ask);
    let mut node = TestNode::of("bb.com\nlaura\npere\njoan\n", crate::NODE, settings);
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(PERE, "PRpere@bb.com");
    let lookup = node.ask_elsewhere(LAURA, "PLlaura@bb.com:eva@dd.com", "dd.com");
    let mut of_dd = found("10.0.0.4:3344", 60).expect("a node");
    of_dd.others.push(lumi_dns::AddressOfNode::new(address("10.0.0.5:3344"), false));
    node.resolved(lookup, Ok(of_dd));
    node
}
