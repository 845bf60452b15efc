//! Users that are taken over, as an administrator sees them.

use super::*;

/// The agent of laura and a stranger on another host take turns.
#[test]
fn a_name_that_two_hosts_register_is_reported_and_marked() {
    let node = start("bb.com", &["laura", "pere"], &[]);
    let (laura, thief) = (User::of(&node), User::at("127.0.0.9", &node));
    assert_eq!(laura.ask("PRlaura"), "RR0");
    assert_eq!(thief.ask("PRlaura"), "RR0");
    let told = node.wait_for_diagnostic("registered from another host");
    let expected = format!("user=laura from={} to={}", laura.address(), thief.address());
    assert!(told.contains(&expected), "{told}");
    assert!(!done(&node, &["list"]).contains("moved"), "once is an honest move");

    assert_eq!(laura.ask("PRlaura"), "RR0");
    let table = done(&node, &["list"]);
    let [_, of_laura, of_pere] = &table.lines().collect::<Vec<_>>()[..] else { panic!("{table}") };
    let [user, state, mark, address, _, _] = words(of_laura);
    let expected = ["laura", "online", "(moved)", &laura.address().to_string()].map(str::to_owned);
    assert_eq!([user, state, mark, address], expected);
    assert_eq!(words(of_pere), ["pere", "offline", "-", "-"]);
    let users: Value = serde_json::from_str(&done(&node, &["list", "--json"])).unwrap();
    assert_eq!((&users[0]["moved"], users[1].get("moved")), (&true.into(), None));
    assert_eq!(node.stderr().len(), 1, "it is reported once a minute: {:?}", node.stderr());
}
