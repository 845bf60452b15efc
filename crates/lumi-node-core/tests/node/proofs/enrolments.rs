//! Enrolments: what the node has saved, what it answers, and that it binds nobody.

use std::sync::Arc;

use lumi_node_core::{
    Auth, Code, CredentialState, DropReason, EnrolRequest, Enrolled, Invitations, NodeSettings, Notice,
    Output, PublicKey,
};
use plumi_proto::{Message, MiAddress, Verb};

use super::{keys, proving, proving_with, signer};
use crate::{LAURA, STRANGER, TestNode, address, sent};

const WALL: i64 = 1_795_975_200;
const CODE: &str = "KQ7M-2XTN-9D4V-W3RH";

/// The invitations of laura in this text, which `used` and a time may follow.
fn invite(node: &mut TestNode, rest: &str) {
    let text = format!("laura {CODE} 2026-11-30T18:00:00Z{rest}");
    let invitations = Arc::new(Invitations::parse(text.as_bytes()).expect("an invitation"));
    let state = CredentialState::new(Arc::new(keys(&[])), invitations, Some(PublicKey([3; 32])), WALL);
    node.node.handle_credentials(node.now, &state);
}

fn laura() -> MiAddress {
    "laura@bb.com".parse().expect("an address")
}

fn code() -> Code {
    CODE.parse().expect("a code")
}

/// The enrolment of the key of this number.
fn enrolment(number: u8) -> String {
    let key = code().enrol(&laura(), signer(number).public_key());
    String::from_utf8(Message::Enrol { address: laura(), key }.encode().to_vec()).expect("a text")
}

#[test]
fn an_enrolment_is_saved_and_then_answered_and_binds_nobody() {
    let mut node = proving_with(NodeSettings::default());
    invite(&mut node, "");
    let request = match &node.receive(LAURA, &enrolment(1))[..] {
        [Output::Enrol { request }] => **request,
        outputs => panic!("{outputs:?}"),
    };
    let enrolment_of_1 = code().enrol(&laura(), signer(1).public_key());
    assert_eq!(request, EnrolRequest::new(address(LAURA), laura(), enrolment_of_1));
    let answer = code().answer(&laura(), [3; 32]);
    let used = format!(" used 2026-11-29T18:00:00Z {}", PublicKey(signer(1).public_key()));
    invite(&mut node, &used);
    node.node.handle_keys(&keys(&[("laura", 1)]));
    node.node.handle_enrolled(&[Enrolled::new(request, answer)]);
    let text = format!("RR0{}", String::from_utf8_lossy(answer.extension().as_bytes()));
    assert_eq!(node.drain(), [sent(LAURA, &text)]);
    assert!(matches!(node.node.poll_notice(), Some(Notice::Enrolled { .. })));
    // The answer may be lost. It is the same for 10 min, and still binds nobody.
    for _ in 0..2 {
        assert_eq!(node.receive(LAURA, &enrolment(1)), [sent(LAURA, &text)]);
        node.pass(300.0);
    }
    assert_eq!(node.address_of("laura"), None);
    node.pass(1.0);
    assert_eq!(node.receive(LAURA, &enrolment(1)), [sent(LAURA, "RR1")]);
    assert_eq!(node.prove(LAURA, Verb::Register, "laura@bb.com", 1), "RR0");
}

#[test]
fn an_enrolment_leaves_the_binding_of_the_user_where_it_is() {
    let mut node = proving();
    node.register_with_proof(LAURA);
    for enrolment in [enrolment(2), enrolment(1)] {
        node.receive(STRANGER, &enrolment);
        assert_eq!(node.address_of("laura"), Some(address(LAURA)));
    }
}

#[test]
fn what_is_no_open_invitation_is_refused() {
    let used = format!(" used 2026-11-29T18:00:00Z {}", PublicKey(signer(1).public_key()));
    let cases = [("", 1, true), (&*used, 2, false), (&used, 1, true), ("", 2, true)];
    for (rest, number, is_good) in cases {
        let mut node = proving();
        invite(&mut node, rest);
        let outputs = node.receive(STRANGER, &enrolment(number));
        assert_eq!(outputs != [sent(STRANGER, "RR1")], is_good, "{rest} {number}: {outputs:?}");
    }
    // Too late, mistyped, nobody's, and at a node that never invited anybody.
    let mut node = proving();
    invite(&mut node, "");
    node.pass(86_400.0);
    assert_eq!(node.receive(LAURA, &enrolment(1)), [sent(LAURA, "RR1")]);
    let mut node = proving();
    assert_eq!(node.receive(LAURA, &enrolment(1)), [sent(LAURA, "RR1")]);
    invite(&mut node, "");
    let other = Code::from_random([1; 10]).enrol(&laura(), signer(1).public_key());
    let mistyped = Message::Enrol { address: laura(), key: other }.encode();
    let mistyped = str::from_utf8(&mistyped).expect("a text");
    assert_eq!(node.receive(LAURA, mistyped), [sent(LAURA, "RR1")]);
    assert_eq!(node.receive(LAURA, &enrolment(1).replace("laura@", "joan@")), [sent(LAURA, "RR1")]);
    assert_eq!(node.try_receive("10.0.0.1:3344", &enrolment(1)), Err(DropReason::Spoofed));
}

#[test]
fn a_second_use_is_reported_once_a_minute() {
    let mut node = proving();
    invite(&mut node, &format!(" used 2026-11-29T18:00:00Z {}", PublicKey(signer(1).public_key())));
    let mut reports = 0;
    for _ in 0..61 {
        assert_eq!(node.receive(STRANGER, &enrolment(2)), [sent(STRANGER, "RR1")]);
        reports += u32::from(matches!(node.node.poll_notice(), Some(Notice::InvitationTriedAgain { .. })));
        node.pass(1.0);
    }
    assert_eq!(reports, 2);
}

#[test]
fn settings_hold_for_enrolments_too() {
    let outside = NodeSettings::default().allow(vec!["10.9.0.0/16".parse().expect("a range")]);
    let mut node = proving_with(outside);
    invite(&mut node, "");
    assert_eq!(node.receive(LAURA, &enrolment(1)), [sent(LAURA, "RR1")]);
    for auth in [Auth::Off, Auth::Required] {
        let mut node = proving_with(NodeSettings::default().auth(auth));
        invite(&mut node, "");
        assert!(matches!(node.receive(LAURA, &enrolment(1))[..], [Output::Enrol { .. }]), "{auth}");
    }
}
