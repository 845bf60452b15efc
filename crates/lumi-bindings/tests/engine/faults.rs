//! Engines that are away, come back, or refuse to work.

use lumi_bindings::{Credentials, DirectoryOptions, DirectoryReport, EngineWarning, Token};
use rustix::process::Signal;

use crate::engine::Engine;
use crate::{Node, entry, user};

#[tokio::test]
async fn an_engine_that_is_killed_has_what_was_claimed_when_it_is_back() {
    let Some(mut engine) = Engine::start(&[]) else { return };
    let mut a = Node::joined(&engine, 2).await;
    a.claim([(user("laura"), entry(2, 1))]);
    a.until(|report| matches!(report, DirectoryReport::Claimed(_))).await;
    engine.kill();
    a.cut_off().await;
    // What is claimed meanwhile waits.
    a.claim([(user("sam"), entry(2, 1))]);
    assert!(engine.run());
    a.until(|report| matches!(report, DirectoryReport::Joined)).await;
    let mut b = Node::joined(&engine, 3).await;
    b.knows(user("laura"), entry(2, 1)).await;
    b.knows(user("sam"), entry(2, 1)).await;
}

#[tokio::test]
async fn an_engine_that_came_back_empty_is_repaired() {
    let Some(mut engine) = Engine::start(&[]) else { return };
    let (mut a, mut b) = (Node::joined(&engine, 2).await, Node::joined(&engine, 3).await);
    a.claim([(user("laura"), entry(2, 1))]);
    b.knows(user("laura"), entry(2, 1)).await;
    engine.kill();
    a.cut_off().await;
    engine.run_empty();
    a.until(|report| matches!(report, DirectoryReport::Joined)).await;
    a.claim(a.copy.clone());
    let mut c = Node::joined(&engine, 4).await;
    c.knows(user("laura"), entry(2, 1)).await;
}

#[tokio::test]
async fn an_engine_that_lost_everything_while_it_ran_is_noticed() {
    let Some(engine) = Engine::start(&[]) else { return };
    let mut a = Node::joined(&engine, 2).await;
    a.claim([(user("laura"), entry(2, 1))]);
    a.until(|report| matches!(report, DirectoryReport::Claimed(_))).await;
    _ = engine.ask::<String>(&["FLUSHALL"]);
    assert!(a.cut_off().await.contains("lost the epoch"));
    a.until(|report| matches!(report, DirectoryReport::Joined)).await;
}

#[tokio::test]
async fn an_engine_that_is_stopped_is_resumed() {
    let Some(engine) = Engine::start(&[]) else { return };
    let mut a = Node::joined(&engine, 2).await;
    engine.signal(Signal::STOP);
    a.claim([(user("laura"), entry(2, 1))]);
    assert!(a.cut_off().await.contains("did not answer"));
    engine.signal(Signal::CONT);
    a.until(|report| matches!(report, DirectoryReport::Resumed)).await;
    a.claim([(user("laura"), entry(2, 1))]);
    a.until(|report| matches!(report, DirectoryReport::Claimed(_))).await;
    let mut b = Node::joined(&engine, 3).await;
    b.knows(user("laura"), entry(2, 1)).await;
}

#[tokio::test]
async fn answers_that_take_a_second_are_waited_for() {
    let Some(engine) = Engine::start(&[]) else { return };
    let mut a = Node::joined(&engine, 2).await;
    _ = engine.ask::<String>(&["CLIENT", "PAUSE", "1000"]);
    a.claim([(user("laura"), entry(2, 1))]);
    let report = a
        .until(|report| matches!(report, DirectoryReport::Claimed(_) | DirectoryReport::CutOff { .. }))
        .await;
    assert_eq!(report, DirectoryReport::Claimed(vec![(user("laura"), entry(2, 1))]));
}

#[tokio::test]
async fn an_engine_that_takes_no_writes_is_away() {
    let Some(engine) = Engine::start(&[]) else { return };
    let mut a = Node::joined(&engine, 2).await;
    for (setting, bad, good, word) in
        [("min-replicas-to-write", "1", "0", "NOREPLICAS"), ("maxmemory", "1", "0", "OOM")]
    {
        _ = engine.ask::<String>(&["CONFIG", "SET", setting, bad]);
        let reason = a.cut_off().await;
        assert!(reason.contains(word), "{reason}");
        _ = engine.ask::<String>(&["CONFIG", "SET", setting, good]);
        a.until(|report| matches!(report, DirectoryReport::Resumed)).await;
    }
    let primary = format!("127.0.0.1 {}", engine.port());
    let Some(replica) = Engine::start(&["--replicaof", &primary]) else { return };
    let reason = Node::open(&replica, 3, 3).cut_off().await;
    assert!(reason.to_lowercase().contains("read") && reason.contains("replica"), "{reason}");
}

#[tokio::test]
async fn an_account_needs_these_keys_and_commands_only() {
    let Some(engine) = Engine::start(&["--requirepass", "other"]) else { return };
    let reason = Node::open(&engine, 2, 2).cut_off().await;
    assert!(reason.contains("NOAUTH") || reason.to_lowercase().contains("auth"), "{reason}");

    let url = format!("redis://:other@127.0.0.1:{}", engine.port());
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    let mut account = redis::cmd("ACL");
    account.arg("SETUSER").arg("lumi-node").arg("on").arg(">secret");
    account.arg(ACCOUNT.split_whitespace().collect::<Vec<_>>());
    account.query::<()>(&mut connection).unwrap();

    let options = |password: &str| DirectoryOptions {
        url: engine.url(),
        credentials: Credentials::from_file_text(&format!("lumi-node\n{password}\n")),
        domain: "bb.com".parse().unwrap(),
        serving: [127, 0, 0, 2].into(),
        token: Token([2; 16]),
    };
    let reason = Node::with(options("wrong")).cut_off().await;
    assert!(reason.to_lowercase().contains("auth"), "{reason}");
    let mut a = Node::with(options("secret"));
    a.until(|report| *report == DirectoryReport::Warning(EngineWarning::Unchecked)).await;
    a.until(|report| matches!(report, DirectoryReport::Joined)).await;
    a.claim([(user("laura"), entry(2, 1))]);
    a.until(|report| matches!(report, DirectoryReport::Changed(_))).await;
    a.until(|report| matches!(report, DirectoryReport::Siblings(_))).await;
    a.close().await;
    let keys: i64 = redis::cmd("EXISTS").arg("lumi:bb.com:node:127.0.0.2").query(&mut connection).unwrap();
    assert_eq!(keys, 0, "the lease was released");
}

#[tokio::test]
async fn a_cluster_is_refused() {
    let Some(engine) = Engine::start(&["--cluster-enabled", "yes"]) else { return };
    let mut a = Node::open(&engine, 2, 2);
    a.until(|report| matches!(report, DirectoryReport::Unusable { .. })).await;
    assert_eq!(a.reports.next().await, None, "its thread ended");
}

#[tokio::test]
async fn settings_that_lose_entries_are_reported() {
    let options = ["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"];
    let Some(engine) = Engine::start(&options) else { return };
    let mut a = Node::open(&engine, 2, 2);
    for warning in [EngineWarning::NoAppendOnlyFile, EngineWarning::Evicts] {
        a.until(|report| *report == DirectoryReport::Warning(warning)).await;
    }
}

/// The rights of an account. README.md has them, too.
const ACCOUNT: &str = "~lumi:{bb.com/* ~lumi:bb.com:node:* +info +time +get +set +del +pttl +mget +hget +hset \
     +hgetall +xadd +xread +xrevrange +eval +evalsha +script|load";
