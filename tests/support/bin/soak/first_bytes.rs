//! The first bytes of a million callers.

use std::iter::repeat_with;
use std::panic::catch_unwind;

use integration_tests::fuzz_targets::first_bytes;

use crate::Options;
use crate::report::Report;

/// Random bytes, a half of which begin as TLS does, and half of those with a whole first message.
pub(crate) fn random(_: &Options, report: &mut Report) {
    let mut random = fastrand::Rng::with_seed(1);
    let mut broken = 0;
    for round in 0..CALLERS {
        let head = [&b""[..], b"\x16\x03\x01", b"", HELLO][round % 4];
        let length = random.usize(..200);
        let rest: Vec<_> = repeat_with(|| random.u8(..)).take(length).collect();
        broken += usize::from(catch_unwind(|| first_bytes(&[head, &rest].concat())).is_err());
    }
    report.note("callers with random first bytes", CALLERS);
    report.law("of them that a stream did not bear", broken, "0", broken == 0);
}

/// The first message of an independent program that offers what an agent takes.
const HELLO: &[u8] = include_bytes!("../../../../crates/fuzz/corpus/first_bytes/seed-hello-of-gnutls");

const CALLERS: usize = 1_000_000;
