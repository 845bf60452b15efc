//! Logs with a file that is renamed or removed while they are written.

use std::fs::{self, File};
#[cfg(unix)]
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use message_log::{Batch, Direction, Entry, LineWriter, MessageLayer, Sink};
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt;

use crate::{DEADLINE, remote};

/// Takes message `number` into `log`, and gives its line.
fn take(log: &mut LineWriter<File>, number: usize) -> String {
    let entry = Entry::new("bb.com", Direction::Sent, remote(), format!("RR{number}").as_bytes());
    log.take(&entry);
    format!("{entry}\n")
}

fn log(log: &mut LineWriter<File>, number: usize) -> String {
    let line = take(log, number);
    log.write();
    line
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("there is such a file")
}

#[test]
fn lines_before_are_in_the_renamed_file_and_lines_after_in_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, renamed) = (folder.path().join("log"), folder.path().join("renamed"));
    let mut writer = LineWriter::open(&path).unwrap();
    let mut before = log(&mut writer, 0);
    fs::rename(&path, &renamed).unwrap();
    before += &log(&mut writer, 1);
    // One of a batch that is not at its end.
    before += &take(&mut writer, 2);
    assert!(writer.reopen().unwrap());
    assert_eq!((read(&renamed), read(&path)), (before.clone(), String::new()));
    let after = log(&mut writer, 3);
    assert_eq!((read(&renamed), read(&path)), (before, after));
}

#[test]
fn a_file_that_is_where_it_was_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "R: 1.2.3.4:UDP:5, PRlau").unwrap();
    let mut writer = LineWriter::open(&path).unwrap();
    let mut expected = "R: 1.2.3.4:UDP:5, PRlau\n".to_owned();
    for number in 0..5 {
        assert!(writer.reopen().unwrap());
        expected += &log(&mut writer, number);
    }
    assert_eq!(read(&path), expected);
}

#[test]
fn what_somebody_else_put_there_is_added_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut writer = LineWriter::open(&path).unwrap().max_size(Some(60));
    log(&mut writer, 0);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "R: 1.2.3.4:UDP:5, PRlau").unwrap();
    assert!(writer.reopen().unwrap());
    // Its size counts, its last line is ended, and what was set of the old one holds for it.
    let lines = [1, 2].map(|number| log(&mut writer, number));
    assert_eq!(read(&path), lines[1]);
    assert_eq!(read(&folder.path().join("log.1")), "R: 1.2.3.4:UDP:5, PRlau\n".to_owned() + &lines[0]);
}

#[test]
fn a_size_that_is_set_later_holds_from_the_next_line_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut writer = LineWriter::open(&path).unwrap();
    let lines: [_; 3] = [0, 1, 2].map(|number| log(&mut writer, number));
    writer.set_max_size(Some(10));
    let last = log(&mut writer, 3);
    writer.set_max_size(None);
    let more = log(&mut writer, 4);
    assert_eq!((read(&folder.path().join("log.1")), read(&path)), (lines.concat(), last + &more));
}

#[test]
fn a_log_that_cannot_be_opened_again_goes_on_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, renamed) = (folder.path().join("log"), folder.path().join("renamed"));
    let mut writer = LineWriter::open(&path).unwrap();
    let mut expected = log(&mut writer, 0);
    fs::rename(&path, &renamed).unwrap();
    // Even root cannot append to a folder.
    fs::create_dir(&path).unwrap();
    assert!(writer.reopen().is_err());
    expected += &log(&mut writer, 1);
    fs::remove_dir(&path).unwrap();
    // Nobody reads from it, so anybody that opened it would wait.
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert!(writer.reopen().unwrap_err().to_string().contains("no regular file"));
    expected += &log(&mut writer, 2);
    assert_eq!((read(&renamed), writer.lost()), (expected, 0));
    fs::remove_file(&path).unwrap();
    assert!(writer.reopen().unwrap());
    let line = log(&mut writer, 3);
    assert_eq!(read(&path), line);
}

#[cfg(unix)]
#[test]
fn who_may_read_a_log_stays_as_it_was_and_so_does_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (link, path) = (folder.path().join("link"), folder.path().join("log"));
    symlink("log", &link).unwrap();
    for mode in [0o600, 0o640, 0o666] {
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let mut writer = LineWriter::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(writer.reopen().unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
    }
    let mut writer = LineWriter::open(&link).unwrap();
    fs::rename(&path, folder.path().join("renamed")).unwrap();
    assert!(writer.reopen().unwrap());
    assert!(link.is_symlink());
    let line = log(&mut writer, 0);
    assert_eq!((read(&path), read(&folder.path().join("renamed"))), (line, String::new()));
}

#[cfg(target_os = "linux")]
#[test]
fn what_has_no_file_of_its_own_stays() {
    use std::os::fd::AsRawFd;

    let folder = tempfile::tempdir().unwrap();
    assert!(!LineWriter::open("/dev/null").unwrap().reopen().unwrap());
    assert!(!LineWriter::stdout().unwrap().reopen().unwrap());
    let given = folder.path().join("given");
    let descriptor = File::create(&given).unwrap();
    let mut writer = LineWriter::open(format!("/dev/fd/{}", descriptor.as_raw_fd())).unwrap();
    fs::rename(&given, folder.path().join("renamed")).unwrap();
    assert!(!writer.reopen().unwrap());
    let line = log(&mut writer, 0);
    assert_eq!(read(&folder.path().join("renamed")), line);
    assert!(!given.exists());
}

#[cfg(target_os = "linux")]
#[test]
fn lines_that_are_lost_are_counted() {
    let layer = MessageLayer::new(LineWriter::open("/dev/full").unwrap());
    let handle = layer.handle();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        for lost in 1..5 {
            message_log::sent("bb.com", remote(), b"RR0");
            assert!(handle.with(|log| log.drain(DEADLINE)));
            assert_eq!(handle.with(|log| log.lost()), lost);
        }
    });
}

#[test]
fn under_load_no_line_is_lost_or_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let layer = MessageLayer::new(LineWriter::open(&path).unwrap());
    let handle = layer.handle();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    let is_over = AtomicBool::new(false);
    let (told, renamed) = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            tracing::dispatcher::with_default(&dispatch, || {
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    message_log::received("bb.com", remote(), format!("{number}").as_bytes());
                    let mut batch = Batch::new("bb.com");
                    (1..8).for_each(|more| batch.sent(remote(), format!("{}", number + more).as_bytes()));
                    number += 8;
                }
                number
            })
        });
        let renamed: Vec<_> =
            (0..ROUNDS).map(|round| folder.path().join(format!("renamed-{round}"))).collect();
        for old in &renamed {
            let begun = fs::metadata(&path).unwrap().len();
            fs::rename(&path, old).unwrap();
            // It goes on until there are lines between that and the new file.
            while fs::metadata(old).unwrap().len() == begun && !writer.is_finished() {
                thread::yield_now();
            }
            assert!(handle.with(LineWriter::reopen).unwrap());
        }
        is_over.store(true, Ordering::Relaxed);
        (writer.join().expect("it does not panic"), renamed)
    });
    let text: String = renamed.iter().chain([&path]).map(|path| read(path)).collect();
    let mut lines = text.lines();
    for number in 0..told {
        let message = number.to_string();
        let direction = if number % 8 == 0 { "R" } else { "E" };
        let line = format!("{direction}: 84.88.154.3:UDP:4500, {message}, {}", message.len());
        assert_eq!(lines.next(), Some(&*line));
    }
    assert_eq!(lines.next(), None);
    assert!(renamed.iter().all(|old| fs::metadata(old).unwrap().len() > 0));
}

/// Enough that each of the two waits for the other many times.
const ROUNDS: usize = 200;
