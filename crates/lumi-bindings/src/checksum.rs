//! The sums by which damaged rows are noticed. The only file that names crc32fast.
//!
//! ```text
//! domain  in lower case, without a trailing dot
//!   0     one byte
//! binding 'b' length user agent heard_at stamp since 0 | 'b' length user agent heard_at stamp since 1 key
//! node    'h' heartbeat
//! ```
//!
//! Addresses are 4 bytes and a port of 2, numbers are 8 bytes, all in network order. A length is one byte.

use crc32fast::Hasher;
use plumi_proto::{Domain, UdpAddress};

use crate::binding::{StoredBinding, UnixMillis};

/// CRC-32 of the rows of one domain.
///
/// It notices damage. It keeps nobody from writing a row on purpose: whoever may write the file may.
#[derive(Clone, Debug)]
pub(crate) struct Checksums {
    /// The sum of the domain, with which each one begins.
    domain: Hasher,
}

impl Checksums {
    pub(crate) fn new(domain: &Domain) -> Self {
        let mut sum = Hasher::new();
        // Equal domains have equal sums.
        sum.update(domain.as_str().trim_end_matches('.').to_ascii_lowercase().as_bytes());
        sum.update(&[0]);
        Self { domain: sum }
    }

    pub(crate) fn of_binding(&self, binding: &StoredBinding) -> u32 {
        let mut sum = self.domain.clone();
        let user = binding.user.as_str().as_bytes();
        sum.update(&[b'b', u8::try_from(user.len()).expect("a name is shorter than 256 bytes")]);
        sum.update(user);
        add_address(&mut sum, binding.agent);
        add_address(&mut sum, binding.heard_at);
        sum.update(&binding.stamp.0.to_be_bytes());
        sum.update(&binding.since.0.to_be_bytes());
        match &binding.key {
            Some(key) => {
                sum.update(&[1]);
                sum.update(key);
            }
            None => sum.update(&[0]),
        }
        sum.finalize()
    }

    pub(crate) fn of_heartbeat(&self, heartbeat: UnixMillis) -> u32 {
        let mut sum = self.domain.clone();
        sum.update(b"h");
        sum.update(&heartbeat.0.to_be_bytes());
        sum.finalize()
    }
}

fn add_address(sum: &mut Hasher, address: UdpAddress) {
    sum.update(&address.ip().octets());
    sum.update(&address.port().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stamp;

    fn binding() -> StoredBinding {
        StoredBinding {
            user: "laura".parse().unwrap(),
            agent: "10.0.0.7:40123".parse().unwrap(),
            heard_at: "10.0.0.2:3344".parse().unwrap(),
            stamp: Stamp(5),
            since: UnixMillis(1_790_000_000_000),
            key: None,
        }
    }

    #[test]
    fn every_field_and_the_domain_count() {
        let sums = Checksums::new(&"bb.com".parse().unwrap());
        let sum = sums.of_binding(&binding());
        for other in [
            StoredBinding { user: "laurb".parse().unwrap(), ..binding() },
            StoredBinding { agent: "10.0.0.8:40123".parse().unwrap(), ..binding() },
            StoredBinding { agent: "10.0.0.7:40124".parse().unwrap(), ..binding() },
            StoredBinding { heard_at: "10.0.0.3:3344".parse().unwrap(), ..binding() },
            StoredBinding { heard_at: "10.0.0.2:3345".parse().unwrap(), ..binding() },
            StoredBinding { stamp: Stamp(6), ..binding() },
            StoredBinding { since: UnixMillis(1_790_000_000_001), ..binding() },
            StoredBinding { key: Some([0; 8]), ..binding() },
        ] {
            assert_ne!(sums.of_binding(&other), sum, "{other:?}");
        }
        let (one, other) = (Some([1; 8]), Some([2; 8]));
        let of_key = |key| sums.of_binding(&StoredBinding { key, ..binding() });
        assert_ne!(of_key(one), of_key(other));
        assert_ne!(Checksums::new(&"cc.com".parse().unwrap()).of_binding(&binding()), sum);
        assert_eq!(Checksums::new(&"BB.com.".parse().unwrap()).of_binding(&binding()), sum);
        assert_ne!(sums.of_heartbeat(UnixMillis(1)), sums.of_heartbeat(UnixMillis(2)));
    }

    /// Rows of deployed databases have to stay valid.
    #[test]
    fn a_sum_is_what_it_was() {
        let sums = Checksums::new(&"bb.com".parse().unwrap());
        assert_eq!(sums.of_binding(&binding()), 0xb5eb4c13);
        assert_eq!(sums.of_heartbeat(UnixMillis(1_790_000_000_000)), 0xccb9b888);
    }
}
