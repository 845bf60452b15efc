//! A share of the rate limit for each online user, used once the host has spent its own (protocol.md §9).
//!
//! Anybody with the same address, real or forged, could otherwise silence a user.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::time::Instant;

use plumi_proto::UdpAddress;

use super::limiter::{Bucket, RateLimit};
use super::source::Source;

/// A bucket for each socket at which a user is online, made when it is first needed. Beside it, those of a
/// host spend one bucket together; a socket whose own is full passes even if that is empty.
///
/// If there are too many, the fullest one gives way, because a new one would be as full.
#[derive(Debug)]
pub(super) struct UserShares {
    /// The limit of all users of a host together.
    of_host: RateLimit,
    /// No host is here without sockets.
    hosts: HashMap<Source, Host>,
    /// The sockets of all hosts, by the time at which their buckets are full: the fullest first.
    by_fullness: BTreeSet<(Instant, UdpAddress)>,
}

#[derive(Debug)]
struct Host {
    all: Bucket,
    by_port: HashMap<u16, Bucket>,
}

impl UserShares {
    pub(super) fn new(of_host: RateLimit) -> Self {
        Self { of_host, hosts: HashMap::new(), by_fullness: BTreeSet::new() }
    }

    /// Returns whether a datagram of a user who is online at `socket` is admitted.
    pub(super) fn admit(&mut self, now: Instant, socket: UdpAddress) -> bool {
        let (source, of_host) = (Source::from(socket), self.of_host);
        let is_known = self.hosts.get(&source).is_some_and(|host| host.by_port.contains_key(&socket.port()));
        if !is_known {
            self.make_room(source);
        }
        let host = self
            .hosts
            .entry(source)
            .or_insert_with(|| Host { all: Bucket::full(now, of_host), by_port: HashMap::new() });
        let own = host.by_port.entry(socket.port()).or_insert_with(|| Bucket::full(now, of_user()));
        self.by_fullness.remove(&(own.full_at(of_user()), socket));
        own.fill(now, of_user());
        host.all.fill(now, of_host);
        // A user who asks by the schedule is never far from a full share. Neighbours who ask for more than
        // theirs pay for the attempt, so they do not win the host's from one another by asking more often.
        let asks_little = is_known && own.is_full(of_user());
        let is_admitted = own.take() && (host.all.take() || asks_little);
        self.by_fullness.insert((own.full_at(of_user()), socket));
        is_admitted
    }

    /// Makes room for one more socket of `source`.
    fn make_room(&mut self, source: Source) {
        let of_host = self.hosts.get(&source).filter(|host| host.by_port.len() >= MAX_OF_HOST);
        let fullest = match of_host {
            Some(host) => {
                let sockets = host.by_port.iter().map(|(port, bucket)| (bucket.full_at(of_user()), *port));
                sockets.min().map(|(full_at, port)| (full_at, UdpAddress::new(source.ip(), port)))
            }
            None if self.by_fullness.len() >= MAX_SOCKETS => self.by_fullness.first().copied(),
            None => None,
        };
        if let Some(fullest) = fullest {
            self.remove(fullest);
        }
    }

    fn remove(&mut self, (full_at, socket): (Instant, UdpAddress)) {
        self.by_fullness.remove(&(full_at, socket));
        let source = Source::from(socket);
        if let Some(host) = self.hosts.get_mut(&source) {
            host.by_port.remove(&socket.port());
            // The bucket of the host hardly lacks more than that of its last socket, which was the fullest of
            // all.
            if host.by_port.is_empty() {
                self.hosts.remove(&source);
            }
        }
    }
}

/// Returns the limit of one user: many times what an agent sends that repeats everything.
fn of_user() -> RateLimit {
    let per_second = NonZeroU32::new(20).expect("is not 0");
    RateLimit::new(per_second)
}

/// The limit of sockets kept at a time, about 512 KiB: those of users whose host is flooded, or floods.
const MAX_SOCKETS: usize = 4_096;

/// The limit for one host: as many users of a school as need it at the same time.
const MAX_OF_HOST: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::any_time;

    #[test]
    fn so_many_sockets_are_kept_of_a_host_and_in_all() {
        let mut shares = UserShares::new(RateLimit::default());
        let start = any_time();
        for host in 0..64 {
            for port in 1..=70 {
                assert!(shares.admit(start, at(host, port)), "{host}:{port}");
            }
        }
        let kept: Vec<_> = shares.hosts.values().map(|host| host.by_port.len()).collect();
        assert_eq!(kept, [MAX_OF_HOST; 64]);
        assert_eq!(shares.by_fullness.len(), MAX_SOCKETS);
        for host in 64..5_000 {
            assert!(shares.admit(start, at(host, 1)), "{host}");
            assert_eq!(shares.by_fullness.len(), MAX_SOCKETS);
        }
        assert!(shares.hosts.len() <= MAX_SOCKETS);
        assert!(shares.hosts.values().all(|host| !host.by_port.is_empty()));
        let later = start + Duration::from_secs(9);
        assert!(shares.admit(later, at(0, 1)));
    }

    /// They are online at one address and ask as often as they can; one more asks as an agent of S does.
    #[test]
    fn neighbours_who_ask_for_all_take_nothing_from_one_who_asks_little() {
        let limit = RateLimit::default();
        let mut shares = UserShares::new(limit);
        let start = any_time();
        let mut of_neighbours = 0;
        for tenth in 0..100 {
            let now = start + Duration::from_millis(100 * tenth);
            for _ in 0..30 {
                of_neighbours += (2..=61).filter(|port| shares.admit(now, at(0, *port))).count();
            }
            // The first question makes its share.
            assert!(shares.admit(now, at(0, 1)) || tenth == 0, "try {tenth}");
        }
        let most = 60 * (40 + 20 * 10);
        assert!(of_neighbours <= most, "{of_neighbours} of {most}");
    }

    /// A newcomer gets a share though none of so many buckets is full, and those who sent most keep theirs.
    #[test]
    fn the_fullest_share_gives_way() {
        let mut shares = UserShares::new(RateLimit::default());
        let start = any_time();
        let spend = |shares: &mut UserShares, host| while shares.admit(start, at(host, 1)) {};
        // One has sent least, and all others everything that they may.
        assert!(shares.admit(start, at(0, 1)));
        (1..4_096).for_each(|host| spend(&mut shares, host));
        assert!(shares.admit(start, at(4_096, 1)), "a newcomer");
        assert!(!shares.hosts.contains_key(&Source::from(at(0, 1))), "the fullest gives way");
        assert!(!shares.admit(start, at(1, 1)), "who sent too much gets no new share");
        // The newcomer is the fullest by now, and so is the next one.
        for host in 5_000..6_000 {
            assert!(shares.admit(start, at(host, 1)), "{host}");
        }
        assert!((1..4_096).all(|host| !shares.admit(start, at(host, 1))));
    }

    fn at(host: u32, port: u16) -> UdpAddress {
        UdpAddress::new((0x0A00_0000 + host).into(), port)
    }
}
