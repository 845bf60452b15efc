//! The name by which somebody has come.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Returns whether `host`, the value of the header of that name, is an address or this host's own name for
/// itself. Any other name may be a stranger's, who lets it lead here so that a page of theirs, in the browser
/// of somebody who may look, reads what is shown (DNS rebinding).
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
