//! Challenges, proofs, and what they change.

use std::collections::HashMap;

use lumi_node_core::{Auth, DropReason, NodeSettings, Notice, Takeover};
use plumi_proto::Verb;

use super::{keys, proof, proving, proving_with};
use crate::{LAURA, OTHER_PORT, PERE, STRANGER, TestNode, address, sent};

const L: &str = "laura@bb.com";

#[test]
fn a_user_without_a_key_notices_nothing() {
    let mut node = proving();
    assert_eq!(node.receive(PERE, "PRpere@bb.com"), [sent(PERE, "RR0")]);
    assert_eq!(node.receive(STRANGER, "PRpere@bb.com:A................."), [sent(STRANGER, "RR0")]);
    assert_eq!(node.receive(STRANGER, "PDpere@bb.com:A................."), [sent(STRANGER, "RD0")]);
    assert_eq!(node.receive(PERE, "PRnobody@bb.com:A..............."), [sent(PERE, "RR1")]);
}

#[test]
fn a_user_with_a_key_is_bound_by_a_proof_alone() {
    let mut node = proving();
    for plain in ["PRlaura@bb.com", "PRlaura", "PRlaura@bb.com:x"] {
        assert_eq!(node.receive(LAURA, plain), [sent(LAURA, "RR1")], "{plain}");
        assert_eq!(node.address_of("laura"), None);
    }
    node.register_with_proof(LAURA);
    // A plain request from there refreshes it.
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR0")]);
    assert_eq!(node.receive(STRANGER, "PRlaura@bb.com"), [sent(STRANGER, "RR1")]);
    assert_eq!(node.receive(OTHER_PORT, "PRlaura@bb.com"), [sent(OTHER_PORT, "RR1")]);
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
    // A request for a challenge gets one there too, and changes nothing.
    node.challenge(LAURA, Verb::Register, "laura@BB.com.");
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
}

#[test]
fn a_proof_moves_the_user_whatever_takeover_says() {
    let mut node = proving_with(NodeSettings::default().takeover(Takeover::Deny));
    node.register_with_proof(LAURA);
    node.register_with_proof(STRANGER);
    assert_eq!(node.node.status().moves.to_host, 1);
    let moved = node.node.poll_notice();
    let is_right = matches!(moved, Some(Notice::Moved { from, to, is_proved: true, .. })
        if (from, to) == (address(LAURA), address(STRANGER)));
    assert!(is_right, "{moved:?}");
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR1")]);
}

#[test]
fn another_key_another_user_and_another_source_prove_nothing() {
    let mut node = proving();
    assert_eq!(node.prove(LAURA, Verb::Register, L, 2), "RR1");
    let challenge = node.challenge(LAURA, Verb::Register, L);
    let good = proof(Verb::Register, L, 1, &challenge);
    assert_eq!(node.answer(STRANGER, &good), Ok("RR1".into()), "from elsewhere");
    assert_eq!(node.answer(LAURA, &good.replacen("PKR", "PKD", 1)), Ok("RD1".into()), "another verb");
    assert_eq!(node.address_of("laura"), None);
    assert_eq!(node.node.status().proofs.failed, 3);
    let pere = proof(Verb::Register, "pere@bb.com", 1, &challenge);
    assert_eq!(node.answer(LAURA, &pere), Err(DropReason::UnknownProof));
    assert_eq!(node.node.dropped().unknown_proof, 1);
    assert_eq!(node.answer(LAURA, &good), Ok("RR0".into()));
}

#[test]
fn a_deregistration_is_proved_where_the_user_is() {
    let mut node = proving();
    assert_eq!(node.receive(LAURA, "PDlaura@bb.com"), [sent(LAURA, "RD0")], "bound nowhere");
    node.register_with_proof(LAURA);
    for from in [LAURA, STRANGER] {
        assert_eq!(node.receive(from, "PDlaura@bb.com"), [sent(from, "RD1")], "{from}");
    }
    assert_eq!(node.prove(STRANGER, Verb::Deregister, L, 1), "RD1", "she is elsewhere");
    assert_eq!(node.prove(LAURA, Verb::Deregister, L, 2), "RD1");
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
    assert_eq!(node.prove(LAURA, Verb::Deregister, L, 1), "RD0");
    assert_eq!(node.address_of("laura"), None);
    assert_eq!(node.receive(LAURA, "PDlaura@bb.com"), [sent(LAURA, "RD0")]);
    // The proof of a deregistration registers nobody, and a plain request does not either.
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR1")]);
}

#[test]
fn an_accepted_proof_voids_every_other_one() {
    let mut node = proving();
    let challenge = node.challenge(LAURA, Verb::Register, L);
    let elsewhere = node.challenge(STRANGER, Verb::Register, L);
    let (first, second) =
        (proof(Verb::Register, L, 1, &challenge), proof(Verb::Deregister, L, 1, &challenge));
    assert_eq!(node.answer(LAURA, &first), Ok("RR0".into()));
    assert_eq!(node.answer(LAURA, &second), Ok("RD1".into()));
    assert_eq!(node.answer(STRANGER, &proof(Verb::Register, L, 1, &elsewhere)), Ok("RR1".into()));
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
}

#[test]
fn the_last_accepted_proof_is_answered_again_while_it_stands() {
    let mut node = proving();
    let challenge = node.challenge(LAURA, Verb::Register, L);
    let registers = proof(Verb::Register, L, 1, &challenge);
    for _ in 0..3 {
        assert_eq!(node.answer(LAURA, &registers), Ok("RR0".into()));
        node.pass(5.0);
    }
    assert_eq!(node.node.status().proofs.accepted, 1);
    assert_eq!(node.node.status().proofs.repeated, 2);
    node.pass(0.1);
    assert_eq!(node.answer(LAURA, &registers), Ok("RR1".into()), "too late");
    assert_eq!(node.answer(STRANGER, &registers), Ok("RR1".into()));

    // Once she has gone, or is elsewhere, an old proof brings her back to nowhere.
    let challenge = node.challenge(LAURA, Verb::Register, L);
    let registers = proof(Verb::Register, L, 1, &challenge);
    assert_eq!(node.answer(LAURA, &registers), Ok("RR0".into()));
    node.register_with_proof(STRANGER);
    assert_eq!(node.answer(LAURA, &registers), Ok("RR1".into()));
    assert_eq!(node.address_of("laura"), Some(address(STRANGER)));
    assert_eq!(node.prove(STRANGER, Verb::Deregister, L, 1), "RD0");
    assert_eq!(node.answer(LAURA, &registers), Ok("RR1".into()));
    assert_eq!(node.address_of("laura"), None);
}

#[test]
fn a_repetition_from_elsewhere_or_without_its_effect_is_answered_by_a_refusal() {
    let mut node = proving();
    node.register_with_proof(LAURA);
    let challenge = node.challenge(LAURA, Verb::Deregister, L);
    let deregisters = proof(Verb::Deregister, L, 1, &challenge);
    assert_eq!(node.answer(LAURA, &deregisters), Ok("RD0".into()));
    assert_eq!(node.answer(LAURA, &deregisters), Ok("RD0".into()));
    assert_eq!(node.answer(STRANGER, &deregisters), Ok("RD1".into()));

    node.node.handle_keys(&keys(&[("laura", 1), ("laura", 2)]));
    let challenge = node.challenge(LAURA, Verb::Register, L);
    let registers = proof(Verb::Register, L, 1, &challenge);
    assert_eq!(node.answer(LAURA, &registers), Ok("RR0".into()));
    // The key goes, and with it the registration; then it comes back.
    node.node.handle_keys(&keys(&[("laura", 2)]));
    node.node.handle_keys(&keys(&[("laura", 1), ("laura", 2)]));
    assert_eq!(node.answer(LAURA, &registers), Ok("RR1".into()));
    assert_eq!(node.address_of("laura"), None);
}

#[test]
fn a_challenge_is_valid_for_its_epoch_and_the_next_one() {
    for (age, expected) in [(0.0, "RR0"), (29.9, "RR0"), (30.0, "RR0"), (59.9, "RR0"), (60.0, "RR1")] {
        let mut node = proving();
        let challenge = node.challenge(LAURA, Verb::Register, L);
        node.pass(age);
        assert_eq!(
            node.answer(LAURA, &proof(Verb::Register, L, 1, &challenge)),
            Ok(expected.into()),
            "{age}"
        );
    }
    // Asked for at the end of an epoch, it is good for 30 s more.
    let mut node = proving();
    node.pass(29.9);
    let challenge = node.challenge(LAURA, Verb::Register, L);
    node.pass(30.0);
    assert_eq!(node.answer(LAURA, &proof(Verb::Register, L, 1, &challenge)), Ok("RR0".into()));
}

/// Two nonces of which the first characters are the same: both are tried, and the older one is right.
#[test]
fn nonces_that_begin_alike_are_both_tried() {
    let found = (0_u16..4_000).find(|port| {
        let (mut node, from) = (proving(), format!("10.1.0.1:{}", 5_000 + port));
        let old = node.challenge(&from, Verb::Register, L);
        node.pass(30.0);
        let new = node.challenge(&from, Verb::Register, L);
        if old.nonce.hint() != new.nonce.hint() {
            return false;
        }
        assert_eq!(node.answer(&from, &proof(Verb::Register, L, 1, &old)), Ok("RR0".into()));
        true
    });
    assert!(found.is_some(), "1 of 64 begin alike");
}

#[test]
fn another_start_of_the_node_knows_no_proof_of_the_one_before() {
    let mut node = proving();
    let challenge = node.challenge(LAURA, Verb::Register, L);
    node.node.challenge_with(node.now, &[8; 32]);
    assert_eq!(node.answer(LAURA, &proof(Verb::Register, L, 1, &challenge)), Ok("RR1".into()));
}

#[test]
fn settings_are_asked_before_a_challenge_and_before_a_proof() {
    let ranges = |text: &str| vec![text.parse().expect("a range")];
    let of_laura = HashMap::from([("laura".parse().expect("a name"), ranges("10.9.0.0/16"))]);
    for settings in
        [NodeSettings::default().allow(ranges("10.9.0.0/16")), NodeSettings::default().users(of_laura)]
    {
        let mut node = proving_with(settings);
        assert_eq!(node.receive(LAURA, "PRlaura@bb.com:A................"), [sent(LAURA, "RR1")]);
        assert_eq!(node.receive(LAURA, "PDlaura@bb.com:A................"), [sent(LAURA, "RD1")]);
        let inside = node.challenge("10.9.0.1:5000", Verb::Register, L);
        assert_eq!(node.answer(LAURA, &proof(Verb::Register, L, 1, &inside)), Ok("RR1".into()));
        assert_eq!(node.address_of("laura"), None);
        node.register_with_proof("10.9.0.1:5000");
    }
}

#[test]
fn only_the_binding_asks_and_is_answered_in_the_name_of_a_user_with_a_key() {
    let mut node = proving();
    node.receive(PERE, "PRpere@bb.com");
    let asks = "PLlaura@bb.com:pere@bb.com";
    assert_eq!(node.try_receive(LAURA, asks), Err(DropReason::Foreign), "bound nowhere");
    node.register_with_proof(LAURA);
    assert_eq!(node.try_receive(STRANGER, asks), Err(DropReason::Foreign));
    assert_eq!(node.receive(LAURA, asks), [sent(PERE, asks)]);
    // She is gone before the answer comes.
    assert_eq!(node.prove(LAURA, Verb::Deregister, L, 1), "RD0");
    let answer = "RL0laura@bb.com:pere@bb.com:10.0.0.2:4456";
    assert_eq!(node.try_receive(PERE, answer), Err(DropReason::Foreign));
    // Others are as they were: somebody without a key asks though online nowhere.
    assert_eq!(node.receive(PERE, "PDpere@bb.com"), [sent(PERE, "RD0")]);
    node.register_with_proof(LAURA);
    let asks = "PLpere@bb.com:laura@bb.com";
    assert_eq!(node.receive(PERE, asks), [sent(LAURA, asks)]);
}

#[test]
fn a_user_whom_strikes_took_offline_is_bound_still() {
    let mut node = proving();
    node.register_with_proof(LAURA);
    for _ in 0..5 {
        node.pass(1.0);
        node.receive(crate::OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
    }
    assert_eq!(node.address_of("laura"), None);
    assert_eq!(node.receive(STRANGER, "PRlaura@bb.com"), [sent(STRANGER, "RR1")]);
    assert_eq!(node.receive(LAURA, "PDlaura@bb.com"), [sent(LAURA, "RD1")], "she is bound");
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR0")]);
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
}

#[test]
fn without_proofs_keys_mean_nothing() {
    let mut node = proving_with(NodeSettings::default().auth(Auth::Off));
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com:A................"), [sent(LAURA, "RR0")]);
    assert_eq!(node.receive(STRANGER, "PRlaura@bb.com"), [sent(STRANGER, "RR0")]);
    assert_eq!(node.receive(STRANGER, "PDlaura@bb.com:A................"), [sent(STRANGER, "RD0")]);
    let mut other = proving();
    let challenge = other.challenge(LAURA, Verb::Register, L);
    let good = proof(Verb::Register, L, 1, &challenge);
    assert_eq!(node.answer(LAURA, &good), Err(DropReason::UnknownProof));
    // Nor do they until the node has a secret.
    let mut node = TestNode::new();
    node.node.handle_keys(&keys(&[("laura", 1)]));
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR0")]);
}

#[test]
fn where_proofs_are_required_nobody_else_registers() {
    let mut node = proving_with(NodeSettings::default().auth(Auth::Required));
    assert_eq!(node.receive(PERE, "PRpere@bb.com"), [sent(PERE, "RR1")]);
    assert_eq!(node.receive(PERE, "PRpere@bb.com:A................."), [sent(PERE, "RR1")]);
    node.register_with_proof(LAURA);
}

#[test]
fn nodes_are_no_agents() {
    let mut node = proving();
    let challenge = node.challenge(LAURA, Verb::Register, L);
    let good = proof(Verb::Register, L, 1, &challenge);
    for message in ["PRlaura@bb.com:A................", &good] {
        assert_eq!(node.try_receive("10.0.0.1:3344", message), Err(DropReason::Spoofed), "{message}");
    }
}
