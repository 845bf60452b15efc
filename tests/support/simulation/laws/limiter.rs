//! The rate at which a source is let in, reckoned in another way than the node does.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use lumi_node_core::{AddressRange, NodeSettings};

/// Tokens for each source: a datagram takes one, time brings them back, and so many fit.
#[derive(Debug)]
pub(super) struct Tokens {
    /// The tokens that a second brings, and the number that fits, unless there is no limit.
    limit: Option<(u64, u64)>,
    exempt: Vec<AddressRange>,
    sources: HashMap<Ipv4Addr, (Duration, u64)>,
}

impl Tokens {
    pub(super) fn new(settings: &NodeSettings) -> Self {
        let limit = settings
            .rate_limit
            .map(|limit| (u64::from(limit.per_second.get()), u64::from(limit.burst.get()) * TOKEN));
        Self { limit, exempt: settings.exempt.clone(), sources: HashMap::new() }
    }

    /// Returns whether a datagram from `source` has to be let in.
    pub(super) fn take(&mut self, now: Duration, source: Ipv4Addr) -> bool {
        let Some((per_second, most)) = self.limit else { return true };
        if self.exempt.iter().any(|range| range.contains(source)) {
            return true;
        }
        let (last, tokens) = self.sources.entry(source).or_insert((now, most));
        let passed = u64::try_from((now - *last).as_micros()).expect("less than ages");
        *tokens = most.min(*tokens + passed * per_second);
        *last = now;
        match tokens.checked_sub(TOKEN) {
            Some(left) => *tokens = left,
            None => return false,
        }
        true
    }
}

/// A token in millionths, as time is in microseconds.
const TOKEN: u64 = 1_000_000;
