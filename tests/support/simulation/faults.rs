//! The faults of the chaos phase. Each is repaired after a while.

use std::net::Ipv4Addr;
use std::time::Duration;

use lumi_node_core::AdminCommand;
use plumi_proto::Domain;

use super::dns::Mood;
use super::laws::{Law, Violation, ensure};
use super::network::{Datagram, Sender};
use super::scenario::Program;
use super::world::{Event, World};
use crate::emulators::Death;

/// The repair of a fault.
#[derive(Clone, Copy, Debug)]
pub(super) enum Remedy {
    /// Starts the process again.
    Start(Sender),
    /// Lets the process go on.
    Thaw(Sender),
    /// Lets these hosts reach each other again.
    Join(Ipv4Addr, Ipv4Addr),
    /// Lets DNS answer truthfully about this domain again.
    Calm(Domain),
}

impl World {
    pub(super) fn fault(&mut self) -> Result<(), Violation> {
        if self.ending.wants_quiet() {
            return Ok(());
        }
        let next = self.milliseconds(300..4_000);
        self.after(next, Event::Fault);
        let dangers = self.dangers;
        match self.rng.u8(0..8) {
            0 if dangers.crashes => self.crash_node(),
            1 if dangers.crashes => self.crash_agent(),
            2 if dangers.freezes => self.freeze_a_node(),
            3 if dangers.freezes => self.freeze_an_agent(),
            4 if dangers.partitions => self.partition(),
            5 | 6 if dangers.dns => self.mislead(),
            7 if dangers.administrators => return self.change_roster(),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn mended(&mut self, remedy: Remedy) -> Result<(), Violation> {
        match remedy {
            Remedy::Start(Sender::Node(number)) if !self.nodes[number].is_running() => {
                self.start_node(number)?;
            }
            Remedy::Start(Sender::Agent(number)) => {
                if !self.agents[number].is_running() && self.ending.lets_start() {
                    self.start_agent(number)?;
                }
            }
            Remedy::Start(_) => {}
            Remedy::Thaw(Sender::Node(number)) => self.thaw_node(number)?,
            Remedy::Thaw(Sender::Agent(number)) => self.thaw_agent(number)?,
            Remedy::Thaw(Sender::Attacker) => {}
            Remedy::Join(one, other) => self.network.join(one, other),
            Remedy::Calm(domain) => self.dns.clear_mood(&domain),
        }
        Ok(())
    }

    /// Schedules the restart of a program that has ended, as if somebody noticed.
    pub(super) fn restart_later(&mut self, who: Sender) {
        let after = self.milliseconds(500..5_000);
        self.after(after, Event::Mended(Remedy::Start(who)));
    }

    /// Records what ended an emulator. A law is broken if only a program of ours caused it.
    pub(super) fn emulator_died(
        &mut self,
        who: Sender,
        death: &Death,
        led: Option<&Datagram>,
    ) -> Result<(), Violation> {
        let program = match who {
            Sender::Node(number) => self.nodes[number].program(),
            Sender::Agent(number) => self.agents[number].program(),
            Sender::Attacker => Program::Ours,
        };
        let cause = match led {
            None => "a port that was closed",
            Some(led) if led.sender == Sender::Attacker => "an attacker",
            Some(led) if led.cause.attacker => MADE_BY_ATTACKER,
            Some(led) if led.cause.altered => "a damaged datagram",
            Some(led) if led.cause.copied => "a doubled datagram",
            Some(led) if self.is_ours(led.sender) => "us",
            Some(_) => "another emulator",
        };
        let kind = if matches!(who, Sender::Node(_)) { "node" } else { "agent" };
        *self.statistics.deaths.entry(format!("{program:?} {kind}: {cause}")).or_default() += 1;
        self.trace.note(self.now, format_args!("{who:?} dies of {cause}: {death}"));
        if cause == "us" {
            let what = format!("{program:?} {kind} {who:?}: {death}");
            return Err(Violation { law: Law::NoDeathByUs, what });
        }
        Ok(())
    }

    /// Records that an emulated node sent a datagram to its own address, which counts as its end.
    ///
    /// The deployed program would pass the datagram on to itself forever, and so would each copy that the
    /// network makes. This takes a datagram whose forged source is the node's own address, and only attackers
    /// forge sources.
    pub(super) fn emulated_node_talks_to_itself(&mut self, number: usize) -> Result<(), Violation> {
        let program = self.nodes[number].program();
        let can_forge = self.dangers.attackers && self.dangers.spoofers;
        ensure!(
            can_forge,
            NoDeathByUs,
            "{program:?} node {number} talks to itself, though nobody forges sources here"
        );
        *self.statistics.deaths.entry(format!("{program:?} node: {MADE_BY_ATTACKER}")).or_default() += 1;
        self.trace.note(self.now, format_args!("node {number} talks to itself, which ends it"));
        Ok(())
    }

    fn crash_node(&mut self) {
        let number = self.rng.usize(0..self.nodes.len());
        if self.nodes[number].is_running() {
            self.statistics.fault("node crashed");
            self.stop_node(number);
            self.restart_later(Sender::Node(number));
        }
    }

    fn crash_agent(&mut self) {
        let number = self.rng.usize(0..self.agents.len());
        if self.agents[number].is_running() {
            self.statistics.fault("agent crashed");
            self.stop_agent(number);
            self.restart_later(Sender::Agent(number));
        }
    }

    fn freeze_a_node(&mut self) {
        let number = self.rng.usize(0..self.nodes.len());
        if self.nodes[number].is_running() {
            self.statistics.fault("node frozen");
            self.freeze_node(number);
            let lasts = self.freeze_lasts();
            self.after(lasts, Event::Mended(Remedy::Thaw(Sender::Node(number))));
        }
    }

    fn freeze_an_agent(&mut self) {
        let number = self.rng.usize(0..self.agents.len());
        if self.agents[number].is_running() {
            self.statistics.fault("agent frozen");
            self.freeze_agent(number);
            let lasts = self.freeze_lasts();
            self.after(lasts, Event::Mended(Remedy::Thaw(Sender::Agent(number))));
        }
    }

    fn freeze_lasts(&mut self) -> Duration {
        let most = if self.rng.bool() { 1_000 } else { 15_000 };
        self.milliseconds(50..most)
    }

    fn partition(&mut self) {
        let mut hosts: Vec<_> = self.nodes.iter().map(|node| *node.at().ip()).collect();
        hosts.extend(self.agents.iter().map(super::agents::Agent::host));
        let one = hosts[self.rng.usize(0..hosts.len())];
        let other = hosts[self.rng.usize(0..hosts.len())];
        if one != other {
            self.statistics.fault("hosts parted");
            self.trace.note(self.now, format_args!("{one} and {other} are parted"));
            self.network.part(one, other);
            let lasts = self.milliseconds(500..15_000);
            self.after(lasts, Event::Mended(Remedy::Join(one, other)));
        }
    }

    fn mislead(&mut self) {
        let domain = self.nodes[self.rng.usize(0..self.nodes.len())].domain();
        let somebody = self.nodes[self.rng.usize(0..self.nodes.len())].at();
        let mood = match self.rng.u8(0..8) {
            0 => Mood::Silent,
            1 => Mood::Failing,
            2 => Mood::Denying,
            3 => Mood::Absurd(Ipv4Addr::UNSPECIFIED),
            4 => Mood::Absurd(Ipv4Addr::new(224, 0, 0, 1)),
            5 => Mood::Asker,
            6 => Mood::Lying(std::net::SocketAddrV4::new(Ipv4Addr::new(10, 0, 9, 9), somebody.port())),
            _ => Mood::Lying(somebody),
        };
        self.statistics.fault("DNS misled");
        self.trace.note(self.now, format_args!("DNS is {mood:?} about {domain}"));
        self.dns.set_mood(&domain, mood);
        let lasts = self.milliseconds(500..15_000);
        self.after(lasts, Event::Mended(Remedy::Calm(domain)));
    }

    fn change_roster(&mut self) -> Result<(), Violation> {
        let agent = &self.agents[self.rng.usize(0..self.agents.len())];
        let (user, home) = (agent.address().user(), agent.home());
        self.statistics.fault("roster changed");
        let is_there = self.nodes[home].roster().contains(&user);
        if self.rng.u8(0..3) == 0 {
            let mut users = self.nodes[home].roster().to_vec();
            users.retain(|other| *other != user && self.rng.u8(0..4) > 0);
            users.extend((!is_there).then_some(user));
            return self.reload(home, users);
        }
        let command = match self.rng.u8(0..4) {
            // Some of these have to be refused.
            0 => AdminCommand::AddUser(user),
            _ if is_there => AdminCommand::RemoveUser(user),
            _ => AdminCommand::AddUser(user),
        };
        self.administrate(home, &command)
    }
}

/// The cause of an emulator's end if an attacker set off the datagram but did not write it.
const MADE_BY_ATTACKER: &str = "what an attacker made others send";
