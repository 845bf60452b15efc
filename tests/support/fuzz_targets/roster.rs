//! The text of `nodelumi.cfg`.

use std::collections::BTreeSet;

use lumi_node_core::{Node, NodeSettings, Roster, RosterChange};
use plumi_proto::{MiAddress, UserName};

/// Any text is a roster or is wrong in a line of it. Users can be added to and removed from one that is a
/// roster, which stays one and says no more and no less than it should.
///
/// # Panics
/// If it does not.
pub fn roster(text: &[u8]) {
    let roster = match Roster::parse(text) {
        Ok(roster) => roster,
        Err(error) => {
            assert!(
                (1..=1 + text.iter().filter(|byte| **byte == b'\n').count()).contains(&error.line),
                "{error}"
            );
            assert!(!error.to_string().contains(char::is_control), "{error:?}");
            assert_eq!(Roster::errors(text).1.first(), Some(&error));
            return;
        }
    };
    assert_eq!(Roster::errors(text), (Some(*roster.domain()), Vec::new()));
    let text = str::from_utf8(text).expect("a roster is UTF-8");
    let users = users(&roster);
    assert_eq!(users.len(), roster.len());
    for user in &users {
        assert!(roster.contains(user) && MiAddress::new(user, roster.domain()).is_ok(), "{user}");
    }
    for name in
        ["laura", roster.domain().as_str(), "\u{3164}"].into_iter().chain(text.split_whitespace().take(3))
    {
        let Ok(user) = UserName::new(name) else { continue };
        if users.contains(&user) {
            can_be_removed(text, &roster, user);
        } else if MiAddress::new(&user, roster.domain()).is_ok() {
            let added = can_be_added(text, &roster, user);
            let removed = can_be_removed(&added, &Roster::parse(added.as_bytes()).expect("a roster"), user);
            let line_end = removed.strip_prefix(text).expect("what was there stays");
            assert!(["", "\n", "\r\n"].contains(&line_end), "{removed:?} of {text:?}");
        }
    }
}

/// The text with `user` added.
fn can_be_added(text: &str, roster: &Roster, user: UserName) -> String {
    let edited = Roster::edit(text, &RosterChange::Add(user));
    assert!(edited.starts_with(text), "{edited:?} of {text:?}");
    let mut expected = users(roster);
    expected.insert(user);
    says(&edited, roster, &expected);
    edited
}

/// The text with `user` removed.
fn can_be_removed(text: &str, roster: &Roster, user: UserName) -> String {
    let edited = Roster::edit(text, &RosterChange::Remove(user));
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let without = |at: usize| lines[..at].concat() + &lines[at + 1..].concat();
    let is_line = |at: &usize| lines[*at].trim() == user.as_str() && without(*at) == edited;
    assert!((0..lines.len()).any(|at| is_line(&at)), "{edited:?} of {text:?}");
    let mut expected = users(roster);
    expected.remove(&user);
    says(&edited, roster, &expected);
    edited
}

fn says(text: &str, before: &Roster, expected: &BTreeSet<UserName>) {
    let roster = Roster::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text:?}"));
    assert_eq!(roster.domain().as_str(), before.domain().as_str());
    assert_eq!(users(&roster), *expected, "{text:?}");
}

/// The users, as an administrator has them listed.
fn users(roster: &Roster) -> BTreeSet<UserName> {
    let node = Node::new(roster.clone(), NODE.parse().expect("an address"), NodeSettings::default());
    node.users().map(|status| status.user).collect()
}

const NODE: &str = "127.0.0.2:3344";
