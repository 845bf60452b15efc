//! The rate limit is exact.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use lumi_node_core::{NodeSettings, RateLimit};
use proptest::prelude::*;

use crate::{address, node};

proptest! {
    /// It lets a datagram in if, and only if, that makes no span of time one with more than
    /// `burst + rate · t` of them. Whole numbers, so that nothing hides in a rounding.
    #[test]
    fn no_span_of_time_has_more_than_its_share(
        per_second in per_second(),
        burst in 1..50_u32,
        gaps in proptest::collection::vec(gap(), 1..300),
    ) {
        let limit = RateLimit::new(per_second).with_burst(NonZeroU32::new(burst).expect("is not 0"));
        let mut node =
            node("bb.com\n", address("127.0.0.2:3344"), NodeSettings::default().rate_limit(Some(limit)));
        let source = address("192.0.2.1:5000");
        let mut now = tokio::time::Instant::now().into_std();
        let mut admitted: Vec<Instant> = Vec::new();
        for gap in gaps {
            now += gap;
            let fits = |(before, &start): (usize, &Instant)| {
                let in_span = (admitted.len() - before + 1) as u128;
                let grown = (now - start).as_nanos() * u128::from(per_second.get());
                in_span * NANOSECONDS <= u128::from(burst) * NANOSECONDS + grown
            };
            let expected = admitted.iter().enumerate().all(fits);
            prop_assert_eq!(node.admit(now, source, b"hello"), expected, "after {} of them", admitted.len());
            if expected {
                admitted.push(now);
            }
        }
    }
}

fn per_second() -> impl Strategy<Value = NonZeroU32> {
    let number = prop_oneof![1..20_u32, 1..2_000_u32, Just(999_999_937), Just(u32::MAX)];
    number.prop_map(|number| NonZeroU32::new(number).expect("is not 0"))
}

fn gap() -> impl Strategy<Value = Duration> {
    let nanoseconds = prop_oneof![Just(0), Just(1), 0..1_000_u64, 0..50_000_000_u64, 0..10_000_000_000_u64];
    nanoseconds.prop_map(Duration::from_nanos)
}

const NANOSECONDS: u128 = 1_000_000_000;
