//! The laws that are seen from the side of honest askers and agents.

use std::net::SocketAddrV4;
use std::time::Duration;

use lumi_node_core::Output;
use plumi_proto::{Locate, LocateOutcome, Message, UserName};

use super::NodeLaws;
use crate::simulation::laws::step::Step;
use crate::simulation::laws::{Violation, ensure};

impl NodeLaws {
    /// Returns the askers of whom one has to have an answer that comes from `answerer` now, whatever others
    /// do.
    pub(super) fn owed_to(
        &self,
        now: Duration,
        locate: &Locate,
        answerer: SocketAddrV4,
    ) -> Vec<SocketAddrV4> {
        let is_own = locate.from.domain() == self.domain;
        let is_there = |asker| !is_own || self.is_own_user_at(&locate.from, asker);
        self.requests.owed_to(now, locate, answerer, is_there)
    }

    /// Returns whether the user at `agent`, if this question takes the user for gone, has been silent since
    /// the last strike.
    pub(super) fn is_silent_if_gone(
        &self,
        step: Step<'_>,
        user: UserName,
        agent: SocketAddrV4,
    ) -> Result<(), Violation> {
        let [
            Output::Transmit {
                message: Message::LocateReply { outcome: LocateOutcome::Offline, .. }, ..
            },
        ] = step.outputs
        else {
            return Ok(());
        };
        let answered = self.answers.get(&user).filter(|(from, _)| *from == agent).map(|(_, at)| *at);
        let strike = self.registrations.last_strike(&user);
        ensure!(
            answered.is_none() || answered <= strike,
            AnswerersStayOnline,
            "{user} at {agent}, who answered at {answered:?}, is taken for gone; the last strike was at {strike:?}"
        );
        Ok(())
    }
}
