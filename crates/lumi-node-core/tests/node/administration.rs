//! Changes by the administrator.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lumi_node_core::{
    AdminCommand, AdminId, AdminRefusal, AdminReply, DropReason, MAX_NAMED, NodeSettings, NotRead, NotSaved,
    Output, Presence, ReloadRefusal, RosterChange, UserStatus,
};
use plumi_proto::UserName;

use crate::{COMMAND, LAURA, NODE, OTHER_NODE, PERE, STRANGER, TestNode, address, found, sent};

#[test]
fn the_administrator_adds_removes_and_lists_users() {
    let mut node = TestNode::new();
    let joan: UserName = "joan".parse().expect("a name");
    let laura: UserName = "laura".parse().expect("a name");

    assert_eq!(node.admin_save(AdminCommand::AddUser(joan)), RosterChange::Add(joan));
    assert_eq!(node.receive(STRANGER, "PRjoan@bb.com"), [sent(STRANGER, "RR1")], "not before it is saved");
    node.saved();
    assert_eq!(node.receive(STRANGER, "PRjoan@bb.com"), [sent(STRANGER, "RR0")]);
    assert_eq!(node.admin(AdminCommand::AddUser(joan)), AdminReply::Refused(AdminRefusal::AlreadyUser(joan)));

    let online_since = node.now;
    node.pass(42.0);
    let offline = |user: &str| UserStatus::new(user.parse().expect("a name"), None);
    let presence = Presence::new(address(STRANGER), online_since);
    assert_eq!(
        node.admin(AdminCommand::List),
        AdminReply::Users(vec![UserStatus::new(joan, Some(presence)), offline("laura"), offline("pere"),])
    );

    assert_eq!(node.admin_save(AdminCommand::RemoveUser(laura)), RosterChange::Remove(laura));
    node.saved();
    assert_eq!(
        node.admin(AdminCommand::RemoveUser(laura)),
        AdminReply::Refused(AdminRefusal::NoSuchUser(laura))
    );
    let long: UserName = "l".repeat(30).parse().expect("a name");
    assert!(matches!(node.admin(AdminCommand::AddUser(long)), AdminReply::Refused(AdminRefusal::TooLong(_))));
}

#[test]
fn a_user_who_is_removed_is_cut_off() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
    node.remove("laura");
    assert_eq!(node.address_of("laura"), None);
    assert_eq!(
        node.try_receive(LAURA, "RL1joya@cc.com:laura@bb.com"),
        Err(DropReason::Unasked),
        "a late answer is nobody's"
    );
    assert_eq!(node.node.poll_timeout(), None);
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR1")]);
}

/// The roster and the question may write the domain in any case.
#[test]
fn nothing_is_left_of_a_user_who_is_removed() {
    for domain in ["bb.com", "BB.com."] {
        let roster = format!("{domain}\nlaura\npere\n");
        let mut node = TestNode::of(&roster, NODE, NodeSettings::default());
        node.receive(LAURA, "PRlaura@bb.com");
        node.receive(PERE, "PRpere@bb.com");
        node.receive(OTHER_NODE, "PLjoya@cc.com:laura@Bb.com");
        node.receive(LAURA, "PLlaura@bB.com:pere@bb.com");
        node.receive(OTHER_NODE, "PLjoya@cc.com:pere@bb.com");
        let lookup = node.ask_elsewhere(LAURA, "PLlaura@bb.com.:joya@cc.com", "cc.com");
        assert_eq!(node.receive(PERE, "PLpere@bb.com:joya@cc.com"), [], "it waits for the same look-up");
        assert_eq!((node.node.pending_count(), node.node.lookups_in_flight()), (3, 1));

        node.remove("laura");
        assert_eq!(node.node.pending_count(), 1, "of pere");
        for late in ["RL1joya@cc.com:laura@bb.com", "RL1joya@cc.com:laura@Bb.com"] {
            assert_eq!(node.try_receive(LAURA, late), Err(DropReason::Unasked), "{domain}: to her");
        }
        assert_eq!(node.try_receive(PERE, "RL1laura@bb.com:pere@bb.com"), Err(DropReason::Unasked), "by her");
        assert_eq!(node.try_receive(LAURA, "PLlaura@bb.com:joya@cc.com"), Err(DropReason::Foreign));
        assert_eq!(node.address_of("laura"), None);

        // A new user of the same name, at the same place, has asked nothing.
        node.add("laura");
        node.receive(LAURA, "PRlaura@bb.com");
        let forwarded = [sent(OTHER_NODE, "PLpere@bb.com:joya@cc.com")];
        assert_eq!(node.resolved(lookup, found(OTHER_NODE, 60)), forwarded, "others are not concerned");
        assert_eq!(node.try_receive(LAURA, "RL1joya@cc.com:laura@bb.com"), Err(DropReason::Unasked));
        let answer = "RL1joya@cc.com:pere@bb.com";
        assert_eq!(node.receive(PERE, answer), [sent(OTHER_NODE, answer)]);
    }
}

#[test]
fn a_user_who_is_removed_is_not_back_by_being_heard() {
    let mut node = TestNode::new();
    node.strike_laura_out();
    node.remove("laura");
    node.add("laura");
    assert_eq!(node.try_receive(LAURA, "RL1joya@cc.com:laura@bb.com"), Err(DropReason::Unasked));
    assert_eq!(node.address_of("laura"), None);
    // Results that nothing waits for: nothing happens.
    node.node.handle_roster_saved(node.now, COMMAND, Ok(()));
    node.node.handle_roster_read(node.now, COMMAND, Err(NotRead));
    assert_eq!(node.drain(), []);
}

#[test]
fn a_roster_that_is_reloaded_cuts_off_who_is_in_it_no_longer_and_nobody_else() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(PERE, "PRpere@bb.com");
    node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
    node.receive(OTHER_NODE, "PLjoya@cc.com:pere@bb.com");
    node.pass(1.0);

    let AdminReply::Reloaded(reloaded) = node.reload("BB.com\njoan\npere\n") else { panic!("it is taken") };
    assert_eq!((reloaded.users, reloaded.new, reloaded.gone), (2, 1, 1));
    assert_eq!(reloaded.named_new, BTreeSet::from([name("joan")]));
    assert_eq!(reloaded.named_gone, BTreeMap::from([(name("laura"), true)]));
    assert_eq!((node.address_of("laura"), node.address_of("pere")), (None, Some(address(PERE))));
    assert_eq!(
        node.try_receive(LAURA, "RL1joya@cc.com:laura@bb.com"),
        Err(DropReason::Unasked),
        "a late answer is nobody's"
    );
    let answer = "RL1joya@cc.com:pere@bb.com";
    assert_eq!(node.receive(PERE, answer), [sent(OTHER_NODE, answer)], "who stays can still answer");
    let AdminReply::Users(users) = node.admin(AdminCommand::List) else { panic!("no list") };
    let presences: Vec<_> = users.iter().map(|status| (status.user.as_str(), status.presence)).collect();
    let online = Presence::new(address(PERE), node.now - Duration::from_secs(1));
    assert_eq!(presences, [("joan", None), ("pere", Some(online))]);
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR1")]);
    assert_eq!(node.receive(LAURA, "PRjoan@bb.com"), [sent(LAURA, "RR0")]);
}

#[test]
fn a_reload_names_a_few_of_those_who_came_and_went() {
    let mut node = TestNode::new();
    let many =
        |first| -> String { (first..first + 100).rev().map(|number| format!("u{number}\n")).collect() };
    for (roster, expected, first_new, first_gone) in [
        (format!("bb.com\n{}", many(200)), (100, 100, 2), Some("u200"), "laura"),
        (format!("bb.com\n{}", many(250)), (100, 50, 50), Some("u300"), "u200"),
        ("bb.com\nu349\nu250\n".to_owned(), (2, 0, 98), None, "u251"),
    ] {
        let AdminReply::Reloaded(reloaded) = node.reload(&roster) else { panic!("it is taken") };
        assert_eq!((reloaded.users, reloaded.new, reloaded.gone), expected);
        assert_eq!(reloaded.named_new.len(), reloaded.new.min(MAX_NAMED));
        assert_eq!(reloaded.named_gone.len(), reloaded.gone.min(MAX_NAMED));
        assert_eq!(reloaded.named_new.first(), first_new.map(name).as_ref());
        assert_eq!(reloaded.named_gone.first_key_value(), Some((&name(first_gone), &false)));
    }
}

/// Even if the user is back with the next roster, or was offline already.
#[test]
fn a_roster_that_is_reloaded_leaves_no_request_of_who_is_gone() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(PERE, "PRpere@bb.com");
    node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
    node.receive(LAURA, "PLlaura@bb.com:pere@bb.com");
    // This asker is nobody, and has never been a user.
    node.receive(STRANGER, "PLnobody@bb.com:pere@bb.com");
    let lookup = node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
    node.receive(LAURA, "PDlaura@bb.com");
    assert_eq!(node.node.pending_count(), 3);
    for roster in ["bb.com\npere\n", "bb.com\npere\nlaura\n"] {
        assert!(matches!(node.reload(roster), AdminReply::Reloaded(_)));
        assert_eq!(node.node.pending_count(), 1);
    }
    node.receive(LAURA, "PRlaura@bb.com");
    assert_eq!(node.try_receive(LAURA, "RL1joya@cc.com:laura@bb.com"), Err(DropReason::Unasked));
    assert_eq!(node.resolved(lookup, found(OTHER_NODE, 60)), []);
    let answer = "RL1nobody@bb.com:pere@bb.com";
    assert_eq!(node.receive(PERE, answer), [sent(STRANGER, answer)]);
}

/// The limit of a user's name depends on it, and the node would not start with a name that is too long.
#[test]
fn a_domain_that_is_spelled_otherwise_holds_as_it_is_spelled() {
    let mut node = TestNode::new();
    let name: UserName = "l".repeat(29).parse().expect("a name");
    assert_eq!(node.admin_save(AdminCommand::AddUser(name)), RosterChange::Add(name));
    node.node.handle_roster_saved(node.now, COMMAND, Err(NotSaved));
    assert_eq!(node.reply(), AdminReply::NotSaved);
    let AdminReply::Reloaded(reloaded) = node.reload("bb.com.\nlaura\n") else { panic!("it is taken") };
    assert_eq!((reloaded.users, reloaded.new, reloaded.gone), (1, 0, 1));
    assert_eq!(
        reloaded.named_gone,
        BTreeMap::from([("pere".parse().expect("a name"), false)]),
        "nobody registered"
    );
    let reply = node.admin(AdminCommand::AddUser(name));
    assert!(matches!(reply, AdminReply::Refused(AdminRefusal::TooLong(_))), "{reply:?}");
}

#[test]
fn the_roster_of_another_domain_is_not_taken() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let AdminReply::NotTaken(refusal) = node.reload("cc.com\njoan\n") else { panic!("it is another domain") };
    assert!(matches!(refusal, ReloadRefusal::OtherDomain { .. }));
    assert_eq!(
        refusal.to_string(),
        "nothing has changed: the roster names the domain cc.com, and this is the node of bb.com; correct its first line, or restart the node if it is to serve cc.com"
    );
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
    assert_eq!(node.receive(STRANGER, "PRjoan@cc.com"), [sent(STRANGER, "RR1")]);
}

#[test]
fn what_is_not_saved_or_not_read_changes_nothing() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for user in ["laura", "joan"] {
        let user = user.parse().expect("a name");
        let command = if user == "laura".parse().expect("a name") {
            AdminCommand::RemoveUser(user)
        } else {
            AdminCommand::AddUser(user)
        };
        node.admin_save(command);
        node.node.handle_roster_saved(node.now, COMMAND, Err(NotSaved));
        assert_eq!(node.reply(), AdminReply::NotSaved);
    }
    node.node.handle_admin(node.now, COMMAND, AdminCommand::Reload);
    assert_eq!(node.drain(), [Output::ReadRoster { id: COMMAND }]);
    // These belong to another command, or are of another kind.
    node.node.handle_roster_read(node.now, AdminId(8), Err(NotRead));
    node.node.handle_roster_saved(node.now, COMMAND, Ok(()));
    assert_eq!(node.drain(), []);
    node.node.handle_roster_read(node.now, COMMAND, Err(NotRead));
    assert_eq!(node.reply(), AdminReply::NotRead);
    let users: Vec<_> = node.node.users().map(|status| status.user.to_string()).collect();
    assert_eq!(users, ["laura", "pere"]);
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
}

/// A database reports a change that others made in it, or one that this node made.
#[test]
fn a_change_made_elsewhere_holds_and_is_not_saved() {
    let mut node = TestNode::new();
    let [laura, joan] = ["laura", "joan"].map(|user| user.parse::<UserName>().expect("a name"));
    node.receive(LAURA, "PRlaura@bb.com");
    for change in [RosterChange::Add(joan), RosterChange::Remove(laura)] {
        for _ in 0..2 {
            let reply = node.admin(AdminCommand::RosterChanged(change));
            assert_eq!(reply, AdminReply::Changed(change), "also if it has been made already");
        }
    }
    assert_eq!(node.receive(STRANGER, "PRjoan@bb.com"), [sent(STRANGER, "RR0")]);
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR1")]);
    let long = RosterChange::Add("l".repeat(30).parse().expect("a name"));
    let reply = node.admin(AdminCommand::RosterChanged(long));
    assert!(matches!(reply, AdminReply::Refused(AdminRefusal::TooLong(_))), "{reply:?}");
}

fn name(user: &str) -> UserName {
    user.parse().expect("a name")
}
