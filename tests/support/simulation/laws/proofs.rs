//! The laws of an agent that proves its registrations (protocol.md §12).

use std::net::SocketAddrV4;
use std::time::Duration;

use mi_agent_core::RequestSchedule;
use plumi_proto::Challenge;

use super::{Violation, ensure};

/// The proofs of an agent.
#[derive(Debug)]
pub(super) struct ProofLaws {
    /// The socket of the agent, at which its node has to see it.
    own: SocketAddrV4,
    /// The challenge that was proved last, and how often.
    last: Option<(Challenge, u8)>,
}

impl ProofLaws {
    /// The longest dialogue behind a plain request: 5 s of asking and 5 s of proving, then refusals within 10
    /// s, the last of which is followed by a pause, and by as much again.
    pub(super) const LONGEST: Duration = Duration::from_secs(31);

    pub(super) fn new(own: SocketAddrV4) -> Self {
        Self { own, last: None }
    }

    pub(super) fn own(&self) -> SocketAddrV4 {
        self.own
    }

    /// It signs this challenge: one that was given to itself, and not more often than its schedule says.
    /// Whoever relays is seen elsewhere.
    pub(super) fn proves(
        &mut self,
        challenge: &Challenge,
        schedule: RequestSchedule,
    ) -> Result<(), Violation> {
        ensure!(challenge.seen == self.own, RightAnswer, "at {}, it proves {challenge:?}", self.own);
        let before = self.last.filter(|(last, _)| last == challenge).map_or(0, |(_, times)| times);
        self.last = Some((*challenge, before + 1));
        // The same challenge may come again in the dialogue after this one.
        let most = schedule.attempts.get().saturating_mul(MAX_DIALOGUES);
        ensure!(before < most, RequestsEnd, "{challenge:?} is proved {before} times");
        Ok(())
    }
}

/// The dialogues in which a node may give the same challenge: those of 60 s, if all of its answers are lost.
const MAX_DIALOGUES: u8 = 12;
