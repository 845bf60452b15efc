//! Packets as a capture has them: IPv4 with UDP or TCP, in the format of pcap, made without a network.

use std::net::SocketAddrV4;

/// A capture that is being made. Packets are numbered from 1, as Wireshark does; each comes 10 ms after the
/// one before.
pub(crate) struct Capture {
    file: Vec<u8>,
    packets: u32,
    milliseconds: u32,
}

impl Capture {
    pub(crate) fn new() -> Self {
        let mut file = Vec::new();
        // Microseconds, format 2.4, no time zone, no limit, packets that begin with their IP header.
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 101_u32] {
            file.extend(word.to_le_bytes());
        }
        Self { file, packets: 0, milliseconds: 0 }
    }

    pub(crate) fn file(&self) -> &[u8] {
        &self.file
    }

    /// Nothing happens for so long.
    pub(crate) fn wait(&mut self, milliseconds: u32) {
        self.milliseconds += milliseconds;
    }

    /// A datagram. Returns its number.
    pub(crate) fn udp(&mut self, from: &str, to: &str, payload: &[u8]) -> u32 {
        self.ip(UDP, address(from), address(to), &udp(address(from), address(to), payload))
    }

    /// An ICMP "port unreachable" from `from`, about such a datagram from `to`. Returns its number.
    pub(crate) fn unreachable(&mut self, from: &str, to: &str, payload: &[u8]) -> u32 {
        let (from, to) = (address(from), address(to));
        let quoted = packet(UDP, to, from, &udp(to, from, payload));
        self.ip(ICMP, from, to, &[&[3, 3, 0, 0, 0, 0, 0, 0], &quoted[..]].concat())
    }

    fn tcp(&mut self, ends: [SocketAddrV4; 2], numbers: [u32; 2], flags: u8, payload: &[u8]) -> u32 {
        let mut segment = ports(ends[0], ends[1]);
        for number in numbers {
            segment.extend(number.to_be_bytes());
        }
        segment.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(payload);
        self.ip(TCP, ends[0], ends[1], &segment)
    }

    fn ip(&mut self, protocol: u8, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> u32 {
        let packet = packet(protocol, from, to, payload);
        let length = u32::try_from(packet.len()).expect("a packet is short");
        let (seconds, milliseconds) = (1000 + self.milliseconds / 1000, self.milliseconds % 1000);
        for word in [seconds, milliseconds * 1000, length, length] {
            self.file.extend(word.to_le_bytes());
        }
        self.file.extend(packet);
        self.milliseconds += 10;
        self.packets += 1;
        self.packets
    }
}

/// A TCP connection in a capture.
pub(crate) struct Connection {
    ends: [SocketAddrV4; 2],
    next: [u32; 2],
}

impl Connection {
    /// Three packets: `caller` connects to `callee`.
    pub(crate) fn open(capture: &mut Capture, caller: &str, callee: &str) -> Self {
        let mut connection = Self { ends: [address(caller), address(callee)], next: [1000, 2000] };
        connection.send(capture, Side::Caller, SYN, b"");
        connection.send(capture, Side::Callee, SYN | ACK, b"");
        connection.send(capture, Side::Caller, ACK, b"");
        connection
    }

    /// A segment. Returns its number.
    pub(crate) fn say(&mut self, capture: &mut Capture, side: Side, payload: &[u8]) -> u32 {
        self.send(capture, side, ACK, payload)
    }

    pub(crate) fn finish(&mut self, capture: &mut Capture, side: Side) -> u32 {
        self.send(capture, side, FIN | ACK, b"")
    }

    pub(crate) fn reset(&mut self, capture: &mut Capture, side: Side) -> u32 {
        self.send(capture, side, RST | ACK, b"")
    }

    fn send(&mut self, capture: &mut Capture, side: Side, flags: u8, payload: &[u8]) -> u32 {
        let (this, other) = if side == Side::Caller { (0, 1) } else { (1, 0) };
        let ends = [self.ends[this], self.ends[other]];
        let seen = if flags & ACK == 0 { 0 } else { self.next[other] };
        let number = capture.tcp(ends, [self.next[this], seen], flags, payload);
        // A SYN and a FIN count as a byte.
        let marks = u32::from(flags & (SYN | FIN) != 0);
        self.next[this] += marks + u32::try_from(payload.len()).expect("a segment is short");
        number
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Caller,
    Callee,
}

fn udp(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).expect("a datagram is short");
    // There is no checksum.
    [&ports(from, to), &length.to_be_bytes()[..], &[0, 0], payload].concat()
}

fn packet(protocol: u8, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).expect("a packet is short").to_be_bytes();
    let header = [0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, protocol, 0, 0];
    [&header, &from.ip().octets()[..], &to.ip().octets(), payload].concat()
}

fn ports(from: SocketAddrV4, to: SocketAddrV4) -> Vec<u8> {
    [from.port().to_be_bytes(), to.port().to_be_bytes()].concat()
}

fn address(text: &str) -> SocketAddrV4 {
    text.parse().expect("an address of the test")
}

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
