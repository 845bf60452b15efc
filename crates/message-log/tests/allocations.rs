//! Logging a message allocates nothing, but for the first of a party and for a new file.

use std::io;
use std::net::SocketAddrV4;

use message_log::{Batch, DEFAULT_MAX_SIZE, LineWriter, MessageLayer, Sink, received, sent};
use tracing_subscriber::layer::SubscriberExt;

#[test]
fn messages_are_logged_without_allocating() {
    assert_eq!(allocations(LineWriter::new(io::sink())), 0);
    let folder = tempfile::tempdir().unwrap();
    let log = LineWriter::open(folder.path().join("log")).unwrap().max_size(Some(DEFAULT_MAX_SIZE));
    assert_eq!(allocations(log), 0);
}

fn allocations(sink: impl Sink) -> u64 {
    let remote = SocketAddrV4::new([84, 88, 154, 3].into(), 4500);
    let layer = MessageLayer::new(sink).only("laura@bb.com");
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        sent("laura@bb.com", remote, b"PRlaura@bb.com");
        let mut batch = Batch::new("laura@bb.com");
        let allocations = allocation_counter::measure(|| {
            for _ in 0..100 {
                sent("laura@bb.com", remote, b"PRlaura@bb.com");
                received("laura@bb.com", remote, b"RR0");
                received("laura@bb.com", remote, &[0xff; 2000]);
            }
            // More than are written at once.
            for _ in 0..1000 {
                batch.received(remote, b"PRlaura@bb.com");
                batch.sent(remote, b"RR0");
            }
            batch.write();
        });
        allocations.count_total
    })
}
