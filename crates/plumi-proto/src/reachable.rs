//! The IP addresses at which a node or an agent can be.

use crate::host::HostIp;

/// Returns whether a message to `ip` can reach one host and no more than one.
///
/// It cannot if `ip` is in "this network" 0.0.0.0/8, which is never a destination, is a multicast address
/// (224.0.0.0/4), or is the broadcast address 255.255.255.255 (RFC 1122 §3.2.1.3). Programs that do not know
/// their own address publish 0.0.0.0 (protocol.md §7, 5), and a kernel treats it as its own host. The other
/// two reach many hosts.
///
/// Loopback and private addresses are reachable: many nodes and agents share a host or a network. Whether
/// somebody is there is another matter.
pub fn is_reachable(ip: HostIp) -> bool {
    ip.octets()[0] != 0 && !ip.is_multicast() && !ip.is_broadcast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_can_be_reached() {
        for ip in
            ["1.0.0.0", "127.0.0.2", "10.100.100.102", "223.255.255.255", "240.0.0.0", "255.255.255.254"]
        {
            assert!(is_reachable(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn no_host_or_many_cannot() {
        for ip in ["0.0.0.0", "0.0.0.1", "0.255.255.255", "224.0.0.0", "239.255.255.255", "255.255.255.255"] {
            assert!(!is_reachable(ip.parse().unwrap()), "{ip}");
        }
    }
}
