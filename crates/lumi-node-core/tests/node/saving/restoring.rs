//! The bindings of a store when a node starts.

use lumi_node_core::{
    BindingChange, Output, Presence, SaveId, Stamp, StoredBinding, Takeover, UnixMillis, UserStatus,
};
use lumi_node_core::{NodeSettings, Party};
use plumi_proto::Verb;

use super::{WALL, name, stored};
use crate::proofs::{keys, proving};
use crate::{LAURA, NODE, OTHER_NODE, PERE, STRANGER, TestNode, address, sent};

const QUESTION: &str = "PLjoya@cc.com:laura@bb.com";

fn restoring(at: &str, rows: impl IntoIterator<Item = StoredBinding>) -> (TestNode, Vec<Output>) {
    let mut node = TestNode::of("bb.com\nlaura\npere\n", at, NodeSettings::default());
    node.pass(3_600.0);
    node.node.save_bindings(node.now, WALL, rows, |ip| ip.octets()[0] == 127);
    let outputs = node.drain();
    (node, outputs)
}

#[test]
fn a_restored_user_is_online_since_then_and_found() {
    let since = UnixMillis(WALL.0 - 5_000);
    let (mut node, outputs) = restoring(NODE, [StoredBinding { since, ..stored("laura", LAURA) }]);
    assert_eq!(outputs, [], "the store has it");
    let status = |node: &TestNode| node.node.users().find(|status| status.user == name("laura"));
    let online_since = node.now - std::time::Duration::from_secs(5);
    let mut expected = UserStatus::new(name("laura"), Some(Presence::new(address(LAURA), online_since)));
    expected.is_restored = true;
    assert_eq!(status(&node), Some(expected));
    assert_eq!(node.counts().restored, 1);
    assert_eq!(node.receive(OTHER_NODE, QUESTION), [sent(LAURA, QUESTION)]);
    expected.is_restored = false;
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR0")], "a refresh as any other");
    assert_eq!(status(&node), Some(expected), "she was heard");
}

#[test]
fn any_sign_of_life_shows_that_a_restored_agent_is_there() {
    for (from, message) in [
        (LAURA, "PRlaura@bb.com"),
        (LAURA, "PLlaura@bb.com:nobody@bb.com"),
        (LAURA, "RL1joya@cc.com:laura@bb.com"),
        (STRANGER, "PRlaura@bb.com"),
    ] {
        let (mut node, _) = restoring(NODE, [stored("laura", LAURA)]);
        node.receive(OTHER_NODE, QUESTION);
        let is_restored = |node: &TestNode| node.node.users().any(|status| status.is_restored);
        assert!(is_restored(&node));
        _ = node.try_receive(STRANGER, "PLlaura@bb.com:nobody@bb.com");
        assert!(is_restored(&node), "that was somebody else");
        node.receive(from, message);
        assert!(!is_restored(&node), "{message}");
    }
}

#[test]
fn strikes_take_a_restored_user_who_is_gone_offline() {
    let (mut node, _) = restoring(NODE, [stored("laura", LAURA)]);
    for _ in 0..5 {
        node.pass(1.0);
        node.receive(OTHER_NODE, QUESTION);
    }
    assert_eq!(node.address_of("laura"), None);
}

#[test]
fn a_restored_binding_denies_nobody() {
    let settings = NodeSettings::default().takeover(Takeover::Deny);
    let mut node = TestNode::with(settings);
    node.node.save_bindings(node.now, WALL, [stored("laura", LAURA)], |_| true);
    let (id, _) = node.changes(STRANGER, "PRlaura@bb.com");
    assert_eq!(node.commits(id.0), [sent(STRANGER, "RR0")]);
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR1")], "that one was heard");
}

#[test]
fn what_cannot_be_restored_is_taken_out_of_the_store() {
    let removed = |user| BindingChange::Removed { user: name(user) };
    let unbound = |user: &str| BindingChange::Unbound {
        user: name(user),
        heard_at: address(NODE),
        stamp: Stamp(WALL.0 * 1_000 + 1),
        since: WALL,
    };
    let elsewhere = StoredBinding { heard_at: address("127.0.0.9:3344"), ..stored("laura", LAURA) };
    let other_port = StoredBinding { heard_at: address("127.0.0.2:3345"), ..stored("laura", LAURA) };
    for (row, change) in [
        (stored("joan", LAURA), removed("joan")),
        (elsewhere, unbound("laura")),
        (other_port, unbound("laura")),
        (stored("laura", OTHER_NODE), unbound("laura")),
    ] {
        let (node, outputs) = restoring(NODE, [row]);
        assert_eq!(outputs, [Output::SaveBinding { id: SaveId(1), change }], "{row:?}");
        assert_eq!((node.counts().restored, node.address_of("laura")), (0, None));
    }
}

/// Rows of a socket at 0.0.0.0 name the address at which each agent was heard.
#[test]
fn a_row_is_restored_where_messages_can_leave_from_its_address() {
    let heard = |at: &str| StoredBinding { heard_at: address(at), ..stored("laura", LAURA) };
    for (local, row, heard_at) in [
        ("0.0.0.0:3344", "127.0.0.7:3344", Some("127.0.0.7")),
        ("0.0.0.0:3344", "0.0.0.0:3344", None),
        ("127.0.0.2:3344", "127.0.0.2:3344", None),
    ] {
        let (node, outputs) = restoring(local, [heard(row)]);
        assert_eq!(outputs, []);
        let bindings: Vec<_> = node.node.bindings(node.now).map(|binding| binding.party).collect();
        let mut party = Party::from(address(LAURA));
        party.heard_at = heard_at.map(|ip| ip.parse().expect("an address"));
        assert_eq!(bindings, [party], "{local}");
    }
    for (local, row) in [("0.0.0.0:3344", "10.0.0.7:3344"), ("127.0.0.2:3344", "0.0.0.0:3344")] {
        let (node, _) = restoring(local, [heard(row)]);
        assert_eq!(node.address_of("laura"), None, "{local}: {row}");
    }
}

#[test]
fn the_address_at_which_an_agent_is_heard_belongs_to_its_binding() {
    let (mut node, _) = restoring("0.0.0.0:3344", []);
    for (number, ip) in (1..).zip(["127.0.0.5", "127.0.0.6"]) {
        let mut party = Party::from(address(LAURA));
        party.heard_at = Some(ip.parse().expect("an address"));
        node.node.handle_datagram(node.now, party, b"PRlaura@bb.com").expect("it is not dropped");
        let [Output::SaveBinding { change, .. }] = node.drain()[..] else { panic!("a change") };
        let heard_at = change.stored().expect("a binding").heard_at;
        assert_eq!(heard_at, address(&format!("{ip}:3344")));
        node.commits(number);
        node.node.handle_datagram(node.now, party, b"PRlaura@bb.com").expect("it is not dropped");
        assert_eq!(node.drain().len(), 1, "a refresh");
    }
}

#[test]
fn stamps_go_on_after_those_of_the_store() {
    let late = Stamp(WALL.0 * 2_000);
    let logout = StoredBinding { agent: lumi_node_core::NO_AGENT, stamp: late, ..stored("pere", PERE) };
    let (mut node, outputs) = restoring(NODE, [logout]);
    assert_eq!((outputs, node.counts().restored), (vec![], 0));
    let (_, change) = node.changes(LAURA, "PRlaura@bb.com");
    assert_eq!(change.stored().expect("a binding").stamp, Stamp(late.0 + 1));
}

#[test]
fn what_an_embedding_program_restored_is_saved() {
    let mut before = TestNode::new();
    before.receive(LAURA, "PRlaura@bb.com");
    let binding = before.node.bindings(before.now).next().expect("one");
    let mut node = TestNode::new();
    assert!(node.node.restore(node.now, &binding));
    node.node.save_bindings(node.now, WALL, [], |_| true);
    let [Output::SaveBinding { change, .. }] = node.drain()[..] else { panic!("one change") };
    assert_eq!(change.stored().expect("a binding").agent, address(LAURA));
}

#[test]
fn a_proved_binding_is_restored_while_its_user_has_the_key() {
    let mut old = proving();
    old.node.save_bindings(old.now, WALL, [], |_| true);
    let challenge = old.challenge(LAURA, Verb::Register, "laura@bb.com");
    let proof = crate::proofs::proof(Verb::Register, "laura@bb.com", 1, &challenge);
    let (_, change) = old.changes(LAURA, &proof);
    assert_eq!(old.receive(LAURA, &proof), [], "the same proof joins");
    assert_eq!(old.commits(1), [sent(LAURA, "RR0")]);
    let row = change.stored().expect("a binding");
    assert!(row.key.is_some());

    for (of_laura, is_restored) in [
        (&[("laura", 1)][..], true),
        (&[("laura", 2), ("laura", 1)], true),
        (&[("laura", 2)], false),
        (&[], false),
    ] {
        let mut node = proving();
        node.node.handle_keys(&keys(of_laura));
        node.node.save_bindings(node.now, WALL, [row], |_| true);
        assert_eq!(node.address_of("laura").is_some(), is_restored, "{of_laura:?}");
        assert_eq!(node.drain().len(), usize::from(!is_restored), "{of_laura:?}");
    }
    let mut node = proving();
    node.node.save_bindings(node.now, WALL, [StoredBinding { key: None, ..row }], |_| true);
    assert_eq!(node.address_of("laura"), None, "nothing proved it");
}

#[test]
fn another_key_and_the_loss_of_one_are_changes() {
    let mut node = proving();
    node.node.save_bindings(node.now, WALL, [], |_| true);
    node.node.handle_keys(&keys(&[("laura", 1), ("laura", 2)]));
    let mut key_of = Vec::new();
    for key in [1, 2] {
        let challenge = node.challenge(LAURA, Verb::Register, "laura@bb.com");
        let (id, change) =
            node.changes(LAURA, &crate::proofs::proof(Verb::Register, "laura@bb.com", key, &challenge));
        key_of.push(change.stored().expect("a binding").key.expect("a key"));
        assert_eq!(node.commits(id.0), [sent(LAURA, "RR0")]);
        assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR0")]);
    }
    assert_ne!(key_of[0], key_of[1]);
    node.node.handle_keys(&keys(&[("laura", 1)]));
    let [Output::SaveBinding { change, .. }] = node.drain()[..] else { panic!("one change") };
    assert!(matches!(change, BindingChange::Unbound { .. }));
}
