//! A node: its program (ours or an emulator) and its host.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use lumi_dns::{FoundNode, LookupError};
use lumi_node_core::{
    AdminCommand, AdminId, AdminReply, Keys, LookupId, Node as OurNode, NodeSettings, Output, Roster,
    Takeover,
};
use message_log::Direction;
use plumi_proto::{Domain, Message, UserName};

use super::laws::{NodeLaws, Violation, ensure};
use super::network::{Datagram, Sender, Taint};
use super::proofs::draw_secret;
use super::scenario::{DomainPlan, Program, UserPlan};
use super::stores::{Commit, Store, wall};
use super::world::{Event, World};
use crate::emulators::{Effect, LNode, NodeEmulator, SNode};

/// A node and its host.
#[derive(Debug)]
pub(super) struct Node {
    plan: DomainPlan,
    /// The users in its roster file.
    roster: Vec<UserName>,
    /// The keys in its file of keys.
    keys: Keys,
    /// Its store of bindings, if it has one.
    pub(super) store: Option<Store>,
    pub(super) process: Option<Process>,
    /// Datagrams and answers that wait while the process is frozen.
    pub(super) held: Option<Vec<Held>>,
    /// The number of times it has been started.
    pub(super) life: u32,
    timeout: Option<Duration>,
}

/// A running program.
#[derive(Debug)]
pub(super) enum Process {
    Ours(Box<OurNode>, Box<NodeLaws>),
    Emulated(Box<dyn NodeEmulator>),
}

#[derive(Debug)]
pub(super) enum Held {
    Datagram(Datagram),
    Answer(LookupId, Result<FoundNode, LookupError>),
    Commit(Commit),
}

impl Node {
    pub(super) fn new(mut plan: DomainPlan, users: &[UserPlan], keys: Keys, store: Option<Store>) -> Self {
        let of_domain = users.iter().map(|user| user.address).filter(|user| user.domain() == plan.domain);
        let mut roster: Vec<_> = of_domain.map(|address| address.user()).collect();
        roster.push(plan.ghost);
        let store = store.filter(|_| plan.program == Program::Ours);
        if store.as_ref().is_some_and(|store| store.denies) {
            plan.settings.takeover = Takeover::Deny;
        }
        Self { plan, roster, keys, store, process: None, held: None, life: 0, timeout: None }
    }

    pub(super) fn program(&self) -> Program {
        self.plan.program
    }

    pub(super) fn domain(&self) -> Domain {
        self.plan.domain
    }

    pub(super) fn at(&self) -> SocketAddrV4 {
        self.plan.node
    }

    pub(super) fn settings(&self) -> &NodeSettings {
        &self.plan.settings
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) fn roster(&self) -> &[UserName] {
        &self.roster
    }

    pub(super) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The address at which the user is online, if the node runs.
    pub(super) fn address_of(&self, user: &UserName) -> Option<SocketAddrV4> {
        match self.process.as_ref()? {
            Process::Ours(node, _) => node.address_of(user),
            Process::Emulated(node) => node.address_of(user.as_str()),
        }
    }
}

impl World {
    pub(super) fn start_node(&mut self, number: usize) -> Result<(), Violation> {
        let peers: Vec<_> = self.nodes.iter().map(|node| (node.domain().to_string(), node.at())).collect();
        let peers: Vec<_> = peers.iter().map(|(domain, at)| (domain.as_str(), *at)).collect();
        let (start, now, instant) = (self.start(), self.now, self.instant());
        let node = &mut self.nodes[number];
        let (domain, at) = (node.plan.domain, node.plan.node);
        let users: Vec<_> = node.roster.iter().map(UserName::as_str).collect();
        // A node is not its own peer.
        let others: Vec<_> = peers.iter().filter(|(_, peer)| *peer != at).copied().collect();
        node.process = Some(match node.plan.program {
            Program::Ours => {
                let roster = roster_of(domain, &node.roster);
                let settings = &node.plan.settings;
                let laws = NodeLaws::new(start, domain, at, &node.roster, settings);
                let laws = laws.with_keys(now, &node.keys);
                let mut ours = OurNode::new(roster, at.into(), settings.clone());
                ours.challenge_with(instant, &draw_secret(&mut self.proof_attackers.rng));
                ours.handle_keys(&node.keys);
                let mut laws = laws;
                if let Some(store) = &mut node.store {
                    store.keeps_promises()?;
                    let stored = store.open(now);
                    ours.save_bindings(instant, wall(now), stored.iter().copied(), |_| false);
                    laws = laws.with_stored(&stored);
                }
                Process::Ours(Box::new(ours), Box::new(laws))
            }
            Program::L => Process::Emulated(Box::new(LNode::new(domain.as_str(), &users, &others))),
            Program::S => Process::Emulated(Box::new(SNode::new(domain.as_str(), &users, &others))),
        });
        node.life += 1;
        node.held = None;
        node.timeout = None;
        self.sockets.insert(at, Sender::Node(number));
        self.trace.note(self.now, format_args!("node {domain} at {at} starts"));
        self.node_has_waited(number)
    }

    /// Ends the node's process. Only its files are kept: the roster, the keys and what its store has
    /// committed.
    pub(super) fn stop_node(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        if let (Some(store), true) = (&mut node.store, node.process.is_some()) {
            store.crash(self.now);
        }
        node.process = None;
        node.held = None;
        self.sockets.remove(&node.plan.node);
        self.trace.note(self.now, format_args!("node {} is gone", node.plan.domain));
    }

    /// Stops the node's process. Its socket still receives.
    pub(super) fn freeze_node(&mut self, number: usize) {
        self.trace.note(self.now, format_args!("node {} is frozen", self.nodes[number].plan.domain));
        self.nodes[number].held.get_or_insert_default();
    }

    pub(super) fn thaw_node(&mut self, number: usize) -> Result<(), Violation> {
        let Some(held) = self.nodes[number].held.take() else { return Ok(()) };
        self.trace.note(self.now, format_args!("node {} thaws", self.nodes[number].plan.domain));
        let life = self.nodes[number].life;
        for held in held {
            match held {
                Held::Datagram(datagram) => self.node_receives(number, datagram)?,
                Held::Answer(id, answer) => self.resolved(number, life, id, answer)?,
                Held::Commit(commit) => self.committed(number, commit)?,
            }
        }
        self.nodes[number].timeout = Some(self.now);
        self.node_timeout(number)
    }

    pub(super) fn node_receives(&mut self, number: usize, datagram: Datagram) -> Result<(), Violation> {
        let (now, instant) = (self.now, self.instant());
        let node = &mut self.nodes[number];
        if let Some(held) = &mut node.held {
            if held.len() < MAX_HELD {
                held.push(Held::Datagram(datagram));
            }
            return Ok(());
        }
        let Datagram { from, bytes, .. } = &datagram;
        match &mut node.process {
            None => Ok(()),
            Some(Process::Ours(ours, laws)) => {
                let is_admitted = ours.admit(instant, *from, bytes);
                laws.admitted(now, &datagram, is_admitted)?;
                if !is_admitted {
                    self.statistics.fault("datagram over a rate limit");
                    self.trace.note(now, format_args!("{} keeps it out", node.plan.domain));
                    return Ok(());
                }
                self.log.write(node.plan.domain.as_str(), Direction::Received, *from, bytes)?;
                let handled = ours.handle_datagram(instant, *from, bytes);
                if let Err(reason) = &handled {
                    self.trace.note(now, format_args!("{} drops it: {reason}", node.plan.domain));
                }
                let outputs: Vec<_> = std::iter::from_fn(|| ours.poll_output()).collect();
                laws.received(now, &datagram, &handled, &outputs, ours)?;
                self.statistics.looked_at(laws.take_figures());
                self.statistics.saved(laws.take_saving_figures());
                self.node_carries_out(number, outputs, Some(&datagram))
            }
            Some(Process::Emulated(emulator)) => {
                emulator.datagram(instant, *from, bytes);
                self.emulated_node_carries_out(number, Some(&datagram))
            }
        }
    }

    pub(super) fn resolved(
        &mut self,
        number: usize,
        life: u32,
        id: LookupId,
        answer: Result<FoundNode, LookupError>,
    ) -> Result<(), Violation> {
        let (now, instant) = (self.now, self.instant());
        let node = &mut self.nodes[number];
        if node.life != life {
            return Ok(());
        }
        if let Some(held) = &mut node.held {
            held.push(Held::Answer(id, answer));
            return Ok(());
        }
        let Some(Process::Ours(ours, laws)) = &mut node.process else { return Ok(()) };
        self.trace.note(now, format_args!("DNS tells {} {answer:?}", node.plan.domain));
        ours.handle_resolved(instant, id, &answer);
        let outputs: Vec<_> = std::iter::from_fn(|| ours.poll_output()).collect();
        laws.resolved(now, id, &answer, &outputs, ours)?;
        self.node_carries_out(number, outputs, None)
    }

    pub(super) fn node_timeout(&mut self, number: usize) -> Result<(), Violation> {
        let (now, instant) = (self.now, self.instant());
        let node = &mut self.nodes[number];
        if node.timeout != Some(now) || node.held.is_some() {
            return Ok(());
        }
        node.timeout = None;
        match &mut node.process {
            None => Ok(()),
            Some(Process::Ours(ours, laws)) => {
                ours.handle_timeout(instant);
                laws.timed_out(now, ours)?;
                self.node_has_waited(number)
            }
            Some(Process::Emulated(emulator)) => {
                emulator.timeout(instant);
                self.emulated_node_carries_out(number, None)
            }
        }
    }

    /// Has the administrator of a node of ours add or remove a user.
    pub(super) fn administrate(&mut self, number: usize, command: &AdminCommand) -> Result<(), Violation> {
        let (now, instant) = (self.now, self.instant());
        let node = &mut self.nodes[number];
        let Some(Process::Ours(ours, laws)) = &mut node.process else { return Ok(()) };
        let (user, is_added) = match *command {
            AdminCommand::AddUser(user) => (user, true),
            AdminCommand::RemoveUser(user) => (user, false),
            _ => return Ok(()),
        };
        let is_there = node.roster.contains(&user);
        ours.handle_admin(instant, COMMAND, command.clone());
        let Some(Output::SaveRoster { id, change }) = ours.poll_output() else {
            ensure!(is_there == is_added, Administration, "{command:?} was refused");
            return Ok(());
        };
        ensure!(is_there != is_added, Administration, "{command:?} was not refused");
        self.trace.note(now, format_args!("the administrator of {}: {change:?}", node.plan.domain));
        node.roster.retain(|other| *other != user);
        if is_added {
            node.roster.push(user);
        }
        ours.handle_roster_saved(instant, id, Ok(()));
        laws.changed(now, change, ours)?;
        let reply = self.replies(number)?;
        ensure!(reply == Some(AdminReply::Changed(change)), Administration, "{reply:?}");
        let node = &self.nodes[number];
        let Some(Process::Ours(ours, laws)) = &node.process else { return Ok(()) };
        for status in ours.users() {
            let (user, address) = (status.user, status.presence.map(|presence| presence.address));
            let is_right = node.roster.contains(&user) && address == laws.address_of(&user);
            ensure!(is_right, Administration, "{user} is listed at {address:?}");
        }
        Ok(())
    }

    /// Replaces the file of keys, and has a node of ours take it over.
    pub(super) fn set_keys(&mut self, number: usize, keys: Keys) -> Result<(), Violation> {
        let now = self.now;
        let node = &mut self.nodes[number];
        node.keys = keys;
        let Some(Process::Ours(ours, laws)) = &mut node.process else { return Ok(()) };
        ours.handle_keys(&node.keys);
        laws.keys_changed(now, &node.keys, ours)?;
        // The store has to know whose registration has ended.
        self.node_has_waited(number)
    }

    /// Replaces the roster file and has the administrator of a node of ours reload it.
    pub(super) fn reload(&mut self, number: usize, users: Vec<UserName>) -> Result<(), Violation> {
        let (now, instant) = (self.now, self.instant());
        let node = &mut self.nodes[number];
        if node.plan.program != Program::Ours {
            return Ok(());
        }
        node.roster = users;
        let Some(Process::Ours(ours, laws)) = &mut node.process else { return Ok(()) };
        self.trace.note(now, format_args!("node {} reads {:?}", node.plan.domain, node.roster));
        let roster = roster_of(node.plan.domain, &node.roster);
        reload(ours, instant, roster);
        laws.reloaded(now, &node.roster, ours)?;
        let taken = self.replies(number)?;
        ensure!(matches!(taken, Some(AdminReply::Reloaded(_))), Administration, "{taken:?}");
        let other = roster_of("other.test".parse().expect("a domain"), &[]);
        let node = &mut self.nodes[number];
        let Some(Process::Ours(ours, laws)) = &mut node.process else { return Ok(()) };
        reload(ours, instant, other);
        laws.reloaded(now, &node.roster, ours)?;
        let taken = self.replies(number)?;
        let is_refused = matches!(taken, Some(AdminReply::NotTaken(_)));
        ensure!(is_refused, Administration, "of another domain: {taken:?}");
        Ok(())
    }

    pub(super) fn node_carries_out(
        &mut self,
        number: usize,
        outputs: Vec<Output>,
        led: Option<&Datagram>,
    ) -> Result<(), Violation> {
        let node = &self.nodes[number];
        let (from, life, domain) = (node.plan.node, node.life, node.plan.domain);
        for output in outputs {
            match output {
                Output::Transmit { to, message, .. } => {
                    let bytes = message.encode().to_vec();
                    self.log.write(domain.as_str(), Direction::Sent, to, &bytes)?;
                    let (content, cause) = match led {
                        Some(led) => (led.content, led.cause),
                        None => self.waited(number, &message),
                    };
                    self.send(Datagram { from, to, bytes, sender: Sender::Node(number), content, cause });
                }
                Output::Resolve { id, domain, .. } => {
                    let (takes, answer) = self.dns.ask(from, &domain);
                    self.trace.note(self.now, format_args!("{from} looks up {domain}"));
                    self.after(takes, Event::Resolved { node: number, life, id, answer });
                }
                Output::SaveBinding { id, change } => {
                    let store = self.nodes[number].store.as_mut().expect("it has one");
                    if let Some(takes) = store.take(id, change) {
                        self.after(takes, Event::Commits { node: number, life });
                    }
                }
                output => ensure!(false, Administration, "{output:?} without an administrator"),
            }
        }
        let Some(Process::Ours(ours, _)) = &self.nodes[number].process else { return Ok(()) };
        let due = ours.poll_timeout().map(|instant| self.time_of(instant));
        if due != self.nodes[number].timeout {
            self.nodes[number].timeout = due;
            if let Some(due) = due {
                self.at(due, Event::Timeout(Sender::Node(number)));
            }
        }
        Ok(())
    }

    /// The taints of a message that waited, for the store or for DNS.
    fn waited(&mut self, number: usize, message: &Message) -> (Taint, Taint) {
        let process = &mut self.nodes[number].process;
        if let Some(Process::Ours(_, laws)) = process
            && let Some(taints) = laws.take_taints()
        {
            return taints;
        }
        match (process, message) {
            (Some(Process::Ours(_, laws)), Message::Locate(locate)) => {
                let cause = laws.cause(locate);
                (cause, cause)
            }
            (Some(Process::Ours(_, laws)), Message::LocateReply { locate, .. }) => {
                (Taint::default(), laws.cause(locate))
            }
            _ => Default::default(),
        }
    }

    /// Carries out the effects of an emulated node, which has no timers.
    fn emulated_node_carries_out(&mut self, number: usize, led: Option<&Datagram>) -> Result<(), Violation> {
        let from = self.nodes[number].plan.node;
        while let Some(Process::Emulated(emulator)) = &mut self.nodes[number].process {
            match emulator.poll_output() {
                None => break,
                Some(Effect::Send(to, _)) if to == from => {
                    self.emulated_node_talks_to_itself(number)?;
                    self.stop_node(number);
                    self.restart_later(Sender::Node(number));
                }
                Some(Effect::Send(to, bytes)) => {
                    let (content, cause) = led.map(|led| (led.content, led.cause)).unwrap_or_default();
                    self.send(Datagram { from, to, bytes, sender: Sender::Node(number), content, cause });
                }
                Some(Effect::Died(death)) => {
                    self.emulator_died(Sender::Node(number), &death, led)?;
                    self.stop_node(number);
                    self.restart_later(Sender::Node(number));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// Has the administrator of a node reload its roster, which is `roster` by now.
fn reload(node: &mut OurNode, now: Instant, roster: Roster) {
    node.handle_admin(now, COMMAND, AdminCommand::Reload);
    match node.poll_output() {
        Some(Output::ReadRoster { id }) => node.handle_roster_read(now, id, Ok(roster)),
        output => panic!("{output:?} for a reload"),
    }
}

fn roster_of(domain: Domain, users: &[UserName]) -> Roster {
    let users: String = users.iter().map(|user| format!("{user}\n")).collect();
    Roster::parse(format!("{domain}\n{users}").as_bytes()).expect("a roster")
}

/// The one command under way.
pub(super) const COMMAND: AdminId = AdminId(0);

/// Datagrams that the socket of a frozen process keeps: 208 KiB of small ones.
const MAX_HELD: usize = 256;
