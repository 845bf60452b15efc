//! The events that reach a sink, and their order.

use std::sync::mpsc;
use std::thread;

use message_log::{Batch, Direction, Entry, LineWriter, MessageLayer, TARGET, received, sent};
use tracing::subscriber::with_default;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use crate::{Writes, log_of, remote, subscriber};

#[test]
fn a_closure_is_given_the_entry() {
    let (give, given) = mpsc::channel();
    let layer = MessageLayer::new(move |entry: &Entry| give.send(entry.clone()).unwrap());
    with_default(tracing_subscriber::registry().with(layer), || {
        sent("laura@bb.com", remote(), b"PRlaura@bb.com");
        received("bb.com", remote(), &[b'x'; 300]);
    });
    let entries: Vec<_> = given.try_iter().collect();
    let expected = [
        Entry::new("laura@bb.com", Direction::Sent, remote(), b"PRlaura@bb.com"),
        Entry::new("bb.com", Direction::Received, remote(), &[b'x'; 300]),
    ];
    assert_eq!(entries, expected);
    assert_eq!((entries[1].party(), entries[1].remote()), ("bb.com", remote()));
    assert_eq!((entries[1].message(), entries[1].length()), (&[b'x'; 100][..], 300));
    assert_eq!(entries[1].direction().letter(), 'R');
}

#[test]
fn only_the_messages_of_one_party_are_written() {
    let writes = Writes::default();
    let layer = MessageLayer::new(LineWriter::new(writes.clone())).only("bb.com");
    with_default(tracing_subscriber::registry().with(layer), || {
        sent("cc.com", remote(), b"RR1");
        sent("bb.com", remote(), b"RR0");
        sent("laura@bb.com", remote(), b"RR2");
    });
    assert_eq!(writes.text(), "E: 84.88.154.3:UDP:4500, RR0, 3\n");
}

#[test]
fn other_events_are_not_written() {
    let log = log_of(|| {
        tracing::error!("a diagnostic");
        tracing::info!(party = "bb.com", message = "RR0");
        tracing::info!(target: TARGET, party = "bb.com", "something else under this target");
        tracing::info!(
            target: TARGET,
            party = "bb.com", sent = true, ip = u64::MAX, port = 1, message = &b"RR0"[..], length = 3
        );
        received("bb.com", remote(), b"RR0");
    });
    assert_eq!(log, "R: 84.88.154.3:UDP:4500, RR0, 3\n");
}

/// An embedding program logs its diagnostics, and neither sees each datagram there nor loses the message log.
#[test]
fn diagnostics_show_no_messages_and_the_log_has_them_at_any_level() {
    for level in [LevelFilter::OFF, LevelFilter::ERROR, LevelFilter::INFO, LevelFilter::DEBUG] {
        let (writes, shown) = (Writes::default(), Writes::default());
        let writer = shown.clone();
        let diagnostics = fmt::layer().with_writer(move || writer.clone()).with_filter(level);
        let messages = MessageLayer::new(LineWriter::new(writes.clone()))
            .with_filter(filter_fn(message_log::is_message));
        with_default(tracing_subscriber::registry().with(diagnostics).with(messages), || {
            received("bb.com", remote(), b"PRlaura");
            let mut batch = Batch::new("bb.com");
            batch.sent(remote(), b"RR0");
        });
        assert_eq!(shown.text(), "", "{level}");
        assert_eq!(writes.text().lines().count(), 2, "{level}");
    }
}

#[test]
fn without_a_layer_nothing_happens() {
    sent("bb.com", remote(), b"RR0");
}

#[test]
fn lines_of_threads_do_not_mix() {
    let writes = Writes::default();
    let dispatch = subscriber(writes.clone());
    thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let dispatch = &dispatch;
            scope.spawn(move || {
                tracing::dispatcher::with_default(dispatch, || {
                    (1..100).for_each(|length| sent(name, remote(), name.repeat(length).as_bytes()));
                });
            });
        }
    });
    let mut lines = writes.each();
    let mut expected: Vec<_> = ["a", "b", "c", "d"]
        .iter()
        .flat_map(|name| (1..100).map(|length| (name.repeat(length), length)))
        .map(|(message, length)| format!("E: 84.88.154.3:UDP:4500, {message}, {length}\n").into_bytes())
        .collect();
    lines.sort();
    expected.sort();
    assert!(lines == expected, "a line is missing or mixed");
}

#[test]
fn a_sink_that_panicked_is_asked_again() {
    let (give, given) = mpsc::channel();
    let layer = MessageLayer::new(move |entry: &Entry| {
        assert_ne!(entry.message(), b"odd");
        give.send(entry.length()).unwrap();
    });
    with_default(tracing_subscriber::registry().with(layer), || {
        let odd = std::panic::catch_unwind(|| sent("bb.com", remote(), b"odd"));
        assert!(odd.is_err());
        sent("bb.com", remote(), b"RR0");
    });
    assert_eq!(given.try_iter().collect::<Vec<_>>(), [3]);
}
