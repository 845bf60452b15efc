//! The users, who start their agents, look for each other, talk, and leave.

use std::net::SocketAddrV4;

use mi_agent_core::LumiRequest;
use plumi_proto::MiAddress;

use super::agents::Stage;
use super::calls::Answerer;
use super::laws::Violation;
use super::scenario::Program;
use super::world::{Event, World};

impl World {
    pub(super) fn user_acts(&mut self, number: usize) -> Result<(), Violation> {
        let next = self.milliseconds(200..4_000);
        self.after(next, Event::User(number));
        self.requests_are_in_time()?;
        let agent = &self.agents[number];
        match agent.stage() {
            // One that has ended is started again by whoever uses it, sooner or later.
            Stage::Off if self.ending.lets_start() && self.rng.bool() => self.start_agent(number),
            Stage::Starting if agent.may_ask() && !agent.is_asking(LumiRequest::Register) => {
                self.ask(number, LumiRequest::Register)
            }
            Stage::On if self.ending.wants_quiet() => Ok(()),
            Stage::On if agent.may_ask() => self.user_is_free(number),
            Stage::Leaving if agent.program() == Program::Ours && agent.may_ask() && self.rng.bool() => {
                self.hurry(number)
            }
            Stage::Off | Stage::Starting | Stage::On | Stage::Leaving => Ok(()),
        }
    }

    /// Asks for every other user of the same domain, if that can be.
    pub(super) fn user_asks(&mut self, number: usize) -> Result<(), Violation> {
        let home = self.agents[number].home();
        for other in (0..self.agents.len()).filter(|other| *other != number) {
            let (asker, callee) = (&self.agents[number], &self.agents[other]);
            let to = callee.address();
            let is_free = asker.stage() == Stage::On && asker.may_ask();
            if callee.home() == home && is_free && !asker.is_asking(LumiRequest::Locate(to)) {
                self.ask(number, LumiRequest::Locate(to))?;
            }
        }
        Ok(())
    }

    fn user_is_free(&mut self, number: usize) -> Result<(), Violation> {
        match self.rng.u8(0..100) {
            0..4 if !self.agents[number].is_talking() => self.ask(number, LumiRequest::Deregister),
            0..85 => {
                let to = self.whom();
                if self.agents[number].is_asking(LumiRequest::Locate(to)) {
                    return Ok(());
                }
                self.ask(number, LumiRequest::Locate(to))
            }
            85..88 => {
                let blocked = self.whom();
                self.block(number, vec![blocked]);
                Ok(())
            }
            88..90 => {
                self.block(number, Vec::new());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Somebody to look for; now and then by another name of the domain, or somebody whom there is not.
    fn whom(&mut self) -> MiAddress {
        let callee = self.rng.usize(0..self.agents.len());
        let address = self.agents[callee].address();
        let (user, domain) = (address.user(), address.domain());
        let other = match self.rng.u8(0..20) {
            0 => format!("{user}@{}", domain.as_str().to_ascii_uppercase()),
            1 => format!("{user}@{}.", domain.as_str().trim_end_matches('.')),
            2 => match self.attackers.aliases() {
                [] => format!("{user}@nowhere.test"),
                aliases => format!("{user}@{}", aliases[self.rng.usize(0..aliases.len())]),
            },
            3 => format!("nobody@{domain}"),
            4 => format!("{user}@nowhere.test"),
            _ => return address,
        };
        other.parse().unwrap_or(address)
    }

    /// The agent's user was told where `to` is.
    pub(super) fn found(
        &mut self,
        number: usize,
        to: &str,
        found: SocketAddrV4,
        offers_tls: bool,
    ) -> Result<(), Violation> {
        self.statistics.lookups_won += 1;
        if self.ending.is_pairing() {
            return self.pair_found(number, to, found);
        }
        let is_ours = self.agents[number].program() == Program::Ours;
        if is_ours && let (Some(impostor), Ok(to)) = (self.middle.answers(found), to.parse()) {
            if !self.agents[number].is_talking() {
                self.call(number, to, Answerer::Impostor(impostor), offers_tls)?;
            }
            return Ok(());
        }
        let Some(callee) = self.agents.iter().position(|agent| agent.listens_at(found)) else {
            return Ok(());
        };
        let (caller_agent, callee_agent) = (&self.agents[number], &self.agents[callee]);
        let is_free = !caller_agent.is_talking() && !callee_agent.is_talking() && !callee_agent.is_frozen();
        let is_reached = self.network.reaches(caller_agent.host(), callee_agent.host());
        if callee == number || !is_free || !is_reached || self.rng.bool() {
            return Ok(());
        }
        let talks = match to.parse() {
            Ok(to) if is_ours => self.call(number, to, Answerer::Agent(callee), offers_tls)?,
            _ => self.is_called_by_another_program(number, callee)?,
        };
        if !talks {
            return Ok(());
        }
        for one in [number, callee] {
            self.set_talking(one, true);
        }
        let lasts = self.milliseconds(500..8_000);
        let both = [number, callee].map(|one| (one, self.agents[one].life()));
        self.after(lasts, Event::HangUp(both));
        Ok(())
    }

    /// The agent's user was told that `to` is not to be found.
    pub(super) fn not_found(&mut self, number: usize, to: &str, why: &str) -> Result<(), Violation> {
        if self.ending.is_pairing() { self.pair_not_found(number, to, why) } else { Ok(()) }
    }

    pub(super) fn hang_up(&mut self, both: [(usize, u32); 2]) -> Result<(), Violation> {
        for (number, life) in both {
            if self.agents[number].life() == life {
                self.set_talking(number, false);
            }
        }
        Ok(())
    }
}
