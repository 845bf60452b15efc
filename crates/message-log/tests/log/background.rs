//! Lines for a writer that may block.

use std::fs::{self, File};
use std::future::Future;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use message_log::{Direction, Entry, LineWriter, LogFailure, LogProgress};

use crate::{DEADLINE, Writes, remote, write_alone};

#[test]
fn a_pipe_that_nobody_reads_holds_nobody_up_and_lost_lines_are_counted() {
    let (reader, writer) = io::pipe().unwrap();
    let (report, reports) = mpsc::channel();
    let log = LineWriter::new(writer).on_failure(move |failure| {
        let LogFailure::Lost { error, .. } = failure else { panic!("{failure}") };
        report.send(error.to_string()).unwrap();
    });
    let mut log = log.in_background().unwrap();
    let line = "R: 84.88.154.3:UDP:4500, PRlaura, 7\n";
    let entry = Entry::new("bb.com", Direction::Received, remote(), b"PRlaura");
    let told = 100_000;
    for _ in 0..told {
        write_alone(&mut log, &entry);
    }
    // The queue and the pipe have taken what they can, which is whole lines.
    let lost = log.lost();
    let kept = usize::try_from(told - lost).unwrap();
    assert!((MIB - line.len()..2 * MIB).contains(&(kept * line.len())), "{kept} lines are kept");
    assert_eq!(reports.try_iter().collect::<Vec<_>>(), ["1 MiB of them is waiting, and nobody reads it"]);
    assert!(!log.drain(Duration::ZERO));

    // Once somebody reads, there is room again, and what was kept is in order.
    let mut reader = BufReader::new(reader);
    let mut read = String::new();
    for _ in 0..kept {
        reader.read_line(&mut read).unwrap();
    }
    assert!(log.drain(DEADLINE));
    write_alone(&mut log, &Entry::new("bb.com", Direction::Sent, remote(), b"RR0"));
    drop(log);
    reader.read_to_string(&mut read).unwrap();
    assert_eq!(read, line.repeat(kept) + "E: 84.88.154.3:UDP:4500, RR0, 3\n");
}

#[test]
fn what_waits_when_a_log_is_dropped_is_written() {
    let (mut reader, writer) = io::pipe().unwrap();
    let mut log = LineWriter::new(writer).in_background().unwrap();
    for number in 0..100 {
        log.write_line(&format!("{number}\n"));
    }
    drop(log);
    let mut read = String::new();
    reader.read_to_string(&mut read).unwrap();
    assert_eq!(read, (0..100).map(|number| format!("{number}\n")).collect::<String>());
}

#[test]
fn what_the_writer_does_not_take_is_counted() {
    let (reader, writer) = io::pipe().unwrap();
    let mut log = LineWriter::new(writer).in_background().unwrap();
    drop(reader);
    for lost in 1..5 {
        log.write_line("nobody reads this\n");
        assert!(log.drain(DEADLINE));
        assert_eq!(log.lost(), lost);
    }
}

#[test]
fn a_drained_log_has_written_every_line() {
    let writes = Writes::default();
    let mut log = LineWriter::new(writes.clone()).in_background().unwrap();
    assert!(log.drain(DEADLINE), "nothing is waiting");
    for number in 0..1000 {
        log.write_line("a\n");
        assert!(log.drain(DEADLINE));
        assert_eq!(writes.text().len(), 2 * (number + 1));
    }
}

#[test]
fn what_is_being_written_takes_room_until_it_is() {
    let ((begins, begun), (go_on, held)) = (mpsc::channel(), mpsc::channel());
    let mut log = LineWriter::new(Held { begins, held }).in_background().unwrap();
    log.write_line(&("a".repeat(MIB - 1) + "\n"));
    begun.recv_timeout(DEADLINE).unwrap();
    log.write_line("b\n");
    assert_eq!(log.lost(), 1);
    drop(go_on);
    assert!(log.drain(DEADLINE));
    log.write_line("c\n");
    assert_eq!(log.lost(), 1);
}

#[test]
fn a_file_in_the_background_is_put_aside_and_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let (path, renamed) = (folder.path().join("log"), folder.path().join("renamed"));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let mut log = LineWriter::open(&path).unwrap().in_background().unwrap().max_size(Some(4));
    // Taken at once or not, no file has more than two lines.
    (0..5).for_each(|number| log.write_line(&format!("{number}\n")));
    assert!(log.drain(DEADLINE));
    assert_eq!(["log.2", "log.1", "log"].map(read), ["0\n1\n", "2\n3\n", "4\n"]);

    fs::rename(&path, &renamed).unwrap();
    log.write_line("5\n");
    assert!(log.reopen().unwrap());
    assert_eq!(["renamed", "log"].map(read), ["4\n5\n", ""], "what came before is in the old file");
    log.set_max_size(Some(2));
    (6..8).for_each(|number| log.write_line(&format!("{number}\n")));
    assert!(log.drain(DEADLINE));
    assert_eq!(["log.1", "log"].map(read), ["6\n", "7\n"]);

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = log.reopen().unwrap_err();
    assert_eq!(error.to_string(), "there is no regular file now");
    log.write_line("8\n");
    assert!(log.drain(DEADLINE));
    assert_eq!(log.lost(), 0, "the old file stays in use");
}

#[test]
fn nobody_waits_for_a_file_that_is_reopened_on_a_disk_that_hangs() {
    let (mut reader, writer) = io::pipe().unwrap();
    let mut log = LineWriter::new(File::from(OwnedFd::from(writer))).in_background().unwrap();
    // More than a pipe takes before somebody reads.
    let line = "a".repeat(MIB / 2) + "\n";
    log.write_line(&line);
    let hangs = "the disk takes too long; the log is reopened when it answers";
    let mut waiting = Vec::new();
    let refused = loop {
        match log.start_reopening() {
            Ok(reopening) if waiting.is_empty() => {
                let late = reopening.wait(Duration::ZERO).unwrap_err();
                assert_eq!((late.kind(), &*late.to_string()), (io::ErrorKind::TimedOut, hangs));
                waiting.push(log.start_reopening().unwrap());
            }
            Ok(reopening) => waiting.push(reopening),
            Err(refused) => break refused,
        }
        assert!(waiting.len() < 100, "as many wait as ask");
    };
    assert_eq!(refused.to_string(), hangs);
    reader.read_exact(&mut vec![0; line.len()]).unwrap();
    for reopening in waiting {
        assert!(!reopening.wait(DEADLINE).unwrap(), "it has no file to reopen");
    }
    assert!(log.start_reopening().is_ok(), "there is room again");
}

#[test]
fn progress_is_made_once_a_line_is_written_or_lost() {
    let ((begins, begun), (go_on, held)) = (mpsc::channel(), mpsc::channel());
    let mut log = LineWriter::new(Held { begins, held }).in_background().unwrap();
    let progress = log.progress();
    assert_eq!((progress.given(), progress.written()), (0, 0));
    log.write_line("a\n");
    begun.recv_timeout(DEADLINE).unwrap();
    log.write_line("b\n");
    assert_eq!((progress.given(), progress.written()), (4, 0));

    let (wakes, woken) = mpsc::channel();
    assert!(poll(&progress, 0, &wakes).is_ready());
    assert!(poll(&progress, 2, &wakes).is_pending());
    assert!(woken.try_recv().is_err());
    go_on.send(()).unwrap();
    woken.recv_timeout(DEADLINE).unwrap();
    assert!(poll(&progress, 2, &wakes).is_ready());
    begun.recv_timeout(DEADLINE).unwrap();
    assert!(poll(&progress, 4, &wakes).is_pending());
    go_on.send(()).unwrap();
    woken.recv_timeout(DEADLINE).unwrap();
    assert!(poll(&progress, 4, &wakes).is_ready());

    // A line that no disk takes holds nobody up either.
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut log = LineWriter::new(writer).in_background().unwrap();
    log.write_line("nobody reads this\n");
    assert!(log.drain(DEADLINE));
    assert_eq!((log.lost(), log.progress().written()), (1, log.progress().given()));

    // Nor does a log that writes at once.
    let mut log = LineWriter::new(Writes::default());
    log.write_line("a\n");
    assert_eq!((log.progress().given(), log.progress().written()), (2, 2));
}

/// Polls whether `progress` has reached `position`. A waiting task is woken through `wakes`.
fn poll(progress: &LogProgress, position: u64, wakes: &mpsc::Sender<()>) -> Poll<()> {
    struct Wakes(mpsc::Sender<()>);
    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.send(()).expect("the test listens");
        }
    }
    let waker = Waker::from(Arc::new(Wakes(wakes.clone())));
    pin!(progress.reach(position)).poll(&mut Context::from_waker(&waker))
}

/// Takes a write for each that `held` lets go on, and all of them once its other end is dropped.
struct Held {
    begins: mpsc::Sender<()>,
    held: mpsc::Receiver<()>,
}

impl Write for Held {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        // Errors: the test no longer waits, and blocks nothing.
        _ = self.begins.send(());
        _ = self.held.recv();
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const MIB: usize = 1024 * 1024;
