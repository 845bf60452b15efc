//! Users that are moved to another host: the reports, and the marks (protocol.md §9).

use lumi_node_core::{AdminCommand, AdminReply, Notice};

use crate::{LAURA, OTHER_PORT, PERE, STRANGER, TestNode, address, sent};

/// A thief and the agent of laura, which registers again, take turns.
#[test]
fn a_takeover_is_reported_and_a_second_one_is_marked() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(PERE, "PRpere@bb.com");
    assert_eq!((node.notices(), node.marked()), (vec![], vec![]), "nobody has moved");

    assert_eq!(node.receive(STRANGER, "PRlaura@bb.com"), [sent(STRANGER, "RR0")]);
    assert_eq!(node.notices(), [moved(LAURA, STRANGER)]);
    assert_eq!(node.marked(), [""; 0]);
    for seconds in 1..60 {
        node.pass(1.0);
        let from = if seconds % 2 == 0 { STRANGER } else { LAURA };
        node.receive(from, "PRlaura@bb.com");
        assert_eq!(node.notices(), [], "{seconds} s later");
        assert_eq!(node.marked(), ["laura"]);
    }
    node.pass(1.0);
    node.receive(STRANGER, "PRlaura@bb.com");
    assert_eq!(node.notices(), [moved(LAURA, STRANGER)]);
    assert_eq!(node.node.status().moves.to_host, 61);

    // Refreshes are no moves.
    for _ in 0..9 {
        node.pass(60.0);
        node.receive(STRANGER, "PRlaura@bb.com");
    }
    assert_eq!((node.notices(), node.marked()), (vec![], vec!["laura".to_owned()]));
    node.pass(60.0);
    assert_eq!(node.marked(), [""; 0], "nobody has contested the name for 10 min");
}

#[test]
fn who_moves_within_one_host_is_neither_reported_nor_marked() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for from in [OTHER_PORT, LAURA, OTHER_PORT, LAURA] {
        node.receive(from, "PRlaura@bb.com");
    }
    assert_eq!((node.notices(), node.marked()), (vec![], vec![]));
    // A user that leaves first takes nothing from anybody.
    node.receive(LAURA, "PDlaura@bb.com");
    node.receive(STRANGER, "PRlaura@bb.com");
    node.strike_laura_out();
    node.receive(STRANGER, "PRlaura@bb.com");
    assert_eq!(node.notices(), [moved(STRANGER, LAURA)], "when laura was registered for the strikes");
    assert_eq!(node.marked(), [""; 0]);
}

#[test]
fn a_user_who_is_removed_leaves_no_mark() {
    let mut node = TestNode::new();
    for from in [LAURA, STRANGER, LAURA] {
        node.receive(from, "PRlaura@bb.com");
    }
    assert_eq!(node.marked(), ["laura"]);
    node.remove("laura");
    node.add("laura");
    assert_eq!(node.marked(), [""; 0]);
    for from in [LAURA, STRANGER, LAURA] {
        node.receive(from, "PRlaura@bb.com");
    }
    node.reload("bb.com\npere\n");
    node.reload("bb.com\npere\nlaura\n");
    assert_eq!(node.marked(), [""; 0]);
}

/// A program that embeds a node need not poll.
#[test]
fn notices_that_nobody_polls_are_bounded() {
    let users: String = (0..100).map(|n| format!("u{n}\n")).collect();
    let mut node = TestNode::of(&format!("bb.com\n{users}"), crate::NODE, Default::default());
    for from in [LAURA, STRANGER] {
        (0..100).for_each(|n| _ = node.receive(from, &format!("PRu{n}")));
    }
    assert_eq!(node.notices().len(), 64);
}

fn moved(from: &str, to: &str) -> Notice {
    let user = "laura".parse().expect("a name");
    Notice::Moved { user, from: address(from), to: address(to), is_proved: false }
}

impl TestNode {
    pub(crate) fn notices(&mut self) -> Vec<Notice> {
        std::iter::from_fn(|| self.node.poll_notice()).collect()
    }

    /// The users that the list marks.
    fn marked(&mut self) -> Vec<String> {
        let AdminReply::Users(users) = self.admin(AdminCommand::List) else { panic!("no list") };
        let marked = users.into_iter().filter(|status| status.moved_repeatedly);
        marked.map(|status| status.user.to_string()).collect()
    }
}
