//! Messages with lines that are written together.

use message_log::{Batch, received, sent};
use tracing::dispatcher::with_default;

use crate::{Writes, remote, subscriber};

const R: &str = "R: 84.88.154.3:UDP:4500, PRlaura, 7\n";
const E: &str = "E: 84.88.154.3:UDP:4500, RR0, 3\n";

#[test]
fn the_lines_of_a_batch_are_one_write_at_its_end() {
    let writes = Writes::default();
    with_default(&subscriber(writes.clone()), || {
        let mut batch = Batch::new("bb.com");
        batch.received(remote(), b"PRlaura");
        batch.sent(remote(), b"RR0");
        batch.received(remote(), b"PRlaura");
        assert_eq!(writes.text(), "");
        batch.write();
        assert_eq!(texts(&writes), [[R, E, R].concat()]);
        batch.write();
        batch.sent(remote(), b"RR0");
        batch.write();
    });
    assert_eq!(texts(&writes), [[R, E, R].concat(), E.to_owned()], "and nothing is written for nothing");
}

#[test]
fn a_batch_that_is_dropped_is_written() {
    let writes = Writes::default();
    with_default(&subscriber(writes.clone()), || {
        let mut batch = Batch::new("bb.com");
        batch.received(remote(), b"PRlaura");
        drop(batch);
        assert_eq!(texts(&writes), [R]);
    });
}

#[test]
fn lines_stay_in_order_when_others_log_meanwhile() {
    let writes = Writes::default();
    with_default(&subscriber(writes.clone()), || {
        let mut batch = Batch::new("bb.com");
        batch.received(remote(), b"PRlaura");
        sent("cc.com", remote(), b"RR0");
        assert_eq!(writes.text(), [R, E].concat(), "what is told alone is written when that returns");
        batch.sent(remote(), b"RR0");
        received("cc.com", remote(), b"PRlaura");
        batch.write();
    });
    assert_eq!(writes.text(), [R, E, E, R].concat());
}

#[test]
fn a_large_batch_is_written_in_pieces_of_whole_lines() {
    let writes = Writes::default();
    with_default(&subscriber(writes.clone()), || {
        let mut batch = Batch::new("bb.com");
        for _ in 0..10_000 {
            batch.sent(remote(), b"RR0");
        }
    });
    let pieces = texts(&writes);
    assert_eq!(pieces.concat(), E.repeat(10_000));
    assert!(pieces.iter().all(|piece| piece.ends_with('\n') && piece.len() < 33_000));
    assert!(pieces.len() < 15, "{} pieces", pieces.len());
}

fn texts(writes: &Writes) -> Vec<String> {
    writes.each().into_iter().map(|write| String::from_utf8(write).expect("a log is UTF-8")).collect()
}
