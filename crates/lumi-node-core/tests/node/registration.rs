//! Who is registered, and where.

use crate::{LAURA, PERE, STRANGER, TestNode, address, sent};

#[test]
fn a_user_of_the_roster_is_registered() {
    let mut node = TestNode::new();
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR0")]);
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
    // Whatever the case and the trailing dot of the domain.
    assert_eq!(node.receive(PERE, "PRpere@BB.com."), [sent(PERE, "RR0")]);
}

#[test]
fn nobody_else_is_registered() {
    let mut node = TestNode::new();
    for nobody in ["PRjoan@bb.com", "PRlaura@cc.com", "PRLaura@bb.com", "PRjoan"] {
        assert_eq!(node.receive(LAURA, nobody), [sent(LAURA, "RR1")], "{nobody}");
    }
    assert_eq!(node.address_of("laura"), None);
}

#[test]
fn the_bare_form_means_a_user_of_this_domain() {
    let mut node = TestNode::new();
    assert_eq!(node.receive(LAURA, "PRlaura"), [sent(LAURA, "RR0")]);
    assert_eq!(node.receive(PERE, "PLpere@bb.com:laura@bb.com"), [sent(LAURA, "PLpere@bb.com:laura@bb.com")]);
    assert_eq!(node.receive(LAURA, "PDlaura"), [sent(LAURA, "RD0")]);
    assert_eq!(node.address_of("laura"), None);
    assert_eq!(node.receive(LAURA, "PDjoan"), [sent(LAURA, "RD1")]);
}

#[test]
fn a_registration_from_a_new_address_moves_the_user() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    assert_eq!(node.receive(STRANGER, "PRlaura@bb.com"), [sent(STRANGER, "RR0")]);
    assert_eq!(node.address_of("laura"), Some(address(STRANGER)));
    assert_eq!(
        node.receive(PERE, "PLpere@bb.com:laura@bb.com"),
        [sent(STRANGER, "PLpere@bb.com:laura@bb.com")]
    );
}

#[test]
fn a_deregistration_can_be_repeated() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for _ in 0..3 {
        assert_eq!(node.receive(LAURA, "PDlaura@bb.com"), [sent(LAURA, "RD0")]);
        assert_eq!(node.address_of("laura"), None);
    }
    assert_eq!(node.receive(LAURA, "PDjoan@bb.com"), [sent(LAURA, "RD1")]);
    assert_eq!(node.receive(LAURA, "PDlaura@cc.com"), [sent(LAURA, "RD1")]);
}
