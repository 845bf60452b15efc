//! The limits of proofs, and their notices.

use lumi_node_core::{DropReason, Notice};
use lumi_proof::handle;
use plumi_proto::{Message, Proof, Verb};

use super::{keys, proof, proving};
use crate::{LAURA, STRANGER, TestNode, address};

const L: &str = "laura@bb.com";

/// A proof that is verified and is none.
fn forged(node: &mut TestNode, from: &str) -> String {
    proof(Verb::Register, L, 7, &node.challenge(from, Verb::Register, L))
}

/// Sends it until it is dropped.
fn verified(node: &mut TestNode, from: &str, times: usize) -> usize {
    let forged = forged(node, from);
    (0..times).filter(|_| node.answer(from, &forged) != Err(DropReason::TooManyProofs)).count()
}

#[test]
fn a_socket_has_ten_proofs_verified_and_two_more_a_second() {
    let mut node = proving();
    assert_eq!(verified(&mut node, STRANGER, 30), 10);
    assert_eq!(node.node.dropped().too_many_proofs, 20);
    node.pass(2.0);
    assert_eq!(verified(&mut node, STRANGER, 30), 4);
    node.register_with_proof(LAURA);
}

#[test]
fn an_address_has_160_proofs_verified_and_100_more_a_second() {
    let mut node = proving();
    let socket = |port: u32| format!("10.8.0.1:{}", 4_000 + port);
    let all: usize = (0..40).map(|port| verified(&mut node, &socket(port), 10)).sum();
    assert_eq!(all, 160);
    node.pass(1.0);
    let all: usize = (40..80).map(|port| verified(&mut node, &socket(port), 10)).sum();
    assert_eq!(all, 100);
    node.register_with_proof(LAURA);
}

/// A socket that has spent its share takes nothing from the others of its address.
#[test]
fn a_neighbour_cannot_use_up_the_share_of_an_address() {
    let mut node = proving();
    assert_eq!(verified(&mut node, "10.8.0.1:4000", 1_000), 10);
    node.register_with_proof("10.8.0.1:4001");
}

#[test]
fn so_many_keys_are_tried_in_all() {
    let mut node = proving();
    node.node.handle_keys(&keys(&[("laura", 1), ("laura", 2), ("laura", 3), ("laura", 4)]));
    let all: usize = (0..50).map(|host| verified(&mut node, &format!("10.8.1.{host}:4000"), 10)).sum();
    assert_eq!(all, 400 / 4, "each takes four");
    node.pass(0.001);
    assert_eq!(node.prove(LAURA, Verb::Register, L, 1), "RR0", "4 a millisecond");
}

/// A proof with the hint of no valid nonce costs nothing.
#[test]
fn a_proof_that_is_not_verified_is_not_counted_against_its_sender() {
    let mut node = proving();
    for _ in 0..100 {
        let old = forged(&mut node, STRANGER);
        node.pass(61.0);
        let refused = node.answer(STRANGER, &old);
        assert!(refused == Ok("RR1".into()), "{refused:?}");
    }
}

#[test]
fn failed_proofs_are_reported_once_a_minute_for_each_user() {
    let mut node = proving();
    node.node.handle_keys(&keys(&[("laura", 1), ("pere", 2)]));
    let report = |user: &str, failures| Notice::CannotProve {
        user: user.parse().expect("a name"),
        from: address(STRANGER),
        failures,
    };
    for second in 0..60 {
        assert_eq!(node.prove(STRANGER, Verb::Register, L, 7), "RR1");
        assert_eq!(node.node.poll_notice(), (second == 0).then(|| report("laura", 1)), "{second}");
        node.pass(1.0);
    }
    assert_eq!(node.prove(STRANGER, Verb::Register, "pere@bb.com", 7), "RR1");
    assert_eq!(node.node.poll_notice(), Some(report("pere", 60)), "59 of laura were not reported");
    assert_eq!(node.prove(STRANGER, Verb::Register, L, 7), "RR1");
    assert_eq!(node.node.poll_notice(), Some(report("laura", 1)));
    assert_eq!(node.node.status().proofs.failed, 62);
}

/// Whatever is forged, the binding stays where a proof put it.
#[test]
fn a_million_forged_messages_change_no_binding() {
    let mut node = proving();
    node.register_with_proof(LAURA);
    let handle = handle(&L.parse().expect("an address"));
    let hint = node.challenge(STRANGER, Verb::Register, L).nonce.hint();
    let mut seed = 1_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for n in 0..1_000_000_u32 {
        let mut signature = [0; 64];
        signature.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&random().to_le_bytes()));
        let verb = if n % 2 == 0 { Verb::Register } else { Verb::Deregister };
        let forged = match n % 3 {
            0 => &*Message::Prove(Proof { verb, hint, handle, signature }).encode(),
            1 => b"PRlaura@bb.com",
            _ => b"PDlaura@bb.com",
        };
        let from = format!("10.{}.{}.7:{}", n % 7, n % 251, 4_000 + n % 1_000);
        _ = node.node.handle_datagram(node.now, address(&from), forged);
        while node.node.poll_output().is_some() {}
        if n % 1_000 == 0 {
            node.pass(0.1);
            assert_eq!(node.address_of("laura"), Some(address(LAURA)), "{n}");
        }
    }
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
    assert_eq!(node.node.status().proofs.accepted, 1);
    assert!(node.node.status().proofs.failed > 1_000);
}
