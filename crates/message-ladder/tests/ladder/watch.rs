//! The messages of a running node, for live viewers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use message_ladder::{Change, MAX_NEWS, News, Watch};
use message_log::{Direction, Entry, Sink};
use tokio::time::timeout;

use crate::{received, sent};

fn clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(7)
}

fn pass(watch: &mut Watch, count: u64) {
    for number in 0..count {
        watch.take(&received(1, format!("PRu{number}@bb.com").as_bytes()));
        watch.write();
    }
}

fn numbers(news: &News) -> Vec<u64> {
    news.entries.iter().map(|kept| kept.number).collect()
}

#[test]
fn each_message_is_seen_once_whenever_one_begins_to_watch() {
    let mut watch = Watch::new("bb.com", 10, clock);
    let mut first = watch.entries();
    assert_eq!(first.news(), None);
    pass(&mut watch, 4);
    let mut second = watch.clone().entries();
    assert_eq!(numbers(&first.news().unwrap()), [1, 2, 3, 4]);
    pass(&mut watch, 2);
    assert_eq!(numbers(&first.news().unwrap()), [5, 6]);
    assert_eq!(numbers(&second.news().unwrap()), [1, 2, 3, 4, 5, 6]);
    assert_eq!((first.news(), second.news()), (None, None));
    let kept = watch.entries().news().unwrap().entries.pop().unwrap();
    assert_eq!((kept.at, kept.entry.message()), (clock(), &b"PRu1@bb.com"[..]));
}

/// A process may have several nodes and agents, and one log for all of them.
#[test]
fn what_others_of_the_process_send_is_left_out() {
    let mut watch = Watch::new("bb.com", 10, clock);
    let remote = "10.0.0.1:4000".parse().unwrap();
    for party in ["cc.com", "laura@bb.com", "BB.com"] {
        watch.take(&Entry::new(party, Direction::Sent, remote, b"RR0"));
        watch.write();
    }
    pass(&mut watch, 1);
    let news = watch.entries().news().unwrap();
    assert_eq!((numbers(&news), news.entries[0].entry.party()), (vec![1], "bb.com"));
}

#[test]
fn one_who_is_slow_is_told_how_many_were_missed() {
    let mut watch = Watch::new("bb.com", 10, clock);
    let mut slow = watch.subscribe();
    pass(&mut watch, 25);
    let changes = slow.changes();
    assert_eq!(changes[0], Change::Missed(15));
    assert_eq!(
        slow.ladder().arrows().map(|arrow| arrow.number).collect::<Vec<_>>(),
        (16..=25).collect::<Vec<_>>()
    );
    assert_eq!(slow.changes(), []);
    // A viewer that begins now has missed nothing.
    let mut late = watch.entries();
    let news = late.news().unwrap();
    assert_eq!((news.missed, numbers(&news)), (0, (16..=25).collect()));
}

#[test]
fn only_so_many_are_handed_out_together() {
    let mut watch = Watch::new("bb.com", 3 * MAX_NEWS, clock);
    pass(&mut watch, 2 * MAX_NEWS as u64 + 1);
    let mut entries = watch.entries();
    let lengths = std::iter::from_fn(|| entries.news()).map(|news| news.entries.len());
    assert_eq!(lengths.collect::<Vec<_>>(), [MAX_NEWS, MAX_NEWS, 1]);
}

#[tokio::test]
async fn who_waits_is_woken() {
    let mut watch = Watch::new("bb.com", 10, clock);
    let mut waiting: Vec<_> = (0..3).map(|_| watch.subscribe()).collect();
    let tasks: Vec<_> = waiting
        .drain(..)
        .map(|mut watcher| {
            tokio::spawn(async move {
                let mut seen = 0;
                while seen < 100 {
                    let changes = watcher.next().await;
                    seen += changes
                        .iter()
                        .map(|change| match change {
                            Change::Arrow(_) => 1,
                            Change::Missed(count) => *count,
                            _ => 0,
                        })
                        .sum::<u64>();
                }
                seen
            })
        })
        .collect();
    let passing = std::thread::spawn(move || pass(&mut watch, 100));
    for task in tasks {
        assert_eq!(timeout(DEADLINE, task).await.unwrap().unwrap(), 100);
    }
    passing.join().unwrap();
}

#[test]
fn the_ladder_says_what_a_watcher_cannot_know() {
    let mut watch = Watch::new("bb.com", 1, clock);
    watch.take(&received(1, b"PRlaura@bb.com"));
    watch.take(&sent(1, b"RR0"));
    let mut watcher = watch.subscribe();
    let changes = watcher.changes();
    let Some(Change::Arrow(arrow)) = changes.last() else { panic!("{changes:?}") };
    // Its request came before.
    assert_eq!((arrow.number, &arrow.note), (2, &None));
}

/// A deadline that even a busy machine meets many times over.
const DEADLINE: Duration = Duration::from_secs(60);
