//! The memory of an agent for keys, until it ends: nothing here is written to a file.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plumi_proto::MiAddress;

use crate::key::PublicKey;

/// The keys that were met and not pinned, and the plain conversations that the user permits.
#[derive(Debug, Default)]
pub(crate) struct KeyMemory {
    /// The keys that answered a call and were refused, the oldest first.
    refused: VecDeque<(MiAddress, PublicKey)>,
    /// The keys of callers without a known key, the oldest first.
    claimed: VecDeque<(MiAddress, PublicKey)>,
    /// The keys of callers in the name of a user with another known key, the oldest first.
    refused_callers: VecDeque<(MiAddress, PublicKey)>,
    /// The times at which the user was told of such a caller, the oldest first.
    told: VecDeque<(MiAddress, Instant)>,
    /// Each is good for one plain conversation until this time.
    permits: VecDeque<(MiAddress, Instant)>,
}

impl KeyMemory {
    /// Notes that `key` answered a call of this agent, and was refused.
    pub(crate) fn refused(&mut self, address: MiAddress, key: PublicKey) {
        remember(&mut self.refused, address, key, MAX_ADDRESSES);
    }

    /// Notes that a user without a known key called with `key`.
    pub(crate) fn claimed(&mut self, address: MiAddress, key: PublicKey) {
        remember(&mut self.claimed, address, key, MAX_ADDRESSES);
    }

    /// Notes that somebody called as `address` with `key`, and was refused.
    pub(crate) fn refused_caller(&mut self, address: MiAddress, key: PublicKey) {
        remember(&mut self.refused_callers, address, key, MAX_ADDRESSES);
    }

    /// Returns the key with which somebody called as `address` last, and was refused.
    pub(crate) fn refused_caller_key(&self, address: &MiAddress) -> Option<PublicKey> {
        find(&self.refused_callers, address)
    }

    /// Returns whether the user is to be told that somebody called as `address` with another key: once in a
    /// while.
    pub(crate) fn tells(&mut self, now: Instant, address: MiAddress) -> bool {
        if find(&self.told, &address).is_some_and(|at| now.saturating_duration_since(at) < TOLD_EVERY) {
            return false;
        }
        remember(&mut self.told, address, now, MAX_ADDRESSES);
        true
    }

    /// Returns the key that answered the last call to `address` and was refused.
    pub(crate) fn refused_key(&self, address: &MiAddress) -> Option<PublicKey> {
        find(&self.refused, address)
    }

    /// Returns the key with which `address` called.
    pub(crate) fn claimed_key(&self, address: &MiAddress) -> Option<PublicKey> {
        find(&self.claimed, address)
    }

    /// Forgets the keys of `address` that are not pinned: one of them is trusted.
    pub(crate) fn forget(&mut self, address: &MiAddress) {
        self.refused.retain(|(other, _)| other != address);
        self.claimed.retain(|(other, _)| other != address);
        self.refused_callers.retain(|(other, _)| other != address);
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

/// The time after which a caller with another key is reported to the user again. Anybody can cause it by
/// asking in a user's name.
const TOLD_EVERY: Duration = Duration::from_secs(60);

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
    fn a_caller_with_another_key_is_told_of_once_a_minute() {
        let (mut memory, start) = (KeyMemory::default(), any_time());
        let [joya, pere] = ["joya@cc.com", "pere@bb.com"].map(|text| text.parse().unwrap());
        assert!(memory.tells(start, joya) && !memory.tells(start, joya));
        assert!(memory.tells(start, pere), "somebody else");
        assert!(!memory.tells(start + TOLD_EVERY - Duration::from_millis(1), joya));
        assert!(memory.tells(start + TOLD_EVERY, joya));
        assert!(!memory.tells(start + TOLD_EVERY, joya));
        memory.refused_caller(joya, PublicKey::from_bytes([1; 32]));
        assert_eq!(memory.refused_caller_key(&joya), Some(PublicKey::from_bytes([1; 32])));
        memory.forget(&joya);
        assert_eq!(memory.refused_caller_key(&joya), None);
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
