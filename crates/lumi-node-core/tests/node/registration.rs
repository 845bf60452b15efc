//! The registered users and their addresses.

use std::collections::HashMap;
use std::num::NonZeroU32;

use lumi_node_core::{DropReason, NodeSettings, Notice, Takeover};

use crate::{LAURA, NODE, OTHER_NODE, OTHER_PORT, PERE, STRANGER, TestNode, address, sent};

#[test]
fn a_user_of_the_roster_is_registered() {
    let mut node = TestNode::new();
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR0")]);
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
    // The case and a trailing dot of the domain do not matter.
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

#[test]
fn only_its_own_agent_takes_a_user_offline() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for elsewhere in [STRANGER, PERE, OTHER_PORT] {
        for form in ["PDlaura@bb.com", "PDlaura", "PDlaura@BB.com."] {
            assert_eq!(node.receive(elsewhere, form), [sent(elsewhere, "RD1")], "{form} from {elsewhere}");
            assert_eq!(node.address_of("laura"), Some(address(LAURA)));
        }
    }
    let question = "PLjoya@cc.com:laura@bb.com";
    assert_eq!(node.receive(OTHER_NODE, question), [sent(LAURA, question)]);
    assert_eq!(node.receive(LAURA, "PDlaura@bb.com"), [sent(LAURA, "RD0")]);
    assert_eq!(node.receive(STRANGER, "PDlaura@bb.com"), [sent(STRANGER, "RD0")], "she is offline already");
}

#[test]
fn a_user_who_has_moved_is_not_taken_offline_from_before() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(STRANGER, "PRlaura@bb.com");
    assert_eq!(node.receive(LAURA, "PDlaura@bb.com"), [sent(LAURA, "RD1")]);
    assert_eq!(node.address_of("laura"), Some(address(STRANGER)));
    assert_eq!(node.receive(STRANGER, "PDlaura@bb.com"), [sent(STRANGER, "RD0")]);
}

/// The state of Laura when she is registered once more.
#[derive(Clone, Copy, Debug)]
enum Stands {
    Offline,
    Online,
    Struck,
}

#[test]
fn takeover_says_who_has_a_name_that_is_registered_twice() {
    use Stands::{Offline, Online, Struck};
    for (takeover, stands, from, answer) in [
        (Takeover::Last, Offline, STRANGER, "RR0"),
        (Takeover::Last, Online, STRANGER, "RR0"),
        (Takeover::Last, Online, OTHER_PORT, "RR0"),
        (Takeover::Last, Online, LAURA, "RR0"),
        (Takeover::Last, Struck, STRANGER, "RR0"),
        (Takeover::Last, Struck, LAURA, "RR0"),
        (Takeover::Deny, Offline, STRANGER, "RR0"),
        (Takeover::Deny, Online, STRANGER, "RR1"),
        (Takeover::Deny, Online, OTHER_PORT, "RR0"),
        (Takeover::Deny, Online, LAURA, "RR0"),
        (Takeover::Deny, Struck, STRANGER, "RR0"),
        (Takeover::Deny, Struck, LAURA, "RR0"),
    ] {
        let row = format!("{takeover:?}, {stands:?}, {from}");
        let mut node = TestNode::with(NodeSettings::default().takeover(takeover));
        match stands {
            Offline => {
                node.receive(LAURA, "PRlaura@bb.com");
                node.receive(LAURA, "PDlaura@bb.com");
            }
            Online => _ = node.receive(LAURA, "PRlaura@bb.com"),
            Struck => node.strike_laura_out(),
        }
        assert_eq!(node.receive(from, "PRlaura@bb.com"), [sent(from, answer)], "{row}");
        let online_at = if answer == "RR0" { from } else { LAURA };
        assert_eq!(node.address_of("laura"), Some(address(online_at)), "{row}");
        let question = "PLpere@bb.com:laura@bb.com";
        assert_eq!(node.receive(PERE, question), [sent(online_at, question)], "{row}");
        let moves = node.node.status().moves;
        let is_moved = matches!(stands, Online) && online_at != LAURA;
        let expected = (u64::from(is_moved && from == STRANGER), u64::from(is_moved && from == OTHER_PORT));
        assert_eq!((moves.to_host, moves.to_port), expected, "{row}");
    }
}

#[test]
fn only_from_where_it_is_allowed_are_users_registered() {
    let allow = ["127.0.0.1", "192.0.2.0/24"].map(|range| range.parse().expect("a range")).to_vec();
    let mut node = TestNode::with(NodeSettings::default().allow(allow));
    for (from, answer) in [
        (LAURA, "RR0"),
        ("192.0.2.200:4500", "RR0"),
        (STRANGER, "RR1"),
        ("192.0.3.1:4500", "RR1"),
        ("192.0.2.1:4500", "RR0"),
    ] {
        for form in ["PRlaura", "PRlaura@bb.com"] {
            assert_eq!(node.receive(from, form), [sent(from, answer)], "{form} from {from}");
        }
    }
    assert_eq!(node.address_of("laura"), Some(address("192.0.2.1:4500")), "a refused one changes nothing");
    // An allowed user may be located from elsewhere, but not taken offline.
    assert_eq!(node.receive(STRANGER, "PDlaura"), [sent(STRANGER, "RD1")]);
    let question = "PLjoya@cc.com:laura@bb.com";
    assert_eq!(node.receive(STRANGER, question), [sent("192.0.2.1:4500", question)]);
}

/// Others are free to register from anywhere that is allowed.
#[test]
fn a_user_with_ranges_is_registered_only_from_there() {
    let range = |text: &str| text.parse().expect("a range");
    let users =
        [("laura", vec![range("127.0.0.9"), range("10.0.0.0/24")]), ("joan", vec![range("10.0.0.0/24")])];
    let users: HashMap<_, _> = users.map(|(user, ranges)| (user.parse().expect("a name"), ranges)).into();
    let settings = NodeSettings::default().users(users);
    let mut node = TestNode::with(settings.clone());
    let refused =
        |from| Notice::OutsideRanges { user: "laura".parse().expect("a name"), from: address(from) };
    for (form, from, answer) in [
        ("PRlaura", LAURA, "RR1"),
        ("PRlaura@BB.com.", LAURA, "RR1"),
        ("PRlaura", "10.0.1.7:4500", "RR1"),
        ("PRlaura", "10.0.0.7:4500", "RR0"),
        ("PRlaura@bb.com", STRANGER, "RR0"),
        ("PRlaura", LAURA, "RR1"),
        ("PRjoan", LAURA, "RR1"),
        ("PRpere", LAURA, "RR0"),
        ("PRpere", "10.0.1.7:4500", "RR0"),
    ] {
        assert_eq!(node.receive(from, form), [sent(from, answer)], "{form} from {from}");
    }
    assert_eq!(node.address_of("laura"), Some(address(STRANGER)), "a refused one changes nothing");
    let refusals = |node: &mut TestNode| {
        let notices = node.notices().into_iter();
        notices.filter(|notice| matches!(notice, Notice::OutsideRanges { .. })).collect::<Vec<_>>()
    };
    assert_eq!(refusals(&mut node), [refused(LAURA)], "once a minute, and nobody who is no user");
    node.pass(59.9);
    node.receive(LAURA, "PRlaura");
    assert_eq!(refusals(&mut node), []);
    node.pass(0.1);
    node.receive(OTHER_PORT, "PRlaura");
    assert_eq!(refusals(&mut node), [refused(OTHER_PORT)]);
    // A reload does not repeat it, and takes the ranges as they are then.
    node.node.handle_settings(settings);
    node.receive(LAURA, "PRlaura");
    assert_eq!(refusals(&mut node), []);
    node.node.handle_settings(NodeSettings::default());
    assert_eq!(node.receive(LAURA, "PRlaura"), [sent(LAURA, "RR0")]);
}

/// The agent of pere and joan is one program, and laura's has moved to its port.
#[test]
fn so_many_users_may_be_online_at_a_socket() {
    let settings = |limit| NodeSettings::default().users_per_socket(NonZeroU32::new(limit));
    let of = |limit| TestNode::of("bb.com\nlaura\npere\njoan\n", NODE, settings(limit));
    let mut node = of(2);
    node.receive(LAURA, "PRlaura");
    for (from, form, answer) in [
        (PERE, "PRpere", "RR0"),
        (PERE, "PRjoan", "RR0"),
        (PERE, "PRjoan@bb.com", "RR0"),
        (PERE, "PRlaura", "RR1"),
        (LAURA, "PRlaura", "RR0"),
        (PERE, "PDjoan", "RD0"),
        (PERE, "PRlaura", "RR0"),
        (PERE, "PRjoan", "RR1"),
        (LAURA, "PRlaura", "RR0"),
        (PERE, "PRjoan", "RR0"),
    ] {
        assert_eq!(node.receive(from, form), [sent(from, answer)], "{form} from {from}");
    }
    assert_eq!(node.node.status().online, 3);

    // A user that strikes took offline does not come back beside users that have the room now.
    let mut node = of(1);
    node.strike_laura_out();
    assert_eq!(node.receive(LAURA, "PRpere"), [sent(LAURA, "RR0")]);
    let question = "PLlaura@bb.com:pere@bb.com";
    assert_eq!(node.receive(LAURA, question), [sent(LAURA, question)], "it is asked all the same");
    assert_eq!((node.address_of("laura"), node.node.status().online), (None, 1));
    node.receive(LAURA, "PDpere");
    _ = node.try_receive(LAURA, "RL1joya@cc.com:laura@bb.com");
    assert_eq!((node.address_of("laura"), node.node.status().online), (Some(address(LAURA)), 1));

    // A lower limit disconnects nobody.
    let mut node = of(3);
    ["laura", "pere", "joan"].iter().for_each(|user| _ = node.receive(LAURA, &format!("PR{user}")));
    node.node.handle_settings(settings(2));
    assert_eq!(node.receive(LAURA, "PRjoan"), [sent(LAURA, "RR0")], "she is there already");
    node.receive(LAURA, "PDjoan");
    assert_eq!(node.receive(LAURA, "PRjoan"), [sent(LAURA, "RR1")]);
    node.remove("laura");
    assert_eq!(node.receive(LAURA, "PRjoan"), [sent(LAURA, "RR0")]);
    node.reload("bb.com\nlaura\njoan\n");
    assert_eq!(node.receive(LAURA, "PRlaura"), [sent(LAURA, "RR0")]);
    node.node.handle_settings(settings(0));
    node.add("pere");
    assert_eq!(node.receive(LAURA, "PRpere"), [sent(LAURA, "RR0")], "there is no limit any more");
}

#[test]
fn no_agent_is_at_the_port_of_nodes_or_at_port_0() {
    let everything = [
        "PRlaura@bb.com",
        "PDlaura@bb.com",
        "PRlaura",
        "PDlaura",
        "PRnobody@bb.com",
        "RR0",
        "RD0",
        "PLjoya@cc.com:laura@bb.com",
        "PLjoya@cc.com:nobody@bb.com",
        "PLlaura@bb.com:joya@cc.com",
        "RL1joya@cc.com:laura@bb.com",
        "",
    ];
    let registrations =
        everything.iter().filter(|message| ["PR", "PD"].contains(&message.get(..2).unwrap_or("")));
    let spoofed = everything.iter().map(|message| ("127.0.0.9:0", message));
    let spoofed = spoofed.chain(everything.iter().map(|message| (NODE, message)));
    let spoofed = spoofed.chain(registrations.map(|message| (OTHER_NODE, message)));
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let mut dropped = 0;
    for (from, message) in spoofed {
        assert_eq!(node.try_receive(from, message), Err(DropReason::Spoofed), "{message} from {from}");
        dropped += 1;
    }
    assert_eq!((dropped, node.node.dropped().spoofed), (29, 29));
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
    assert_eq!(node.node.pending_count(), 0);
}
