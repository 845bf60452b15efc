//! The limit of lines about messages that came to nothing.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use arbitrary::Unstructured;
use message_log::{Direction, Entry, LeftOut, LineLimit, MAX_IN_ALL, MAX_OF_SOURCE, MAX_SUMMARIES};
use tokio::time;

/// Each step is a number of messages of the same length of lines from neighbouring addresses, and then a time
/// in which nothing comes. Whatever comes: the lines of a second are bounded, for an address and in all; an
/// address without a line gets one if there is room for any; and each message has its line or is counted as
/// left out, once.
///
/// # Panics
/// If it is not so.
pub fn line_limit(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let mut now = time::Instant::now().into_std();
    let mut limit = LineLimit::new();
    let mut second = Second::default();
    let mut left_out = 0;
    while !input.is_empty() {
        // Input that ends within a step is as good as one with zeros.
        let (first, addresses, times, millis) = input.arbitrary::<(u16, u8, u8, u16)>().unwrap_or_default();
        let lines = 1 + usize::from(times % 2);
        let is_over = second.begun.is_some_and(|begun| now >= begun + Duration::from_secs(1));
        second.check(&limit.end_second(now), is_over);
        for _ in 0..times {
            for ip in u32::from(first)..=u32::from(first) + u32::from(addresses) {
                let remote = SocketAddrV4::new(Ipv4Addr::from(ip), times.into());
                second.begun.get_or_insert(now);
                let is_admitted = limit.admits(now, remote, lines);
                left_out += if is_admitted { 0 } else { lines };
                second.take(ip, lines, is_admitted);
            }
        }
        now += Duration::from_millis(u64::from(millis % 2_000));
    }
    second.check(&limit.end(), true);
    assert_eq!((limit.end(), limit.poll_timeout()), (vec![], None));
    assert_eq!(limit.lines_left_out(), left_out as u64);
}

/// The messages of one second.
#[derive(Default)]
struct Second {
    begun: Option<Instant>,
    lines: HashMap<u32, usize>,
    in_all: usize,
    left_out: u64,
}

impl Second {
    fn take(&mut self, ip: u32, lines: usize, is_admitted: bool) {
        let of_source = self.lines.entry(ip).or_default();
        if is_admitted {
            let most = if *of_source == 0 { MAX_IN_ALL } else { MAX_IN_ALL / 2 };
            *of_source += lines;
            self.in_all += lines;
            assert!(*of_source <= MAX_OF_SOURCE && self.in_all <= most);
        } else {
            assert!(*of_source > 0 || self.in_all + lines > MAX_IN_ALL, "there is room for a newcomer");
            self.left_out += 1;
        }
    }

    /// Checks the summary of the second. One that is not over has none.
    fn check(&mut self, left_out: &[LeftOut], is_over: bool) {
        assert!(left_out.len() <= MAX_SUMMARIES + 1);
        let messages: u64 = left_out.iter().map(LeftOut::messages).sum();
        assert_eq!(messages, if is_over { self.left_out } else { 0 });
        for left_out in left_out {
            let line =
                format!("R: {}:UDP:{}, {left_out}, 0", left_out.remote().ip(), left_out.remote().port());
            let entry = Entry::parse("bb.com", &line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(entry.is_left_out() && entry.direction() == Direction::Received);
            assert_eq!(entry.to_string(), line);
        }
        if is_over {
            *self = Self::default();
        }
    }
}
