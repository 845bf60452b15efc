//! The network: what it does to a datagram on its way.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::BitOr;
use std::time::Duration;

use fastrand::Rng;

use super::report::Statistics;

/// The party that put a datagram on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// The node of this number.
    Node(usize),
    /// The agent of this number.
    Agent(usize),
    /// Nobody who plays by the rules, whatever its source address says.
    Attacker,
}

/// Others than the programs that had a hand in a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taint {
    /// An attacker wrote it.
    pub(super) attacker: bool,
    /// The network changed it.
    pub(super) altered: bool,
    /// It is a second copy that the network made.
    pub(super) copied: bool,
}

impl BitOr for Taint {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            attacker: self.attacker || other.attacker,
            altered: self.altered || other.altered,
            copied: self.copied || other.copied,
        }
    }
}

/// A datagram, and where it is from.
#[derive(Clone, Debug)]
pub(super) struct Datagram {
    /// Its source address, which attackers choose.
    pub(super) from: SocketAddrV4,
    pub(super) to: SocketAddrV4,
    pub(super) bytes: Vec<u8>,
    pub(super) sender: Sender,
    /// Those who had a hand in its content.
    pub(super) content: Taint,
    /// Those who had a hand in its sending: its content, and everything that led to it.
    pub(super) cause: Taint,
}

/// The faults of the network. Shares are in percent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weather {
    /// Datagrams that are lost, 0 to 60.
    pub(super) loss: u8,
    /// Datagrams that arrive twice, 0 to 50.
    pub(super) duplication: u8,
    /// Datagrams that take longer than others, and so change places with them.
    pub(super) lateness: u8,
    /// The most by which they take longer, up to 5 s.
    pub(super) longest: Duration,
    /// Datagrams that lose their end, or get another.
    pub(super) damage: u8,
}

/// The network between all hosts.
#[derive(Debug)]
pub(super) struct Network {
    rng: Rng,
    weather: Weather,
    /// Pairs of hosts that do not reach each other, the lower address first.
    parted: BTreeSet<(Ipv4Addr, Ipv4Addr)>,
}

impl Network {
    pub(super) fn new(rng: Rng, weather: Weather) -> Self {
        Self { rng, weather, parted: BTreeSet::new() }
    }

    /// Makes everything arrive from now on, once, unchanged and soon.
    pub(super) fn heal(&mut self) {
        self.weather = Weather::default();
        self.parted.clear();
    }

    pub(super) fn part(&mut self, one: Ipv4Addr, other: Ipv4Addr) {
        self.parted.insert((one.min(other), one.max(other)));
    }

    pub(super) fn join(&mut self, one: Ipv4Addr, other: Ipv4Addr) {
        self.parted.remove(&(one.min(other), one.max(other)));
    }

    /// Returns whether a datagram of one host can arrive at the other.
    pub(super) fn reaches(&self, one: Ipv4Addr, other: Ipv4Addr) -> bool {
        !self.parted.contains(&(one.min(other), one.max(other)))
    }

    /// Draws the time of a datagram that the network does not delay.
    pub(super) fn transit(&mut self) -> Duration {
        Duration::from_micros(self.rng.u64(100..20_000))
    }

    /// Returns the copies that arrive of a datagram that is sent now, each with the time that it takes.
    pub(super) fn carry(
        &mut self,
        datagram: Datagram,
        statistics: &mut Statistics,
    ) -> Vec<(Duration, Datagram)> {
        if !self.reaches(*datagram.from.ip(), *datagram.to.ip()) {
            statistics.fault("datagram at a partition");
            return Vec::new();
        }
        if self.happens(self.weather.loss) {
            statistics.fault("datagram lost");
            return Vec::new();
        }
        let mut arriving = Vec::new();
        if self.happens(self.weather.duplication) {
            statistics.fault("datagram doubled");
            let mut copy = datagram.clone();
            copy.content.copied = true;
            copy.cause.copied = true;
            arriving.push((self.delay(statistics), copy));
        }
        let mut datagram = datagram;
        if self.happens(self.weather.damage) {
            statistics.fault("datagram damaged");
            self.damage(&mut datagram);
        }
        arriving.push((self.delay(statistics), datagram));
        arriving
    }

    fn delay(&mut self, statistics: &mut Statistics) -> Duration {
        let transit = self.transit();
        if !self.happens(self.weather.lateness) {
            return transit;
        }
        statistics.fault("datagram late");
        let longest = u64::try_from(self.weather.longest.as_micros()).expect("seconds");
        transit + Duration::from_micros(self.rng.u64(0..=longest))
    }

    /// Cuts the end off, or puts other bytes there.
    fn damage(&mut self, datagram: &mut Datagram) {
        let kept = self.rng.usize(0..=datagram.bytes.len());
        let length = datagram.bytes.len();
        datagram.bytes.truncate(kept);
        if self.rng.bool() {
            datagram.bytes.extend((kept..length).map(|_| self.rng.u8(..)));
        }
        datagram.content.altered = true;
        datagram.cause.altered = true;
    }

    fn happens(&mut self, percent: u8) -> bool {
        percent > 0 && self.rng.u8(0..100) < percent
    }
}
