//! The entry of a user in the directory that the nodes of one domain share.

use std::cmp::Ordering;

use plumi_proto::{HostIp, UdpAddress};

use crate::binding::Stamp;

/// The place of one user, as all nodes of the domain know it.
///
/// ```text
/// 0           4           8         10              18
/// | serving   | agent's IP | port    | stamp        |     all numbers big-endian
/// ```
///
/// An entry that is missing means nothing. A logout is an entry too, so that an older binding does not win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The serving address: the node at which the agent was heard. Its port is 3344.
    pub serving: HostIp,
    /// The UDP socket of the user's agent. `None` of a user who logged out.
    pub agent: Option<UdpAddress>,
    /// The position of this entry among those of its user.
    pub stamp: Stamp,
}

impl Entry {
    /// Returns whether this entry takes the place of `other`, an entry of the same user: the larger (stamp,
    /// serving address) wins. Of equal ones, neither takes the place of the other.
    pub fn beats(&self, other: &Self) -> bool {
        self.order(other) == Ordering::Greater
    }

    /// Compares the entries of one user by the rule of [`Entry::beats`].
    pub fn order(&self, other: &Self) -> Ordering {
        (self.stamp, self.serving).cmp(&(other.stamp, other.serving))
    }

    /// Returns the bytes of the entry.
    pub fn to_bytes(self) -> [u8; ENTRY_LENGTH] {
        let agent = self.agent.unwrap_or(crate::NO_AGENT);
        let mut bytes = [0; ENTRY_LENGTH];
        bytes[..4].copy_from_slice(&self.serving.octets());
        bytes[4..8].copy_from_slice(&agent.ip().octets());
        bytes[8..10].copy_from_slice(&agent.port().to_be_bytes());
        bytes[10..].copy_from_slice(&self.stamp.0.to_be_bytes());
        bytes
    }

    /// Reads the bytes of an entry. `None` if there are too few or too many, if there is no serving address,
    /// or if only one of the agent's address and port is given.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; ENTRY_LENGTH] = bytes.try_into().ok()?;
        let [a, b, c, d, e, f, g, h, p, q, stamp @ ..] = *bytes;
        let serving = HostIp::new(a, b, c, d);
        let agent = UdpAddress::new(HostIp::new(e, f, g, h), u16::from_be_bytes([p, q]));
        let is_logout = agent == crate::NO_AGENT;
        if serving.is_unspecified() || (!is_logout && (agent.ip().is_unspecified() || agent.port() == 0)) {
            return None;
        }
        let stamp = Stamp(u64::from_be_bytes(stamp));
        Some(Self { serving, agent: (!is_logout).then_some(agent), stamp })
    }
}

/// The length of an entry in bytes.
pub const ENTRY_LENGTH: usize = 18;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let agent = (1_u32.., 1_u16..).prop_map(|(ip, port)| UdpAddress::new(ip.into(), port));
        (1_u32..5, prop::option::of(agent), 0_u64..5).prop_map(|(serving, agent, stamp)| Entry {
            serving: serving.into(),
            agent,
            stamp: Stamp(stamp),
        })
    }

    proptest! {
        #[test]
        fn an_entry_survives_its_bytes(entry in entry()) {
            prop_assert_eq!(Entry::from_bytes(&entry.to_bytes()), Some(entry));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            if let Some(entry) = Entry::from_bytes(&bytes) {
                prop_assert_eq!(entry.to_bytes().to_vec(), bytes);
            }
        }

        /// The engine compares bytes: those of the stamp, then those of the serving address.
        #[test]
        fn bytes_are_in_the_order_of_entries(one in entry(), other in entry()) {
            let key = |entry: Entry| [&entry.to_bytes()[10..], &entry.to_bytes()[..4]].concat();
            prop_assert_eq!(key(one).cmp(&key(other)), one.order(&other));
            prop_assert!(!(one.beats(&other) && other.beats(&one)));
        }
    }

    #[test]
    fn an_entry_without_a_serving_address_or_with_half_an_agent_is_refused() {
        let agent = Some("10.0.0.7:40123".parse().unwrap());
        let good = Entry { serving: [10, 0, 0, 2].into(), agent, stamp: Stamp(7) }.to_bytes();
        assert!(Entry::from_bytes(&good).is_some());
        for (from, to) in [(0, 4), (4, 8), (8, 10)] {
            let mut bytes = good;
            bytes[from..to].fill(0);
            assert_eq!(Entry::from_bytes(&bytes), None, "{from}..{to}");
        }
    }
}
