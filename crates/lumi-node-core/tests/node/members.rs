//! A domain of several nodes: who knows where a user is, and who is asked.

use std::time::Duration;

use lumi_node_core::{
    BindingChange, DirectoryReport, DropReason, Entry, LeaseReport, NodeSettings, NotOneAddress, Output,
    Sibling, Stamp, UnixMillis,
};

use crate::{LAURA, NODE, OTHER_NODE, OTHER_PORT, PERE, STRANGER, TestNode, address, sent};

/// The time by the clock on the wall when a node starts.
const WALL: UnixMillis = UnixMillis(1_790_000_000_000);

impl TestNode {
    /// The member of bb.com at `at`, which has lost nothing and waits for its directory.
    fn member(at: &str) -> Self {
        let mut node = Self::of("bb.com\nlaura\npere\n", at, NodeSettings::default());
        node.node.share_domain(node.now).expect("one address");
        node.node.save_bindings(node.now, WALL, [], |_| true);
        node
    }

    fn joined(at: &str) -> Self {
        let mut node = Self::member(at);
        assert_eq!(node.tell(&DirectoryReport::Joined), []);
        node
    }

    fn tell(&mut self, report: &DirectoryReport) -> Vec<Output> {
        self.node.handle_directory(self.now, report);
        self.drain()
    }

    /// Tells the node that `user` is at `serving`.
    fn hears(&mut self, user: &str, entry: Entry) -> Vec<Output> {
        self.tell(&DirectoryReport::Changed(vec![(user.parse().expect("a name"), entry)]))
    }

    /// Returns the entry that a message makes this node claim.
    fn claims(&mut self, from: &str, message: &str) -> Entry {
        match self.receive(from, message)[..] {
            [Output::Claim { entry, .. }, Output::SaveBinding { id, .. }] => {
                self.node.handle_binding_saved(self.now, id, Ok(()));
                assert_eq!(self.drain().len(), 1, "the answer leaves once it is saved");
                entry
            }
            ref outputs => panic!("{message}: {outputs:?}"),
        }
    }
}

fn entry(serving: &str, agent: Option<&str>, stamp: u64) -> Entry {
    Entry { serving: *address(serving).ip(), agent: agent.map(address), stamp: Stamp(stamp) }
}

/// Later than everything that a node stamps by itself.
const LATER: u64 = WALL.0 * 1_000 + 60_000_000;

const QUESTION: &str = "PLpere@bb.com:laura@bb.com";
const ANSWER: &str = "RL0pere@bb.com:laura@bb.com:10.0.0.9:4456";

#[test]
fn a_question_goes_to_the_member_that_has_the_user_and_the_answer_comes_back() {
    let (mut here, mut there) = (TestNode::joined(NODE), TestNode::joined(OTHER_NODE));
    let at_there = there.claims(LAURA, "PRlaura@bb.com");
    let at_here = here.claims(PERE, "PRpere@bb.com");
    here.hears("laura", at_there);
    there.hears("pere", at_here);

    assert_eq!(here.receive(PERE, QUESTION), [sent(OTHER_NODE, QUESTION)]);
    assert_eq!(there.receive(NODE, QUESTION), [sent(LAURA, QUESTION)]);
    assert_eq!(there.receive(LAURA, ANSWER), [sent(NODE, ANSWER)]);
    assert_eq!(here.receive(OTHER_NODE, ANSWER), [sent(PERE, ANSWER)]);
}

#[test]
fn a_question_of_a_sibling_is_answered_and_never_handed_on() {
    let mut here = TestNode::joined(NODE);
    // Both copies are stale: each node thinks that the other has laura.
    here.hears("laura", entry(OTHER_NODE, Some(LAURA), LATER));
    let answer = "RL3pere@bb.com:laura@bb.com";
    assert_eq!(here.receive(OTHER_NODE, QUESTION), [sent(OTHER_NODE, answer)]);
}

#[test]
fn a_question_that_is_handed_on_is_no_strike() {
    let mut here = TestNode::joined(NODE);
    here.hears("laura", entry(OTHER_NODE, Some(LAURA), LATER));
    here.claims(PERE, "PRpere@bb.com");
    for _ in 0..9 {
        assert_eq!(here.receive(PERE, QUESTION), [sent(OTHER_NODE, QUESTION)]);
        here.pass(1.0);
    }
}

#[test]
fn a_member_that_has_gone_is_asked_once_and_then_the_user_is_offline() {
    let mut here = TestNode::joined(NODE);
    here.hears("laura", entry(OTHER_NODE, Some(LAURA), LATER));
    here.claims(PERE, "PRpere@bb.com");
    let gone = Sibling { serving: *address(OTHER_NODE).ip(), epoch: 1, is_gone: true };
    here.tell(&DirectoryReport::Siblings(vec![gone]));
    assert_eq!(here.receive(PERE, QUESTION), [sent(OTHER_NODE, QUESTION)]);
    here.pass(1.0);
    assert_eq!(here.receive(PERE, QUESTION), [sent(PERE, "RL3pere@bb.com:laura@bb.com")]);
}

#[test]
fn nothing_is_answered_from_a_copy_that_was_never_complete() {
    let mut here = TestNode::member(NODE);
    here.claims(PERE, "PRpere@bb.com");
    assert_eq!(here.try_receive(PERE, QUESTION), Err(DropReason::NotJoined));
    here.pass(9.0);
    assert_eq!(here.try_receive(PERE, QUESTION), Err(DropReason::NotJoined));
    // Who registered here is found all the same, and a name that nobody has is refused.
    assert_eq!(here.receive(STRANGER, "PLu1@cc.com:pere@bb.com"), [sent(PERE, "PLu1@cc.com:pere@bb.com")]);
    let nobody = [sent(PERE, "RL2pere@bb.com:nobody@bb.com")];
    assert_eq!(here.receive(PERE, "PLpere@bb.com:nobody@bb.com"), nobody);
    here.tell(&DirectoryReport::Joined);
    assert_eq!(here.receive(PERE, QUESTION), [sent(PERE, "RL3pere@bb.com:laura@bb.com")]);
}

#[test]
fn a_user_who_registers_later_at_another_member_leaves_this_one() {
    let mut here = TestNode::joined(NODE);
    let first = here.claims(LAURA, "PRlaura@bb.com");
    let older = entry(OTHER_NODE, Some(OTHER_PORT), first.stamp.0 - 1);
    assert_eq!(here.hears("laura", older), [], "an older entry changes nothing");
    assert_eq!(here.address_of("laura"), Some(address(LAURA)));

    let outputs = here.hears("laura", entry(OTHER_NODE, Some(OTHER_PORT), LATER));
    // No logout is saved: with a stamp of its own it would win over the other member's entry at a restart.
    let [Output::SaveBinding { change: BindingChange::Removed { .. }, .. }] = outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!(here.address_of("laura"), None);

    // Coming back wins over what is known, although the clock here is behind.
    assert_eq!(here.claims(LAURA, "PRlaura@bb.com").stamp, Stamp(LATER + 1));
}

#[test]
fn a_logout_is_an_entry_and_a_refresh_is_none() {
    let mut here = TestNode::joined(NODE);
    let login = here.claims(LAURA, "PRlaura@bb.com");
    here.pass(1.0);
    assert_eq!(here.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR0")]);
    let logout = here.claims(LAURA, "PDlaura@bb.com");
    assert_eq!(logout.agent, None);
    assert!(logout.beats(&login));
}

#[test]
fn the_owner_claims_its_entries_again_when_it_joins_and_hourly() {
    let mut here = TestNode::joined(NODE);
    let laura = here.claims(LAURA, "PRlaura@bb.com");
    here.hears("pere", entry(OTHER_NODE, Some(PERE), LATER));
    let claims = [Output::Claim { user: "laura".parse().expect("a name"), entry: laura }];
    let mut due = || {
        here.now = here.node.poll_timeout().expect("a repair is due");
        here.node.handle_timeout(here.now);
        (here.now, here.drain())
    };
    let (first, outputs) = due();
    assert_eq!(outputs, claims);
    let (second, outputs) = due();
    assert_eq!(outputs, claims);
    assert_eq!(second - first, Duration::from_secs(3_600));
}

#[test]
fn a_fenced_member_sends_and_saves_nothing() {
    let mut here = TestNode::joined(NODE);
    // The answer waits for the store.
    assert_eq!(here.receive(LAURA, "PRlaura@bb.com").len(), 2);
    here.tell(&DirectoryReport::Lease(LeaseReport::Fenced { epoch: Some(2) }));
    assert!(here.node.is_fenced());
    here.pass(1.0);
    here.node.handle_timeout(here.now);
    assert_eq!(here.drain(), []);
    assert_eq!(here.try_receive(PERE, "PRpere@bb.com"), Err(DropReason::NotJoined));
}

#[test]
fn a_member_that_was_stopped_serves_once_it_holds_its_lease_again() {
    let mut here = TestNode::joined(NODE);
    here.tell(&DirectoryReport::Lease(LeaseReport::Taken { epoch: 1, at: here.now }));
    here.pass(11.0);
    assert_eq!(here.try_receive(LAURA, "PRlaura@bb.com"), Err(DropReason::NotJoined));
    here.tell(&DirectoryReport::Lease(LeaseReport::Renewed { at: here.now }));
    here.claims(LAURA, "PRlaura@bb.com");
}

#[test]
fn the_successor_at_an_address_answers_for_the_users_of_that_address() {
    let mut here = TestNode::member(NODE);
    here.hears("laura", entry(NODE, Some(LAURA), LATER));
    here.tell(&DirectoryReport::Joined);
    assert_eq!(here.address_of("laura"), Some(address(LAURA)));
}

#[test]
fn a_member_needs_one_address_and_the_port_of_nodes() {
    for at in ["0.0.0.0:3344", "127.0.0.2:3345"] {
        let mut node = TestNode::of("bb.com\nlaura\n", at, NodeSettings::default());
        assert_eq!(node.node.share_domain(node.now), Err(NotOneAddress));
    }
}
