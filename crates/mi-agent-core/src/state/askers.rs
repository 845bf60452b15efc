//! The users who asked where the user is, and the answers that they got.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plumi_proto::MiAddress;

use super::admission::Refusal;

/// Remembers who is likely to call now, and which refusals the user has been told of.
#[derive(Debug, Default)]
pub(super) struct Askers {
    /// The last asker that learned where this agent listens, and the time.
    told: Option<(MiAddress, Instant)>,
    /// The last asker that may not call, and the time. It may know where this agent listens all the same.
    refused: Option<(MiAddress, Instant)>,
    /// The oldest first.
    missed: VecDeque<(MiAddress, Refusal, Instant)>,
}

impl Askers {
    /// `asker` is told where the user listens.
    pub(super) fn told(&mut self, now: Instant, asker: MiAddress) {
        self.refused.take_if(|(refused, _)| *refused == asker);
        self.told = Some((asker, now));
    }

    /// `asker` is told that the user is busy. `true`: the user is to hear of it.
    pub(super) fn refused(&mut self, now: Instant, asker: MiAddress, reason: Refusal) -> bool {
        // An asker that hears "busy" because the user is busy does not call.
        if reason != Refusal::Busy {
            self.told.take_if(|(told, _)| *told == asker);
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

    /// Returns the asker that most likely calls now; each asker once. An asker that learned where this agent
    /// listens comes first: a user who may not call must not pass for one who may.
    pub(super) fn take(&mut self, now: Instant) -> Option<MiAddress> {
        let is_fresh =
            |(_, asked): &(MiAddress, Instant)| now.saturating_duration_since(*asked) <= ASKER_LIFE;
        let told = self.told.take().filter(is_fresh);
        let caller = told.or_else(|| self.refused.take().filter(is_fresh));
        caller.map(|(asker, _)| asker)
    }
}

/// A caller dials as soon as it is told where: a conversation that begins later than this is somebody else's.
const ASKER_LIFE: Duration = Duration::from_secs(30);

/// Deployed agents ask up to ten times for one call, and people call again.
const MISSED_EVERY: Duration = Duration::from_secs(60);

/// Refusals that the user is told of within that time: fewer than events may wait, so that made-up names keep nobody
/// out.
const MAX_MISSED: usize = 32;
