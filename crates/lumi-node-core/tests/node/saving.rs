//! Bindings that are saved: what waits for the store, and what is restored from it.

mod orders;
mod restoring;

use std::time::Duration;

use lumi_node_core::{
    AdminCommand, AdminReply, BindingChange, BindingCounts, BindingNotSaved, DropReason, GoneReason,
    NodeEvent, NodeSettings, Output, RosterChange, SaveId, Stamp, StoredBinding, UnixMillis,
};
use plumi_proto::UserName;

use crate::{COMMAND, LAURA, NODE, OTHER_NODE, PERE, STRANGER, TestNode, address, sent};

/// The time by the clock on the wall when a node starts.
const WALL: UnixMillis = UnixMillis(1_790_000_000_000);

impl TestNode {
    fn saving() -> Self {
        Self::saving_with(NodeSettings::default())
    }

    fn saving_with(settings: NodeSettings) -> Self {
        let mut node = Self::with(settings);
        node.node.save_bindings(node.now, WALL, [], |_| true);
        node
    }

    /// Returns the change that a message leads to, and nothing else.
    fn changes(&mut self, from: &str, message: &str) -> (SaveId, BindingChange) {
        match self.receive(from, message)[..] {
            [Output::SaveBinding { id, change }] => (id, change),
            ref outputs => panic!("{message}: {outputs:?}"),
        }
    }

    /// Returns what a commit up to this change leads to.
    fn commits(&mut self, id: u64) -> Vec<Output> {
        self.node.handle_binding_saved(self.now, SaveId(id), Ok(()));
        self.drain()
    }

    /// Returns what a commit that fails leads to.
    fn fails(&mut self, id: u64) -> Vec<Output> {
        self.node.handle_binding_saved(self.now, SaveId(id), Err(BindingNotSaved));
        self.drain()
    }

    fn times_out(&mut self) -> Vec<Output> {
        self.node.handle_timeout(self.now);
        self.drain()
    }

    fn counts(&self) -> BindingCounts {
        self.node.status().bindings.expect("it has a store")
    }
}

fn name(user: &str) -> UserName {
    user.parse().expect("a name")
}

fn stored(user: &str, agent: &str) -> StoredBinding {
    let (user, agent, heard_at) = (name(user), address(agent), address(NODE));
    StoredBinding { user, agent, heard_at, stamp: Stamp(WALL.0 * 1_000), since: WALL, key: None }
}

fn millis(millis: u64) -> f64 {
    Duration::from_millis(millis).as_secs_f64()
}

#[test]
fn a_change_is_answered_once_it_is_saved_and_a_refresh_at_once() {
    let mut node = TestNode::saving();
    let (id, change) = node.changes(LAURA, "PRlaura@bb.com");
    assert_eq!((id, change), (SaveId(1), BindingChange::Bound(stored("laura", LAURA))));
    assert_eq!(node.counts().waiting, 1);
    assert_eq!(node.commits(1), [sent(LAURA, "RR0")]);
    for refresh in ["PRlaura@bb.com", "PRlaura"] {
        assert_eq!(node.receive(LAURA, refresh), [sent(LAURA, "RR0")]);
    }
    node.pass(1.5);
    let (id, change) = node.changes(STRANGER, "PRlaura@bb.com");
    let moved = StoredBinding {
        stamp: Stamp(WALL.0 * 1_000 + 1_500_000),
        since: UnixMillis(WALL.0 + 1_500),
        ..stored("laura", STRANGER)
    };
    assert_eq!((id, change), (SaveId(2), BindingChange::Moved(moved)));
    assert_eq!(node.commits(2), [sent(STRANGER, "RR0")]);
    let (id, change) = node.changes(STRANGER, "PDlaura@bb.com");
    let unbound = BindingChange::Unbound {
        user: name("laura"),
        heard_at: address(NODE),
        stamp: Stamp(moved.stamp.0 + 1),
        since: moved.since,
    };
    assert_eq!((id, change), (SaveId(3), unbound), "stamps ascend, however little time passes");
    assert_eq!(node.commits(3), [sent(STRANGER, "RD0")]);
    assert_eq!(node.receive(LAURA, "PDlaura@bb.com"), [sent(LAURA, "RD0")], "she is offline already");
    let none = BindingCounts::default();
    assert_eq!(node.counts(), none);
}

/// The clock may have been wrong when the node was started.
#[test]
fn changes_have_the_time_of_the_clock_on_the_wall_as_it_was_set() {
    let mut node = TestNode::saving();
    let (_, before) = node.changes(LAURA, "PRlaura@bb.com");
    for (wall, micros) in [(WALL.0 + 3_600_000, 3_600_000_000), (WALL.0, 3_600_000_001)] {
        node.node.handle_wall_clock(node.now, UnixMillis(wall));
        let from = if wall == WALL.0 { LAURA } else { STRANGER };
        let (_, change) = node.changes(from, "PRlaura@bb.com");
        let stored = change.stored().expect("a binding");
        assert_eq!((stored.since, stored.stamp), (UnixMillis(wall), Stamp(WALL.0 * 1_000 + micros)));
    }
    assert_eq!(before.stored().expect("a binding").since, WALL);
}

#[test]
fn neither_a_strike_nor_a_return_is_a_change() {
    let mut node = TestNode::saving();
    node.changes(LAURA, "PRlaura@bb.com");
    node.commits(1);
    for _ in 0..4 {
        node.pass(1.0);
        assert_eq!(node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com").len(), 1);
    }
    node.pass(1.0);
    let question = "PLjoya@cc.com:laura@bb.com";
    assert_eq!(node.receive(OTHER_NODE, question), [sent(OTHER_NODE, "RL3joya@cc.com:laura@bb.com")]);
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR0")]);
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
}

#[test]
fn the_same_request_joins_and_another_waits_behind() {
    let mut node = TestNode::saving();
    node.changes(LAURA, "PRlaura@bb.com");
    assert_eq!(node.receive(LAURA, "PRlaura"), [], "one answer is for both");
    node.changes(STRANGER, "PRlaura@bb.com");
    assert_eq!(node.receive(STRANGER, "PRlaura@bb.com"), []);
    node.changes(STRANGER, "PDlaura@bb.com");
    // She is offline by then, which is not saved yet.
    assert_eq!(node.receive(PERE, "PDlaura@bb.com"), []);
    assert_eq!(node.receive(STRANGER, "PDlaura@bb.com"), []);
    assert_eq!(node.commits(2), [sent(LAURA, "RR0"), sent(STRANGER, "RR0")]);
    assert_eq!(node.commits(3), [sent(STRANGER, "RD0"), sent(PERE, "RD0")]);
    assert_eq!(node.counts().waiting, 0);
}

#[test]
fn a_refusal_does_not_wait() {
    let mut node = TestNode::saving();
    node.changes(LAURA, "PRlaura@bb.com");
    assert_eq!(node.receive(LAURA, "PRnobody@bb.com"), [sent(LAURA, "RR1")]);
    assert_eq!(node.receive(STRANGER, "PDlaura@bb.com"), [sent(STRANGER, "RD1")], "by what is not saved yet");
}

#[test]
fn no_question_comes_between_a_request_and_its_answer() {
    let mut node = TestNode::saving();
    let question = "PLjoya@cc.com:laura@bb.com";
    for (request, answer) in [("PRlaura@bb.com", "RR0"), ("PDlaura@bb.com", "RD0")] {
        let (id, _) = node.changes(LAURA, request);
        assert_eq!(node.try_receive(OTHER_NODE, question), Err(DropReason::BeingSaved), "{request}");
        assert_eq!(node.commits(id.0), [sent(LAURA, answer)]);
    }
    assert_eq!(node.receive(OTHER_NODE, question), [sent(OTHER_NODE, "RL3joya@cc.com:laura@bb.com")]);
    assert_eq!(node.node.dropped().being_saved, 2);
    assert_eq!(node.node.pending_count(), 0);
    // One for another user of the same socket waits behind.
    node.changes(LAURA, "PRlaura@bb.com");
    node.commits(3);
    node.changes(LAURA, "PRpere@bb.com");
    assert_eq!(node.receive(OTHER_NODE, question), []);
    assert_eq!(node.commits(4), [sent(LAURA, "RR0"), sent(LAURA, question)]);
}

#[test]
fn an_answer_from_elsewhere_waits_behind_the_one_to_its_asker() {
    let mut node = TestNode::saving();
    node.changes(LAURA, "PRlaura@bb.com");
    node.changes(PERE, "PRpere@bb.com");
    node.commits(2);
    let question = "PLlaura@bb.com:pere@bb.com";
    assert_eq!(node.receive(LAURA, question), [sent(PERE, question)]);
    node.changes(LAURA, "PDlaura@bb.com");
    assert_eq!(node.receive(PERE, "RL1laura@bb.com:pere@bb.com"), []);
    assert_eq!(node.commits(3), [sent(LAURA, "RD0"), sent(LAURA, "RL1laura@bb.com:pere@bb.com")]);
}

#[test]
fn an_answer_waits_for_250_ms_and_those_after_it_no_longer() {
    let mut node = TestNode::saving();
    node.changes(LAURA, "PRlaura@bb.com");
    node.pass(millis(100));
    node.changes(PERE, "PRpere@bb.com");
    node.pass(millis(149));
    assert_eq!(node.times_out(), []);
    node.pass(millis(1));
    assert_eq!(node.node.poll_timeout(), Some(node.now));
    assert_eq!(node.times_out(), [sent(LAURA, "RR0"), sent(PERE, "RR0")], "it would wait in vain");
    assert_eq!(
        node.receive(STRANGER, "PRlaura@bb.com"),
        [sent(STRANGER, "RR0")],
        "not saved before the others"
    );
    assert_eq!(node.receive(STRANGER, "PDlaura@bb.com"), [sent(STRANGER, "RD0")]);
    let counts = node.counts();
    assert_eq!((counts.unpromised, counts.unsaved, counts.is_failing), (4, 3, true), "one mark for laura");
    // The commit that was waited for comes, and then her binding is saved as it is by now.
    let [Output::SaveBinding { id, change }] = node.commits(2)[..] else { panic!("one change") };
    assert!(matches!(change, BindingChange::Unbound { .. }) && id == SaveId(3), "{change:?}");
    assert!(!node.counts().is_failing);
    node.changes(LAURA, "PRlaura@bb.com");
    assert_eq!(node.commits(4), [sent(LAURA, "RR0")], "answers wait again");
    assert_eq!((node.counts().unsaved, node.counts().unpromised), (0, 4));
}

#[test]
fn a_commit_that_fails_costs_the_promise_and_is_made_good() {
    let mut node = TestNode::saving();
    node.changes(LAURA, "PRlaura@bb.com");
    node.changes(PERE, "PRpere@bb.com");
    assert_eq!(node.fails(1), [sent(LAURA, "RR0"), sent(PERE, "RR0")]);
    assert_eq!(node.fails(2), []);
    assert_eq!(node.receive(STRANGER, "PRlaura@bb.com"), [sent(STRANGER, "RR0")]);
    assert_eq!((node.counts().unpromised, node.counts().unsaved), (3, 2));
    for try_again in 0..3 {
        node.pass(1.0);
        let saves = node.times_out();
        let last = SaveId(4 + 2 * try_again);
        assert!(
            matches!(saves[..], [Output::SaveBinding { .. }, Output::SaveBinding { id, .. }] if id == last)
        );
        node.times_out();
        assert_eq!(node.fails(last.0), []);
    }
    node.pass(1.0);
    let [Output::SaveBinding { change: laura, .. }, Output::SaveBinding { id, .. }] = node.times_out()[..]
    else {
        panic!("two changes");
    };
    assert_eq!(laura.stored().expect("a binding").agent, address(STRANGER));
    assert_eq!(node.commits(id.0), []);
    assert_eq!((node.counts().unsaved, node.counts().is_failing), (0, false));
    assert_eq!(node.node.poll_timeout(), None);
}

#[test]
fn many_that_are_not_saved_are_saved_some_at_a_time() {
    let users: String = (0..600).map(|user| format!("u{user}\n")).collect();
    let mut node = TestNode::of(&format!("bb.com\n{users}"), NODE, NodeSettings::default());
    node.node.save_bindings(node.now, WALL, [], |_| true);
    node.changes("10.0.0.1:4000", "PRu0@bb.com");
    node.fails(1);
    for user in 1..600 {
        let from = format!("10.0.0.1:{}", 4_000 + user);
        assert_eq!(node.receive(&from, &format!("PRu{user}@bb.com")), [sent(&from, "RR0")]);
    }
    node.pass(1.0);
    let (mut last, mut batches) = (1, vec![node.times_out().len()]);
    for _ in 0..3 {
        last += batches.last().expect("one");
        batches.push(node.commits(u64::try_from(last).expect("few")).len());
    }
    assert_eq!(batches, [256, 256, 88, 0]);
    assert_eq!(node.counts().unsaved, 0);
}

#[test]
fn no_more_answers_wait_than_there_is_room_for() {
    let users: String = (0..5_000).map(|user| format!("u{user}\n")).collect();
    let settings = NodeSettings::default().rate_limit(None);
    let mut node = TestNode::of(&format!("bb.com\n{users}"), NODE, settings);
    node.node.save_bindings(node.now, WALL, [], |_| true);
    let from = |user: usize| format!("10.0.0.1:{}", 4_000 + user);
    for user in 0..4_096 {
        node.changes(&from(user), &format!("PRu{user}@bb.com"));
    }
    assert_eq!(node.receive(&from(4_096), "PRu4096@bb.com"), [sent(&from(4_096), "RR0")]);
    assert_eq!((node.counts().waiting, node.counts().unpromised), (4_096, 1));
    assert_eq!(node.receive(&from(7), "PRu7@bb.com"), [], "it joins");
    let overtakes = node.try_receive(&from(7), "PDu7@bb.com");
    assert_eq!(overtakes, Err(DropReason::NoRoom), "its answer would come before the other one");
    // A binding that found no room is saved once there is some, however many others are on their way.
    let outputs = node.commits(1_000);
    let saves: Vec<_> =
        outputs.iter().filter(|output| matches!(output, Output::SaveBinding { .. })).collect();
    assert_eq!((outputs.len(), saves.len()), (1_001, 1));
}

#[test]
fn an_event_comes_with_its_answer() {
    let mut node = TestNode::saving();
    node.node.report_events(true);
    node.changes(LAURA, "PRlaura@bb.com");
    node.changes(STRANGER, "PRlaura@bb.com");
    node.remove_from_roster("laura");
    assert_eq!(node.node.poll_event(), None, "nothing has taken effect");
    let (user, from, to) = (name("laura"), address(LAURA), address(STRANGER));
    node.commits(1);
    assert_eq!(node.node.poll_event(), Some(NodeEvent::Registered { user, at: from }));
    assert_eq!(node.node.poll_event(), None);
    node.commits(3);
    assert_eq!(node.node.poll_event(), Some(NodeEvent::Moved { user, from, to }));
    let gone = NodeEvent::Gone { user, from: to, reason: GoneReason::Removed };
    assert_eq!(node.node.poll_event(), Some(gone));
}

impl TestNode {
    /// Returns what the node wants done once the roster has no such user.
    fn remove_from_roster(&mut self, user: &str) -> Vec<Output> {
        self.admin_save(AdminCommand::RemoveUser(name(user)));
        self.node.handle_roster_saved(self.now, COMMAND, Ok(()));
        self.drain()
    }
}

#[test]
fn a_removal_is_confirmed_once_both_have_it() {
    let removed = |id| Output::SaveBinding { id, change: BindingChange::Removed { user: name("laura") } };
    let confirmed = Output::Answer {
        id: COMMAND,
        reply: Box::new(AdminReply::Changed(RosterChange::Remove(name("laura")))),
    };
    let mut node = TestNode::saving();
    node.changes(LAURA, "PRlaura@bb.com");
    node.commits(1);
    assert_eq!(node.remove_from_roster("laura"), [removed(SaveId(2))]);
    assert_eq!(node.address_of("laura"), None);
    assert_eq!(node.commits(2), std::slice::from_ref(&confirmed));
    // A store that hangs holds up no administrator for longer.
    node.add("laura");
    assert_eq!(node.remove_from_roster("laura"), [removed(SaveId(3))]);
    node.pass(millis(250));
    assert_eq!(node.times_out(), [confirmed]);
}

#[test]
fn those_whom_a_reload_removes_are_removed_from_the_store() {
    let mut node = TestNode::saving();
    node.changes(LAURA, "PRlaura@bb.com");
    node.commits(1);
    node.node.handle_admin(node.now, COMMAND, AdminCommand::Reload);
    node.drain();
    let roster = lumi_node_core::Roster::parse(b"bb.com\njoan\n").expect("a roster");
    node.node.handle_roster_read(node.now, COMMAND, Ok(roster));
    let change = BindingChange::Removed { user: name("laura") };
    assert_eq!(node.drain(), [Output::SaveBinding { id: SaveId(2), change }], "pere was nowhere");
    let outputs = node.commits(2);
    let [Output::Answer { reply, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert!(matches!(**reply, AdminReply::Reloaded(_)));
}

#[test]
fn at_the_end_everything_is_saved_once_more() {
    let mut node = TestNode::saving();
    node.changes(LAURA, "PRlaura@bb.com");
    assert!(node.node.is_waiting_for_store());
    node.fails(1);
    assert!(!node.node.is_waiting_for_store());
    node.node.save_unsaved_bindings(node.now);
    let [Output::SaveBinding { change, .. }] = node.drain()[..] else { panic!("one change") };
    assert_eq!(change.stored().expect("a binding").agent, address(LAURA));
}

#[test]
fn a_store_that_was_lost_gets_all_bindings_again() {
    let mut node = TestNode::saving();
    node.changes(LAURA, "PRlaura@bb.com");
    node.commits(1);
    node.changes(PERE, "PRpere@bb.com");
    node.node.handle_bindings_lost(node.now);
    let outputs = node.commits(2);
    assert_eq!(outputs[0], sent(PERE, "RR0"));
    let saved: Vec<_> = outputs[1..]
        .iter()
        .map(|output| match output {
            Output::SaveBinding { change, .. } => *change.user(),
            output => panic!("{output:?}"),
        })
        .collect();
    assert_eq!(saved, [name("laura"), name("pere")]);
}

#[test]
fn without_a_store_nothing_is_saved() {
    let mut node = TestNode::new();
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR0")]);
    assert_eq!(node.node.status().bindings, None);
    assert_eq!(node.commits(1), []);
    assert_eq!(node.node.poll_timeout(), None);
}
