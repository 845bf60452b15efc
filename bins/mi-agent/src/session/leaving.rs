//! The end of a session: in order, soon, or in a hurry.

use std::time::Duration;

use tokio::time::Instant;

use super::phase::Phase;
use super::{Happened, Leave, Session};
use crate::signals::HURRY;

impl Session {
    /// Begins to leave. [`Session::next`] goes on until it has returned [`Happened::Left`] or
    /// [`Happened::NotStarted`].
    ///
    /// A hurry cannot be taken back.
    pub(crate) fn leave(&mut self, how: Leave) {
        self.leaving = self.leaving.max(Some(how));
        if how == Leave::Hurried {
            self.hurried_until.get_or_insert_with(|| Instant::now() + HURRY);
        }
        match (&mut self.phase, how) {
            (Phase::Starting { interrupt, .. }, _) => *interrupt = None,
            (Phase::Waiting { .. }, _) => {
                self.start_again();
            }
            (Phase::Open, Leave::InOrder | Leave::Soon) => {
                self.hang_all_up();
                if how == Leave::Soon {
                    self.waits_until = Some(Instant::now() + PATIENCE);
                }
                self.phase = Phase::HangingUp { last: self.peers.keys().next_back().copied() };
            }
            (
                Phase::Open | Phase::HangingUp { .. } | Phase::Deregistering { hurried_until: None, .. },
                Leave::Hurried,
            ) => {
                self.hang_all_up();
                self.deregister(self.hurried_until);
            }
            _ => {}
        }
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Returns whether it deregisters in a hurry. An interrupted start does not count: nothing is left to be
    /// hurried.
    pub(crate) fn is_in_a_hurry(&self) -> bool {
        self.leaving == Some(Leave::Hurried) && self.agent.is_some()
    }

    /// Leaves in a hurry, and reports the lines that are not sent because of that.
    pub(super) fn waits_no_more(&mut self) {
        self.waits_until = None;
        for (&id, peer) in &self.peers {
            let lines = self.conversations.unwritten(id);
            if lines > 0 {
                self.to_return.push_back(Happened::NotSent { id, nickname: peer.nickname.clone(), lines });
            }
        }
        self.leave(Leave::Hurried);
    }

    /// Gives the calls up and ends the conversations.
    pub(super) fn hang_all_up(&mut self) {
        self.calls.give_all_up();
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            self.hang_up(id);
        }
    }

    pub(super) fn deregister(&mut self, hurried_until: Option<Instant>) {
        if let Some((agent, _)) = &self.agent {
            self.phase = Phase::deregistering(agent.clone(), hurried_until);
        }
    }
}

/// The time that peers have after a user wanted to leave, whether or not they read. With [`HURRY`] and the
/// last lines that are printed, the user is gone within 3.5 s, unless the disk is busy.
const PATIENCE: Duration = Duration::from_millis(2_700);
