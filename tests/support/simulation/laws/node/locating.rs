//! The laws of a location request: for a user of the node, and for one of another domain.

use std::net::SocketAddrV4;

use lumi_node_core::{DropReason, Output};
use plumi_proto::{Extension, Locate, LocateOutcome, Message, NODE_PORT};

use super::NodeLaws;
use crate::simulation::laws::registrations::Strike;
use crate::simulation::laws::step::Step;
use crate::simulation::laws::{Law, Violation, ensure};

impl NodeLaws {
    pub(super) fn located_here(&mut self, step: Step<'_>, locate: Locate) -> Result<(), Violation> {
        let Step { now, from, .. } = step;
        let user = locate.to.user();
        if self.is_being_saved(&user) {
            let is_dropped = *step.handled == Err(DropReason::BeingSaved) && step.outputs.is_empty();
            ensure!(
                is_dropped,
                NothingBeforeAnswer,
                "{user} is being saved, and {locate:?} led to {:?}",
                step.outputs
            );
            return Ok(());
        }
        let refusal = |outcome| Message::LocateReply { locate, outcome, extension: Extension::NONE };
        let agent = self.registrations.address_of(&user);
        let Some(agent) = agent else {
            let is_user = self.registrations.contains(&user);
            let outcome = if is_user { LocateOutcome::Offline } else { LocateOutcome::NoSuchUser };
            step.sends(Law::OneOwner, from, refusal(outcome))?;
            return self.requests.answered(&locate, from);
        };
        if *step.handled == Err(DropReason::Repeated) {
            return step.is_too_soon(self.requests.is_too_soon(now, &locate, from));
        }
        if !self.requests.make_room(now, locate, from, self.asking_user(&locate, from)) {
            return step.has_no_room();
        }
        self.is_silent_if_gone(step, user, agent)?;
        let kept_out_at = self.tokens.kept_out_at(*agent.ip());
        let strike = self.registrations.strike(now, &user, kept_out_at);
        self.registrations.count_strike(now, &user, strike);
        if strike == Strike::Last {
            step.sends(Law::Strikes, from, refusal(LocateOutcome::Offline))?;
            return self.requests.answered(&locate, from);
        }
        let [Output::Transmit { to, message: Message::Locate(_), .. }] = step.outputs else {
            ensure!(false, Strikes, "{user} is online, and a question led to {:?}", step.outputs);
            return Ok(());
        };
        ensure!(*to == agent, OneOwner, "a question for {user}, who is at {agent}, went to {to}");
        step.sends(Law::OneOwner, agent, Message::Locate(locate))?;
        self.requests.sent_on(now, locate, from, agent)
    }

    pub(super) fn located_elsewhere(&mut self, step: Step<'_>, locate: Locate) -> Result<(), Violation> {
        let Step { now, from, .. } = step;
        if !self.is_own_user_at(&locate.from, from) {
            ensure!(step.outputs.is_empty(), NoOpenProxy, "for {from} it did {:?}", step.outputs);
            return step.is_silent();
        }
        let (domain, source) = (locate.to.domain(), self.requests.source_of(&(locate, from)));
        match step.outputs {
            [Output::Resolve { id, domain: asked, instead_of }] => {
                ensure!(*asked == domain, LookUps, "{asked} was looked up instead of {domain}");
                self.lookups.started(now, *id, domain, source, *instead_of)?;
                self.lookups.waits((locate, from), source);
                Ok(())
            }
            [] if step.handled.is_ok() => {
                ensure!(
                    self.lookups.is_in_flight(&domain),
                    RepliesPass,
                    "a question for {domain} was forgotten"
                );
                self.lookups.waits((locate, from), source);
                Ok(())
            }
            [] => step.is_too_soon(self.requests.is_too_soon(now, &locate, from)),
            _ => {
                let known = self.lookups.known(now, &domain);
                let Some(node) = known else {
                    ensure!(false, LookUps, "nothing is known of {domain}, and it did {:?}", step.outputs);
                    return Ok(());
                };
                self.known_elsewhere(step, locate, node)
            }
        }
    }

    /// Checks what was done for a request once the node of its domain was known to be `node`.
    pub(super) fn known_elsewhere(
        &mut self,
        step: Step<'_>,
        locate: Locate,
        node: Option<SocketAddrV4>,
    ) -> Result<(), Violation> {
        let from = step.from;
        if let [Output::Transmit { to, .. }] = step.outputs {
            ensure!(*to != self.local, OneHop, "the node asks itself for {}", locate.to);
        }
        match node {
            Some(node) if node != self.local => {
                step.sends(Law::LookUps, node, Message::Locate(locate))?;
                ensure!(
                    from.port() != NODE_PORT,
                    OneHop,
                    "what came from the node at {from} went on to {node}"
                );
                let user = self.asking_user(&locate, from);
                let has_room = self.requests.make_room(step.now, locate, from, user);
                ensure!(has_room, Bounds, "there is no room for a request of {from}");
                self.requests.sent_on(step.now, locate, from, node)
            }
            _ => {
                let (outcome, extension) = (LocateOutcome::NoSuchUser, Extension::NONE);
                step.sends(Law::LookUps, from, Message::LocateReply { locate, outcome, extension })?;
                self.requests.answered(&locate, from)
            }
        }
    }
}
