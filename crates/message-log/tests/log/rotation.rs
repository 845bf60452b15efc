//! Logs that are full, and their old files.

use std::fs::{self, File};
use std::io::Read;
#[cfg(unix)]
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;

use message_log::{DEFAULT_MAX_SIZE, Direction, Entry, KEPT, LineWriter, LogFailure, Sink};
use proptest::prelude::*;

use crate::{remote, write_alone};

/// Logs a message of `length` bytes, the `number`th one, and gives its line.
fn log(writer: &mut LineWriter<File>, number: usize, length: usize) -> String {
    let entry = entry(number, length);
    write_alone(writer, &entry);
    format!("{entry}\n")
}

fn entry(number: usize, length: usize) -> Entry {
    let message = format!("{number:03}{}", "x".repeat(length));
    Entry::new("bb.com", Direction::Sent, remote(), message.as_bytes())
}

fn open(path: &Path, max_size: u64) -> LineWriter<File> {
    let writer = LineWriter::open(path).expect("the folder is the test's own");
    writer.max_size(Some(max_size)).on_failure(|failure| panic!("{failure}"))
}

fn old(path: &Path, number: u32) -> PathBuf {
    format!("{}.{number}", path.display()).into()
}

/// The texts of the log's files in `folder`, the oldest first and the current one last. There is no other
/// file.
fn files(path: &Path) -> Vec<String> {
    let mut files: Vec<_> = (1..).map_while(|number| fs::read_to_string(old(path, number)).ok()).collect();
    files.reverse();
    files.push(fs::read_to_string(path).expect("there is a current file"));
    let folder = fs::read_dir(path.parent().expect("it is in a folder")).expect("the folder is there");
    assert_eq!(folder.count(), files.len());
    files
}

#[test]
fn a_full_file_is_put_aside_and_the_oldest_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut writer = open(&path, 100);
    let lines: Vec<_> = (0..20).map(|number| log(&mut writer, number, 5)).collect();
    assert_eq!(lines[0].len(), 37, "two fit a file");
    let expected: Vec<_> = lines[10..].chunks(2).map(<[_]>::concat).collect();
    assert_eq!(expected.len(), 1 + usize::try_from(KEPT).unwrap());
    assert_eq!(files(&path), expected);
}

#[test]
fn a_file_may_be_as_large_as_it_is_allowed_to_be() {
    for (max_size, count) in [(73, 3), (74, 2), (75, 2)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut writer = open(&path, max_size);
        (0..3).for_each(|number| drop(log(&mut writer, number, 5)));
        assert_eq!(files(&path).len(), count, "37 bytes a line, {max_size} allowed");
    }
}

#[test]
fn a_line_that_is_larger_than_a_file_may_be_has_one_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut writer = open(&path, 60);
    let lines = [5, 90, 90, 5].map(|length| log(&mut writer, 0, length));
    assert_eq!(files(&path), lines);
}

#[test]
fn a_log_that_is_too_large_at_the_start_is_put_aside_at_the_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "R: 1.2.3.4:UDP:5, a, 1\n".repeat(10)).unwrap();
    let mut writer = open(&path, 200);
    assert_eq!(files(&path).len(), 1);
    let line = log(&mut writer, 0, 5);
    assert_eq!(files(&path), ["R: 1.2.3.4:UDP:5, a, 1\n".repeat(10), line]);
}

#[test]
fn a_line_left_unfinished_is_ended_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "R: 1.2.3.4:UDP:5, PRlau").unwrap();
    let line = log(&mut open(&path, 50), 0, 5);
    assert_eq!(files(&path), ["R: 1.2.3.4:UDP:5, PRlau\n", &line]);
}

#[test]
fn without_a_size_a_log_grows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut writer = LineWriter::open(&path).unwrap();
    let lines: Vec<_> = (0..50).map(|number| log(&mut writer, number, 5)).collect();
    let mut writer = open(&path, 1).max_size(None);
    assert_eq!(files(&path), [lines.concat()]);
    let line = log(&mut writer, 50, 5);
    assert_eq!(files(&path), [lines.concat() + &line]);
    assert_eq!(DEFAULT_MAX_SIZE, 104_857_600);
}

#[test]
fn a_number_that_is_free_is_used_before_a_file_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    for number in [1, 3, 4] {
        fs::write(old(&path, number), format!("old {number}\n")).unwrap();
    }
    let mut writer = open(&path, 1);
    let lines = [0, 1].map(|number| log(&mut writer, number, 5));
    assert_eq!(files(&path), ["old 4\n", "old 3\n", "old 1\n", &lines[0], &lines[1]]);
}

#[test]
fn a_log_that_somebody_else_took_away_is_begun_anew_when_it_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut writer = open(&path, 50);
    let before = log(&mut writer, 0, 5);
    fs::rename(&path, old(&path, 7)).unwrap();
    let after = log(&mut writer, 1, 5);
    assert_eq!(fs::read_to_string(old(&path, 7)).unwrap(), before);
    assert_eq!(fs::read_to_string(&path).unwrap(), after);
    assert!(!old(&path, 1).exists());
}

#[cfg(unix)]
#[test]
fn who_may_read_a_log_stays_as_it_was() {
    for mode in [0o600, 0o640, 0o666] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "a line\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        log(&mut open(&path, 1), 0, 5);
        assert_eq!(files(&path).len(), 2);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
    }
}

#[cfg(unix)]
#[test]
fn behind_a_link_the_file_is_put_aside_and_the_link_stays() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    // A link to a link, the second one relative.
    let link = folder.path().join("link");
    symlink(disk.join("log"), folder.path().join("second")).unwrap();
    symlink("second", &link).unwrap();
    let mut writer = open(&link, 50);
    let lines = [0, 1].map(|number| log(&mut writer, number, 5));
    assert_eq!(files(&disk.join("log")), lines);
    assert!(link.is_symlink() && fs::read_dir(folder.path()).unwrap().count() == 3);
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_no_file_of_the_logs_own_is_not_put_aside() {
    use std::os::fd::AsRawFd;

    let folder = tempfile::tempdir().unwrap();
    log(&mut open(Path::new("/dev/null"), 1), 0, 5);
    log(&mut open(Path::new("/dev/null"), 1), 0, 5);
    assert!(!Path::new("/dev/null.1").exists());

    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut reader = File::options().read(true).write(true).open(&fifo).unwrap();
    let mut writer = open(&fifo, 1);
    let lines = [0, 1].map(|number| log(&mut writer, number, 5)).concat();
    let mut read = vec![0; lines.len()];
    reader.read_exact(&mut read).unwrap();
    assert_eq!(read, lines.as_bytes());

    // Stdout is such a file when a shell redirects it: not this program's to rename.
    let given = folder.path().join("given");
    let descriptor = File::create(&given).unwrap();
    let link = folder.path().join("link");
    symlink(format!("/dev/fd/{}", descriptor.as_raw_fd()), &link).unwrap();
    let mut writer = open(&link, 1);
    let lines = [0, 1].map(|number| log(&mut writer, number, 5));
    assert_eq!(fs::read_to_string(&given).unwrap(), lines.concat());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn a_file_that_cannot_be_put_aside_grows_and_that_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    // Even root cannot rename a file over a folder.
    (1..KEPT).for_each(|number| fs::write(old(&path, number), format!("old {number}\n")).unwrap());
    fs::create_dir(old(&path, KEPT)).unwrap();
    let (report, reports) = mpsc::channel();
    let mut writer =
        open(&path, 50).on_failure(move |failure: LogFailure| report.send(failure.to_string()).unwrap());
    let lines: Vec<_> = (0..100).map(|number| log(&mut writer, number, 5)).collect();
    assert_eq!(fs::read_to_string(&path).unwrap(), lines.concat());
    (1..KEPT).for_each(|number| {
        assert_eq!(fs::read_to_string(old(&path, number)).unwrap(), format!("old {number}\n"));
    });
    let [report] = &reports.try_iter().collect::<Vec<_>>()[..] else { panic!("not one report") };
    assert!(report.starts_with("the message log grows beyond its size"), "{report}");
}

proptest! {
    #[test]
    fn every_line_is_in_one_file_until_it_goes_with_the_oldest(
        runs in prop::collection::vec(
            (prop::option::of(1u64..600), prop::collection::vec((0usize..150, any::<bool>()), 0..30)),
            1..5,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut expected = vec![String::new()];
        let mut number = 0;
        for (max_size, lengths) in runs {
            let mut writer = LineWriter::open(&path).unwrap().max_size(max_size);
            for (length, is_last_of_batch) in lengths {
                let entry = entry(number, length);
                let line = format!("{entry}\n");
                writer.take(&entry);
                if is_last_of_batch {
                    writer.write();
                }
                number += 1;
                let current = expected.last_mut().unwrap();
                let full = max_size.is_some_and(|max| (current.len() + line.len()) as u64 > max);
                if full && !current.is_empty() { expected.push(line) } else { current.push_str(&line) }
            }
            writer.write();
        }
        let first = expected.len().saturating_sub(1 + usize::try_from(KEPT).unwrap());
        prop_assert_eq!(files(&path), &expected[first..]);
    }
}
