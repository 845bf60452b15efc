//! `nodelumi.cfg` beside other files, owners and programs.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lumi_node_core::{RosterChange, RosterFile, RosterFileError};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{geteuid, getgroups};
use tempfile::TempDir;

#[test]
fn what_is_not_a_file_that_can_be_read_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
    symlink(at("fifo"), at("link to a FIFO")).expect("a link");
    symlink(at("circle"), at("circle")).expect("a link");
    let _listener = UnixListener::bind(at("socket")).expect("a socket");
    fs::write(at("file"), "bb.com\n").expect("a file");
    for (path, reason) in [
        (at("fifo"), "it is not a regular file"),
        (at("link to a FIFO"), "it is not a regular file"),
        ("/dev/null".into(), "it is not a regular file"),
        // This file is endless.
        ("/dev/zero".into(), "it is not a regular file"),
        (folder.path().to_owned(), "is a directory"),
        (at("none"), "No such file or directory (os error 2)"),
        (at("file/nodelumi.cfg"), "Not a directory (os error 20)"),
        (at("circle"), "Too many levels of symbolic links (os error 40)"),
        (at("socket"), "No such device or address (os error 6)"),
        // This file is regular, but its beginning cannot be read.
        #[cfg(target_os = "linux")]
        ("/proc/self/mem".into(), "Input/output error (os error 5)"),
    ] {
        // Opening a FIFO waits for a writer, and there is never one.
        let (sender, opened) = mpsc::channel();
        thread::spawn({
            let path = path.clone();
            move || _ = sender.send(RosterFile::open(path))
        });
        let opened = opened.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("{} hangs", path.display()));
        let error = opened.expect_err("no roster");
        assert!(matches!(error, RosterFileError::Read { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("cannot read the roster {}", path.display()));
        assert_eq!(
            std::error::Error::source(&error).expect("a reason").to_string(),
            reason,
            "{}",
            path.display()
        );
    }
}

/// Another file has replaced the roster since it was read.
#[test]
fn what_became_of_the_roster_is_looked_at_before_each_change() {
    let config = Config::new("bb.com\nlaura\n");
    let (mut file, _) = RosterFile::open(&config.path).expect("a roster");
    fs::remove_file(&config.path).expect("it is ours");
    mknodat(CWD, &config.path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
    let error = file.apply(&add("joan")).expect_err("it is no file any more");
    assert!(matches!(error, RosterFileError::Read { .. }), "{error:?}");
    assert!(fs::symlink_metadata(&config.path).expect("it is there").file_type().is_fifo());
    file.reopen().expect_err("nor can it be reloaded");
}

#[test]
fn a_million_users_are_a_roster() {
    let text: String = (0..1_000_000).map(|number| format!("user{number}\n")).collect();
    let config = Config::new(&format!("bb.com\n{text}"));
    let (_, roster) = RosterFile::open(&config.path).expect("a roster");
    assert_eq!(roster.len(), 1_000_000);
}

/// The file may be left over from a killed process.
///
/// It may also be put there to make the node overwrite something else.
#[test]
fn what_is_left_beside_the_roster_is_removed_and_never_followed() {
    let config = Config::new("bb.com\n");
    let victim = config.folder.path().join("victim");
    fs::write(&victim, "untouched").expect("a file");
    let (mut file, _) = RosterFile::open(&config.path).expect("a roster");
    let put: [fn(&Path, &Path); 5] = [
        |place, _| fs::write(place, "half a roster").expect("a file"),
        |place, victim| symlink(victim, place).expect("a link"),
        |place, victim| symlink(victim.with_file_name("nowhere"), place).expect("a link"),
        |place, victim| fs::hard_link(victim, place).expect("a link"),
        |place, _| mknodat(CWD, place, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO"),
    ];
    for (number, put) in put.iter().enumerate() {
        put(&config.successor(), &victim);
        file.apply(&add(&format!("user{number}"))).expect("it can be written");
        assert_eq!(fs::read_to_string(&victim).expect("it is there"), "untouched");
        assert!(fs::symlink_metadata(&config.path).expect("it is there").is_file());
        config.assert_only(&["nodelumi.cfg", "victim"]);
    }
    assert_eq!(config.text(), "bb.com\nuser0\nuser1\nuser2\nuser3\nuser4\n");

    fs::create_dir(config.successor()).expect("a folder");
    let error = file.apply(&add("joan")).expect_err("a folder is in the way");
    assert!(matches!(error, RosterFileError::Write { .. }), "{error:?}");
    assert_eq!(config.text(), "bb.com\nuser0\nuser1\nuser2\nuser3\nuser4\n");
    fs::remove_dir(config.successor()).expect("it is ours");
    file.apply(&add("joan")).expect("what failed can be tried again");
}

#[test]
fn the_file_keeps_its_group_and_owner_as_far_as_can_be() {
    let config = Config::new("bb.com\n");
    let own = fs::metadata(&config.path).expect("it is there");
    let (owner, group) = match getgroups().expect("groups").iter().find(|group| group.as_raw() != own.gid()) {
        _ if geteuid().is_root() => (12_345, 54_321),
        Some(group) => (own.uid(), group.as_raw()),
        None => {
            eprintln!("skipped: this process may give files to nobody");
            return;
        }
    };
    chown(&config.path, Some(owner), Some(group)).expect("it may");
    fs::set_permissions(&config.path, fs::Permissions::from_mode(0o640)).expect("it may");
    let (mut file, _) = RosterFile::open(&config.path).expect("a roster");
    file.apply(&add("joan")).expect("it can be written");
    let kept = fs::metadata(&config.path).expect("it is there");
    assert_ne!(kept.ino(), own.ino(), "another file");
    assert_eq!((kept.uid(), kept.gid(), kept.mode() & 0o7777), (owner, group, 0o640));
}

/// An editor replaces the file again and again, and checks each time that its text counts.
///
/// The file then has the editor's text, or the node's version of it, but never the node's version of an older
/// text.
#[test]
fn no_edit_is_lost_to_a_change() {
    let config = Config::new("bb.com\nedit0\n");
    let (change_ended, changes) = mpsc::channel();
    thread::scope(|scope| {
        let editor = scope.spawn(|| {
            // This moves the receiver into the thread, so it is dropped when the thread ends.
            let changes = changes;
            let wait_for_change = || changes.recv_timeout(DEADLINE).expect("changes go on");
            for edit in 1..=EDITS {
                let line = format!("edit{edit}");
                let draft = config.folder.path().join("draft");
                fs::write(&draft, format!("bb.com\n{line}\n")).expect("a file");
                fs::rename(draft, &config.path).expect("it takes the roster's place");
                // Once the change under way has ended, the edit is in place or lost.
                changes.try_iter().for_each(drop);
                wait_for_change();
                let text = config.text();
                assert!(text.lines().any(|found| found == line), "{line} is lost to {text:?}");
                // The next edit comes at another moment of a change.
                (0..edit * 7_919 % 1_000).for_each(|_| thread::yield_now());
            }
        });
        let (mut made, mut refused) = (0, 0);
        while !editor.is_finished() {
            let (mut file, _) = RosterFile::open(&config.path).expect("a roster, whole, at any time");
            match file.apply(&add(&format!("joan{made}"))) {
                Ok(()) => made += 1,
                Err(RosterFileError::Changed { .. }) => refused += 1,
                Err(error) => panic!("{error}: {error:?}"),
            }
            // The editor may have finished.
            _ = change_ended.send(());
        }
        drop(change_ended);
        assert!(made > 0, "none was made, {refused} were refused");
    });
    config.assert_only(&["nodelumi.cfg"]);
}

/// A `nodelumi.cfg` in a folder of its own.
struct Config {
    folder: TempDir,
    path: PathBuf,
}

impl Config {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("nodelumi.cfg");
        fs::write(&path, text).expect("a new folder can be written to");
        Self { folder, path }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).expect("it is there")
    }

    /// The path at which the next version is written.
    fn successor(&self) -> PathBuf {
        self.path.with_file_name(".nodelumi.cfg.new")
    }

    fn assert_only(&self, expected: &[&str]) {
        let entries = fs::read_dir(self.folder.path()).expect("a folder");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort_unstable();
        assert_eq!(names, expected);
    }
}

fn add(user: &str) -> RosterChange {
    RosterChange::Add(user.parse().expect("a name"))
}

/// The number of edits. Each one meets a change at some point of it.
const EDITS: u32 = 100;

/// A deadline that even a busy machine meets many times over.
const DEADLINE: Duration = Duration::from_secs(60);
