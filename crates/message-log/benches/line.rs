//! The cost of a message in the log, from the event to the bytes that are handed to the system.

use std::hint::black_box;
use std::io;
use std::net::SocketAddrV4;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use message_log::{Batch, LineWriter, MessageLayer, received, sent};
use tracing::{Dispatch, Level};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};

fn lines(criterion: &mut Criterion) {
    let remote = SocketAddrV4::new([84, 88, 154, 3].into(), 4500);
    let mut group = criterion.benchmark_group("line");
    group.throughput(Throughput::Elements(2));
    // The programs have it so: beside diagnostics, each with a filter.
    let diagnostics = tracing_subscriber::registry::Registry::default().with(
        tracing_subscriber::layer::Identity::new().with_filter(Targets::new().with_default(Level::WARN)),
    );
    let messages =
        MessageLayer::new(LineWriter::new(io::sink())).with_filter(filter_fn(message_log::is_message));
    tracing::dispatcher::with_default(&Dispatch::new(diagnostics.with(messages)), || {
        group.bench_function("alone", |bencher| {
            bencher.iter(|| {
                received("bb.com", remote, black_box(b"PRu0000042@bb.com"));
                sent("bb.com", remote, black_box(b"RR0"));
            });
        });
        let mut batch = Batch::new("bb.com");
        group.bench_function("in a batch", |bencher| {
            bencher.iter(|| {
                batch.received(remote, black_box(b"PRu0000042@bb.com"));
                batch.sent(remote, black_box(b"RR0"));
            });
        });
    });
    group.bench_function("without a subscriber", |bencher| {
        bencher.iter(|| {
            received("bb.com", remote, black_box(b"PRu0000042@bb.com"));
            sent("bb.com", remote, black_box(b"RR0"));
        });
    });
}

criterion_group!(benches, lines);
criterion_main!(benches);
