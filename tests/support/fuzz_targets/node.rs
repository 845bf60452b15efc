//! A node, and whatever can happen to it.

mod model;

use std::collections::BTreeSet;
use std::iter;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};
use lumi_dns::{FoundNode, LookupError};
use lumi_node_core::{
    AdminCommand, AdminId, AdminReply, Ask, LookupId, Node, NodeSettings, NotSaved, Output, RateLimit,
    Roster, RosterChange, Takeover,
};
use plumi_proto::UserName;

use model::Model;

/// The first two bytes are settings, what follows are steps: datagrams of every kind from everywhere, time,
/// answers of DNS, an administrator. After each of them the node has done what `Model` allows.
///
/// # Panics
/// If it has not.
pub fn node(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(mut run) = Run::begin(&mut input) else { return };
    while !input.is_empty() && run.step(&mut input).is_ok() {
        run.model.holds(run.now, &run.node);
    }
}

struct Run {
    node: Node,
    model: Model,
    now: Instant,
    /// Look-ups that were ever started; an answer may come twice.
    lookups: Vec<LookupId>,
    /// A change that is being written to the disk, as one at a time is.
    saving: Option<RosterChange>,
}

impl Run {
    fn begin(input: &mut Unstructured<'_>) -> Result<Self> {
        let settings = settings(input)?;
        let roster = Roster::parse(ROSTERS[0].as_bytes()).expect("a roster");
        let local = socket(NODE);
        let model = Model::new(local, *roster.domain(), names(ROSTERS[0]), settings.clone());
        let node = Node::new(roster, local.into(), settings);
        let now = tokio::time::Instant::now().into_std();
        Ok(Self { node, model, now, lookups: Vec::new(), saving: None })
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        match input.int_in_range(0..=13)? {
            0..=3 => {
                let (from, datagram) = (source(input)?, message(input)?);
                self.receive(from, datagram.as_bytes());
            }
            4 => {
                let (from, length) = (source(input)?, input.int_in_range(0..=127)?);
                let datagram = input.bytes(length.min(input.len()))?;
                self.receive(from, datagram);
            }
            5 => {
                // A message that was damaged on its way.
                let (from, mut datagram) = (source(input)?, message(input)?.into_bytes());
                let at = input.int_in_range(0..=datagram.len() - 1)?;
                match input.arbitrary()? {
                    0 => datagram.truncate(at),
                    damage => datagram[at] ^= damage,
                }
                self.receive(from, &datagram);
            }
            6 => self.burst(input)?,
            7 | 8 => {
                self.now += *input.choose(&TIMES)?;
                self.node.handle_timeout(self.now);
                self.model.time_passed(self.now);
                assert!(
                    self.node.poll_timeout().is_none_or(|due| due > self.now),
                    "a timeout that stays due"
                );
            }
            9 => {
                // Before it is due.
                self.node.handle_timeout(self.now);
                assert_eq!(self.node.poll_output(), None);
            }
            10 => self.resolve(input)?,
            11 => self.administrate(input)?,
            12 => {
                if let Some(change) = self.saving.take() {
                    self.node.handle_roster_saved(self.now, COMMAND, Ok(()));
                    assert_eq!(self.reply(), AdminReply::Changed(change));
                    self.model.roster_saved(&change);
                }
            }
            _ => self.reload(input.choose(&ROSTERS)?),
        }
        assert_eq!(self.node.poll_output(), None, "an output without a cause");
        Ok(())
    }

    /// A datagram comes, as the server hands it on.
    fn receive(&mut self, from: SocketAddrV4, datagram: &[u8]) {
        if !self.node.admit(self.now, from, datagram) {
            self.model.kept_out(self.now, *from.ip());
            return;
        }
        let handled = self.node.handle_datagram(self.now, from, datagram);
        let outputs = self.drain();
        self.model.received(self.now, from, datagram, handled, &outputs);
    }

    /// Many requests of many askers, for one user or for as many domains.
    fn burst(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let (from, count) = (source(input)?, input.int_in_range(0..=MOST_AT_ONCE)?);
        let (asker, to) = (name(input)?, name(input)?);
        let kind = input.int_in_range(0..=2)?;
        for n in 0..count {
            let question = match kind {
                0 => format!("PLu{n}@cc.com:{to}"),
                1 => format!("PL{asker}:u@d{n}.com"),
                _ => format!("PL{asker}:u{n}@cc.com"),
            };
            self.receive(from, question.as_bytes());
        }
        Ok(())
    }

    /// DNS answers, maybe a question that it has answered, maybe with a lie.
    fn resolve(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let (which, time) = (input.arbitrary::<u8>()?, *input.choose(&TIMES)?);
        let answer = match input.int_in_range(0..=11)? {
            0 => Err(LookupError::NotFound),
            1 => Err(LookupError::NoAnswer),
            2 => Err(LookupError::Unusable(Ipv4Addr::UNSPECIFIED)),
            n => Ok(FoundNode::new(socket(SOURCES[n - 3]), false, time)),
        };
        let Some(&id) = self.lookups.iter().rev().nth(usize::from(which) % self.lookups.len().max(1)) else {
            return Ok(());
        };
        self.node.handle_resolved(self.now, id, &answer);
        let outputs = self.drain();
        self.model.resolved(self.now, id, &answer, &outputs, &self.node);
        Ok(())
    }

    fn administrate(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let user: UserName = input.choose(&USERS)?.parse().expect("a name");
        let command = match input.int_in_range(0..=2)? {
            0 => AdminCommand::AddUser(user),
            1 => AdminCommand::RemoveUser(user),
            _ => AdminCommand::List,
        };
        if self.saving.take().is_some() {
            // The next one waits. The disk is full.
            self.node.handle_roster_saved(self.now, COMMAND, Err(NotSaved));
            assert_eq!(self.reply(), AdminReply::NotSaved);
        }
        self.node.handle_admin(self.now, COMMAND, command.clone());
        let output = self.node.poll_output().expect("something is asked for, or an answer");
        self.model.administrated(&command, &output);
        if let Output::SaveRoster { change, .. } = output {
            self.saving = Some(change);
        }
        Ok(())
    }

    fn reply(&mut self) -> AdminReply {
        match self.node.poll_output() {
            Some(Output::Answer { id: COMMAND, reply }) => *reply,
            output => panic!("{output:?} instead of an answer"),
        }
    }

    /// The administrator has edited the roster.
    fn reload(&mut self, text: &str) {
        // Changes are made one after the other.
        if self.saving.is_none() {
            let roster = Roster::parse(text.as_bytes()).expect("a roster");
            self.node.handle_admin(self.now, COMMAND, AdminCommand::Reload);
            assert_eq!(self.node.poll_output(), Some(Output::ReadRoster { id: COMMAND }));
            self.node.handle_roster_read(self.now, COMMAND, Ok(roster.clone()));
            let is_taken = matches!(self.reply(), AdminReply::Reloaded(_));
            self.model.roster_reloaded(&roster, &names(text), is_taken);
        }
    }

    fn drain(&mut self) -> Vec<Output> {
        let outputs: Vec<_> = iter::from_fn(|| self.node.poll_output()).collect();
        self.lookups.extend(outputs.iter().filter_map(|output| match output {
            Output::Resolve { id, .. } => Some(id),
            _ => None,
        }));
        outputs
    }
}

/// The users in the text of a roster.
fn names(roster: &str) -> BTreeSet<UserName> {
    roster.lines().skip(1).map(|name| name.parse().expect("a name")).collect()
}

fn settings(input: &mut Unstructured<'_>) -> Result<NodeSettings> {
    let (bits, interval) = (input.arbitrary::<u8>()?, *input.choose(&TIMES)?);
    let set = |bit: u8| bits & (1 << bit) != 0;
    let range =
        |text: &str, is_set: bool| is_set.then(|| text.parse().expect("a range")).into_iter().collect();
    let ranges = set(7).then(|| ("laura".parse().expect("a name"), range("127.0.0.1/32", true)));
    Ok(NodeSettings::default()
        .ask(if set(6) {
            Ask::Nodes
        } else if set(5) {
            Ask::Bound
        } else {
            Ask::Any
        })
        .users(ranges.into_iter().collect())
        .users_per_socket(NonZeroU32::new(u32::from(set(7))))
        .rate_limit(set(0).then(|| RateLimit::new(NonZeroU32::new(20).expect("is not 0"))))
        .takeover(if set(1) { Takeover::Deny } else { Takeover::Last })
        .allow(range("127.0.0.1/32", set(2)))
        .exempt(range("127.0.0.3/32", set(3)))
        .strike_interval(if set(4) { interval } else { NodeSettings::default().strike_interval }))
}

/// A datagram that is a message, or nearly one.
fn message(input: &mut Unstructured<'_>) -> Result<String> {
    let kind = *input.choose(&KINDS)?;
    let (first, second) = (name(input)?, name(input)?);
    Ok(match kind {
        "PR" | "PD" => format!("{kind}{first}"),
        "PR user" | "PD user" => format!("{}{}", &kind[..2], first.split('@').next().expect("a part")),
        "RL0" => format!("RL0{first}:{second}:{}:4456", input.choose(&["84.88.154.3", "0.0.0.0"])?),
        "RL1 address" => format!("RL1{first}:{second}:127.0.0.1:0"),
        "RR0" | "RR1" | "RD0" => kind.to_owned(),
        _ => format!("{kind}{first}:{second}"),
    })
}

fn name(input: &mut Unstructured<'_>) -> Result<String> {
    let (user, domain) = (input.choose(&USERS)?, input.choose(&DOMAINS)?);
    Ok(format!("{user}@{domain}"))
}

fn source(input: &mut Unstructured<'_>) -> Result<SocketAddrV4> {
    Ok(socket(input.choose(&SOURCES)?))
}

fn socket(text: &str) -> SocketAddrV4 {
    text.parse().expect("an address")
}

/// The one command under way.
const COMMAND: AdminId = AdminId(3);

/// More requests than one source may have pending, than look-ups may be under way, or may be waited for.
const MOST_AT_ONCE: usize = 80;

const NODE: &str = "127.0.0.2:3344";

/// The first one, and what it may be replaced by.
const ROSTERS: [&str; 4] =
    ["bb.com\nlaura\npere\nx\n", "BB.com.\nlaura\njoan\n", "bb.com\n", "cc.com\nlaura\npere\nx\n"];

/// Some of them are not in the roster, or not at first.
const USERS: [&str; 6] = ["laura", "pere", "x", "joan", "Laura", "uuuuuuuuuuuuuuuuuuuuuuuuuu"];

const DOMAINS: [&str; 8] = ["bb.com", "BB.com.", "cc.com", "dd.com", "alias.com", "127.0.0.2", "CC.COM", "y"];

/// Agents, nodes, this node itself, and what can only be forged.
const SOURCES: [&str; 9] = [
    "127.0.0.1:4500",
    "127.0.0.1:4501",
    "127.0.0.3:3344",
    "127.0.0.9:4600",
    "255.255.255.255:65535",
    "127.0.0.9:3344",
    "127.0.0.1:0",
    NODE,
    "127.0.0.2:4500",
];

const KINDS: [&str; 14] = [
    "PR",
    "PL",
    "RL0",
    "PD",
    "PL",
    "RL1",
    "PR user",
    "PD user",
    "RL2",
    "RL3",
    "RL1 address",
    "RR0",
    "RR1",
    "RD0",
];

const TIMES: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(499),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(5),
    Duration::from_secs(100),
];
