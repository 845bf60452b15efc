use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, future};

use lumi_dns::NodeDirectory;
use lumi_node_core::{Node, NodeSettings, RosterFile, Server};
use message_ladder::MAX_NEWS;
use message_log::{Direction, Entry, Sink};
use serde_json::Value;
use tokio::net::UdpSocket;
use tokio::task;

use super::*;

#[tokio::test]
async fn what_is_kept_comes_first_and_then_what_passes() {
    let mut watch = Watch::new("bb.com", 10, clock);
    pass(&mut watch, Direction::Received, b"PRlaura");
    let mut messages = watch_at(&watch);
    assert_eq!(
        messages.next().await,
        concat!(
            "retry: 1000\n",
            "event: snapshot\n",
            r#"data: {"parties":[{"id":1,"role":"agent","name":"laura@bb.com","address":"10.0.0.1:4000","addresses":1},"#,
            r#"{"id":0,"role":"this","name":"bb.com","address":null,"addresses":0}],"#,
            r#""arrows":[{"number":1,"at":1500,"from":1,"to":0,"remote":"10.0.0.1:4000","sent":false,"kind":"PR","#,
            r#""message":"PRlaura","length":7,"words":"register laura","users":["laura@bb.com"],"note":null}]}"#,
            "\n\n",
        )
    );
    pass(&mut watch, Direction::Sent, b"RR0");
    assert_eq!(
        messages.next().await,
        concat!(
            "event: ladder\n",
            r#"data: [{"arrow":{"number":2,"at":1500,"from":0,"to":1,"remote":"10.0.0.1:4000","sent":true,"kind":"RR0","#,
            r#""message":"RR0","length":3,"words":"registered","users":["laura@bb.com"],"note":null}}]"#,
            "\n\n",
        )
    );
}

#[tokio::test]
async fn what_strangers_say_breaks_out_of_no_event() {
    let hostile: [&[u8]; 4] = [
        b"PR\n\nevent: status\ndata: {}\n\n",
        b"\r\n\r\n",
        b"PR</script>\0\xff\xfe",
        "PR\u{2028}\u{202e}".as_bytes(),
    ];
    let mut watch = Watch::new("bb.com", 10, clock);
    let mut messages = watch_at(&watch);
    messages.next().await;
    for message in hostile {
        pass(&mut watch, Direction::Received, message);
        messages.next = Some(Instant::now());
        let event = messages.next().await;
        let lines: Vec<_> = event.split('\n').collect();
        let ["event: ladder", data, "", ""] = lines[..] else { panic!("{event:?}") };
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        let arrow = data.as_array().unwrap().iter().find_map(|change| change.get("arrow")).unwrap();
        assert_eq!(arrow["message"], message_log::printable(message).to_string());
        assert!(
            event.chars().all(|character| character == '\n' || message_log::is_visible(character)),
            "{event:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_told_ten_times_a_second_and_what_is_missed_is_counted() {
    let mut watch = Watch::new("bb.com", 500, clock);
    let mut messages = watch_at(&watch);
    messages.next().await;
    let start = Instant::now();
    let (mut told, mut missed) = (0, 0);
    for _ in 0..10 {
        for _ in 0..1000 {
            pass(&mut watch, Direction::Received, b"PRlaura");
        }
        let event = messages.next().await;
        let data = data_of(&event);
        let changes = data.as_array().unwrap();
        told += changes.iter().filter(|change| change.get("arrow").is_some()).count();
        missed += changes.iter().filter_map(|change| change.get("missed")?.as_u64()).sum::<u64>();
    }
    assert_eq!(told, 10 * MAX_NEWS);
    // Nine rounds behind, and in the last one but for what is kept.
    assert_eq!(missed, 10_000 - 500 - 9 * MAX_NEWS as u64);
    assert!(start.elapsed() >= 9 * BATCH, "{:?}", start.elapsed());
}

/// Nothing is received, so that the clock can be the test's.
#[tokio::test(start_paused = true)]
async fn how_the_node_is_comes_each_second_and_users_when_they_are_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nodelumi.cfg");
    fs::write(&path, "bb.com\nlaura\n").unwrap();
    let (file, roster) = RosterFile::open(&path).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let node = Node::new(roster, "127.0.0.1:3344".parse().unwrap(), NodeSettings::default());
    let mut server = Server::new(socket, node, NodeDirectory::builder().build().unwrap());
    let administrator = server.administrator(file);
    let figures = Arc::new(Figures::new(administrator.handle().clone()));
    let task = task::spawn(server.run(future::pending()));

    let mut state = State { figures, every: time::interval(INTERVAL), is_status_told: false, users: None };
    let start = Instant::now();
    let first = state.next().await;
    assert!(first.starts_with("event: status\n"), "{first}");
    let status = data_of(&first);
    assert_eq!(
        (&status["domain"], &status["users"], &status["online"]),
        (&"bb.com".into(), &1.into(), &0.into())
    );
    assert_eq!((&status["received"]["PR"], &status["dropped"]["too-many"]), (&0.into(), &0.into()));
    let proofs =
        serde_json::json!({ "challenges": 0, "accepted": 0, "repeated": 0, "refused": 0, "enrolled": 0 });
    assert_eq!(status["proofs"], proofs);
    let users = state.next().await;
    assert!(users.starts_with("event: users\n"), "{users}");
    let users = data_of(&users);
    assert_eq!(users, serde_json::json!({ "users": 1, "online": 0, "shown": [{ "user": "laura" }] }));
    for seconds in [1, 2] {
        let news = state.next().await;
        assert!(news.starts_with("event: status\n"), "{news}");
        assert_eq!(start.elapsed(), seconds * INTERVAL);
    }

    task.abort();
    _ = task.await;
    assert_eq!(state.next().await, "event: trouble\ndata: \"the node has ended\"\n\n");
}

fn watch_at(watch: &Watch) -> Messages<()> {
    Messages { watcher: watch.subscribe(), next: None, _guard: () }
}

fn pass(watch: &mut Watch, direction: Direction, message: &[u8]) {
    watch.take(&Entry::new("bb.com", direction, "10.0.0.1:4000".parse().unwrap(), message));
    watch.write();
}

fn data_of(event: &str) -> Value {
    serde_json::from_str(event.lines().nth(1).unwrap().strip_prefix("data: ").unwrap()).unwrap()
}

fn clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1500)
}
