//! The events of a node.

use lumi_node_core::{AdminReply, GoneReason, NodeEvent};
use plumi_proto::{LocateOutcome, UserName};

use crate::{LAURA, OTHER_NODE, OTHER_PORT, PERE, STRANGER, TestNode, address};

#[test]
fn nobody_is_told_anything_until_somebody_listens() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    assert_eq!(events(&mut node), []);
    node.node.report_events(true);
    node.receive(LAURA, "PRlaura@bb.com");
    assert_eq!(events(&mut node), [], "a refresh");
    node.receive(PERE, "PRpere@bb.com");
    node.node.report_events(false);
    assert_eq!(events(&mut node), []);
    assert_eq!(node.node.missed_events(), 0);
}

#[test]
fn a_user_comes_moves_and_goes() {
    let mut node = listened_to();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(LAURA, "PRlaura");
    node.receive(OTHER_PORT, "PRlaura@bb.com");
    node.receive(STRANGER, "PRnobody@bb.com");
    node.receive(LAURA, "PDlaura@bb.com");
    node.receive(OTHER_PORT, "PDlaura@bb.com");
    node.receive(OTHER_PORT, "PDlaura@bb.com");
    assert_eq!(
        events(&mut node),
        [
            NodeEvent::Registered { user: laura(), at: address(LAURA) },
            NodeEvent::Moved { user: laura(), from: address(LAURA), to: address(OTHER_PORT) },
            NodeEvent::Gone { user: laura(), from: address(OTHER_PORT), reason: GoneReason::Deregistered },
        ]
    );
}

#[test]
fn a_silent_user_goes_and_comes_back_when_heard() {
    let mut node = listened_to();
    node.strike_laura_out();
    let silent = NodeEvent::Gone { user: laura(), from: address(LAURA), reason: GoneReason::Silent };
    let registered = NodeEvent::Registered { user: laura(), at: address(LAURA) };
    let offline = located(LocateOutcome::Offline);
    assert_eq!(events(&mut node), [registered, silent, offline]);
    _ = node.try_receive(LAURA, "RL1joya@cc.com:laura@bb.com");
    assert_eq!(events(&mut node), [registered]);
    // She leaves while she counts as gone.
    node.pass(1.0);
    for _ in 0..5 {
        node.pass(1.0);
        node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
    }
    assert_eq!(events(&mut node), [silent, offline]);
    node.receive(LAURA, "PDlaura@bb.com");
    assert_eq!(events(&mut node), []);
}

#[test]
fn a_user_who_is_removed_is_gone() {
    let mut node = listened_to();
    node.receive(LAURA, "PRlaura@bb.com");
    node.remove("laura");
    node.remove("pere");
    node.add("laura");
    node.receive(LAURA, "PRlaura@bb.com");
    let AdminReply::Reloaded(reloaded) = node.reload("bb.com\npere\n") else { panic!("it is taken") };
    assert_eq!(reloaded.users, 1);
    let registered = NodeEvent::Registered { user: laura(), at: address(LAURA) };
    let removed = NodeEvent::Gone { user: laura(), from: address(LAURA), reason: GoneReason::Removed };
    assert_eq!(events(&mut node), [registered, removed, registered, removed]);
}

#[test]
fn each_answer_to_a_location_request_is_told() {
    let mut node = listened_to();
    node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
    node.receive(LAURA, "RL1joya@cc.com:laura@bb.com");
    let registered = NodeEvent::Registered { user: laura(), at: address(LAURA) };
    assert_eq!(
        events(&mut node),
        [located(LocateOutcome::Offline), registered, located(LocateOutcome::Busy)]
    );
}

#[test]
fn events_that_find_no_room_are_counted() {
    let mut node = listened_to();
    for _ in 0..512 + 5 {
        node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
    }
    // Requests that cost a stranger one datagram each leave room for what happens to users.
    for _ in 0..512 / 2 {
        node.receive(LAURA, "PRlaura@bb.com");
        node.receive(LAURA, "PDlaura@bb.com");
    }
    node.receive(LAURA, "PRlaura@bb.com");
    let all = events(&mut node);
    assert_eq!((all.len(), node.node.missed_events()), (1_024, 5 + 1));
    assert!(matches!(all[1_023], NodeEvent::Gone { .. }));
    node.receive(LAURA, "PDlaura@bb.com");
    assert_eq!((events(&mut node).len(), node.node.missed_events()), (1, 5 + 1));
}

fn listened_to() -> TestNode {
    let mut node = TestNode::new();
    node.node.report_events(true);
    node
}

fn events(node: &mut TestNode) -> Vec<NodeEvent> {
    std::iter::from_fn(|| node.node.poll_event()).collect()
}

fn located(outcome: LocateOutcome) -> NodeEvent {
    let [from, to] = ["joya@cc.com", "laura@bb.com"].map(|address| address.parse().expect("an address"));
    NodeEvent::Located { from, to, outcome }
}

fn laura() -> UserName {
    "laura".parse().expect("a name")
}
