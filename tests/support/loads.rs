//! Datagrams that strangers may send to a node, at a rate; the time that answers take.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

/// Calls `send` with 0, 1, 2 … so often a second, `count` times in all, or as often as it can.
pub fn at_rate(per_second: usize, count: usize, mut send: impl FnMut(usize)) {
    let start = Instant::now();
    let mut sent = 0;
    while sent < count {
        let due = start.elapsed().as_micros() * per_second as u128 / 1_000_000;
        let due = usize::try_from(due).unwrap_or(usize::MAX);
        while sent < count.min(due) {
            send(sent);
            sent += 1;
        }
        thread::park_timeout(TICK);
    }
}

/// Sends `datagram` from a new port of `from` to the node at `to` so often a second, `count` times in all.
/// Hears no answers. Returns how often a second it was.
///
/// # Panics
/// Without sockets.
pub fn flood(from: Ipv4Addr, to: SocketAddrV4, datagram: &[u8], per_second: usize, count: usize) -> f64 {
    let socket = UdpSocket::bind((from, 0)).expect("a socket");
    socket.connect(to).expect("there is a way to the node");
    let start = Instant::now();
    // A datagram that the kernel does not take is lost, as is one for which the node's queue has no room.
    at_rate(per_second, count, |_| drop(socket.send(datagram)));
    count as f64 / start.elapsed().as_secs_f64()
}

/// Latencies, to be told by how many are less.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Adds another one.
    pub fn add(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    /// The least one that `percent` of them do not exceed; 100 is the longest.
    pub fn percentile(&mut self, percent: usize) -> Duration {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        self.0.get(last * percent / 100).copied().unwrap_or_default()
    }
}

/// Datagrams that are no messages, or no messages for a node, but look like some: valid ones with something
/// wrong. The same seed gives the same ones.
#[derive(Clone, Debug)]
pub struct NearMisses {
    rng: Rng,
    users: Vec<String>,
}

impl NearMisses {
    /// Creates a load of messages about `users`, which are addresses.
    pub fn new(seed: u64, users: &[&str]) -> Self {
        let users = users.iter().map(|&user| user.to_owned()).collect();
        Self { rng: Rng::with_seed(seed), users }
    }

    /// A datagram of 0 to 65,507 bytes, seldom more than 120. It may happen to be a message.
    pub fn next_datagram(&mut self) -> Vec<u8> {
        let mut datagram = match self.rng.u8(..10) {
            0 => self.noise(40),
            _ => self.message(),
        };
        for _ in 0..self.rng.usize(1..4) {
            self.spoil(&mut datagram);
        }
        datagram.truncate(LARGEST);
        datagram
    }

    /// A message of any kind.
    fn message(&mut self) -> Vec<u8> {
        let (from, to) = (self.user(), self.user());
        let code = self.rng.u8(..10);
        match self.rng.u8(..8) {
            0 => format!("PR{from}"),
            1 => format!("PD{from}"),
            2 => format!("RR{code}"),
            3 => format!("RD{code}"),
            4 => format!("PL{from}:{to}"),
            5 => format!("RL0{from}:{to}:127.0.0.1:{}", self.rng.u16(..)),
            6 => format!("RL{code}{from}:{to}"),
            _ => format!("N{:02}{from}", from.len()),
        }
        .into_bytes()
    }

    fn user(&mut self) -> String {
        let user = self.rng.choice(&self.users).expect("there are users");
        match self.rng.u8(..8) {
            0 => user.split('@').next().unwrap_or_default().to_owned(),
            1 => user.to_uppercase(),
            2 => format!("{user}@{user}"),
            3 => "x".repeat(self.rng.usize(..70)) + user,
            _ => user.clone(),
        }
    }

    /// Does one thing to it that a mistake or a broken program may do.
    fn spoil(&mut self, datagram: &mut Vec<u8>) {
        let at = self.rng.usize(..=datagram.len());
        let byte = if self.rng.bool() { self.rng.u8(..) } else { *self.rng.choice(ODD).expect("some") };
        match self.rng.u8(..64) {
            0..16 => datagram.truncate(at),
            16..32 => datagram.insert(at, byte),
            32..48 if at < datagram.len() => datagram[at] = byte,
            48..56 if at < datagram.len() => _ = datagram.remove(at),
            56..62 => datagram.extend_from_within(at..),
            62 => datagram.extend(self.noise(1_400)),
            63 => datagram.resize(self.rng.usize(..=LARGEST), byte),
            _ => {}
        }
    }

    fn noise(&mut self, most: usize) -> Vec<u8> {
        (0..self.rng.usize(..most)).map(|_| self.rng.u8(..)).collect()
    }
}

/// Bytes that mean something to a parser, a log or a terminal.
const ODD: &[u8] = b":@.-_0123456789PRDLN \0\n\r\t\x1b\x7f\x80\xc3\xff";

/// The most bytes of a UDP datagram over IPv4.
const LARGEST: usize = 65_507;

/// The pause of a sender that keeps a rate.
const TICK: Duration = Duration::from_millis(1);
