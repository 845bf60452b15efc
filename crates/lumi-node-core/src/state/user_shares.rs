//! A share of the rate limit for each online user, used once the host has spent its own (protocol.md §9).
//!
//! Without it, anybody with the same address, real or forged, could silence a user.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use plumi_proto::UdpAddress;

use super::limiter::{Bucket, RateLimit};
use super::source::Source;

/// A bucket for each socket at which a user is online, made when it is first needed.
#[derive(Debug)]
pub(super) struct UserShares {
    /// The limit of all users of a host together.
    of_host: RateLimit,
    hosts: HashMap<Source, Host>,
    /// The number of sockets of all hosts.
    sockets: usize,
    last_sweep: Option<Instant>,
}

#[derive(Debug)]
struct Host {
    all: Bucket,
    by_port: HashMap<u16, Bucket>,
}

impl UserShares {
    pub(super) fn new(of_host: RateLimit) -> Self {
        Self { of_host, hosts: HashMap::new(), sockets: 0, last_sweep: None }
    }

    /// Returns whether a datagram of a user who is online at `socket` is admitted.
    pub(super) fn admit(&mut self, now: Instant, socket: UdpAddress) -> bool {
        let source = Source::from(socket);
        let is_known = self.hosts.get(&source).is_some_and(|host| host.by_port.contains_key(&socket.port()));
        if !is_known && !self.has_room(now, source) {
            return false;
        }
        let of_host = self.of_host;
        let host = self
            .hosts
            .entry(source)
            .or_insert_with(|| Host { all: Bucket::full(now, of_host), by_port: HashMap::new() });
        self.sockets += usize::from(!is_known);
        let own = host.by_port.entry(socket.port()).or_insert_with(|| Bucket::full(now, of_user()));
        own.fill(now, of_user());
        host.all.fill(now, of_host);
        own.has_one() && host.all.has_one() && own.take() && host.all.take()
    }

    /// Makes room for one more socket of `source`: the fullest bucket gives way, because a new one would be as full.
    fn has_room(&mut self, now: Instant, source: Source) -> bool {
        if let Some(host) = self.hosts.get_mut(&source)
            && host.by_port.len() >= MAX_OF_HOST
        {
            host.by_port.values_mut().for_each(|bucket| bucket.fill(now, of_user()));
            let fullest = host.by_port.iter().max_by_key(|(port, bucket)| (bucket.level(), **port));
            let fullest = fullest.map(|(port, _)| *port);
            self.sockets -= usize::from(fullest.is_some_and(|port| host.by_port.remove(&port).is_some()));
        }
        let is_due = self.last_sweep.is_none_or(|last| now >= last + SWEEP_INTERVAL);
        if self.sockets >= MAX_SOCKETS && is_due {
            self.last_sweep = Some(now);
            self.sweep(now);
        }
        self.sockets < MAX_SOCKETS
    }

    /// Forgets the buckets that are full again.
    fn sweep(&mut self, now: Instant) {
        let of_host = self.of_host;
        self.hosts.retain(|_, host| {
            host.by_port.retain(|_, bucket| {
                bucket.fill(now, of_user());
                !bucket.is_full(of_user())
            });
            host.all.fill(now, of_host);
            !host.by_port.is_empty() || !host.all.is_full(of_host)
        });
        self.sockets = self.hosts.values().map(|host| host.by_port.len()).sum();
    }
}

/// Returns the limit of one user: many times what an agent sends that repeats everything.
fn of_user() -> RateLimit {
    let per_second = NonZeroU32::new(20).expect("is not 0");
    RateLimit::new(per_second)
}

/// The limit of sockets kept at a time, about 256 KiB: those of users whose host is flooded, or floods.
const MAX_SOCKETS: usize = 4_096;

/// The limit for one host: as many users of a school as need it at the same time.
const MAX_OF_HOST: usize = 64;

/// The shortest time between two sweeps of the table.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::any_time;

    #[test]
    fn so_many_sockets_are_kept_of_a_host_and_in_all() {
        let mut shares = UserShares::new(RateLimit::default());
        let start = any_time();
        let at = |host: u32, port| UdpAddress::new((0x0A00_0000 + host).into(), port);
        for host in 0..64 {
            for port in 1..=70 {
                assert!(shares.admit(start, at(host, port)), "{host}:{port}");
            }
        }
        let kept =
            |shares: &UserShares| shares.hosts.values().map(|host| host.by_port.len()).collect::<Vec<_>>();
        assert_eq!(kept(&shares), [MAX_OF_HOST; 64]);
        assert_eq!(shares.sockets, MAX_SOCKETS);
        assert!(!shares.admit(start, at(64, 1)), "all places are taken");
        // By now each may send as much as one who has sent nothing.
        let later = start + Duration::from_secs(1);
        assert!(shares.admit(later, at(64, 1)));
        assert_eq!((kept(&shares), shares.sockets), (vec![1], 1));
    }
}
