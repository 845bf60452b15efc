//! Claims of several nodes, as all of them see them.

use lumi_bindings::{DirectoryReport, EngineWarning};

use crate::engine::Engine;
use crate::{Node, entry, user};

#[tokio::test]
async fn a_claim_is_seen_by_all_nodes() {
    let Some(engine) = Engine::start(&[]) else { return };
    let (mut a, mut b, mut c) =
        (Node::joined(&engine, 2).await, Node::joined(&engine, 3).await, Node::joined(&engine, 4).await);
    a.claim([(user("laura"), entry(2, 1)), (user("sam"), entry(2, 1))]);
    for node in [&mut a, &mut b, &mut c] {
        node.knows(user("laura"), entry(2, 1)).await;
        node.knows(user("sam"), entry(2, 1)).await;
    }
    // A logout is an entry.
    let logout = lumi_bindings::Entry { agent: None, ..entry(3, 2) };
    b.claim([(user("laura"), logout)]);
    for node in [&mut a, &mut b, &mut c] {
        node.knows(user("laura"), logout).await;
    }
}

#[tokio::test]
async fn a_claim_with_a_smaller_stamp_or_address_is_refused_with_the_winner() {
    let Some(engine) = Engine::start(&[]) else { return };
    let (mut a, mut b) = (Node::joined(&engine, 2).await, Node::joined(&engine, 3).await);
    // The stamps differ in a byte that no text has, and in one that counts less than it.
    let (high, low) = (entry(2, 0xff00), entry(3, 0x7fff));
    a.claim([(user("laura"), high), (user("sam"), entry(2, 9))]);
    a.knows(user("sam"), entry(2, 9)).await;
    b.claim([(user("laura"), low), (user("sam"), entry(3, 9))]);
    let refused = b.until(|report| matches!(report, DirectoryReport::Refused(_))).await;
    assert_eq!(refused, DirectoryReport::Refused(vec![(user("laura"), high)]));
    // Of equal stamps, the larger address wins.
    a.knows(user("sam"), entry(3, 9)).await;
    a.claim([(user("sam"), entry(2, 9))]);
    let refused = a.until(|report| matches!(report, DirectoryReport::Refused(_))).await;
    assert_eq!(refused, DirectoryReport::Refused(vec![(user("sam"), entry(3, 9))]));
}

#[tokio::test]
async fn a_node_that_joins_learns_ten_thousand_users() {
    let Some(engine) = Engine::start(&["--appendfsync", "no"]) else { return };
    let mut a = Node::joined(&engine, 2).await;
    let users: Vec<_> = (0..10_000).map(|number| user(&format!("u{number}"))).collect();
    a.claim(users.iter().map(|&user| (user, entry(2, 1))));
    for &user in &users {
        a.knows(user, entry(2, 1)).await;
    }
    a.close().await;
    let b = Node::joined(&engine, 3).await;
    assert_eq!(b.copy.len(), users.len());
    assert!(users.iter().all(|user| b.copy.get(user) == Some(&entry(2, 1))));
}

#[tokio::test]
async fn trimmed_changes_are_loaded() {
    let Some(engine) = Engine::start(&[]) else { return };
    let mut a = Node::joined(&engine, 2).await;
    a.claim([(user("laura"), entry(2, 1))]);
    a.knows(user("laura"), entry(2, 1)).await;
    // Whatever the user's partition is, one record of each is lost, and one follows it.
    let mut pipe = redis::pipe();
    pipe.atomic();
    for partition in 0..64 {
        let log = format!("lumi:{{bb.com/{partition}}}:log");
        for previous in ["one", "two"] {
            pipe.cmd("XADD").arg(&log).arg("*").arg("p").arg(previous).arg("").arg("x").ignore();
        }
        pipe.cmd("XTRIM").arg(&log).arg("MAXLEN").arg(1).ignore();
    }
    pipe.query::<()>(&mut engine.connect()).unwrap();
    a.until(|report| matches!(report, DirectoryReport::Joined)).await;
    let b = Node::joined(&engine, 3).await;
    b.claim([(user("laura"), entry(3, 2))]);
    a.knows(user("laura"), entry(3, 2)).await;
}

#[tokio::test]
async fn malformed_entries_are_ignored_and_counted() {
    let Some(engine) = Engine::start(&[]) else { return };
    _ = engine.ask::<i64>(&["HSET", "lumi:{bb.com/3}:at:7", "laura", "short", "a b", "no name has a space"]);
    let mut a = Node::joined(&engine, 2).await;
    assert!(a.copy.is_empty());
    let warning = DirectoryReport::Warning(EngineWarning::Malformed { count: 2 });
    a.until(|report| *report == warning).await;
}
