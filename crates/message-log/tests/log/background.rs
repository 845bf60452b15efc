//! Lines for a writer that may block.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::mpsc;
use std::time::Duration;

use message_log::{Direction, Entry, LineWriter, LogFailure};

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

/// Takes nothing until the other end of `held` is dropped.
struct Held {
    begins: mpsc::Sender<()>,
    held: mpsc::Receiver<()>,
}

impl Write for Held {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        // Errors: the test waits for nothing any more, and holds nothing up.
        _ = self.begins.send(());
        _ = self.held.recv();
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const MIB: usize = 1024 * 1024;
