//! The cost of reading and writing frames: one by one, and as many as wait.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mi_proto::{Frame, FrameCodec, Line};
use tokio_util::codec::{Decoder, Encoder};

fn frames(criterion: &mut Criterion) {
    let text = "x".repeat(50);
    let frame = Frame::Line(Line::new(&text).expect("a line"));
    for count in [1, 64] {
        let mut group = criterion.benchmark_group(format!("{count} at a time"));
        group.throughput(Throughput::Elements(count));
        group.bench_function("encode", |bencher| {
            let mut codec = FrameCodec::new();
            let mut wire = BytesMut::new();
            bencher.iter(|| {
                wire.clear();
                for _ in 0..count {
                    codec.encode(black_box(&frame), &mut wire).expect("any frame can be written");
                }
                wire.len()
            });
        });
        let mut came = BytesMut::new();
        for _ in 0..count {
            FrameCodec::new().encode(&frame, &mut came).expect("any frame can be written");
        }
        group.bench_function("decode", |bencher| {
            let mut codec = FrameCodec::new();
            let mut buffer = BytesMut::new();
            bencher.iter(|| {
                // A read does the same.
                buffer.extend_from_slice(&came);
                while let Some(received) = codec.decode(&mut buffer).expect("frames") {
                    black_box(received);
                }
            });
        });
    }
}

criterion_group!(benches, frames);
criterion_main!(benches);
