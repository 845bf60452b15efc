//! Logging a message allocates nothing, but for the first of a party.

use std::io;
use std::net::SocketAddrV4;

use message_log::{LineWriter, MessageLayer, received, sent};
use tracing_subscriber::layer::SubscriberExt;

#[test]
fn messages_are_logged_without_allocating() {
    let remote: SocketAddrV4 = "84.88.154.3:4500".parse().unwrap();
    let layer = MessageLayer::new(LineWriter::new(io::sink())).only("laura@bb.com");
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        sent("laura@bb.com", remote, b"PRlaura@bb.com");
        let allocations = allocation_counter::measure(|| {
            for _ in 0..100 {
                sent("laura@bb.com", remote, b"PRlaura@bb.com");
                received("laura@bb.com", remote, b"RR0");
                received("laura@bb.com", remote, &[0xff; 2000]);
            }
        });
        assert_eq!(allocations.count_total, 0);
    });
}
