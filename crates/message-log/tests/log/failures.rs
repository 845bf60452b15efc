//! Logs that cannot be written.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, ErrorKind};
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc;

use message_log::{Direction, Entry, LineWriter, LogFailure, Sink};

use crate::{DEADLINE, Writes, remote, write_alone};

/// A disk that takes what `turns` say of each write, and then everything.
struct Disk {
    turns: VecDeque<Result<usize, ErrorKind>>,
    written: Writes,
}

impl io::Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.turns.pop_front().unwrap_or(Ok(usize::MAX))?;
        self.written.write(&bytes[..room.min(bytes.len())])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes `RR0`, `RR1` … to a disk; gives what is on it then, and what was reported.
fn write(messages: u8, turns: &[Result<usize, ErrorKind>]) -> (String, Vec<(ErrorKind, u64)>) {
    write_together(&[1].repeat(messages.into()), turns)
}

/// Writes as [`write`] does, so many messages together at a time.
fn write_together(batches: &[u8], turns: &[Result<usize, ErrorKind>]) -> (String, Vec<(ErrorKind, u64)>) {
    let disk = Disk { turns: turns.iter().copied().collect(), written: Writes::default() };
    let written = disk.written.clone();
    let (report, reports) = mpsc::channel();
    let mut log = LineWriter::new(disk)
        .on_failure(move |failure| report.send(lost(&failure)).expect("the test listens"));
    let mut numbers = 0..;
    for &batch in batches {
        for number in numbers.by_ref().take(batch.into()) {
            let message = format!("RR{number}");
            log.take(&Entry::new("bb.com", Direction::Sent, remote(), message.as_bytes()));
        }
        log.write();
    }
    (written.text(), reports.try_iter().collect())
}

fn lost(failure: &LogFailure) -> (ErrorKind, u64) {
    let LogFailure::Lost { error, lines } = failure else { panic!("{failure}") };
    (error.kind(), *lines)
}

fn line(number: u8) -> String {
    format!("E: 84.88.154.3:UDP:4500, RR{number}, 3\n")
}

#[test]
fn a_line_that_is_taken_in_parts_is_whole() {
    let (log, reports) = write(2, &[Ok(5), Err(ErrorKind::Interrupted), Ok(1), Ok(900), Ok(1)]);
    assert_eq!(log, line(0) + &line(1));
    assert_eq!(reports, []);
}

#[test]
fn a_full_disk_loses_its_lines_and_no_others() {
    let full = Err(ErrorKind::StorageFull);
    let (log, reports) = write(5, &[Ok(900), full, full, full]);
    assert_eq!(log, line(0) + &line(4));
    assert_eq!(reports, [(ErrorKind::StorageFull, 1)], "the rest within a minute is not reported");
}

#[test]
fn after_a_part_of_a_line_the_next_one_begins_on_its_own() {
    let full = Err(ErrorKind::StorageFull);
    let (log, reports) = write(3, &[Ok(10), full, full]);
    assert_eq!(log, format!("{}\n{}", &line(0)[..10], line(2)));
    assert_eq!(reports.len(), 1);

    // The line end itself may be all that there is room for.
    let (log, _) = write(3, &[Ok(10), full, Ok(1), full]);
    assert_eq!(log, format!("{}\n{}", &line(0)[..10], line(2)));

    // The line end may also be all that there is no room for.
    let (log, _) = write(2, &[Ok(line(0).len() - 1), full]);
    assert_eq!(log, line(0) + &line(1));
}

#[test]
fn lines_that_are_lost_together_are_counted_one_by_one() {
    let (length, full) = (line(0).len(), Err(ErrorKind::StorageFull));
    for (room, whole, lost) in [(0, 0, 3), (length - 1, 0, 3), (length, 1, 2), (2 * length + 1, 2, 1)] {
        let part = &line(whole)[..room - usize::from(whole) * length];
        let part = if part.is_empty() { String::new() } else { format!("{part}\n") };
        let turns = if room == 0 { vec![full] } else { vec![Ok(room), full] };
        let (log, reports) = write_together(&[3, 1], &turns);
        let before: String = (0..whole).map(line).collect();
        assert_eq!(log, before + &part + &line(3), "{room} bytes");
        assert_eq!(reports, [(ErrorKind::StorageFull, lost)], "{room} bytes");
    }
}

#[test]
fn a_writer_that_takes_nothing_is_a_failure() {
    let (log, reports) = write(2, &[Ok(0)]);
    assert_eq!(log, line(1));
    assert_eq!(reports, [(ErrorKind::WriteZero, 1)]);
}

#[test]
fn a_line_left_unfinished_by_another_process_stays_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    for (before, between) in [("", ""), ("R: 1.2.3.4:UDP:5, PRlau", "\n"), ("R: 1.2.3.4:UDP:5, a, 1\n", "")] {
        let path = folder.path().join("log");
        fs::write(&path, before).unwrap();
        let mut log = LineWriter::open(&path).unwrap();
        for number in 0..2 {
            let message = format!("RR{number}");
            write_alone(&mut log, &Entry::new("bb.com", Direction::Sent, remote(), message.as_bytes()));
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{before}{between}{}{}", line(0), line(1)));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_that_is_always_full_ends_nothing() {
    let (report, reports) = mpsc::channel();
    let mut log = LineWriter::open("/dev/full")
        .unwrap()
        .on_failure(move |failure| report.send(lost(&failure)).unwrap());
    for _ in 0..1000 {
        write_alone(&mut log, &Entry::new("bb.com", Direction::Sent, remote(), b"RR0"));
    }
    assert!(log.drain(DEADLINE));
    assert_eq!(log.lost(), 1000);
    let reports: Vec<_> = reports.try_iter().collect();
    // The thread may have taken several lines at once.
    assert!(matches!(reports[..], [(ErrorKind::StorageFull, 1..=1000)]), "{reports:?}");
}

#[test]
fn a_report_that_panics_repeats_no_line() {
    let disk = Disk {
        turns: VecDeque::from([Ok(line(0).len() + 5), Err(ErrorKind::StorageFull)]),
        written: Writes::default(),
    };
    let written = disk.written.clone();
    let mut log = LineWriter::new(disk).on_failure(|failure| panic!("{failure}"));
    for number in 0..3 {
        let message = format!("RR{number}");
        log.take(&Entry::new("bb.com", Direction::Sent, remote(), message.as_bytes()));
    }
    assert!(panic::catch_unwind(AssertUnwindSafe(|| log.write())).is_err());
    write_alone(&mut log, &Entry::new("bb.com", Direction::Sent, remote(), b"RR3"));
    assert_eq!(written.text(), format!("{}{}\n{}", line(0), &line(1)[..5], line(3)));
}
