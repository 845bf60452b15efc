//! The cost of reading and writing a message.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use plumi_proto::Message;

fn messages(criterion: &mut Criterion) {
    for (name, datagram) in [
        ("PR", &b"PRlaura@bb.com"[..]),
        ("RR0", b"RR0"),
        ("PL", b"PLlaura@bb.com:joya@cc.com"),
        ("RL0", b"RL0laura@bb.com:joya@cc.com:84.88.154.3:4456"),
    ] {
        let message = Message::decode(datagram).expect("a message");
        criterion.bench_function(&format!("decode {name}"), |bencher| {
            bencher.iter(|| Message::decode(black_box(datagram)));
        });
        criterion.bench_function(&format!("encode {name}"), |bencher| {
            bencher.iter(|| black_box(&message).encode());
        });
    }
}

criterion_group!(benches, messages);
criterion_main!(benches);
