//! The end: the network heals, and after a while everybody has to find everybody.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::Duration;

use lumi_node_core::{AdminCommand, Takeover};
use mi_agent_core::LumiRequest;
use plumi_proto::MiAddress;

use super::agents::Stage;
use super::laws::{Violation, ensure};
use super::network::Sender;
use super::scenario::Program;
use super::world::{Event, World};

/// The progress of the end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    phase: Phase,
    /// The pairs of which one has still to find the other.
    pairs: VecDeque<(usize, usize)>,
    looking: Option<Looking>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Chaos,
    /// Nothing breaks any more, and what is late may still arrive.
    Healed,
    /// Programs that cannot help themselves were stopped, and their last datagrams are to arrive.
    Stopped,
    /// It was started again.
    Resting,
    Pairing,
    Over,
}

/// A lookup after everything has healed.
#[derive(Clone, Copy, Debug)]
struct Looking {
    caller: usize,
    callee: usize,
    to: MiAddress,
    deadline: Duration,
}

impl Ending {
    /// Returns whether nothing is to break or to be asked for any more.
    pub(super) fn wants_quiet(&self) -> bool {
        self.phase != Phase::Chaos
    }

    /// Returns whether a program that has ended may be started again.
    pub(super) fn lets_start(&self) -> bool {
        !matches!(self.phase, Phase::Healed | Phase::Stopped)
    }

    pub(super) fn is_pairing(&self) -> bool {
        self.phase == Phase::Pairing
    }

    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }
}

impl World {
    pub(super) fn goes_on_to_the_end(&mut self) -> Result<(), Violation> {
        match self.ending.phase {
            Phase::Chaos => {
                self.trace.note(self.now, format_args!("the network heals"));
                self.ending.phase = Phase::Healed;
                self.network.heal();
                self.middle.leave();
                self.dns.heal();
                for number in 0..self.nodes.len() {
                    self.thaw_node(number)?;
                }
                for number in 0..self.agents.len() {
                    self.thaw_agent(number)?;
                    self.block(number, Vec::new());
                }
                self.after(LATEST, Event::Ending);
            }
            Phase::Healed => {
                self.ending.phase = Phase::Stopped;
                for number in 0..self.agents.len() {
                    // Theirs do not register anew by themselves.
                    if self.agents[number].program() != Program::Ours {
                        self.stop_agent(number);
                    }
                }
                self.after(BETWEEN, Event::Ending);
            }
            Phase::Stopped => {
                self.ending.phase = Phase::Resting;
                self.help()?;
                self.after(REST, Event::Ending);
            }
            Phase::Resting => {
                self.ending.phase = Phase::Pairing;
                self.agents_are_back()?;
                self.draw_pairs();
                self.next_pair()?;
            }
            Phase::Pairing => match self.ending.looking {
                Some(Looking { caller, callee, deadline, .. }) if self.now >= deadline => {
                    self.not_paired(caller, callee, "nothing came")?;
                }
                // The answer is that of a lookup before this one.
                Some(_) => {}
                None => self.next_pair()?,
            },
            Phase::Over => {}
        }
        Ok(())
    }

    /// People do what programs cannot: they start what has ended or was stopped; administrators put back who
    /// was removed, free names that were taken where names cannot be taken over, and give users their keys
    /// again.
    fn help(&mut self) -> Result<(), Violation> {
        for number in 0..self.nodes.len() {
            if !self.nodes[number].is_running() {
                self.start_node(number)?;
            }
        }
        for number in 0..self.agents.len() {
            let agent = &self.agents[number];
            let (user, home, at) = (agent.address().user(), agent.home(), agent.at());
            let (node, is_running) = (&self.nodes[home], agent.is_running());
            let is_held = node.address_of(&user).is_some_and(|owner| owner != at || !is_running);
            if node.settings().takeover == Takeover::Deny && is_held {
                self.administrate(home, &AdminCommand::RemoveUser(user))?;
            }
            if !self.nodes[home].roster().contains(&user) {
                self.administrate(home, &AdminCommand::AddUser(user))?;
            }
            self.help_with_key(number)?;
            if !is_running {
                self.start_agent(number)?;
            }
        }
        Ok(())
    }

    fn agents_are_back(&mut self) -> Result<(), Violation> {
        self.requests_are_in_time()?;
        for (number, agent) in self.agents.iter().enumerate() {
            if agent.program() != Program::Ours {
                continue;
            }
            ensure!(!self.is_lost(number), AgentsComeBack, "{} says that it is lost", agent.address());
            let node = &self.nodes[agent.home()];
            // The lookups show it for an emulator.
            if node.program() != Program::Ours {
                continue;
            }
            let owner = node.address_of(&agent.address().user());
            ensure!(
                owner == Some(agent.at()) && agent.stage() == Stage::On,
                AgentsComeBack,
                "{} at {} is online at {owner:?} ({:?})",
                agent.address(),
                agent.at(),
                agent.stage()
            );
        }
        Ok(())
    }

    fn draw_pairs(&mut self) {
        let all = 0..self.agents.len();
        let mut pairs: Vec<_> =
            all.clone().flat_map(|one| all.clone().map(move |other| (one, other))).collect();
        pairs.retain(|(one, other)| one != other && self.is_on_the_way(*one, *other));
        self.rng.shuffle(&mut pairs);
        pairs.truncate(MAX_PAIRS);
        self.ending.pairs = pairs.into();
    }

    /// Returns whether a program of ours has a part in a lookup.
    fn is_on_the_way(&self, caller: usize, callee: usize) -> bool {
        let parties = [caller, callee]
            .into_iter()
            .flat_map(|number| [Sender::Agent(number), Sender::Node(self.agents[number].home())]);
        parties.into_iter().any(|party| self.is_ours(party))
    }

    fn next_pair(&mut self) -> Result<(), Violation> {
        let Some((caller, callee)) = self.ending.pairs.pop_front() else {
            self.ending.phase = Phase::Over;
            return Ok(());
        };
        let to = self.name_for(caller, callee);
        let deadline = self.now + FIND;
        self.ending.looking = Some(Looking { caller, callee, to, deadline });
        self.at(deadline, Event::Ending);
        if !self.agents[caller].may_ask() {
            return self.not_paired(caller, callee, "it does not run");
        }
        self.ask(caller, LumiRequest::Locate(to))
    }

    /// The callee's address. Nodes of ours know their domain in capitals, too.
    fn name_for(&mut self, caller: usize, callee: usize) -> MiAddress {
        let address = self.agents[callee].address();
        let nodes = [caller, callee].map(|number| self.agents[number].home());
        if self.rng.bool() || !nodes.into_iter().all(|number| self.is_ours(Sender::Node(number))) {
            return address;
        }
        let loud = format!("{}@{}", address.user(), address.domain().as_str().to_ascii_uppercase());
        loud.parse().expect("as long as the address")
    }

    pub(super) fn pair_found(
        &mut self,
        caller: usize,
        to: &str,
        found: SocketAddrV4,
    ) -> Result<(), Violation> {
        let Some(looking) = self.ending.looking else { return Ok(()) };
        if (caller, to) != (looking.caller, looking.to.as_str()) {
            return Ok(());
        }
        if !self.agents[looking.callee].listens_at(found) {
            return self.not_paired(caller, looking.callee, &format!("it was told {found}"));
        }
        self.statistics.pairs_found += 1;
        self.ending.looking = None;
        self.after(BETWEEN, Event::Ending);
        Ok(())
    }

    pub(super) fn pair_not_found(&mut self, caller: usize, to: &str, why: &str) -> Result<(), Violation> {
        match self.ending.looking {
            Some(looking) if caller == looking.caller && to == looking.to.as_str() => {
                self.not_paired(caller, looking.callee, why)
            }
            _ => Ok(()),
        }
    }

    fn not_paired(&self, caller: usize, callee: usize, why: &str) -> Result<(), Violation> {
        let [(one, one_runs, one_node), (other, other_runs, other_node)] = [caller, callee].map(|number| {
            let agent = &self.agents[number];
            (agent.address(), agent.program(), self.nodes[agent.home()].program())
        });
        ensure!(
            false,
            PairsFindEachOther,
            "{one} ({one_runs:?}, node {one_node:?}) did not find {other} ({other_runs:?}, node {other_node:?}): {why}"
        );
        Ok(())
    }
}

/// The longest that a datagram is under way.
const LATEST: Duration = Duration::from_secs(6);

/// A refresh at the latest, with all its tries; meanwhile DNS's answers are no longer remembered.
const REST: Duration = Duration::from_secs(66);

/// The time that a lookup may take then.
const FIND: Duration = Duration::from_secs(6);

/// The time for everything that goes on after the asker has its answer.
const BETWEEN: Duration = Duration::from_millis(200);

/// The limit of pairs, of those that fifteen agents make, so that no seed takes long.
const MAX_PAIRS: usize = 40;
