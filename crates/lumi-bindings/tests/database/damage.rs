//! A database that is damaged never ends a node, and never gives it a binding that nobody made.

use std::fs;

use lumi_bindings::{InspectError, Unusable};

use super::*;

#[tokio::test]
async fn a_row_with_a_wrong_sum_is_dropped_and_deleted() {
    let place = Place::new();
    place.store(bindings(10)).await;
    for (user, damage) in [
        (1, "agent = '10.0.0.66:40123'"),
        (2, "heard_at = '10.0.0.66:3344'"),
        (3, "stamp = stamp + 1"),
        (4, "since = since - 1"),
        (5, "key = x'0102030405060708'"),
        (6, "key = x'01'"),
        (7, "agent = 'nowhere'"),
        // Not in UTF-8, and in the same place of the order.
        (8, "user = CAST(x'7573657230303030303038ff' AS TEXT)"),
    ] {
        place.execute(&format!("UPDATE binding SET {damage} WHERE user = '{}'", name(user)));
    }
    let (file, found) = place.open();
    assert_eq!((found.dropped, found.moved_aside), (8, None));
    assert_eq!(found.rows, [binding(0, 1), binding(9, 1)]);
    assert_eq!(inspect(&place.path, &domain()).unwrap().unwrap().damaged, 8);
    Saving::start(file).end().await;
    let (_, found) = place.open();
    assert_eq!((found.dropped, found.rows.len()), (0, 2));
}

#[tokio::test]
async fn what_cannot_be_used_is_moved_aside_and_a_new_one_begun() {
    let twice =
        "CREATE TABLE other AS SELECT * FROM binding; INSERT INTO other SELECT * FROM binding LIMIT 1;
                 DROP TABLE binding; ALTER TABLE other RENAME TO binding";
    let cases: [(&str, Judge); 7] = [
        (twice, |reason| matches!(reason, Unusable::Broken { .. })),
        ("PRAGMA user_version = 2", |reason| matches!(reason, Unusable::Newer { version: 2 })),
        ("PRAGMA user_version = 0", |reason| matches!(reason, Unusable::Broken { .. })),
        ("PRAGMA application_id = 7", |reason| matches!(reason, Unusable::Broken { .. })),
        ("DROP TABLE binding", |reason| matches!(reason, Unusable::Broken { .. })),
        ("DELETE FROM node", |reason| matches!(reason, Unusable::Broken { .. })),
        ("UPDATE node SET heartbeat = heartbeat + 3600000", |reason| {
            matches!(reason, Unusable::Broken { .. })
        }),
    ];
    for (damage, is_expected) in cases {
        let place = Place::new();
        place.store(bindings(3)).await;
        place.execute(damage);
        let inspected = inspect(&place.path, &domain());
        assert!(
            matches!(&inspected, Err(InspectError::Unusable(reason)) if is_expected(reason)),
            "{inspected:?}"
        );
        assert_begun_anew(&place, is_expected, damage).await;
    }
    let place = Place::new();
    fs::write(&place.path, "this is no database, and longer than the header of one: ".repeat(10)).unwrap();
    assert_begun_anew(&place, |reason| matches!(reason, Unusable::Broken { .. }), "a text").await;
}

#[tokio::test]
async fn a_database_of_another_domain_is_kept_for_that() {
    let place = Place::new();
    place.store(bindings(3)).await;
    let cc = "cc.com".parse().unwrap();
    let (file, found) = BindingsFile::open(&place.path, &cc, options(now())).unwrap();
    assert_eq!(found.rows, []);
    let moved = found.moved_aside.unwrap();
    assert_eq!(moved.reason, Unusable::OtherDomain { domain: domain() });
    drop(file);
    assert_eq!(open(&moved.to).1.rows, bindings(3));
    let (_, found) = BindingsFile::open(&place.path, &"CC.COM.".parse().unwrap(), options(now())).unwrap();
    assert_eq!(found.moved_aside, None, "that is the same domain");
}

/// Returns whether the reason is the one that is expected.
type Judge = fn(&Unusable) -> bool;

async fn assert_begun_anew(place: &Place, is_expected: Judge, damage: &str) {
    let (file, found) = place.open();
    let moved = found.moved_aside.as_ref().unwrap_or_else(|| panic!("{damage} is noticed"));
    assert!(is_expected(&moved.reason), "{damage}: {}", moved.reason);
    assert_eq!(moved.to, place.path.with_extension("bindings.broken-1"));
    assert!(moved.to.is_file());
    assert_eq!(found.rows, [], "{damage}");
    assert_works(place, file).await;
}

/// Saves in the database that was opened, and finds that.
async fn assert_works(place: &Place, file: BindingsFile) {
    let mut node = Saving::start(file);
    node.save([BindingChange::Bound(binding(3, 3))]);
    node.committed().await;
    node.end().await;
    let (_, found) = place.open();
    assert_eq!(by_user(&found).get(&name(3)), Some(&binding(3, 3)));
}

/// Nothing is found in a file that is cut anywhere which was not there before.
#[tokio::test]
async fn a_truncated_database_gives_no_wrong_binding() {
    let whole = Whole::new().await;
    let length = whole.database.len();
    let cuts = (0..length).step_by(509).chain([1, 99, 100, 4_095, 4_096, 4_097, length - 1]);
    for cut in cuts {
        whole.assert_harmless(&whole.database[..cut], None, &format!("cut at {cut}")).await;
    }
}

/// Nothing is found in a file with a sector of zeros anywhere which was not there before.
#[tokio::test]
async fn a_zeroed_sector_gives_no_wrong_binding() {
    let whole = Whole::new().await;
    for at in (0..whole.database.len()).step_by(SECTOR) {
        let mut damaged = whole.database.clone();
        damaged[at..at + SECTOR].fill(0);
        whole.assert_harmless(&damaged, None, &format!("zeros at {at}")).await;
    }
}

#[tokio::test]
async fn a_changed_byte_gives_no_wrong_binding() {
    let whole = Whole::new().await;
    for at in (0..whole.database.len()).step_by(61) {
        let mut damaged = whole.database.clone();
        damaged[at] ^= 1 << (at % 8);
        whole.assert_harmless(&damaged, None, &format!("a bit at {at}")).await;
    }
}

/// A log that is cut or damaged loses its end, and gives nothing that nobody saved.
#[tokio::test]
async fn a_damaged_log_gives_no_wrong_binding() {
    let whole = Whole::new().await;
    assert!(whole.log.len() > 20 * 4_096, "much of it is in the log");
    for at in (0..whole.log.len()).step_by(8 * SECTOR + 1) {
        whole.assert_harmless(&whole.with_log, Some(&whole.log[..at]), &format!("log cut at {at}")).await;
        let mut damaged = whole.log.clone();
        let end = damaged.len().min(at + SECTOR);
        damaged[at..end].fill(0);
        whole.assert_harmless(&whole.with_log, Some(&damaged), &format!("zeros in the log at {at}")).await;
    }
}

/// The bytes of a database with [`USERS`], each of whom moved once.
struct Whole {
    /// Those of the closed database.
    database: Vec<u8>,
    /// Those of the open one, and of its log.
    with_log: Vec<u8>,
    log: Vec<u8>,
}

impl Whole {
    async fn new() -> Self {
        let place = Place::new();
        place.store(bindings(USERS)).await;
        let mut node = Saving::start(place.open().0);
        for user in 0..USERS {
            node.save([BindingChange::Moved(binding(user, 2))]);
            node.committed().await;
        }
        let read = |part| fs::read(format!("{}{part}", place.path.display())).expect("it is there");
        let (with_log, log) = (read(""), read("-wal"));
        node.end().await;
        Self { database: read(""), with_log, log }
    }

    /// Starts a node with these bytes, which may find less, but nothing that was not there.
    async fn assert_harmless(&self, database: &[u8], log: Option<&[u8]>, damage: &str) {
        let place = Place::new();
        fs::write(&place.path, database).expect("it is written");
        if let Some(log) = log {
            fs::write(format!("{}-wal", place.path.display()), log).expect("it is written");
        }
        _ = inspect(&place.path, &domain());
        let (file, found) = place.open();
        assert_eq!(found.not_writable, None, "{damage}");
        for (user, row) in by_user(&found) {
            let is_one = |stamp| {
                let expected = StoredBinding { user, ..binding(0, stamp) };
                row == expected || row == expected.logged_out()
            };
            assert!(is_one(2) || is_one(1) && log.is_some(), "{damage}: {row:?}");
        }
        assert_works(&place, file).await;
    }
}

const USERS: u64 = 200;

const SECTOR: usize = 512;
