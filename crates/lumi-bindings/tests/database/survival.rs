//! Commits that were reported survive the process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use lumi_bindings::OpenError;

use super::*;

/// A process is killed in the midst of its commits again and again. `KILLS` says how often.
#[test]
fn nothing_that_was_reported_is_missing_after_a_kill() {
    if let Ok(path) = std::env::var(CHILD_PATH) {
        return child(Path::new(&path));
    }
    let kills = std::env::var("KILLS").map_or(40, |kills| kills.parse().unwrap());
    let place = Place::new();
    let mut reported = 0;
    for kill in 0..kills {
        let mut child = start_child(&place.path, reported);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // A different number each time, so that the kill comes at another moment of a commit.
        for _ in 0..1 + kill * 37 % 101 {
            reported = lines.next().expect("it goes on until it is killed").unwrap().parse().unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // It reported these before it was killed.
        reported = lines.map_while(Result::ok).filter_map(|line| line.parse().ok()).fold(reported, u64::max);
        assert_has_all(&place, reported, kill);
    }
}

/// Checks that each user has the last binding that was reported, or a later one.
fn assert_has_all(place: &Place, reported: u64, kill: u64) {
    let (_, found) = place.open();
    assert_eq!((found.dropped, &found.moved_aside, found.too_old), (0, &None, 0), "kill {kill}");
    let rows = by_user(&found);
    for stamp in reported.saturating_sub(CHILD_USERS - 1).max(1)..=reported {
        let user = stamp % CHILD_USERS;
        let row = rows.get(&name(user)).unwrap_or_else(|| panic!("user {user} is missing after kill {kill}"));
        assert!(row.stamp.0 >= stamp, "{row:?} is older than {stamp}, which was reported, after kill {kill}");
        assert_eq!(*row, binding(user, row.stamp.0), "kill {kill}");
    }
}

/// The lock belongs to a process, and nobody has to remove it.
#[test]
fn another_process_has_the_database_until_it_is_killed() {
    let place = Place::new();
    let mut child = start_child(&place.path, 0);
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let opened = BindingsFile::open(&place.path, &domain(), options(now()));
    assert!(matches!(opened, Err(OpenError::Locked { .. })), "{:?}", opened.err());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!place.open().1.rows.is_empty());
}

fn start_child(path: &Path, reported: u64) -> Child {
    let child = Command::new(std::env::current_exe().expect("a test is a file"))
        .args([
            "--exact",
            "survival::nothing_that_was_reported_is_missing_after_a_kill",
            "--nocapture",
            "--quiet",
        ])
        .env(CHILD_PATH, path)
        .env(CHILD_REPORTED, reported.to_string())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.expect("it starts");
    // The words of the test's own.
    let mut stdout = BufReader::with_capacity(1, child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    while line.trim() != "child" {
        line.clear();
        assert_ne!(stdout.read_line(&mut line).expect("it writes"), 0, "it begins");
    }
    child.stdout = Some(stdout.into_inner());
    child
}

/// Saves bindings one after another, a few at a time, and writes the stamp of the last that was reported,
/// until it is killed.
fn child(path: &Path) {
    let mut stdout = std::io::stdout();
    stdout.write_all(b"\nchild\n").expect("somebody reads");
    let mut node = Saving::start(open(path).0);
    // The numbers go on from those of the process before: a stamp that was not reported comes again.
    node.last = std::env::var(CHILD_REPORTED).expect("it is set").parse().expect("a number");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    for turn in 0.. {
        let first = node.last + 1;
        let stamps = first..first + 1 + turn % 7;
        node.save(stamps.map(|stamp| BindingChange::Moved(binding(stamp % CHILD_USERS, stamp))));
        // Some turns do not wait, so that what they save is committed with more.
        if turn % 3 > 0 {
            runtime.block_on(node.committed());
            writeln!(stdout, "{}", node.last).expect("somebody reads");
            stdout.flush().expect("somebody reads");
        }
    }
}

const CHILD_PATH: &str = "LUMI_BINDINGS_CHILD";

const CHILD_REPORTED: &str = "LUMI_BINDINGS_REPORTED";

/// The number of users of a child: pages are written again and again.
const CHILD_USERS: u64 = 500;
