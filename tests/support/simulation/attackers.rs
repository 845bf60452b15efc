//! Strangers who send what they like, to whom they like, and under any address if they can.

mod proofs;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use fastrand::Rng;
use plumi_proto::{Domain, MiAddress, NODE_PORT};

pub(super) use self::proofs::ProofAttackers;
use super::agents::Agent;
use super::network::{Datagram, Sender, Taint};
use super::scenario::{DomainPlan, Program, UserPlan};
use super::world::{Event, World};

/// The knowledge of attackers, and their addresses.
#[derive(Debug)]
pub(super) struct Attackers {
    rng: Rng,
    /// Nodes of ours, which are what they are after; and all others, which most of what they send would end.
    ours: Vec<SocketAddrV4>,
    others: Vec<SocketAddrV4>,
    domains: Vec<Domain>,
    users: Vec<MiAddress>,
    ghosts: Vec<MiAddress>,
    aliases: Vec<Domain>,
    /// The datagrams that passed last.
    overheard: VecDeque<Datagram>,
}

impl Attackers {
    pub(super) fn new(rng: Rng, domains: &[DomainPlan], users: &[UserPlan], aliases: Vec<Domain>) -> Self {
        let nodes = |is_ours| {
            let found = domains.iter().filter(move |plan| (plan.program == Program::Ours) == is_ours);
            found.map(|plan| plan.node).collect()
        };
        let ghost = |plan: &DomainPlan| MiAddress::new(&plan.ghost, &plan.domain).expect("short enough");
        Self {
            rng,
            ours: nodes(true),
            others: nodes(false),
            domains: domains.iter().map(|plan| plan.domain).collect(),
            users: users.iter().map(|plan| plan.address).collect(),
            ghosts: domains.iter().map(ghost).collect(),
            aliases,
            overheard: VecDeque::new(),
        }
    }

    /// Returns whether this is an address of theirs.
    pub(super) fn are_at(&self, address: SocketAddrV4) -> bool {
        address.ip().octets()[..3] == ATTACKERS
    }

    pub(super) fn aliases(&self) -> &[Domain] {
        &self.aliases
    }

    pub(super) fn overhear(&mut self, datagram: &Datagram) {
        if self.overheard.len() >= MAX_OVERHEARD {
            self.overheard.pop_front();
        }
        self.overheard.push_back(datagram.clone());
    }

    /// An address of theirs.
    fn own(&mut self) -> SocketAddrV4 {
        let [a, b, c] = ATTACKERS;
        let ip = Ipv4Addr::new(a, b, c, self.rng.u8(1..8));
        SocketAddrV4::new(ip, if self.rng.u8(0..10) == 0 { NODE_PORT } else { self.rng.u16(1_024..1_032) })
    }

    fn node(&mut self) -> SocketAddrV4 {
        let others = !self.others.is_empty() && self.rng.u8(0..100) < 3;
        *self.rng.choice(if others { &self.others } else { &self.ours }).expect("one node is ours")
    }

    fn user(&mut self) -> MiAddress {
        let users = if self.rng.u8(0..5) == 0 { &self.ghosts } else { &self.users };
        *self.rng.choice(users).expect("there are users")
    }

    /// A name that may be anybody's.
    fn name(&mut self) -> String {
        match self.rng.u8(0..6) {
            0 => format!("x{}@{}", self.rng.u16(..), self.rng.choice(&self.domains).expect("one")),
            1 => format!("x@x{}.test", self.rng.u8(..)),
            _ => self.user().to_string(),
        }
    }

    fn message(&mut self) -> Vec<u8> {
        let (from, to) = (self.name(), self.name());
        match self.rng.u8(0..9) {
            0 => format!("PR{from}"),
            1 => format!("PD{from}"),
            2 => format!("PR{}", self.user().user()),
            3..6 => format!("PL{from}:{to}"),
            6 => format!("RL0{from}:{to}:{}:{}", self.own().ip(), self.rng.u16(1..)),
            7 => format!("RL{}{from}:{to}", self.rng.u8(1..4)),
            _ => (*self.rng.choice(&["RR0", "RR1", "RD0", "RD1"]).expect("some")).to_owned(),
        }
        .into_bytes()
    }

    fn garbage(&mut self) -> Vec<u8> {
        let length = if self.rng.u8(0..20) == 0 { self.rng.usize(0..1_500) } else { self.rng.usize(0..110) };
        let mut bytes: Vec<_> = (0..length).map(|_| self.rng.u8(..)).collect();
        if self.rng.bool() && bytes.len() > 2 {
            bytes[..2]
                .copy_from_slice(self.rng.choice(&[b"PR", b"PL", b"RL", b"RR"]).expect("some").as_slice());
        }
        bytes
    }
}

impl World {
    pub(super) fn attack(&mut self) {
        if !self.dangers.attackers || self.ending.wants_quiet() {
            return;
        }
        let next = self.milliseconds(20..800);
        self.after(next, Event::Attack);
        if std::mem::take(&mut self.dangers.deluge) {
            self.deluge();
        }
        if self.proof_attackers.rng.u8(0..100) < 30 {
            self.attack_proofs();
        }
        match self.attackers.rng.u8(0..100) {
            0..10 => {
                let bytes = self.attackers.garbage();
                self.attack_with("garbage", bytes);
            }
            10..55 => {
                let bytes = self.attackers.message();
                self.attack_with("forged message", bytes);
            }
            55..70 => self.answer_falsely(),
            70..85 => self.replay(),
            85..95 => self.pose_as_user(),
            95..98 => self.pester(),
            _ if self.dangers.floods => self.flood(),
            _ => {}
        }
    }

    /// Somebody took an attacker for a user, or for a node: it answers what it is asked, and not truthfully.
    pub(super) fn attackers_receive(&mut self, datagram: &Datagram) {
        if datagram.bytes.starts_with(b"PL") && self.attackers.rng.bool() {
            let at = self.attackers.own();
            let bytes =
                [b"RL0", &datagram.bytes[2..], format!(":{}:{}", at.ip(), at.port()).as_bytes()].concat();
            self.forge("false answer", datagram.to, datagram.from, bytes);
        }
        self.attackers_are_challenged(datagram);
    }

    /// Sends this to a node, from an own address or from that of somebody else.
    fn attack_with(&mut self, kind: &'static str, bytes: Vec<u8>) {
        let to = self.attackers.node();
        let from = self.source(to);
        self.forge(kind, from, to, bytes);
    }

    /// An `RL` to a question that was overheard, from whom it went to if that can be forged.
    fn answer_falsely(&mut self) {
        let questions: Vec<_> =
            self.attackers.overheard.iter().filter(|datagram| datagram.bytes.starts_with(b"PL")).collect();
        let Some(question) = self.attackers.rng.choice(questions).cloned() else { return };
        if !self.is_ours(self.sockets.get(&question.from).copied().unwrap_or(Sender::Attacker)) {
            return;
        }
        let at = self.attackers.own();
        let names = &question.bytes[2..];
        let bytes = match self.attackers.rng.u8(0..3) {
            0 => [b"RL0", names, format!(":{}:{}", at.ip(), at.port()).as_bytes()].concat(),
            1 => [b"RL3", names].concat(),
            _ => [b"RL1", names].concat(),
        };
        let from = if self.dangers.spoofers && self.attackers.rng.u8(0..4) == 0 {
            question.to
        } else {
            self.attackers.own()
        };
        self.forge("forged answer", from, question.from, bytes);
    }

    /// Sends a datagram that passed once more: as it was, or with a byte changed; from where it was, or from
    /// elsewhere.
    fn replay(&mut self) {
        let overheard: Vec<_> = self.attackers.overheard.iter().collect();
        let Some(mut datagram) = self.attackers.rng.choice(overheard).cloned() else { return };
        if !self.is_ours(self.sockets.get(&datagram.to).copied().unwrap_or(Sender::Attacker)) {
            return;
        }
        if self.attackers.rng.bool() && !datagram.bytes.is_empty() {
            let at = self.attackers.rng.usize(0..datagram.bytes.len());
            datagram.bytes[at] = self.attackers.rng.u8(..);
        }
        if !self.dangers.spoofers {
            datagram.from = self.attackers.own();
        }
        self.forge("replay", datagram.from, datagram.to, datagram.bytes);
    }

    /// Registers as a user who has no agent, or as one who has, and asks for domains that nobody knows.
    fn pose_as_user(&mut self) {
        let user = self.attackers.user();
        let Some(node) = self.nodes.iter().find(|node| node.domain() == user.domain()) else { return };
        if node.program() != Program::Ours {
            return;
        }
        let (from, to) = (self.attackers.own(), node.at());
        self.forge("registration as somebody", from, to, format!("PR{user}").into_bytes());
        let most = if self.dangers.floods { 60 } else { 3 };
        for number in 0..self.attackers.rng.u64(0..most) {
            let domain = format!("{number}-{}.test", self.attackers.rng.u8(..));
            self.forge("question for nowhere", from, to, format!("PL{user}:x@{domain}").into_bytes());
        }
    }

    /// Asks for a user many times in a row.
    fn pester(&mut self) {
        let user = self.attackers.user();
        let Some(node) = self.nodes.iter().find(|node| node.domain() == user.domain()) else { return };
        if node.program() != Program::Ours {
            return;
        }
        let (from, to) = (self.attackers.own(), node.at());
        for number in 0..self.attackers.rng.u64(5..30) {
            let asker = if self.attackers.rng.bool() { number } else { 0 };
            self.forge("quick question", from, to, format!("PLx{asker}@x.test:{user}").into_bytes());
        }
    }

    /// More than one source may send, or have pending.
    fn flood(&mut self) {
        let to = *self.attackers.rng.choice(&self.attackers.ours).expect("one node is ours");
        let mut from = self.source(to);
        if self.dangers.spoofers && self.attackers.rng.u8(0..4) == 0 {
            // The address of somebody, and not the socket.
            from.set_port(self.attackers.rng.u16(1_024..));
        }
        let user = match self.attackers.rng.bool() {
            true => self.silent_user(to),
            false => self.attackers.user(),
        };
        let is_garbage = self.attackers.rng.u8(0..4) == 0;
        // The users do not exist. All of them are one asker in the node's own domain, and each is one in
        // another.
        let own = self.nodes.iter().find(|node| node.at() == to).map(|node| node.domain().to_string());
        let domain = own.filter(|_| self.attackers.rng.bool()).unwrap_or_else(|| "x.test".to_owned());
        // Questions in the name of the user who is there use up the share of that user as well.
        let victim = self.agents.iter().find(|agent| agent.at() == from).map(Agent::address);
        let victim = victim.filter(|_| self.attackers.rng.bool());
        for number in 0..self.attackers.rng.u64(50..200) {
            let asker = victim.map_or_else(|| format!("x{number}@{domain}"), |victim| victim.to_string());
            let question = format!("PL{asker}:{user}").into_bytes();
            self.forge("flood", from, to, if is_garbage { b"x".to_vec() } else { question });
        }
    }

    /// Sends as many requests as a node can have pending, and more: from as many sources as that takes, or as
    /// many as one source may have, from as many sockets as that takes.
    fn deluge(&mut self) {
        let to = *self.attackers.rng.choice(&self.attackers.ours).expect("one node is ours");
        let user = self.silent_user(to);
        let (hosts, each) = if self.attackers.rng.bool() { (HOSTS, OF_HOST) } else { (1, SOCKETS) };
        // One host may have honest users of the node, or be that of the user who is asked for.
        let is_own = |number: &usize| self.nodes[self.agents[*number].home()].at() == to;
        let users: Vec<_> = (0..self.agents.len()).filter(is_own).collect();
        let neighbour = self.attackers.rng.choice(users).filter(|_| hosts == 1);
        let one = match (self.attackers.rng.u8(0..4), neighbour) {
            (0 | 1, Some(neighbour)) => {
                // That one asks for several others once the host has as many requests as it may have.
                self.after(Duration::from_millis(u64::from(SOCKETS / 2)), Event::Asks(neighbour));
                self.agents[neighbour].host()
            }
            (2, _) => *SILENT.ip(),
            _ => Ipv4Addr::new(10, 9, 0, 1),
        };
        for (host, number) in (0..hosts).flat_map(|host| (0..each).map(move |number| (host, number))) {
            self.statistics.fault("deluge");
            let ip = if hosts == 1 { one } else { Ipv4Addr::new(10, 9, host, 1) };
            let from = SocketAddrV4::new(ip, 1_024 + number);
            let asks = self.forged(from, to, format!("PLx{number}@x.test:{user}").into_bytes());
            self.after(Duration::from_millis(u64::from(number)), Event::Arrives(asks));
        }
    }

    /// Registers, at this node, a user whose agent never answers.
    fn silent_user(&mut self, node: SocketAddrV4) -> MiAddress {
        let domain = self.nodes.iter().find(|other| other.at() == node).expect("a node").domain();
        let mut ghosts = self.attackers.ghosts.iter().copied();
        let user = ghosts.find(|ghost| ghost.domain() == domain).expect("each domain has one");
        let registers = self.forged(SILENT, node, format!("PR{user}").into_bytes());
        self.after(Duration::ZERO, Event::Arrives(registers));
        user
    }

    /// A source address for something that goes to `to`.
    fn source(&mut self, to: SocketAddrV4) -> SocketAddrV4 {
        if !self.dangers.spoofers || self.attackers.rng.bool() {
            return self.attackers.own();
        }
        let parties: Vec<_> = self.sockets.keys().copied().filter(|address| *address != to).collect();
        match self.attackers.rng.u8(0..10) {
            0 => SocketAddrV4::new(*self.attackers.own().ip(), 0),
            1 => to,
            _ => self.attackers.rng.choice(parties).unwrap_or(to),
        }
    }

    fn forge(&mut self, kind: &'static str, from: SocketAddrV4, to: SocketAddrV4, bytes: Vec<u8>) {
        self.statistics.fault(kind);
        self.send(self.forged(from, to, bytes));
    }

    fn forged(&self, from: SocketAddrV4, to: SocketAddrV4, bytes: Vec<u8>) -> Datagram {
        let taint = Taint { attacker: true, ..Taint::default() };
        Datagram { from, to, bytes, sender: Sender::Attacker, content: taint, cause: taint }
    }
}

/// 192.0.2.0/24 (RFC 5737).
const ATTACKERS: [u8; 3] = [192, 0, 2];

/// Enough to know what is being asked at the moment.
const MAX_OVERHEARD: usize = 32;

/// A host that everybody reaches and where nothing runs.
const SILENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 9, 9, 9), 9);

/// The hosts of a deluge: more requests in all than a node has room for, and fewer of each host than it may
/// have.
const HOSTS: u8 = 72;
const OF_HOST: u16 = 60;

/// The sockets of a deluge from one host: more than it may have requests, and than the rate limit allows.
const SOCKETS: u16 = 2_600;
