//! The name by which somebody has come, and from where.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Returns what stands for `ip` where visitors are counted by their addresses: the address, or of IPv6 the
/// first half, as a host can have any number of those that share it.
pub(crate) fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

/// Returns whether a page at `origin`, the value of the header of that name, is one that came by `host`, the
/// value of the header `Host`. A proxy may have added encryption.
pub(crate) fn is_origin(origin: &str, host: &str) -> bool {
    let scheme_and_host = origin.split_once("://");
    scheme_and_host
        .is_some_and(|(scheme, at)| matches!(scheme, "http" | "https") && at.eq_ignore_ascii_case(host))
}

/// Returns whether `host`, the value of the header of that name, is an address or this host's own name for
/// itself. Any other name may belong to an attacker. If it leads here, a page of the attacker, in the browser
/// of a legitimate viewer, could read what is shown (DNS rebinding).
pub(crate) fn is_address(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    host.parse::<SocketAddr>().is_ok()
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4())
        || bracketed.is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok())
        || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_counted_once() {
        let source = |ip: &str| source(ip.parse().unwrap()).to_string();
        assert_eq!(source("10.0.0.1"), "10.0.0.1");
        assert_eq!(source("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
    }

    #[test]
    fn an_origin_is_its_own_only_at_the_same_host_and_port() {
        for (origin, host) in [
            ("http://10.0.0.1:8344", "10.0.0.1:8344"),
            ("https://LOCALHOST", "localhost"),
            ("http://[::1]:1", "[::1]:1"),
        ] {
            assert!(is_origin(origin, host), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://",
            "http://10.0.0.1",
            "http://10.0.0.1:83440",
            "ftp://10.0.0.1:8344",
            "10.0.0.1:8344",
        ] {
            assert!(!is_origin(origin, "10.0.0.1:8344"), "{origin}");
        }
    }

    #[test]
    fn addresses_are_told_from_names() {
        for host in
            ["127.0.0.1", "127.0.0.1:8344", "[::1]", "[::1]:8344", "localhost", "LocalHost:1", "10.0.0.1:80"]
        {
            assert!(is_address(host), "{host}");
        }
        for host in [
            "",
            ":",
            ":80",
            "evil.example",
            "evil.example:8344",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1:x",
            "localhost:x",
            "localhost:",
            "::1",
            "[::1",
            "::1]",
            "[localhost]",
            "2130706433",
            "0x7f.1",
            "127.0.0.1,evil.example",
            "127.0.0.1@evil.example",
            " localhost",
        ] {
            assert!(!is_address(host), "{host}");
        }
    }
}
