//! The rate at which a source is let in, reckoned in another way than the node does.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use lumi_node_core::{AddressRange, NodeSettings};

/// Tokens for each source: a datagram takes one, time brings them back, and so many fit.
#[derive(Debug)]
pub(super) struct Tokens {
    /// The tokens that a second brings, and the number that fits, unless there is no limit.
    limit: Option<(u64, u64)>,
    exempt: Vec<AddressRange>,
    sources: HashMap<Ipv4Addr, Bucket>,
    /// The shares of users, at each socket and of each host together, once the host may send no more.
    users: HashMap<SocketAddrV4, Bucket>,
    users_of: HashMap<Ipv4Addr, Bucket>,
    kept_out: HashMap<Ipv4Addr, Duration>,
}

/// The tokens that are left, and when.
type Bucket = (Duration, u64);

impl Tokens {
    pub(super) fn new(settings: &NodeSettings) -> Self {
        let limit = settings
            .rate_limit
            .map(|limit| (u64::from(limit.per_second.get()), u64::from(limit.burst.get()) * TOKEN));
        Self {
            limit,
            exempt: settings.exempt.clone(),
            sources: HashMap::new(),
            users: HashMap::new(),
            users_of: HashMap::new(),
            kept_out: HashMap::new(),
        }
    }

    /// Returns whether a datagram from `source` is let in, for a token if it has to have one.
    pub(super) fn take(&mut self, now: Duration, source: Ipv4Addr) -> Admitted {
        let Some((per_second, most)) = self.limit else { return Admitted::Free };
        if self.exempt.iter().any(|range| range.contains(source)) {
            return Admitted::Free;
        }
        let tokens = fill(self.sources.entry(source).or_insert((now, most)), now, per_second, most);
        match tokens.checked_sub(TOKEN) {
            Some(left) => *tokens = left,
            None => return Admitted::No,
        }
        Admitted::ForToken
    }

    /// Returns whether a user who is online at `socket` has a token of the user's own.
    pub(super) fn take_of_user(&mut self, now: Duration, socket: SocketAddrV4) -> bool {
        let Some((per_second, most)) = self.limit else { return true };
        let own = self.users.entry(socket).or_insert((now, OF_USER.1 * TOKEN));
        let own = fill(own, now, OF_USER.0, OF_USER.1 * TOKEN);
        let all = fill(self.users_of.entry(*socket.ip()).or_insert((now, most)), now, per_second, most);
        let (Some(own_left), Some(all_left)) = (own.checked_sub(TOKEN), all.checked_sub(TOKEN)) else {
            return false;
        };
        (*own, *all) = (own_left, all_left);
        true
    }

    pub(super) fn give_back(&mut self, source: Ipv4Addr) {
        if let (Some((_, most)), Some((_, tokens))) = (self.limit, self.sources.get_mut(&source)) {
            *tokens = most.min(*tokens + TOKEN);
        }
    }

    pub(super) fn keep_out(&mut self, now: Duration, source: Ipv4Addr) {
        self.kept_out.insert(source, now);
    }

    /// Returns when something from `source` was kept out last.
    pub(super) fn kept_out_at(&self, source: Ipv4Addr) -> Option<Duration> {
        self.kept_out.get(&source).copied()
    }
}

/// The fate of a datagram at the rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    Free,
    ForToken,
    No,
}

/// Returns the tokens of a bucket by now.
fn fill((last, tokens): &mut Bucket, now: Duration, per_second: u64, most: u64) -> &mut u64 {
    let passed = u64::try_from((now - *last).as_micros()).expect("less than ages");
    *tokens = most.min(*tokens + passed * per_second);
    *last = now;
    tokens
}

/// The tokens that a second brings a user, and the number that fits.
const OF_USER: (u64, u64) = (20, 40);

/// A token in millionths, as time is in microseconds.
const TOKEN: u64 = 1_000_000;
