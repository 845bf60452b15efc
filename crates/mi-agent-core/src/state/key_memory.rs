//! What an agent remembers of keys until it ends: nothing here is written to a file.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plumi_proto::MiAddress;

use crate::key::PublicKey;

/// The keys that were met and not pinned, and the plain conversations that the user permits.
#[derive(Debug, Default)]
pub(crate) struct KeyMemory {
    /// The keys that answered a call and were refused, the oldest first.
    refused: VecDeque<(MiAddress, PublicKey)>,
    /// The keys of callers of whom none is known, the oldest first.
    claimed: VecDeque<(MiAddress, PublicKey)>,
    /// Each is good for one plain conversation until this time.
    permits: VecDeque<(MiAddress, Instant)>,
}

impl KeyMemory {
    /// Notes that `key` answered a call of this agent, and was refused.
    pub(crate) fn refused(&mut self, address: MiAddress, key: PublicKey) {
        remember(&mut self.refused, address, key, MAX_ADDRESSES);
    }

    /// Notes that somebody of whom no key is known called with `key`.
    pub(crate) fn claimed(&mut self, address: MiAddress, key: PublicKey) {
        remember(&mut self.claimed, address, key, MAX_ADDRESSES);
    }

    /// Returns the key that answered the last call to `address` and was refused.
    pub(crate) fn refused_key(&self, address: &MiAddress) -> Option<PublicKey> {
        find(&self.refused, address)
    }

    /// Returns the key with which `address` called.
    pub(crate) fn claimed_key(&self, address: &MiAddress) -> Option<PublicKey> {
        find(&self.claimed, address)
    }

    /// Forgets the refused key of `address`: it is trusted.
    pub(crate) fn forget(&mut self, address: &MiAddress) {
        self.refused.retain(|(other, _)| other != address);
        self.claimed.retain(|(other, _)| other != address);
    }

    /// Permits one plain conversation with `address`.
    pub(crate) fn permit_plain(&mut self, now: Instant, address: MiAddress) {
        remember(&mut self.permits, address, now + PERMIT_LIFE, MAX_ADDRESSES);
    }

    /// Returns whether a plain conversation with `address` is permitted.
    pub(crate) fn permits_plain(&self, now: Instant, address: &MiAddress) -> bool {
        find(&self.permits, address).is_some_and(|until| until > now)
    }

    /// Uses the permit up: a conversation with `address` has begun.
    pub(crate) fn use_permit(&mut self, address: &MiAddress) {
        self.permits.retain(|(other, _)| other != address);
    }
}

/// Keeps the latest `value` for `address`, and `most` addresses.
fn remember<V>(values: &mut VecDeque<(MiAddress, V)>, address: MiAddress, value: V, most: usize) {
    values.retain(|(other, _)| *other != address);
    if values.len() == most {
        values.pop_front();
    }
    values.push_back((address, value));
}

fn find<V: Copy>(values: &VecDeque<(MiAddress, V)>, address: &MiAddress) -> Option<V> {
    values.iter().find(|(other, _)| other == address).map(|(_, value)| *value)
}

/// The most addresses of each kind: several times the contacts that a person calls in a run.
const MAX_ADDRESSES: usize = 100;

/// The time in which a plain conversation that the user permits has to begin.
const PERMIT_LIFE: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::any_time;

    #[test]
    fn the_latest_key_of_each_address_is_kept() {
        let mut memory = KeyMemory::default();
        let address = |n: usize| format!("u{n}@cc.com").parse::<MiAddress>().unwrap();
        let key = |n| PublicKey::from_bytes([n; 32]);
        for n in 0..MAX_ADDRESSES + 10 {
            memory.refused(address(n), key(1));
            memory.claimed(address(n), key(2));
        }
        memory.refused(address(50), key(3));
        assert_eq!((memory.refused_key(&address(9)), memory.claimed_key(&address(9))), (None, None));
        assert_eq!(memory.refused_key(&address(10)), Some(key(1)));
        assert_eq!(memory.refused_key(&address(50)), Some(key(3)));
        assert_eq!(memory.claimed_key(&address(50)), Some(key(2)));
        memory.forget(&address(50));
        assert_eq!((memory.refused_key(&address(50)), memory.claimed_key(&address(50))), (None, None));
    }

    #[test]
    fn a_permit_is_good_for_one_conversation_and_ten_minutes() {
        let (mut memory, start) = (KeyMemory::default(), any_time());
        let joya = "joya@cc.com".parse().unwrap();
        memory.permit_plain(start, joya);
        assert!(memory.permits_plain(start + PERMIT_LIFE - Duration::from_millis(1), &joya));
        assert!(!memory.permits_plain(start + PERMIT_LIFE, &joya));
        memory.use_permit(&joya);
        assert!(!memory.permits_plain(start, &joya));
    }
}
