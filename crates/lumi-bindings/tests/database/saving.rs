//! Bindings that are saved and found again: who may read them, and for how long they count.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use lumi_bindings::{Away, BindingChange, NO_AGENT, OpenError, Stamp, StoredBinding, SyncMode, UnixMillis};

use super::*;

#[tokio::test]
async fn what_was_saved_last_of_each_user_is_found() {
    let place = Place::new();
    let (file, found) = place.open();
    assert_eq!((found.rows.len(), found.away), (0, Away::Unknown), "it is new");
    let mut node = Saving::start(file);
    node.save(bindings(4).into_iter().map(BindingChange::Bound));
    node.save([
        BindingChange::Moved(binding(1, 2)),
        BindingChange::Removed { user: name(2) },
        BindingChange::Unbound {
            user: name(3),
            heard_at: "10.0.0.9:3344".parse().unwrap(),
            stamp: Stamp(u64::MAX),
            since: UnixMillis(7),
        },
        BindingChange::Removed { user: name(99) },
    ]);
    node.committed().await;
    node.end().await;

    let (_, found) = place.open();
    let logout = StoredBinding {
        user: name(3),
        agent: NO_AGENT,
        heard_at: "10.0.0.9:3344".parse().unwrap(),
        stamp: Stamp(u64::MAX),
        since: UnixMillis(7),
        key: None,
    };
    assert_eq!(found.rows, [binding(0, 1), binding(1, 2), logout]);
    assert!(matches!(found.away, Away::Known(away) if away < DEADLINE), "{:?}", found.away);
    assert_eq!((found.dropped, found.too_old, found.moved_aside), (0, 0, None));
}

/// Otherwise an answer would leave before its change is stored.
#[tokio::test]
async fn nothing_is_reported_before_others_can_read_it() {
    let place = Place::new();
    let mut node = Saving::start(place.open().0);
    for stamp in 1..100 {
        node.save([BindingChange::Moved(binding(1, stamp))]);
        node.committed().await;
        let other = rusqlite::Connection::open(&place.path).unwrap();
        let stored: i64 = other.query_row("SELECT stamp FROM binding", [], |row| row.get(0)).unwrap();
        assert_eq!(stored, i64::try_from(stamp).unwrap());
    }
}

#[tokio::test]
async fn the_time_away_decides_whether_bindings_are_of_use() {
    let beyond = RESTORE_WITHIN + Duration::from_millis(1);
    for (away, is_of_use) in [(Duration::ZERO, true), (RESTORE_WITHIN, true), (beyond, false)] {
        let place = Place::new();
        place.store(bindings(3)).await;
        let now = place.heartbeat() + away;
        let (file, found) = BindingsFile::open(&place.path, &domain(), options(now)).unwrap();
        assert_eq!(found.away, Away::Known(away));
        assert_eq!(found.too_old, if is_of_use { 0 } else { 3 });
        assert_logged_out(&found, !is_of_use);
        // The next node finds a heartbeat of a moment ago.
        Saving::start(file).end().await;
        let (_, found) = place.open();
        assert_eq!(found.too_old, 0);
        assert_logged_out(&found, !is_of_use);
    }
}

/// Its clock may have been wrong then, or is now. Nobody knows how long it was away.
#[tokio::test]
async fn with_a_clock_earlier_than_the_heartbeat_bindings_are_of_no_use() {
    let place = Place::new();
    place.store(bindings(3)).await;
    let now = place.heartbeat() - Duration::from_millis(1);
    let (file, found) = BindingsFile::open(&place.path, &domain(), options(now)).unwrap();
    assert_eq!((found.away, found.too_old), (Away::Unknown, 3));
    assert_logged_out(&found, true);
    drop(file);
    assert_logged_out(&place.open().1, false);
}

/// A node that cannot have its port, say, must not make bindings younger.
#[tokio::test]
async fn a_node_that_does_not_start_leaves_the_heartbeat() {
    let place = Place::new();
    place.store(bindings(1)).await;
    let heartbeat = place.heartbeat();
    drop(place.open());
    assert_eq!(place.heartbeat(), heartbeat);
}

/// Beside a heartbeat of long ago they would be of no use after a kill.
#[tokio::test]
async fn the_first_changes_come_with_a_heartbeat() {
    let place = Place::new();
    place.store(bindings(1)).await;
    let old = UnixMillis::of(place.heartbeat()).0;
    let fence = format!(
        "CREATE TRIGGER fence AFTER INSERT ON binding WHEN (SELECT heartbeat FROM node) <= {old}
         BEGIN SELECT RAISE(ABORT, 'an old heartbeat'); END"
    );
    let other = rusqlite::Connection::open(&place.path).unwrap();
    other.execute_batch(&format!("{fence}; BEGIN IMMEDIATE")).unwrap();
    let mut node = Saving::start(place.open().0);
    node.failed().await;
    node.save([BindingChange::Bound(binding(5, 2))]);
    other.execute_batch("ROLLBACK").unwrap();
    node.committed().await;
}

/// When each of them comes is a matter of the schedule, which has tests of its own.
#[test]
fn heartbeats_come_by_themselves() {
    for changes in [1, 0] {
        let place = Place::new();
        let options = OpenOptions { restore_within: Duration::from_secs(4), ..options(now()) };
        let mut node = Saving::start(BindingsFile::open(&place.path, &domain(), options).unwrap().0);
        node.save(bindings(changes).into_iter().map(BindingChange::Bound));
        let heartbeat = || match inspect(&place.path, &domain()) {
            Ok(Some(Inspected { heartbeat, .. })) => heartbeat,
            _ => None,
        };
        eventually("the first heartbeat is there", || heartbeat().is_some());
        let first = heartbeat();
        eventually("the next heartbeat is there", || heartbeat() > first);
    }
}

#[tokio::test]
async fn each_commit_can_wait_for_the_disk() {
    let place = Place::new();
    let options = OpenOptions { sync: SyncMode::Full, ..options(now()) };
    let mut node = Saving::start(BindingsFile::open(&place.path, &domain(), options).unwrap().0);
    node.save(bindings(10).into_iter().map(BindingChange::Bound));
    node.committed().await;
    node.end().await;
    assert_eq!(place.open().1.rows, bindings(10));
}

#[tokio::test]
async fn only_one_has_a_database_and_only_its_owner_reads_it() {
    let place = Place::new();
    let (file, _) = place.open();
    let refused = || BindingsFile::open(&place.path, &domain(), options(now()));
    assert!(matches!(refused(), Err(OpenError::Locked { .. })), "opened");
    let mut node = Saving::start(file);
    node.save([BindingChange::Bound(binding(1, 1))]);
    node.committed().await;
    assert!(matches!(refused(), Err(OpenError::Locked { .. })), "started");
    for part in ["", "-wal", "-shm", ".lock"] {
        let mode = fs::metadata(format!("{}{part}", place.path.display())).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{part}");
    }
    let inspected = inspect(&place.path, &domain()).unwrap().unwrap();
    assert_eq!((inspected.bindings, inspected.logouts, inspected.damaged), (1, 0, 0), "it can be read");
    node.end().await;
    assert_eq!(place.open().1.rows, [binding(1, 1)]);
}

#[tokio::test]
async fn inspecting_changes_nothing() {
    let place = Place::new();
    assert_eq!(inspect(&place.path, &domain()), Ok(None));
    place.store(bindings(3)).await;
    let files = || {
        let mut names: Vec<_> =
            fs::read_dir(place.path.parent().unwrap()).unwrap().map(|f| f.unwrap().path()).collect();
        names.sort();
        names.into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect::<Vec<_>>()
    };
    let before = files();
    assert_eq!(inspect(&place.path, &domain()).unwrap().unwrap().bindings, 3);
    assert!(files() == before);
    assert!(inspect(&place.path, &"cc.com".parse().unwrap()).is_err());
    assert!(files() == before);
}

#[tokio::test]
async fn a_path_that_can_never_be_a_database_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("none/bb.bindings")] {
        let opened = BindingsFile::open(&path, &domain(), options(now()));
        assert!(matches!(opened, Err(OpenError::Io { .. })), "{}", path.display());
    }
}

#[tokio::test]
async fn names_that_mean_something_in_uris_are_names() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["50%25.bindings", "what?mode=memory", "#1 : bb.bindings", "ñ.bindings"] {
        let path = folder.path().join(name);
        let mut node = Saving::start(open(&path).0);
        node.save([BindingChange::Bound(binding(1, 1))]);
        node.committed().await;
        node.end().await;
        assert!(path.is_file(), "{name}");
        assert_eq!(inspect(&path, &domain()).unwrap().unwrap().bindings, 1, "{name}");
    }
}

#[tokio::test]
async fn a_million_bindings_are_found() {
    let place = Place::new();
    let count = 1_000_000;
    place.store(bindings(count)).await;
    let (_, found) = place.open();
    assert_eq!(u64::try_from(found.rows.len()).unwrap(), count);
    assert_eq!(found.rows.last(), Some(&binding(count - 1, 1)));
}

fn assert_logged_out(found: &Found, are_logged_out: bool) {
    let expected: Vec<_> =
        bindings(3).into_iter().map(|row| if are_logged_out { row.logged_out() } else { row }).collect();
    assert_eq!(found.rows, expected[..found.rows.len()]);
    assert_eq!(found.rows.len(), 3);
}
