//! The claims that wait for the engine: one for each user, sent together by partition.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use plumi_proto::UserName;
use tokio::sync::Notify;

use crate::entry::Entry;

/// The queue of claims. The node adds, the thread takes.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    state: Mutex<State>,
    /// Something came.
    changed: Notify,
    /// Nothing more will.
    closing: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<UserName, Entry>,
    is_closed: bool,
}

impl Claims {
    /// Adds `claims`. Of two claims of a user, the one that beats the other stays.
    pub(crate) fn add(&self, claims: impl IntoIterator<Item = (UserName, Entry)>) {
        let mut state = self.lock();
        let was_empty = state.waiting.is_empty();
        for (user, entry) in claims {
            let waiting = state.waiting.entry(user).or_insert(entry);
            if entry.beats(waiting) {
                *waiting = entry;
            }
        }
        let is_first = was_empty && !state.waiting.is_empty();
        drop(state);
        if is_first {
            self.changed.notify_one();
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.closing.notify_one();
    }

    /// Waits until claims wait. One task calls this at a time.
    pub(crate) async fn ready(&self) {
        while self.waiting() == 0 {
            self.changed.notified().await;
        }
    }

    /// Waits until nothing more comes. One task calls this at a time.
    pub(crate) async fn closed(&self) {
        while !self.lock().is_closed {
            self.closing.notified().await;
        }
    }

    /// Takes what waits, as batches of one partition each.
    pub(crate) fn take(&self) -> Vec<Batch> {
        batches(mem::take(&mut self.lock().waiting))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Claims for one script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) partition: u8,
    /// At most [`MAX_BATCH`], each of another user.
    pub(crate) claims: Vec<(UserName, Entry)>,
}

fn batches(claims: HashMap<UserName, Entry>) -> Vec<Batch> {
    let mut partitions: Vec<Vec<_>> = (0..PARTITIONS).map(|_| Vec::new()).collect();
    for (user, entry) in claims {
        partitions[usize::from(partition(&user))].push((user, entry));
    }
    let numbered = (0..PARTITIONS).zip(partitions);
    numbered
        .flat_map(|(partition, claims)| {
            let of_partition = |claims: &[_]| Batch { partition, claims: claims.to_vec() };
            claims.chunks(MAX_BATCH).map(of_partition).collect::<Vec<_>>()
        })
        .collect()
}

/// Returns the partition of a user: 0 to 63. All nodes compute the same.
pub(crate) fn partition(user: &UserName) -> u8 {
    hash(user).to_be_bytes()[3] % PARTITIONS
}

/// Returns the number of the hash in which the user's entry is, within the partition.
pub(crate) fn bucket(user: &UserName) -> u8 {
    hash(user).to_be_bytes()[1]
}

/// FNV-1a (draft-eastlake-fnv-17, §2). It has to stay as it is: it says where entries are.
fn hash(user: &UserName) -> u32 {
    user.as_str().bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Returns `claims` without those of `refused` users.
pub(crate) fn without(
    claims: Vec<(UserName, Entry)>,
    refused: &[(UserName, Entry)],
) -> Vec<(UserName, Entry)> {
    let refused: HashSet<_> = refused.iter().map(|(user, _)| *user).collect();
    claims.into_iter().filter(|(user, _)| !refused.contains(user)).collect()
}

/// The partitions of a domain. Each is in one slot of a cluster.
pub(crate) const PARTITIONS: u8 = 64;

/// The hashes of a partition. With 10^6 users each has about 60 entries, which the engine stores compactly.
pub(crate) const BUCKETS: u16 = 256;

/// The limit of claims in one script, which keeps the engine busy for about 2 ms.
pub(crate) const MAX_BATCH: usize = 512;

#[cfg(test)]
mod tests {
    use plumi_proto::HostIp;
    use proptest::prelude::*;

    use super::*;
    use crate::binding::Stamp;

    fn entry(stamp: u64) -> Entry {
        Entry { serving: HostIp::new(10, 0, 0, 2), agent: None, stamp: Stamp(stamp) }
    }

    proptest! {
        #[test]
        fn every_user_is_claimed_once_with_the_entry_that_wins(
            claims in prop::collection::vec((0_u16..900, 0_u64..9), 0..2_000),
        ) {
            let name = |user: u16| format!("u{user}").parse::<UserName>().unwrap();
            let queue = Claims::default();
            let mut expected = HashMap::new();
            for (user, stamp) in claims {
                queue.add([(name(user), entry(stamp))]);
                let largest = expected.entry(name(user)).or_insert(stamp);
                *largest = stamp.max(*largest);
            }
            let mut found = HashMap::new();
            for batch in queue.take() {
                prop_assert!(batch.claims.len() <= MAX_BATCH && !batch.claims.is_empty());
                for (user, entry) in batch.claims {
                    prop_assert_eq!(partition(&user), batch.partition);
                    prop_assert_eq!(found.insert(user, entry.stamp.0), None);
                }
            }
            prop_assert_eq!(found, expected);
            prop_assert_eq!(queue.waiting(), 0);
        }
    }

    #[test]
    fn a_partition_with_many_claims_has_several_batches() {
        let claims = (0..40_000).map(|user| (format!("u{user}").parse().unwrap(), entry(1))).collect();
        let batches = batches(claims);
        assert!(batches.iter().all(|batch| batch.claims.len() <= MAX_BATCH));
        assert!(batches.len() > usize::from(PARTITIONS));
    }
}
