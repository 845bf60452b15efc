//! Leases of serving addresses, and the fences that epochs are.

use lumi_bindings::{DirectoryReport, LeaseReport};

use crate::engine::Engine;
use crate::{Node, entry, user};

#[tokio::test]
async fn an_address_is_served_by_one_process() {
    let Some(engine) = Engine::start(&[]) else { return };
    let a = Node::joined(&engine, 2).await;
    let mut other = Node::open(&engine, 2, 9);
    other
        .until(|report| matches!(report, DirectoryReport::Lease(LeaseReport::HeldByAnother { left }) if !left.is_zero()))
        .await;
    // A clean stop releases the lease, and what was claimed before it is not lost.
    a.claim([(user("laura"), entry(2, 1))]);
    a.close().await;
    other.leased().await;
    other.knows(user("laura"), entry(2, 1)).await;
}

#[tokio::test]
async fn a_restart_with_the_same_token_continues_at_once_and_fences_the_one_before() {
    let Some(engine) = Engine::start(&[]) else { return };
    let mut before = Node::open(&engine, 2, 1);
    let epoch = before.leased().await;
    let mut after = Node::open(&engine, 2, 1);
    let later = after.leased().await;
    assert!(later > epoch);
    before.claim([(user("laura"), entry(2, 1))]);
    let fenced = DirectoryReport::Lease(LeaseReport::Fenced { epoch: Some(later) });
    before.until(|report| *report == fenced).await;
    assert_eq!(before.reports.next().await, None, "its thread ended");
    after.until(|report| matches!(report, DirectoryReport::Joined)).await;
    assert!(after.copy.is_empty(), "the claim changed nothing");
}

#[tokio::test]
async fn nodes_see_each_other() {
    let Some(engine) = Engine::start(&[]) else { return };
    let mut a = Node::joined(&engine, 2).await;
    let mut b = Node::open(&engine, 3, 3);
    let epoch = b.leased().await;
    let report =
        a.until(|report| matches!(report, DirectoryReport::Siblings(siblings) if !siblings.is_empty())).await;
    let DirectoryReport::Siblings(siblings) = report else { unreachable!() };
    let [sibling] = siblings[..] else { panic!("{siblings:?}") };
    assert_eq!((sibling.serving, sibling.epoch, sibling.is_gone), ([127, 0, 0, 3].into(), epoch, false));
}
