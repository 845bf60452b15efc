//! The decision whether another node's lease is gone. Its clock is an argument.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use plumi_proto::HostIp;

use crate::directory_report::{GONE_AFTER, Sibling};

/// The times at which the leases of other nodes began to be missing.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    missing_since: HashMap<HostIp, Instant>,
}

impl Sightings {
    /// Notes an answer of the engine: the epochs of all serving addresses but this node's, and those with a
    /// lease. Returns the siblings in the order of their addresses.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        epochs: impl IntoIterator<Item = (HostIp, u64)>,
        leased: &HashSet<HostIp>,
    ) -> Vec<Sibling> {
        let mut before = std::mem::take(&mut self.missing_since);
        let mut siblings = Vec::new();
        for (serving, epoch) in epochs {
            let mut is_gone = false;
            if !leased.contains(&serving) {
                let since = before.remove(&serving).unwrap_or(now);
                is_gone = now.saturating_duration_since(since) >= GONE_AFTER;
                self.missing_since.insert(serving, since);
            }
            siblings.push(Sibling { serving, epoch, is_gone });
        }
        siblings.sort_by_key(|sibling| sibling.serving);
        siblings
    }

    /// Notes that the engine was away: no lease could be renewed meanwhile, so that all have time anew.
    pub(crate) fn broken(&mut self) {
        self.missing_since.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const AT: HostIp = HostIp::new(10, 0, 0, 3);

    #[derive(Clone, Debug)]
    enum Event {
        Leased,
        Missing,
        Away,
    }

    proptest! {
        /// A lease is gone exactly if each answer of the last 12 s or more lacked it, without a break.
        #[test]
        fn a_lease_is_gone_after_twelve_unbroken_seconds(
            events in prop::collection::vec(
                (0_u64..5, prop_oneof![1 => Just(Event::Leased), 8 => Just(Event::Missing), 1 => Just(Event::Away)]),
                1..60,
            ),
        ) {
            #[expect(clippy::disallowed_methods, reason = "any time will do")]
            let mut now = Instant::now();
            let mut sightings = Sightings::default();
            let mut first_missing = None;
            for (seconds, event) in events {
                now += Duration::from_secs(seconds);
                let leased = HashSet::from_iter(matches!(event, Event::Leased).then_some(AT));
                if let Event::Away = event {
                    sightings.broken();
                    first_missing = None;
                    continue;
                }
                let siblings = sightings.answered(now, [(AT, 7)], &leased);
                first_missing = leased.is_empty().then(|| first_missing.unwrap_or(now));
                let is_gone = first_missing.is_some_and(|since| now - since >= GONE_AFTER);
                prop_assert_eq!(siblings, vec![Sibling { serving: AT, epoch: 7, is_gone }]);
            }
        }
    }
}
