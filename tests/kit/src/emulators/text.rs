//! The messages of protocol.md §2, read as strictly as the strictest deployed program does. Of an `RL`, both
//! read the fields they know and ignore what follows (row 15).

use std::net::{Ipv4Addr, SocketAddrV4};

/// `user@domain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address<'a> {
    pub(super) user: &'a str,
    pub(super) domain: &'a str,
}

/// The two names of a `PL` or an `RL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair<'a> {
    /// The user that asks.
    pub(super) from: Address<'a>,
    /// The user that is asked for.
    pub(super) to: Address<'a>,
}

pub(super) fn address(bytes: &[u8]) -> Option<Address<'_>> {
    let (user, domain) = std::str::from_utf8(bytes).ok()?.split_once('@')?;
    let is_name = |name: &str| !name.is_empty() && !name.contains(['@', ':']);
    (bytes.len() <= 36 && is_name(user) && is_name(domain)).then_some(Address { user, domain })
}

/// The names of a whole `PL`.
pub(super) fn question(message: &[u8]) -> Option<Pair<'_>> {
    let fields: Vec<_> = message.strip_prefix(b"PL")?.split(|&byte| byte == b':').collect();
    let [from, to] = fields[..] else { return None };
    Some(Pair { from: address(from)?, to: address(to)? })
}

/// The names of an `RL`. What was found has a socket address, too.
pub(super) fn answer(message: &[u8]) -> Option<Pair<'_>> {
    let (&code, rest) = message.strip_prefix(b"RL")?.split_first()?;
    let fields: Vec<_> = rest.split(|&byte| byte == b':').collect();
    let (from, to) = match (code, &fields[..]) {
        (b'0', &[from, to, ip, port, ..]) => {
            socket(ip, port)?;
            (from, to)
        }
        (b'1'..=b'3', &[from, to, ..]) => (from, to),
        _ => return None,
    };
    Some(Pair { from: address(from)?, to: address(to)? })
}

/// The fields after the names of an `RL0`: the listening address of the user that was asked for.
pub(super) fn found(message: &[u8]) -> Option<SocketAddrV4> {
    let mut fields = message.split(|&byte| byte == b':').skip(2);
    socket(fields.next()?, fields.next()?)
}

fn socket(ip: &[u8], port: &[u8]) -> Option<SocketAddrV4> {
    let ip: Ipv4Addr = std::str::from_utf8(ip).ok()?.parse().ok()?;
    let port: u16 = std::str::from_utf8(port).ok()?.parse().ok()?;
    (port != 0).then_some(SocketAddrV4::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_fields_are_read() {
        let u1 = Address { user: "u1", domain: "PC-c" };
        let u2 = Address { user: "u2", domain: "PC-d" };
        let pair = Some(Pair { from: u1, to: u2 });
        assert_eq!(question(b"PLu1@PC-c:u2@PC-d"), pair);
        assert_eq!(answer(b"RL0u1@PC-c:u2@PC-d:10.100.100.102:43038"), pair);
        assert_eq!(answer(b"RL3u1@PC-c:u2@PC-d"), pair);
        assert_eq!(answer(b"RL0u1@PC-c:u2@PC-d:10.100.100.102:43038:T:more"), pair);
        assert_eq!(answer(b"RL1u1@PC-c:u2@PC-d:10.100.100.102:43038"), pair);
        for more in ["", ":", ":T", ":10.0.0.9:4000"] {
            let message = format!("RL0u1@PC-c:u2@PC-d:10.100.100.102:43038{more}");
            assert_eq!(found(message.as_bytes()), Some("10.100.100.102:43038".parse().unwrap()), "{message}");
        }
        for odd in [
            &b""[..],
            b"PL",
            b"PLu1@PC-c",
            b"PLu1@PC-c:",
            b"PLu1@PC-c:u2",
            b"PLu1@PC-c:u2@PC-d:",
            b"PL@PC-c:u2@PC-d",
            b"PLu1@PC@c:u2@PC-d",
            b"PLuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu@PC-c:u2@PC-d",
            b"PLu\xff@PC-c:u2@PC-d",
        ] {
            assert_eq!(question(odd), None, "{}", odd.escape_ascii());
        }
        for odd in [
            &b"RL"[..],
            b"RL0u1@PC-c:u2@PC-d",
            b"RL0u1@PC-c:u2@PC-d:10.100.100.102:0",
            b"RL0u1@PC-c:u2@PC-d:10.100.100:1",
            b"RL00:10.100.100.101:4000",
            b"RL0u1@PC-c:u2@PC-d:10.100.100.102:43038x:T",
            b"RL1u1@PC-c:",
            b"RL4u1@PC-c:u2@PC-d",
        ] {
            assert_eq!(answer(odd), None, "{}", odd.escape_ascii());
        }
    }
}
