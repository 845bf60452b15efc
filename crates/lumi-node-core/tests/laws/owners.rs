//! One owner for each name, one datagram for one, one answer for a question: on random events, beside the
//! rules of registration and strikes written down once more, as plainly as can be.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use lumi_dns::{FoundNode, LookupError};
use lumi_node_core::{AdminCommand, AdminId, DropReason, LookupId, Node, NodeSettings, Output, Takeover};
use plumi_proto::{
    DeregisterCode, Domain, Extension, Locate, LocateOutcome, Message, MiAddress, NODE_PORT, RegisterCode,
    Registrant, UserName,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::{address, drain, node};

proptest! {
    #[test]
    fn each_user_is_where_the_rules_say_and_nothing_is_multiplied(
        takeover in select(vec![Takeover::Last, Takeover::Deny]),
        allow in select(vec!["0.0.0.0/0", "192.0.2.0/24"]),
        events in proptest::collection::vec(event(), 1..100),
    ) {
        let allow = vec![allow.parse().expect("a range")];
        let mut world = World::new(NodeSettings::default().takeover(takeover).allow(allow));
        for event in events {
            world.play(event);
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Datagram(&'static str, String),
    /// The same one five times, 0.6 s apart.
    Insistent(&'static str, String),
    Pass(Duration),
    /// The oldest look-up ends, with a node or without.
    Resolved(Option<&'static str>),
    Add(&'static str),
    Remove(&'static str),
}

/// A node and what is known of it. Its domain has the shortest names, so that answers are longest beside
/// their questions.
struct World {
    node: Node,
    now: Instant,
    settings: NodeSettings,
    users: HashMap<UserName, Owner>,
    lookups: Vec<LookupId>,
    /// The number of questions of each asker, less the number of answers.
    /// The time at which a question was sent on last.
    sent_on: HashMap<(SocketAddrV4, Locate), Instant>,
    unanswered: HashMap<(SocketAddrV4, Locate), u32>,
    datagrams_in: u32,
    datagrams_out: u32,
}

#[derive(Default)]
struct Owner {
    address: Option<SocketAddrV4>,
    is_struck: bool,
    strikes: u32,
    last_strike: Option<Instant>,
}

impl Owner {
    fn online_at(&self) -> Option<SocketAddrV4> {
        self.address.filter(|_| !self.is_struck)
    }

    fn is_heard(&mut self) {
        (self.is_struck, self.strikes) = (false, 0);
    }
}

/// The effect of a datagram, by the rules.
#[derive(Debug, PartialEq)]
enum Expected {
    Nothing,
    Message(SocketAddrV4, Message),
    /// A look-up, a question to another node or an answer: that depends on what is known there.
    Proxied,
    /// An answer to its asker, or nothing.
    PassedOn,
}

impl World {
    fn new(settings: NodeSettings) -> Self {
        Self {
            node: node("b\na\nc\n", address(NODE), settings.clone()),
            now: tokio::time::Instant::now().into_std(),
            settings,
            users: ["a", "c"].map(|user| (name(user), Owner::default())).into(),
            lookups: Vec::new(),
            sent_on: HashMap::new(),
            unanswered: HashMap::new(),
            datagrams_in: 0,
            datagrams_out: 0,
        }
    }

    fn play(&mut self, event: Event) {
        match event {
            Event::Datagram(from, message) => self.receive(address(from), message.as_bytes()),
            Event::Insistent(from, message) => {
                for _ in 0..5 {
                    self.now += Duration::from_millis(600);
                    self.receive(address(from), message.as_bytes());
                }
            }
            Event::Pass(time) => {
                self.now += time;
                self.node.handle_timeout(self.now);
                assert!(self.node.poll_timeout().is_none_or(|due| due > self.now));
            }
            Event::Resolved(at) if !self.lookups.is_empty() => {
                let valid_for = Duration::from_secs(3);
                let found = at.map(|at| FoundNode::new(address(at), false, valid_for));
                let id = self.lookups.remove(0);
                self.node.handle_resolved(self.now, id, &found.ok_or(LookupError::NotFound));
                for output in drain(&mut self.node) {
                    if let Output::Transmit { message: Message::Locate(locate), .. } = &output {
                        let asked = self.unanswered.keys().filter(|(_, asked)| asked == locate);
                        self.sent_on.extend(asked.map(|question| (*question, self.now)));
                    }
                    self.carry_out(output);
                }
            }
            Event::Resolved(_) => {}
            Event::Add(user) => {
                self.administrate(AdminCommand::AddUser(name(user)));
                self.users.entry(name(user)).or_default();
            }
            Event::Remove(user) => {
                self.administrate(AdminCommand::RemoveUser(name(user)));
                self.users.remove(&name(user));
            }
        }
        assert_eq!(drain(&mut self.node), []);
        for (user, owner) in &self.users {
            assert_eq!(self.node.address_of(user), owner.online_at(), "{user}");
        }
    }

    /// Has a command carried out, unless the node refuses it.
    fn administrate(&mut self, command: AdminCommand) {
        self.node.handle_admin(self.now, COMMAND, command);
        if let Some(Output::SaveRoster { id, .. }) = self.node.poll_output() {
            self.node.handle_roster_saved(self.now, id, Ok(()));
            assert!(matches!(self.node.poll_output(), Some(Output::Answer { .. })));
        }
    }

    fn receive(&mut self, from: SocketAddrV4, bytes: &[u8]) {
        self.datagrams_in += 1;
        let message = Message::decode(bytes);
        if let Ok(Message::Locate(locate)) = message {
            *self.unanswered.entry((from, locate)).or_default() += 1;
        }
        let handled = self.node.handle_datagram(self.now, from, bytes);
        let is_repeated = handled == Err(DropReason::Repeated);
        let expected = message.map_or(Expected::Nothing, |message| self.expect(from, &message, is_repeated));
        let outputs = drain(&mut self.node);
        if let (Ok(Message::Locate(locate)), [Output::Transmit { message: Message::Locate(_), .. }]) =
            (message, &outputs[..])
        {
            self.sent_on.insert((from, locate), self.now);
        }
        assert!(outputs.is_empty() || handled.is_ok(), "{handled:?}: {outputs:?}");
        match (&expected, &outputs[..]) {
            (&Expected::Message(to, message), [sent]) => {
                assert_eq!(*sent, Output::Transmit { to, source: None, message });
            }
            (Expected::Proxied, [] | [_]) | (Expected::Nothing | Expected::PassedOn, []) => {}
            (
                Expected::PassedOn,
                [Output::Transmit { message: answer @ Message::LocateReply { .. }, .. }],
            ) => {
                let is_corrected = bytes.escape_ascii().to_string().contains(":0.0.0.0:");
                assert!(is_corrected || *answer.encode() == *bytes, "{answer:?}");
            }
            (expected, outputs) => panic!("{expected:?} of {}: {outputs:?}", bytes.escape_ascii()),
        }
        for output in outputs {
            if let Output::Transmit { message, .. } = &output {
                assert_small(message, bytes);
            }
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Transmit { to, message, .. } => {
                self.datagrams_out += 1;
                assert!(self.datagrams_out <= self.datagrams_in, "{message:?} is one too many");
                if let Message::LocateReply { locate, .. } = message {
                    let left = self.unanswered.get_mut(&(to, locate)).expect("it was asked");
                    *left = left.checked_sub(1).expect("one answer for a question");
                }
            }
            Output::Resolve { id, .. } => self.lookups.push(id),
            output => panic!("{output:?} without an administrator"),
        }
    }

    /// Changes the model by the rules, and returns the outcome.
    fn expect(&mut self, from: SocketAddrV4, message: &Message, is_repeated: bool) -> Expected {
        let now = self.now;
        if from.port() == 0 || from == address(NODE) {
            return Expected::Nothing;
        }
        match *message {
            Message::Register(registrant) if from.port() != NODE_PORT => {
                let is_allowed = self.settings.allow.iter().any(|range| range.contains(*from.ip()));
                let is_kept = self.settings.takeover == Takeover::Deny;
                let code = match self.registered(&registrant) {
                    Some(owner)
                        if is_allowed
                            && !(is_kept && owner.online_at().is_some_and(|at| at.ip() != from.ip())) =>
                    {
                        if owner.address != Some(from) {
                            *owner = Owner { address: Some(from), ..Owner::default() };
                        }
                        owner.is_heard();
                        RegisterCode::Registered
                    }
                    _ => RegisterCode::NoSuchUser,
                };
                Expected::Message(from, Message::RegisterReply { code, extension: Extension::NONE })
            }
            Message::Deregister(registrant) if from.port() != NODE_PORT => {
                let code = match self.registered(&registrant) {
                    Some(owner) if owner.address == Some(from) => {
                        *owner = Owner::default();
                        DeregisterCode::Deregistered
                    }
                    Some(owner) if owner.online_at().is_none() => DeregisterCode::Deregistered,
                    _ => DeregisterCode::NoSuchUser,
                };
                Expected::Message(from, Message::DeregisterReply { code, extension: Extension::NONE })
            }
            Message::Locate(locate) => {
                if let Some(asker) = self.owner(&locate.from)
                    && asker.address == Some(from)
                    && asker.is_struck
                {
                    asker.is_heard();
                }
                let bound = self.owner(&locate.from).and_then(|asker| asker.online_at());
                if bound.is_some_and(|bound| bound != from) {
                    return Expected::Nothing;
                }
                if is_repeated {
                    let last = self.sent_on.get(&(from, locate)).expect("it was sent on");
                    assert!(now - *last < Duration::from_millis(150), "it is repeated soon enough");
                    return Expected::Nothing;
                }
                if locate.to.domain() != domain() {
                    let online_at = self.owner(&locate.from).and_then(|asker| asker.online_at());
                    return if online_at == Some(from) { Expected::Proxied } else { Expected::Nothing };
                }
                let reply = |outcome| {
                    Expected::Message(
                        from,
                        Message::LocateReply { locate, outcome, extension: Extension::NONE },
                    )
                };
                let Some(owner) = self.owner(&locate.to) else { return reply(LocateOutcome::NoSuchUser) };
                let Some(agent) = owner.online_at() else { return reply(LocateOutcome::Offline) };
                if owner.last_strike.is_none_or(|last| now - last >= Duration::from_millis(500)) {
                    owner.last_strike = Some(now);
                    owner.strikes += 1;
                }
                owner.is_struck = owner.strikes == 5;
                if owner.is_struck {
                    reply(LocateOutcome::Offline)
                } else {
                    Expected::Message(agent, Message::Locate(locate))
                }
            }
            Message::LocateReply { locate, .. } => {
                if let Some(owner) = self.owner(&locate.to)
                    && owner.address == Some(from)
                {
                    owner.is_heard();
                }
                Expected::PassedOn
            }
            _ => Expected::Nothing,
        }
    }

    fn registered(&mut self, registrant: &Registrant) -> Option<&mut Owner> {
        match registrant {
            Registrant::User(user) => self.users.get_mut(user),
            Registrant::Address(address) => self.owner(address),
        }
    }

    fn owner(&mut self, address: &MiAddress) -> Option<&mut Owner> {
        if address.domain() == domain() { self.users.get_mut(&address.user()) } else { None }
    }
}

/// Nobody can have a node send much more than it was sent: 1.12 times as much, or an address of 15 bytes in
/// the place of the one of 7 bytes that an agent gave.
fn assert_small(message: &Message, received: &[u8]) {
    let (sent, received_length) = (message.encode().len(), received.len());
    let is_corrected = matches!(message, Message::LocateReply { outcome: LocateOutcome::Found(_), .. })
        && received.escape_ascii().to_string().contains(":0.0.0.0:");
    let most = if is_corrected { received_length + 8 } else { received_length * 112 / 100 };
    assert!(sent <= most, "{sent} bytes for {}", received.escape_ascii());
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (sender(), message()).prop_map(|(from, message)| Event::Datagram(from, message)),
        2 => (sender(), question()).prop_map(|(from, message)| Event::Insistent(from, message)),
        3 => select(vec![1, 100, 499, 500, 1_000, 5_000]).prop_map(|time| Event::Pass(Duration::from_millis(time))),
        2 => select(vec![None, Some(SENDERS[4]), Some(SENDERS[5]), Some(NODE)]).prop_map(Event::Resolved),
        1 => select(vec!["a", "c"]).prop_map(Event::Add),
        1 => select(vec!["a", "c"]).prop_map(Event::Remove),
    ]
}

/// Agents, more often than others.
fn sender() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => select(&SENDERS[..4]), 1 => select(&SENDERS[4..])]
}

fn message() -> impl Strategy<Value = String> {
    let registrant = || select(vec!["a", "a@b", "a@B.", "c", "c@b", "x@b", "a@d"]);
    let outcome = select(vec!["0", "1", "2", "3"]);
    let ip = select(vec!["0.0.0.0", "1.2.3.4", "192.168.111.222"]);
    let more = select(vec!["", "", ":", ":T", ":1.2.3.4:4456"]);
    prop_oneof![
        4 => registrant().prop_map(|user| format!("PR{user}")),
        2 => registrant().prop_map(|user| format!("PD{user}")),
        4 => question(),
        4 => (question(), outcome, ip, more).prop_map(|(question, outcome, ip, more)| {
            let address = if outcome == "0" { format!(":{ip}:4456") } else { String::new() };
            format!("RL{outcome}{}{address}{more}", &question[2..])
        }),
        1 => select(vec!["RR0", "RR1", "RD0", "RD1", "", "PL", "PLa@b", "RL0a@b:c@b", "hello"])
            .prop_map(String::from),
    ]
}

fn question() -> impl Strategy<Value = String> {
    let from = select(vec!["a@b", "c@b", "a@B", "d@e"]);
    let to = select(vec!["a@b", "c@b", "c@B.", "x@b", "d@e", "d@E.", "f@g"]);
    (from, to).prop_map(|(from, to)| format!("PL{from}:{to}"))
}

fn name(user: &str) -> UserName {
    user.parse().expect("a name")
}

fn domain() -> Domain {
    "b".parse().expect("a domain")
}

const COMMAND: AdminId = AdminId(0);

const NODE: &str = "203.0.113.100:3344";

/// Two agents on one host, two on others, two nodes, and what nobody can be.
const SENDERS: [&str; 8] = [
    "192.0.2.1:4000",
    "192.0.2.1:4001",
    "192.0.2.222:4000",
    "198.51.100.1:4000",
    "203.0.113.1:3344",
    "203.0.113.2:3344",
    "192.0.2.1:0",
    NODE,
];
