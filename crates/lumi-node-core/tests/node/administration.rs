//! What the administrator changes.

use std::time::Duration;

use lumi_node_core::{
    AdminCommand, AdminRefusal, AdminReply, DropReason, Presence, RosterChange, UserStatus,
};
use plumi_proto::UserName;

use crate::{LAURA, OTHER_NODE, STRANGER, TestNode, address, sent};

#[test]
fn the_administrator_adds_removes_and_lists_users() {
    let mut node = TestNode::new();
    let joan: UserName = "joan".parse().expect("a name");
    let laura: UserName = "laura".parse().expect("a name");

    let change = node.admin_save(AdminCommand::Register(joan));
    assert_eq!(change, RosterChange::Add(joan));
    assert_eq!(node.receive(STRANGER, "PRjoan@bb.com"), [sent(STRANGER, "RR1")], "not before it is saved");
    node.node.handle_roster_saved(change);
    assert_eq!(node.receive(STRANGER, "PRjoan@bb.com"), [sent(STRANGER, "RR0")]);
    assert_eq!(
        node.admin(AdminCommand::Register(joan)),
        AdminReply::Refused(AdminRefusal::AlreadyUser(joan))
    );

    node.pass(42.0);
    let offline = |user: &str| UserStatus { user: user.parse().expect("a name"), presence: None };
    let presence = Presence { address: address(STRANGER), online_for: Duration::from_secs(42) };
    assert_eq!(
        node.admin(AdminCommand::List),
        AdminReply::Users(vec![
            UserStatus { user: joan, presence: Some(presence) },
            offline("laura"),
            offline("pere"),
        ])
    );

    let change = node.admin_save(AdminCommand::Deregister(laura));
    node.node.handle_roster_saved(change);
    assert_eq!(
        node.admin(AdminCommand::Deregister(laura)),
        AdminReply::Refused(AdminRefusal::NoSuchUser(laura))
    );
    let long: UserName = "l".repeat(30).parse().expect("a name");
    assert!(matches!(
        node.admin(AdminCommand::Register(long)),
        AdminReply::Refused(AdminRefusal::TooLong(_))
    ));
}

#[test]
fn a_user_who_is_removed_is_cut_off() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
    let change = node.admin_save(AdminCommand::Deregister("laura".parse().expect("a name")));
    node.node.handle_roster_saved(change);
    assert_eq!(node.address_of("laura"), None);
    assert_eq!(
        node.try_receive(LAURA, "RL1joya@cc.com:laura@bb.com"),
        Err(DropReason::Unasked),
        "a late answer is nobody's"
    );
    assert_eq!(node.node.poll_timeout(), None);
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR1")]);
}
