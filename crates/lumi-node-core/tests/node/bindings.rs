//! Registrations that outlive a node.

use std::time::Duration;

use lumi_node_core::{Binding, NodeSettings};

use crate::{LAURA, NODE, OTHER_NODE, PERE, STRANGER, TestNode, address, sent};

#[test]
fn a_user_is_found_after_a_restart_without_registering_anew() {
    let mut before = TestNode::of("bb.com\nlaura\npere\njoan\n", NODE, NodeSettings::default());
    before.strike_laura_out();
    before.receive(PERE, "PRpere@bb.com");
    before.pass(10.0);
    let mut bindings: Vec<_> = before.node.bindings(before.now).collect();
    bindings.sort_unstable_by_key(|binding| binding.user);
    let binding =
        |user: &str, at, online_for| Binding::new(user.parse().expect("a name"), address(at), online_for);
    let pere = binding("pere", PERE, Some(Duration::from_secs(10)));
    assert_eq!(bindings, [binding("laura", LAURA, None), pere]);

    let mut after = TestNode::of("bb.com\nlaura\npere\njoan\n", NODE, NodeSettings::default());
    after.pass(3_600.0);
    for binding in &bindings {
        assert!(after.node.restore(after.now, binding));
    }
    assert_eq!(after.drain(), [], "nobody is told");
    assert_eq!(after.online_for("pere"), Some(Duration::from_secs(10)));
    assert_eq!(after.node.status().online, 1);
    let question = "PLjoya@cc.com:pere@bb.com";
    assert_eq!(after.receive(OTHER_NODE, question), [sent(PERE, question)]);
    // Laura counts as gone until she is heard, as before.
    let question = "PLjoya@cc.com:laura@bb.com";
    assert_eq!(after.receive(OTHER_NODE, question), [sent(OTHER_NODE, "RL3joya@cc.com:laura@bb.com")]);
    _ = after.try_receive(LAURA, "RL1joya@cc.com:laura@bb.com");
    assert_eq!(after.receive(OTHER_NODE, question), [sent(LAURA, question)]);
}

#[test]
fn what_cannot_be_is_not_restored() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let now = node.now;
    let binding =
        |user: &str, at: &str| Binding::new(user.parse().expect("a name"), address(at), Some(Duration::ZERO));
    for (user, at) in [
        ("nobody", PERE),
        // She has registered since.
        ("laura", STRANGER),
        // Nobody can have registered from there.
        ("pere", NODE),
        ("pere", OTHER_NODE),
        ("pere", "127.0.0.1:0"),
        ("pere", "0.0.0.0:5000"),
        ("pere", "224.0.0.1:5000"),
        ("pere", "255.255.255.255:5000"),
    ] {
        assert!(!node.node.restore(now, &binding(user, at)), "{user} at {at}");
    }
    assert_eq!((node.address_of("laura"), node.address_of("pere")), (Some(address(LAURA)), None));
    // Longer ago than the clock of this host knows.
    let pere = Binding::new("pere".parse().expect("a name"), address(PERE), Some(Duration::MAX));
    assert!(node.node.restore(now, &pere));
    assert_eq!(node.online_for("pere"), Some(Duration::ZERO));
    assert!(!node.node.restore(now, &pere), "once");
}

/// A message to it would come back to the node, which would send it once more.
#[test]
fn no_agent_is_restored_at_the_socket_of_the_node() {
    let mut node = TestNode::of("bb.com\npere\n", "0.0.0.0:5000", NodeSettings::default());
    let now = node.now;
    let binding = |at: &str| Binding::new("pere".parse().expect("a name"), address(at), Some(Duration::ZERO));
    assert!(!node.node.restore(now, &binding("127.0.0.1:5000")));
    assert!(node.node.restore(now, &binding("127.0.0.1:5001")));
}
