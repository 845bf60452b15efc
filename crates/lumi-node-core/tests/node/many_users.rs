//! Commands about more users than others should wait for.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Instant;

use lumi_node_core::{AdminCommand, AdminReply, NodeSettings, Output, Roster};
use plumi_proto::UserName;

use crate::{COMMAND, LAURA, NODE, PERE, TestNode, address, sent};

#[test]
fn a_list_of_many_users_leaves_others_their_turns() {
    let mut node = many(0..MANY);
    node.node.handle_admin(node.now, COMMAND, AdminCommand::List);
    let reply = finish(&mut node, |node, turn| {
        let user = format!("user{}", turn * 1_000);
        assert_eq!(node.receive(LAURA, &format!("PR{user}@bb.com")), [sent(LAURA, "RR0")]);
    });
    let AdminReply::Users(users) = reply else { panic!("{reply:?}") };
    let names: HashSet<_> = users.iter().map(|status| status.user).collect();
    assert_eq!((users.len(), names.len()), (MANY, MANY), "each once");

    node.node.handle_admin(node.now, COMMAND, AdminCommand::ListBindings);
    let reply = finish(&mut node, |_, _| {});
    let AdminReply::Bindings(bindings) = reply else { panic!("{reply:?}") };
    assert!(bindings.len() > 2, "{bindings:?}");
    assert!(bindings.iter().all(|binding| binding.party.address == address(LAURA)));
}

/// Some go, some come, most stay; those who stay register and are found meanwhile.
#[test]
fn a_roster_of_many_users_is_reloaded_turn_by_turn() {
    let mut node = many(0..MANY);
    for user in [0, 2_000, MANY - 1] {
        assert_eq!(node.receive(LAURA, &format!("PRuser{user}@bb.com")), [sent(LAURA, "RR0")]);
    }
    begin_reload(&mut node, &text(1_500..MANY + 3_000));
    let reply = finish(&mut node, |node, turn| {
        let user = format!("user{}", 2_001 + turn);
        assert_eq!(node.receive(PERE, &format!("PR{user}@bb.com")), [sent(PERE, "RR0")]);
        assert_eq!(node.address_of("user2000"), Some(address(LAURA)));
    });
    let AdminReply::Reloaded(reloaded) = reply else { panic!("{reply:?}") };
    assert_eq!((reloaded.users, reloaded.gone, reloaded.new), (MANY + 1_500, 1_500, 3_000));
    assert_eq!(reloaded.named_gone.iter().next(), Some((&name("user0"), &true)));
    assert!(reloaded.named_new.contains(&name("user10000")), "{reloaded:?}");
    let users: HashSet<_> = node.node.users().map(|status| status.user).collect();
    let expected: HashSet<_> = (1_500..MANY + 3_000).map(|user| name(&format!("user{user}"))).collect();
    assert_eq!(users, expected);
    let online = node.node.status().online;
    assert_eq!(online, node.node.users().filter(|status| status.presence.is_some()).count());
    assert_eq!(node.receive(LAURA, "PRuser0@bb.com"), [sent(LAURA, "RR1")]);
}

#[test]
fn a_roster_of_quite_other_users_leaves_nobody_of_the_old_one() {
    let mut node = many(0..MANY);
    for (from, to) in [(MANY, 2 * MANY), (0, 1), (0, MANY)] {
        begin_reload(&mut node, &text(from..to));
        let reply = finish(&mut node, |_, _| {});
        assert!(matches!(reply, AdminReply::Reloaded(_)), "{reply:?}");
        let users: HashSet<_> = node.node.users().map(|status| status.user).collect();
        assert_eq!(users, (from..to).map(|user| name(&format!("user{user}"))).collect());
    }
}

/// Gives the node its turns until it answers the administrator, and others a turn in between.
fn finish(node: &mut TestNode, mut between: impl FnMut(&mut TestNode, usize)) -> AdminReply {
    for turn in 1.. {
        if let Some(Output::Answer { reply, .. }) = node.node.poll_output() {
            assert!(turn > 2, "it was done in one turn");
            return *reply;
        }
        between(node, turn);
        assert!(is_due(node, node.now), "turn {turn}");
        node.node.handle_timeout(node.now);
    }
    unreachable!("turns have no end");
}

fn is_due(node: &TestNode, now: Instant) -> bool {
    node.node.poll_timeout().is_some_and(|due| due <= now)
}

fn begin_reload(node: &mut TestNode, text: &str) {
    node.node.handle_admin(node.now, COMMAND, AdminCommand::Reload);
    assert_eq!(node.node.poll_output(), Some(Output::ReadRoster { id: COMMAND }));
    let roster = Roster::parse(text.as_bytes()).expect("a roster");
    node.node.handle_roster_read(node.now, COMMAND, Ok(roster));
}

/// The node of the users of these numbers.
fn many(users: Range<usize>) -> TestNode {
    TestNode::of(&text(users), NODE, NodeSettings::default())
}

/// A roster of the users of these numbers.
fn text(users: Range<usize>) -> String {
    let users = users.map(|user| format!("user{user}\n"));
    ["bb.com\n".to_owned()].into_iter().chain(users).collect()
}

fn name(user: &str) -> UserName {
    user.parse().expect("a name")
}

/// Some turns of users.
const MANY: usize = 9_000;
