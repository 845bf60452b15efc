//! What strangers may send to a node, in any number.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use fastrand::Rng;

/// Sends `datagram` from `ip` to `to`, `count` times, as fast as it goes. Returns where it came from.
///
/// # Panics
/// If `ip` is not one of this host's.
pub fn flood(ip: Ipv4Addr, to: SocketAddrV4, datagram: &[u8], count: usize) {
    let socket = UdpSocket::bind((ip, 0)).expect("a socket");
    socket.connect(to).expect("there is a way to the node");
    for _ in 0..count {
        // One that the kernel does not take is lost, as is one that the node's queue has no room for.
        _ = socket.send(datagram);
    }
}

/// Datagrams that are no messages, or no messages for a node, but look like some: valid ones with something wrong.
/// The same seed gives the same ones.
#[derive(Clone, Debug)]
pub struct NearMisses {
    rng: Rng,
    users: Vec<String>,
}

impl NearMisses {
    /// Of messages about `users`, addresses.
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
