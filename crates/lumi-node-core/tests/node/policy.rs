//! The rules of the embedding program.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use lumi_node_core::{
    DropReason, LocateVerdict, NodeSettings, Output, Party, Policy, RegisterVerdict, Takeover, UdpAddress,
};
use plumi_proto::{Locate, UserName};

use crate::{LAURA, OTHER_NODE, OTHER_PORT, STRANGER, TestNode, address, found, sent};

#[test]
fn a_registration_may_be_refused_or_ignored() {
    for (verdict, answer) in [
        (RegisterVerdict::Allow, Ok(vec![sent(LAURA, "RR0")])),
        (RegisterVerdict::Refuse, Ok(vec![sent(LAURA, "RR1")])),
        (RegisterVerdict::Ignore, Err(DropReason::Ignored)),
    ] {
        let (mut node, _) = node_with(verdict, LocateVerdict::Allow);
        assert_eq!(node.try_receive(LAURA, "PRlaura@bb.com"), answer);
        assert_eq!(node.address_of("laura").is_some(), verdict == RegisterVerdict::Allow);
        assert_eq!(node.node.dropped().ignored, u64::from(verdict == RegisterVerdict::Ignore));
    }
}

/// A user stays online as before when a refresh or another address is refused.
#[test]
fn each_registration_is_asked_for_and_a_refusal_takes_nobody_offline() {
    let (mut node, rules) = node_with(RegisterVerdict::Allow, LocateVerdict::Allow);
    node.receive(LAURA, "PRlaura@bb.com");
    rules.lock().expect("nobody panics").register = RegisterVerdict::Refuse;
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR1")]);
    assert_eq!(node.receive(OTHER_PORT, "PRlaura"), [sent(OTHER_PORT, "RR1")]);
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
    let held = Some(address(LAURA));
    assert_eq!(
        rules.lock().expect("nobody panics").registrations,
        [(address(LAURA), None), (address(LAURA), held), (address(OTHER_PORT), held)]
    );
    // A deregistration is not asked for.
    assert_eq!(node.receive(LAURA, "PDlaura@bb.com"), [sent(LAURA, "RD0")]);
}

/// A policy can only refuse: what the roster and the settings refuse does not get there.
#[test]
fn it_is_asked_last() {
    let allow = ["127.0.0.1", "127.0.0.8"].map(|range| range.parse().expect("it works"));
    let settings = NodeSettings::default().takeover(Takeover::Deny).allow(allow.to_vec());
    let mut node = TestNode::with(settings);
    let rules = set(&mut node, RegisterVerdict::Allow, LocateVerdict::Ignore);
    node.receive(LAURA, "PRlaura@bb.com");
    for (from, message) in [
        (LAURA, "PRnobody@bb.com"),
        (LAURA, "PRlaura@cc.com"),
        (STRANGER, "PRpere"),
        ("127.0.0.8:4500", "PRlaura"),
    ] {
        assert_eq!(node.receive(from, message), [sent(from, "RR1")], "{message}");
    }
    assert_eq!(rules.lock().expect("nobody panics").registrations, [(address(LAURA), None)]);

    for (message, answer) in [
        ("PLjoya@cc.com:nobody@bb.com", "RL2joya@cc.com:nobody@bb.com"),
        ("PLjoya@cc.com:pere@bb.com", "RL3joya@cc.com:pere@bb.com"),
    ] {
        assert_eq!(node.receive(OTHER_NODE, message), [sent(OTHER_NODE, answer)]);
    }
    assert_eq!(node.try_receive(STRANGER, "PLlaura@bb.com:joya@cc.com"), Err(DropReason::Foreign));
    assert_eq!(rules.lock().expect("nobody panics").locations, []);
}

#[test]
fn a_location_may_be_answered_in_the_users_place_or_ignored() {
    for (verdict, code) in
        [(LocateVerdict::Busy, 1), (LocateVerdict::NoSuchUser, 2), (LocateVerdict::Offline, 3)]
    {
        let (mut node, _) = node_with(RegisterVerdict::Allow, verdict);
        node.receive(LAURA, "PRlaura@bb.com");
        for _ in 0..6 {
            node.pass(1.0);
            let answer = format!("RL{code}joya@cc.com:laura@bb.com");
            assert_eq!(node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com"), [sent(OTHER_NODE, &answer)]);
        }
        let elsewhere = format!("RL{code}laura@bb.com:joya@cc.com");
        assert_eq!(node.receive(LAURA, "PLlaura@bb.com:joya@cc.com"), [sent(LAURA, &elsewhere)]);
        assert_eq!(node.node.lookups_in_flight(), 0, "nothing is looked up");
        assert!(node.address_of("laura").is_some(), "it is no strike");
    }
    let (mut node, _) = node_with(RegisterVerdict::Allow, LocateVerdict::Ignore);
    node.receive(LAURA, "PRlaura@bb.com");
    for (from, message) in [(OTHER_NODE, "PLjoya@cc.com:laura@bb.com"), (LAURA, "PLlaura@bb.com:joya@cc.com")]
    {
        assert_eq!(node.try_receive(from, message), Err(DropReason::Ignored));
    }
    assert_eq!((node.node.pending_count(), node.node.lookups_in_flight()), (0, 0));
}

/// The answer of the agent comes too late then, and reaches nobody.
#[test]
fn a_repetition_that_is_refused_ends_the_request() {
    let (mut node, rules) = node_with(RegisterVerdict::Allow, LocateVerdict::Allow);
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLjoya@cc.com:laura@bb.com";
    assert_eq!(node.receive(OTHER_NODE, question), [sent(LAURA, question)]);
    rules.lock().expect("nobody panics").locate = LocateVerdict::Busy;
    assert_eq!(node.receive(OTHER_NODE, question), [sent(OTHER_NODE, "RL1joya@cc.com:laura@bb.com")]);
    assert_eq!(node.try_receive(LAURA, "RL1joya@cc.com:laura@bb.com"), Err(DropReason::Unasked));
    // The same holds for another domain, where the look-up has the last word.
    rules.lock().expect("nobody panics").locate = LocateVerdict::Allow;
    let lookup = node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
    assert!(matches!(node.resolved(lookup, found(OTHER_NODE, 60))[..], [Output::Transmit { .. }]));
    let locations: Vec<_> =
        rules.lock().expect("nobody panics").locations.iter().map(ToString::to_string).collect();
    assert_eq!(locations, [OTHER_NODE, OTHER_NODE, LAURA]);
}

#[derive(Debug)]
struct Rules {
    register: RegisterVerdict,
    locate: LocateVerdict,
    /// The sender of each registration that was asked for, and the address where the user was online.
    registrations: Vec<(UdpAddress, Option<UdpAddress>)>,
    locations: Vec<UdpAddress>,
}

struct Shared(Arc<Mutex<Rules>>);

impl Policy for Shared {
    fn register(
        &mut self,
        _: Instant,
        _: &UserName,
        from: Party,
        held_by: Option<UdpAddress>,
    ) -> RegisterVerdict {
        let mut rules = self.0.lock().expect("nobody panics");
        rules.registrations.push((from.address, held_by));
        rules.register
    }

    fn locate(&mut self, _: Instant, _: &Locate, from: Party) -> LocateVerdict {
        let mut rules = self.0.lock().expect("nobody panics");
        rules.locations.push(from.address);
        rules.locate
    }
}

fn node_with(register: RegisterVerdict, locate: LocateVerdict) -> (TestNode, Arc<Mutex<Rules>>) {
    let mut node = TestNode::new();
    let rules = set(&mut node, register, locate);
    (node, rules)
}

fn set(node: &mut TestNode, register: RegisterVerdict, locate: LocateVerdict) -> Arc<Mutex<Rules>> {
    let rules = Rules { register, locate, registrations: Vec::new(), locations: Vec::new() };
    let rules = Arc::new(Mutex::new(rules));
    node.node.set_policy(Box::new(Shared(Arc::clone(&rules))));
    rules
}
