//! What a node may do (protocol.md §3 and §9), told by what it is seen to do.

mod location;

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use lumi_dns::{FoundNode, LookupError};
use lumi_node_core::{
    AdminCommand, AdminReply, DropReason, LocationTimes, Locations, LookupId, MessageKind, Node,
    NodeSettings, Output, Roster, RosterChange, Takeover,
};
use plumi_proto::{
    DeregisterCode, Domain, Extension, Locate, LocateOutcome, MAX_MESSAGE, Message, MiAddress, NODE_PORT,
    RegisterCode, Registrant, UserName,
};

use crate::kept_requests::{Asked, KeptRequests};

/// What is known of a node by what it was told and what it did.
pub(super) struct Model {
    local: SocketAddrV4,
    domain: Domain,
    settings: NodeSettings,
    roster: BTreeSet<UserName>,
    bindings: HashMap<UserName, Binding>,
    /// Questions that were sent on.
    pendings: HashMap<Asked, Pending>,
    kept: KeptRequests,
    /// The number of times that one was sent on.
    sent_on: u64,
    lookups: HashMap<LookupId, Lookup>,
    /// What DNS said, and until when that may be relied on.
    answers: HashMap<Domain, (Option<SocketAddrV4>, Instant)>,
    /// Questions that came less answers that went out.
    owed: HashMap<Asked, u64>,
    dropped: u64,
    kept_out: u64,
    /// The last time at which something of a host was kept out.
    kept_out_at: HashMap<Ipv4Addr, Instant>,
}

struct Binding {
    address: SocketAddrV4,
    /// `false`: taken offline by strikes.
    online: bool,
    strikes: u8,
    last_strike: Option<Instant>,
}

/// A question that was sent on.
struct Pending {
    /// The addresses to which it was sent, the latest last.
    receivers: Vec<SocketAddrV4>,
    sent_at: Instant,
    /// The lower number was sent on first.
    number: u64,
    /// The time until which it can be answered.
    end: Instant,
}

/// One that is under way.
struct Lookup {
    domain: Domain,
    /// The askers that wait for it, and the times since when.
    waiting: HashMap<Asked, Instant>,
}

impl Model {
    pub(super) fn new(
        local: SocketAddrV4,
        domain: Domain,
        roster: BTreeSet<UserName>,
        settings: NodeSettings,
    ) -> Self {
        let kept = KeptRequests::new(domain, &settings.exempt);
        Self {
            local,
            domain,
            settings,
            roster,
            bindings: HashMap::new(),
            pendings: HashMap::new(),
            kept,
            sent_on: 0,
            lookups: HashMap::new(),
            answers: HashMap::new(),
            owed: HashMap::new(),
            dropped: 0,
            kept_out: 0,
            kept_out_at: HashMap::new(),
        }
    }

    /// What can be seen of the node is as it should be.
    pub(super) fn holds(&self, now: Instant, node: &Node) {
        let users: Vec<_> = node.users().collect();
        let listed: BTreeSet<_> = users.iter().map(|status| status.user).collect();
        assert_eq!(listed, self.roster);
        for status in &users {
            assert_eq!(status.presence.map(|presence| presence.address), self.address_of(&status.user));
        }
        for user in self.roster.iter().chain(self.bindings.keys()) {
            assert_eq!(node.address_of(user), self.address_of(user), "{user}");
            assert!(self.roster.contains(user), "{user} is gone");
        }
        let status = node.status();
        let online = users.iter().filter(|status| status.presence.is_some()).count();
        assert_eq!((status.users, status.online), (users.len(), online));
        let answers: u64 = ANSWERS.iter().map(|&kind| status.sent.of(kind)).sum();
        let Locations { found, busy, no_such_user, offline, .. } = status.locations;
        assert_eq!(
            answers,
            [found, busy, no_such_user, offline].iter().map(LocationTimes::count).sum::<u64>()
        );
        // Those that have ended may be left until the next timeout.
        let live = self.pendings.values().filter(|pending| pending.end > now).count();
        assert!((live..=self.pendings.len()).contains(&node.pending_count()), "of {live} pending requests");
        assert!(node.pending_count() <= MAX_PENDINGS);
        assert_eq!(node.lookups_in_flight(), self.lookups.len());
        assert!(self.lookups.len() <= MAX_LOOKUPS);
        let dropped = node.dropped();
        assert_eq!(dropped.too_many, self.kept_out);
        let reasons = [dropped.malformed, dropped.unexpected, dropped.unasked, dropped.foreign];
        let sum = reasons.iter().sum::<u64>() + dropped.no_room + dropped.spoofed + dropped.repeated;
        assert_eq!(sum, self.dropped);
    }

    pub(super) fn time_passed(&mut self, now: Instant) {
        self.pendings.retain(|asked, pending| {
            let is_alive = pending.end > now;
            if !is_alive {
                self.kept.remove(asked);
            }
            is_alive
        });
    }

    pub(super) fn kept_out(&mut self, now: Instant, source: Ipv4Addr) {
        assert!(self.settings.rate_limit.is_some() && !self.is_exempt(source), "{source} was kept out");
        self.kept_out += 1;
        self.kept_out_at.insert(source, now);
    }

    /// A datagram came, and this is what the node said and did.
    pub(super) fn received(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        datagram: &[u8],
        handled: Result<(), DropReason>,
        outputs: &[Output],
    ) {
        self.time_passed(now);
        let shown = || format!("\"{}\" from {from}: {handled:?} {outputs:?}", datagram.escape_ascii());
        assert!(outputs.len() <= 1, "{}", shown());
        assert!(handled.is_ok() || outputs.is_empty(), "{}", shown());
        self.dropped += u64::from(handled.is_err());
        let sent = outputs.iter().find_map(|output| match output {
            Output::Transmit { to, message, .. } => Some((*to, *message)),
            _ => None,
        });
        if let Some((_, message)) = sent {
            let (before, after) = (datagram.len(), message.encode().len());
            assert!(after <= MAX_MESSAGE, "{}", shown());
            let grows = if is_unspecified(datagram) { before + 8 } else { before * 112 / 100 };
            assert!(after <= grows, "amplified: {}", shown());
        }
        let is_forged = from.port() == 0 || from == self.local;
        match Message::decode(datagram).map(as_understood) {
            Ok(Message::Register(registrant)) if !is_forged && from.port() != NODE_PORT => {
                let code = self.register(now, from, &registrant);
                assert_eq!(
                    sent,
                    Some((from, Message::RegisterReply { code, extension: Extension::NONE })),
                    "{}",
                    shown()
                );
            }
            Ok(Message::Deregister(registrant)) if !is_forged && from.port() != NODE_PORT => {
                let code = self.deregister(from, &registrant);
                assert_eq!(
                    sent,
                    Some((from, Message::DeregisterReply { code, extension: Extension::NONE })),
                    "{}",
                    shown()
                );
            }
            Ok(Message::Enrol { .. }) if !is_forged && from.port() != NODE_PORT => {
                // Nobody was invited here.
                let refused =
                    Message::RegisterReply { code: RegisterCode::NoSuchUser, extension: Extension::NONE };
                assert_eq!(sent, Some((from, refused)), "{}", shown());
            }
            Ok(Message::Locate(locate)) if !is_forged => self.locate(now, (locate, from), handled, outputs),
            Ok(answer @ Message::LocateReply { locate, .. }) if !is_forged => {
                self.answer(now, from, locate, answer, sent);
                assert_eq!(handled.is_ok(), sent.is_some(), "{}", shown());
            }
            _ => assert!(handled.is_err(), "{}", shown()),
        }
    }

    /// DNS answered, and this is what the node did.
    pub(super) fn resolved(
        &mut self,
        now: Instant,
        id: LookupId,
        answer: &Result<FoundNode, LookupError>,
        outputs: &[Output],
        node: &Node,
    ) {
        self.time_passed(now);
        let Some(mut lookup) = self.lookups.remove(&id) else {
            assert_eq!(outputs, [], "a look-up is answered once");
            return;
        };
        let (found, valid_for) = match answer {
            // This node itself, under another name.
            Ok(found) if found.address == self.local.into() => (None, FAILURE_LIFE),
            Ok(found) => (Some(found.address.into()), found.valid_for.min(MAX_LIFE)),
            Err(_) => (None, FAILURE_LIFE),
        };
        // Every waiting asker is served by this answer, however short it is valid.
        self.answers.insert(lookup.domain, (found, now + valid_for));
        for output in outputs {
            let &Output::Transmit { to, message, .. } = output else { panic!("{output:?} for an answer") };
            let mut of_message = |locate: &Locate, to: Option<SocketAddrV4>| {
                let asked = lookup.waiting.keys().find(|asked| {
                    asked.0 == *locate
                        && asked.0.to.as_str() == locate.to.as_str()
                        && to.is_none_or(|to| asked.1 == to)
                });
                let asked = *asked.unwrap_or_else(|| panic!("{message:?} to {to:?}, who does not wait"));
                (asked, lookup.waiting.remove(&asked).expect("it is there"))
            };
            match message {
                Message::Locate(locate) => {
                    let (asked, since) = of_message(&locate, None);
                    self.sent_to_node(asked, now, since, to, found);
                }
                Message::LocateReply { locate, outcome: LocateOutcome::NoSuchUser, .. } => {
                    let (asked, _) = of_message(&locate, Some(to));
                    assert!(found.is_none(), "{locate:?} is refused");
                    self.refused(&asked);
                }
                _ => panic!("{message:?} for an answer"),
            }
        }
        // The rest were given up, or found no room, or have no asker that may ask.
        let dropped = node.dropped();
        let sum = dropped.malformed + dropped.unexpected + dropped.unasked;
        let sum = sum + dropped.foreign + dropped.no_room + dropped.spoofed + dropped.repeated;
        let live = lookup.waiting.values().filter(|since| **since + REQUEST_LIFE > now).count() as u64;
        // Some may have given way to others.
        assert!(sum - self.dropped <= live, "requests that waited are served or dropped");
        self.dropped = sum;
    }

    pub(super) fn administrated(&self, command: &AdminCommand, output: &Output) {
        match (command.clone(), output) {
            (AdminCommand::AddUser(user), Output::SaveRoster { change: RosterChange::Add(added), .. }) => {
                assert!(user == *added && !self.roster.contains(&user) && self.fits(&user));
            }
            (AdminCommand::RemoveUser(user), Output::SaveRoster { change, .. }) => {
                assert!(*change == RosterChange::Remove(user) && self.roster.contains(&user));
            }
            (command, Output::Answer { reply, .. }) => match (command.clone(), &**reply) {
                (AdminCommand::AddUser(user), AdminReply::Refused(_)) => {
                    assert!(self.roster.contains(&user) || !self.fits(&user));
                }
                (AdminCommand::RemoveUser(user), AdminReply::Refused(_)) => {
                    assert!(!self.roster.contains(&user));
                }
                (AdminCommand::List, AdminReply::Users(_)) => {}
                _ => panic!("{reply:?} to {command:?}"),
            },
            _ => panic!("{output:?} for {command:?}"),
        }
    }

    pub(super) fn roster_saved(&mut self, change: &RosterChange) {
        match change {
            RosterChange::Add(user) => _ = self.roster.insert(*user),
            RosterChange::Remove(user) => {
                self.roster.remove(user);
                self.bindings.remove(user);
                let is_of = |address: &MiAddress| address.domain() == self.domain && address.user() == *user;
                let is_gone = |(locate, _): &Asked| is_of(&locate.from) || is_of(&locate.to);
                for asked in self.pendings.extract_if(|asked, _| is_gone(asked)) {
                    self.kept.remove(&asked.0);
                }
                for lookup in self.lookups.values_mut() {
                    lookup.waiting.retain(|(locate, _), _| !is_of(&locate.from));
                }
            }
            change => panic!("{change:?} is not a change that a node asks for"),
        }
    }

    /// Another roster, with these users, was read.
    pub(super) fn roster_reloaded(&mut self, roster: &Roster, users: &BTreeSet<UserName>, is_taken: bool) {
        assert_eq!(is_taken, *roster.domain() == self.domain);
        if is_taken {
            let removed: Vec<_> = self.roster.difference(users).copied().collect();
            for user in removed {
                self.roster_saved(&RosterChange::Remove(user));
            }
            self.roster.clone_from(users);
        }
    }

    fn register(&mut self, now: Instant, from: SocketAddrV4, registrant: &Registrant) -> RegisterCode {
        let allow = &self.settings.allow;
        let allowed = allow.is_empty() || allow.iter().any(|range| range.contains(*from.ip()));
        let Some(user) = self.own_user(registrant).filter(|_| allowed) else {
            return RegisterCode::NoSuchUser;
        };
        let ranges = self.settings.users.get(&user);
        let is_outside = ranges.is_some_and(|ranges| ranges.iter().all(|range| !range.contains(*from.ip())));
        if is_outside || !self.has_room(&user, from) {
            return RegisterCode::NoSuchUser;
        }
        let elsewhere = self.address_of(&user).is_some_and(|address| address.ip() != from.ip());
        if elsewhere && self.settings.takeover == Takeover::Deny {
            return RegisterCode::NoSuchUser;
        }
        let same = self.bindings.remove(&user).filter(|binding| binding.address == from);
        let new = Binding { address: from, online: true, strikes: 0, last_strike: None };
        self.bindings.insert(user, same.unwrap_or(new));
        self.hear(now, &user, from);
        RegisterCode::Registered
    }

    fn deregister(&mut self, from: SocketAddrV4, registrant: &Registrant) -> DeregisterCode {
        let Some(user) = self.own_user(registrant) else { return DeregisterCode::NoSuchUser };
        if self.bindings.get(&user).is_some_and(|binding| binding.address == from) {
            self.bindings.remove(&user);
        }
        match self.address_of(&user) {
            Some(_) => DeregisterCode::NoSuchUser,
            None => DeregisterCode::Deregistered,
        }
    }

    /// A sign of life.
    fn hear(&mut self, now: Instant, user: &UserName, from: SocketAddrV4) {
        if !self.has_room(user, from) {
            return;
        }
        if let Some(binding) = self.bindings.get_mut(user).filter(|binding| binding.address == from) {
            (binding.online, binding.strikes) = (true, 0);
            binding.last_strike.take_if(|last| now >= *last + self.settings.strike_interval);
        }
    }

    /// Returns whether the user may be online there beside others.
    fn has_room(&self, user: &UserName, at: SocketAddrV4) -> bool {
        let is_other = |(other, binding): &(&UserName, &Binding)| {
            binding.online && binding.address == at && *other != user
        };
        let others = self.bindings.iter().filter(is_other).count();
        self.settings.users_per_socket.is_none_or(|limit| others < limit.get() as usize)
    }

    fn own_user(&self, registrant: &Registrant) -> Option<UserName> {
        let user = match registrant {
            Registrant::User(user) => *user,
            Registrant::Address(address) if address.domain() == self.domain => address.user(),
            Registrant::Address(_) => return None,
        };
        self.roster.contains(&user).then_some(user)
    }

    fn address_of(&self, user: &UserName) -> Option<SocketAddrV4> {
        self.bindings.get(user).filter(|binding| binding.online).map(|binding| binding.address)
    }

    fn is_exempt(&self, source: Ipv4Addr) -> bool {
        self.settings.exempt.iter().any(|range| range.contains(source))
    }

    fn fits(&self, user: &UserName) -> bool {
        MiAddress::new(user, &self.domain).is_ok()
    }
}

/// Whether a datagram is an `RL0` of an agent that does not know its own address.
fn is_unspecified(datagram: &[u8]) -> bool {
    let Ok(Message::LocateReply { outcome: LocateOutcome::Found(address), .. }) = Message::decode(datagram)
    else {
        return false;
    };
    address.ip.is_unspecified()
}

const ANSWERS: [MessageKind; 4] =
    [MessageKind::Found, MessageKind::Busy, MessageKind::NoSuchUser, MessageKind::Offline];
const STRIKES: u8 = 5;
const MAX_PENDINGS: usize = 4_096;
const MAX_LOOKUPS: usize = 32;
const REQUEST_LIFE: Duration = Duration::from_secs(5);
const MIN_INTERVAL: Duration = Duration::from_millis(150);
const MAX_RECEIVERS: usize = 4;
const MAX_LIFE: Duration = Duration::from_secs(60);
const FAILURE_LIFE: Duration = Duration::from_secs(5);

/// Nobody has a key here, so a request for a challenge is a plain one.
fn as_understood(message: Message) -> Message {
    if let Message::RequestChallenge { .. } = message { message.without_extension() } else { message }
}
