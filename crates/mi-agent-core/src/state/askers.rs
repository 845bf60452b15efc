//! The users that asked for this user's location, and the answers that they got.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plumi_proto::MiAddress;

use super::admission::Refusal;

/// Remembers the likely callers, and which refusals the user has been told of.
#[derive(Debug, Default)]
pub(super) struct Askers {
    /// The askers that learned where this agent listens, each with the last time, the oldest first.
    told: VecDeque<(MiAddress, Instant)>,
    /// The last asker that may not call, and the time. It may know where this agent listens nevertheless.
    refused: Option<(MiAddress, Instant)>,
    /// The oldest first.
    missed: VecDeque<(MiAddress, Refusal, Instant)>,
}

impl Askers {
    /// `asker` gets the address where the user listens.
    pub(super) fn told(&mut self, now: Instant, asker: MiAddress) {
        self.refused.take_if(|(refused, _)| *refused == asker);
        self.told.retain(|(told, _)| *told != asker);
        // One more than may be returned shows that there are too many.
        if self.told.len() > MAX_TOLD {
            self.told.pop_front();
        }
        self.told.push_back((asker, now));
    }

    /// `asker` gets "busy". `true`: it is reported to the user.
    pub(super) fn refused(&mut self, now: Instant, asker: MiAddress, reason: Refusal) -> bool {
        // An asker that hears "busy" because the user is busy does not call.
        if reason != Refusal::Busy {
            self.told.retain(|(told, _)| *told != asker);
            self.refused = Some((asker, now));
        }
        while self.missed.front().is_some_and(|(.., at)| now.saturating_duration_since(*at) >= MISSED_EVERY) {
            self.missed.pop_front();
        }
        let is_known = self.missed.iter().any(|(missed, why, _)| (*missed, *why) == (asker, reason));
        if is_known || self.missed.len() >= MAX_MISSED {
            return false;
        }
        self.missed.push_back((asker, reason, now));
        true
    }

    /// Returns the likely callers among the askers, the oldest first: the last one that learned where this
    /// agent listens, and those that had learned it shortly before. None if there are too many of them.
    ///
    /// A single one is returned once. Of several, nobody knows which has called, so they are returned again.
    /// Only if there is none, it is the last one that may not call: such a user must not pass for an allowed
    /// one.
    pub(super) fn take(&mut self, now: Instant) -> Vec<MiAddress> {
        let is_fresh =
            |(_, asked): &(MiAddress, Instant)| now.saturating_duration_since(*asked) <= ASKER_LIFE;
        self.told.retain(is_fresh);
        let Some(&(_, last)) = self.told.back() else {
            let refused = self.refused.take().filter(is_fresh);
            return refused.map(|(asker, _)| asker).into_iter().collect();
        };
        self.told.retain(|(_, asked)| last.saturating_duration_since(*asked) <= TOGETHER);
        if self.told.len() > MAX_TOLD {
            return Vec::new();
        }
        let candidates: Vec<_> = self.told.iter().map(|(asker, _)| *asker).collect();
        if candidates.len() == 1 {
            self.told.clear();
        }
        candidates
    }

    /// Returns the asker that most likely calls now, if there is only one.
    pub(super) fn only_one(&self, now: Instant) -> Option<MiAddress> {
        let mut fresh =
            self.told.iter().filter(|(_, asked)| now.saturating_duration_since(*asked) <= ASKER_LIFE);
        fresh.next().map(|(asker, _)| *asker).filter(|_| fresh.next().is_none())
    }

    /// Takes only `caller`, after its key has shown that it calls now.
    pub(super) fn take_known(&mut self, caller: &MiAddress) {
        self.told.retain(|(told, _)| told != caller);
        self.refused.take_if(|(refused, _)| refused == caller);
    }
}

/// The time within which askers that were told are all likely to call: an attacker asking just after a
/// friend, or just before, must not give the friend's call another name.
const TOGETHER: Duration = Duration::from_secs(10);

/// The most askers among which a caller is searched. Each of them may be allowed to call.
const MAX_TOLD: usize = 64;

/// A caller dials as soon as it knows the address: a conversation that begins later than this is somebody
/// else's.
const ASKER_LIFE: Duration = Duration::from_secs(30);

/// Deployed agents ask up to ten times for one call, and people call again.
const MISSED_EVERY: Duration = Duration::from_secs(60);

/// Refusals that are reported to the user within that time: fewer than events may wait, so that made-up names
/// keep nobody out.
const MAX_MISSED: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::any_time;

    #[test]
    fn one_more_asker_than_may_be_returned_is_kept() {
        let mut askers = Askers::default();
        let now = any_time();
        for n in 0..100 {
            askers.told(now, format!("u{n}@cc.com").parse().unwrap());
        }
        assert_eq!(askers.told.len(), MAX_TOLD + 1);
    }
}
