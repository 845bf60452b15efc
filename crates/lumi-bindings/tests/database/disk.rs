//! A disk that does not take anything costs the promise, and nothing else.

use std::fs;
use std::io::Write;
use std::process::Command;

use super::*;

#[tokio::test]
async fn what_a_full_disk_does_not_take_is_saved_when_it_has_room() {
    let Some(disk) = SmallDisk::of("what_a_full_disk_does_not_take_is_saved_when_it_has_room") else {
        return;
    };
    let place = disk.place();
    let mut node = Saving::start(place.open().0);
    node.save(bindings(50).into_iter().map(BindingChange::Bound));
    node.committed().await;
    disk.fill();
    // Enough for pages that are not in the log yet.
    node.save((0..3_000).map(|user| BindingChange::Bound(binding(user, 2))));
    assert!(node.failed().await.contains("full"));
    node.save([BindingChange::Removed { user: name(7) }]);
    node.failed().await;
    disk.make_room();
    let saved = node.committed().await;
    assert!(!saved.anew);
    node.end().await;
    let (_, found) = place.open();
    let expected: Vec<_> = (0..3_000).filter(|&user| user != 7).map(|user| binding(user, 2)).collect();
    assert_eq!(found.rows, expected);
}

#[tokio::test]
async fn a_node_starts_on_a_full_disk_with_what_is_there() {
    let Some(disk) = SmallDisk::of("a_node_starts_on_a_full_disk_with_what_is_there") else { return };
    let place = disk.place();
    place.store(bindings(50)).await;
    disk.fill();
    let (file, found) = place.open();
    assert_eq!(found.rows, bindings(50));
    let mut node = Saving::start(file);
    node.save([BindingChange::Bound(binding(60, 1))]);
    node.failed().await;
    disk.make_room();
    node.committed().await;
    node.end().await;
    assert_eq!(place.open().1.rows.len(), 51);
}

#[tokio::test]
async fn a_node_starts_in_a_folder_that_is_not_writable() {
    let Some(folder) = SmallDisk::of("a_node_starts_in_a_folder_that_is_not_writable") else { return };
    let place = folder.place();
    place.store(bindings(50)).await;
    folder.set_writable(false);
    let (file, found) = place.open();
    assert!(found.not_writable.is_some());
    assert_eq!(found.rows, bindings(50), "it is read all the same");
    let mut node = Saving::start(file);
    node.save([BindingChange::Bound(binding(60, 1))]);
    node.failed().await;
    folder.set_writable(true);
    node.committed().await;
    node.end().await;
    assert_eq!(place.open().1.rows.len(), 51);

    // The first database of a node, too.
    let place =
        Place { path: place.path.with_file_name("new.bindings"), _folder: tempfile::tempdir().unwrap() };
    folder.set_writable(false);
    let (file, found) = place.open();
    assert!(found.not_writable.is_some() && found.rows.is_empty());
    let mut node = Saving::start(file);
    node.save([BindingChange::Bound(binding(1, 1))]);
    node.failed().await;
    folder.set_writable(true);
    node.committed().await;
    node.end().await;
    assert_eq!(place.open().1.rows, [binding(1, 1)]);
}

/// Somebody at work with `sqlite3` delays a commit, and loses none.
#[tokio::test]
async fn a_commit_waits_for_another_process_that_writes() {
    let place = Place::new();
    let mut node = Saving::start(place.open().0);
    node.save([BindingChange::Bound(binding(1, 1))]);
    node.committed().await;
    let other = rusqlite::Connection::open(&place.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    node.save([BindingChange::Bound(binding(2, 1))]);
    assert!(node.failed().await.contains("locked"));
    // A node may give a change a second time.
    node.save([BindingChange::Bound(binding(2, 2))]);
    other.execute_batch("ROLLBACK").unwrap();
    node.committed().await;
    node.end().await;
    assert_eq!(place.open().1.rows, [binding(1, 1), binding(2, 2)]);
}

#[tokio::test]
async fn a_database_that_is_lost_while_the_node_runs_is_begun_anew() {
    let remove = |place: &Place| {
        for part in ["", "-wal", "-shm"] {
            fs::remove_file(format!("{}{part}", place.path.display())).unwrap();
        }
    };
    let damage = |place: &Place| place.execute("DROP TABLE binding");
    for (is_moved, lose) in [(false, remove as fn(&Place)), (true, damage)] {
        let place = Place::new();
        let options = OpenOptions { restore_within: Duration::from_secs(4), ..options(now()) };
        let mut node = Saving::start(BindingsFile::open(&place.path, &domain(), options).unwrap().0);
        node.save(bindings(3).into_iter().map(BindingChange::Bound));
        assert!(!node.committed().await.anew);
        lose(&place);
        if is_moved {
            node.save([BindingChange::Moved(binding(1, 2))]);
        }
        node.wait_for(|saved| saved.anew).await;
        node.save([BindingChange::Bound(binding(5, 5))]);
        node.committed().await;
        node.end().await;
        let (_, found) = place.open();
        assert_eq!(by_user(&found).get(&name(5)), Some(&binding(5, 5)));
        let aside = place.path.with_extension("bindings.broken-1");
        assert_eq!(aside.exists(), is_moved);
    }
}

/// A file system of 1 MiB in memory, which nobody but this process sees and which ends with it.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Returns one to the process that runs `test` on it. Any other process starts that one, waits for it and
    /// gets `None`, as it does where nothing can be mounted.
    fn of(test: &str) -> Option<Self> {
        if let Some(folder) = std::env::var_os(DISK) {
            return Some(Self { folder: folder.into() });
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = |command: &str| {
            let mut unshare = Command::new("unshare");
            unshare.args(["--map-root-user", "--mount", "sh", "-c", &format!("{MOUNT} && {command}")]);
            unshare.arg(folder.path()).env(DISK, folder.path());
            unshare
        };
        let possible = mounted("true").output();
        if !possible.as_ref().is_ok_and(|output| output.status.success()) {
            _ = writeln!(
                std::io::stdout(),
                "SKIPPED {test}: no tmpfs of 1 MiB can be mounted here: {possible:?}"
            );
            return None;
        }
        let mut itself = mounted("exec \"$@\"");
        itself.arg(std::env::current_exe().expect("a test is a file")).args([
            "--exact",
            &format!("disk::{test}"),
            "--nocapture",
        ]);
        let output = itself.output().expect("unshare starts");
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        None
    }

    fn place(&self) -> Place {
        Place { path: self.folder.join("bb.bindings"), _folder: tempfile::tempdir().expect("a folder") }
    }

    fn fill(&self) {
        let error = fs::write(self.filler(), vec![0; 2 << 20]).expect_err("it is full");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    fn make_room(&self) {
        fs::remove_file(self.filler()).expect("it is there");
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }

    /// Root may write to any folder, but not to a file system that is read-only.
    fn set_writable(&self, is_writable: bool) {
        let option = if is_writable { "remount,rw" } else { "remount,ro" };
        assert!(
            Command::new("mount")
                .args(["-o", option])
                .arg(&self.folder)
                .status()
                .expect("mount starts")
                .success()
        );
    }
}

const DISK: &str = "LUMI_BINDINGS_DISK";

/// The mount is in a namespace of its own, where everybody who may make one may mount.
const MOUNT: &str = "mount -t tmpfs -o size=1m none \"$0\"";
