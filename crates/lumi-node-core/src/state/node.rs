//! The decisions of a node (protocol.md §3).

mod administration;
mod asking;
#[cfg(feature = "proof")]
mod enrolling;
#[cfg(feature = "proof")]
mod keys;
mod pieces;
mod restoring;
mod saving;
mod sharing;
mod snapshot;

use std::collections::VecDeque;
use std::time::Instant;

use fair_table::Share;
use lumi_dns::{FoundNode, LookupError};
use plumi_proto::{
    Domain, Extension, Locate, LocateOutcome, Message, MiAddress, MiSocketAddress, NODE_PORT, NodeAddress,
    UdpAddress, Verb,
};

use super::address_range::is_in;
use super::admin::AdminId;
use super::bindings::Bindings;
#[cfg(feature = "proof")]
use super::credentials::Credentials;
use super::dropped::{DropReason, Dropped};
use super::event::{Events, NodeEvent};
use super::limiter::Limiter;
use super::location::{Location, Parts, Step};
use super::lookups::LookupId;
use super::members::Members;
use super::message_counts::MessageCounts;
use super::notice::Notice;
use super::output::Output;
use super::owner::{self, Asker, Owner};
use super::party::{Party, leads_to};
use super::pendings::Request;
use super::policy::{Policies, Policy};
use super::registration::{Outsiders, Registrar, own_user};
use super::roster::Roster;
use super::settings::NodeSettings;
use super::source::Source;
use super::user_shares::UserShares;
use super::users::Users;
use pieces::Awaited;

/// The node of a domain, without its socket.
///
/// Report what happened with a `handle_*` method. After each of these calls, carry out every [`Output`] until
/// [`Node::poll_output`] returns `None`. [`Node::poll_timeout`] returns the time at which
/// [`Node::handle_timeout`] is next due.
#[derive(Debug)]
pub struct Node {
    domain: Domain,
    users: Users,
    location: Location,
    limiter: Option<Limiter>,
    user_shares: UserShares,
    /// The source whose allowance the datagram to be handled next took from.
    charged: Option<Source>,
    settings: NodeSettings,
    policies: Policies,
    /// `None` without a store.
    bindings: Option<Box<Bindings>>,
    /// `None` of the only node of its domain.
    members: Option<Box<Members>>,
    local: NodeAddress,
    /// The command whose effect has been asked for.
    admin: Option<(AdminId, Awaited)>,
    outputs: VecDeque<Output>,
    events: Events,
    outsiders: Outsiders,
    #[cfg(feature = "proof")]
    credentials: Credentials,
    #[cfg(feature = "proof")]
    enrolling: enrolling::Enrolling,
    received: MessageCounts,
    sent: MessageCounts,
    dropped: Dropped,
}

impl Node {
    /// Creates the node of the roster's domain, on the UDP address `local`.
    pub fn new(roster: Roster, local: NodeAddress, settings: NodeSettings) -> Self {
        let mut users = Users::new(roster.users, settings.strike_interval);
        users.set_max_of_socket(settings.users_per_socket);
        Self {
            domain: roster.domain,
            users,
            location: Location::default(),
            limiter: settings.rate_limit.map(Limiter::new),
            user_shares: UserShares::new(settings.rate_limit.unwrap_or_default()),
            charged: None,
            settings,
            policies: Policies::default(),
            bindings: None,
            members: None,
            local,
            admin: None,
            outputs: VecDeque::new(),
            events: Events::default(),
            outsiders: Outsiders::default(),
            #[cfg(feature = "proof")]
            credentials: Credentials::default(),
            #[cfg(feature = "proof")]
            enrolling: enrolling::Enrolling::default(),
            received: MessageCounts::default(),
            sent: MessageCounts::default(),
            dropped: Dropped::default(),
        }
    }

    /// Returns whether the rate limit admits this datagram, which [`Node::handle_datagram`] handles next. A
    /// datagram that is not admitted goes neither there nor to the message log.
    ///
    /// An answer that this node has asked for costs its sender nothing. A user who is online at `from` has a
    /// share of its own if the host of `from` has used up its own one.
    pub fn admit(&mut self, now: Instant, from: UdpAddress, datagram: &[u8]) -> bool {
        let source = Source::from(from);
        self.charged = None;
        if is_in(&self.settings.exempt, source) {
            return true;
        }
        let Some(limiter) = &mut self.limiter else { return true };
        if limiter.admit(now, source) {
            self.charged = Some(source);
            return true;
        }
        if self.is_wanted(now, from, datagram) {
            return true;
        }
        if let Some(limiter) = &mut self.limiter {
            limiter.kept_out(now, source);
        }
        self.dropped.too_many += 1;
        false
    }

    /// Handles a datagram.
    ///
    /// # Errors
    /// The reason why it is dropped. Nothing is sent for it. Nothing has changed except a count in
    /// [`Node::dropped`] and, if it is from the agent of a user, the fact that the agent has been heard.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: impl Into<Party>,
        datagram: &[u8],
    ) -> Result<(), DropReason> {
        let charged = self.charged.take();
        self.receive(now, from.into(), datagram, charged).inspect_err(|reason| self.dropped.count(reason))
    }

    /// Fetches from memory what `datagrams`, which come next, will need. Changes nothing and is optional.
    /// With very many users, a registration spends most of its time waiting for memory, and this waits for
    /// all of them at once.
    pub fn prefetch<'d>(&self, datagrams: impl Iterator<Item = &'d [u8]>) {
        let names = datagrams.filter_map(|datagram| match datagram {
            [b'P', b'R' | b'D', registrant @ ..] => registrant.split(|&byte| byte == b'@').next(),
            _ => None,
        });
        self.users.fetch(names);
    }

    /// Handles the result of a look-up that [`Output::Resolve`] asked for.
    pub fn handle_resolved(&mut self, now: Instant, id: LookupId, answer: &Result<FoundNode, LookupError>) {
        let answer = answer.clone().and_then(|found| self.without_itself(found));
        let (nodes, waiting) = self.location.resolved(now, id, &answer);
        for request in waiting {
            // The asker may have gone offline or moved since.
            let step = if self.is_online_at(&request.locate.from, request.asker.address) {
                self.location.ask_node(now, request, nodes.clone(), self.owner(&request))
            } else {
                Err(DropReason::Foreign)
            };
            match step {
                Ok(step) => self.take(step),
                Err(reason) => self.dropped.count(&reason),
            }
        }
    }

    /// Returns whether a node that was found is this one, by another name: all its addresses lead here.
    pub fn is_itself(&self, found: &FoundNode) -> bool {
        found.addresses().all(|at| leads_to(&at, self.local))
    }

    /// Applies `settings`, and forgets the answers of the directory of nodes.
    ///
    /// The answers may be outdated, because the directory has changed too. Online users stay online, even
    /// if the new settings do not allow their address. If the rate limit is the same as before, each source
    /// keeps what is left of its share.
    pub fn handle_settings(&mut self, settings: NodeSettings) {
        if self.settings.rate_limit != settings.rate_limit {
            self.limiter = settings.rate_limit.map(Limiter::new);
            self.user_shares = UserShares::new(settings.rate_limit.unwrap_or_default());
        }
        if self.settings.users_per_socket != settings.users_per_socket {
            self.users.set_max_of_socket(settings.users_per_socket);
        }
        self.users.set_strike_interval(settings.strike_interval);
        self.outsiders.retain(|user, _| settings.users.contains_key(user));
        #[cfg(feature = "proof")]
        let before = self.settings.auth;
        self.settings = settings;
        #[cfg(feature = "proof")]
        self.apply_auth(before);
        self.location.forget_answers();
    }

    /// Sets the rules of the embedding program for who may register and who may be located.
    pub fn set_policy(&mut self, policy: Box<dyn Policy + Send>) {
        self.policies.set(policy);
    }

    /// Begins or ends to keep events for [`Node::poll_event`]. A new node keeps none.
    pub fn report_events(&mut self, is_wanted: bool) {
        self.events.report(is_wanted);
    }

    /// Handles the time that [`Node::poll_timeout`] returned.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.location.expire(now);
        self.bindings_timeout(now);
        self.repair_directory(now);
        self.go_on(now);
    }

    /// Returns the next effect to carry out, or `None` if there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.is_fenced() {
            self.outputs.clear();
        }
        self.outputs.pop_front()
    }

    /// Returns the next event, if [`Node::report_events`] has turned them on. 1,024 events are kept; more are
    /// counted by [`Node::missed_events`].
    pub fn poll_event(&mut self) -> Option<NodeEvent> {
        self.events.pop()
    }

    /// Returns the number of events that found no room.
    pub fn missed_events(&self) -> u64 {
        self.events.missed()
    }

    /// Returns the next notice for the administrator. A datagram causes one at most. 64 are kept, and more
    /// are dropped.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.events.notices.pop()
    }

    /// Returns the time at which [`Node::handle_timeout`] is due, if there is one.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let bindings = self.bindings.as_deref().and_then(Bindings::poll_timeout);
        let command = self.admin.as_ref().and_then(|(_, awaited)| awaited.next_piece());
        let members = self.members.as_deref().and_then(Members::poll_timeout);
        self.location.next_deadline().into_iter().chain(bindings).chain(members).chain(command).min()
    }

    /// Returns the domain of this node.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Leaves out the addresses of `found` that lead to this node: it has no users by that name, and the
    /// message would come back.
    fn without_itself(&self, mut found: FoundNode) -> Result<FoundNode, LookupError> {
        let mut others = found.addresses().filter(|at| !leads_to(at, self.local));
        let first = others.next().ok_or(LookupError::Unusable(found.address.ip()))?;
        let others = others.collect();
        (found.address, found.is_this_host, found.others) = (first.address, first.is_this_host, others);
        Ok(found)
    }

    /// Returns whether this datagram is an answer to a pending request, or is of a user who is online at
    /// `from` and has some of the user's own share left.
    fn is_wanted(&mut self, now: Instant, from: UdpAddress, datagram: &[u8]) -> bool {
        let sender = match Message::decode(datagram) {
            Ok(Message::LocateReply { locate, .. }) if self.location.awaits(now, &locate, from) => {
                return true;
            }
            Ok(Message::LocateReply { locate, .. }) => locate.to,
            Ok(Message::Locate(locate)) => locate.from,
            Ok(Message::Register(registrant) | Message::Deregister(registrant)) => {
                let Some(user) = own_user(&self.domain, &registrant) else { return false };
                return self.address_of(&user) == Some(from) && self.user_shares.admit(now, from);
            }
            Ok(Message::RequestChallenge { address, .. }) => address,
            _ => return false,
        };
        self.is_online_at(&sender, from) && self.user_shares.admit(now, from)
    }

    fn receive(
        &mut self,
        now: Instant,
        from: Party,
        datagram: &[u8],
        charged: Option<Source>,
    ) -> Result<(), DropReason> {
        let Party { address, .. } = from;
        if self.is_impossible(address) {
            return Err(DropReason::Spoofed);
        }
        self.serves(now)?;
        let message = Message::decode(datagram).map_err(DropReason::Malformed)?;
        self.received.count(&message);
        match message {
            // A forged source port could make this node answer another node that never asked, or take it for
            // an agent. Two nodes could then be made to talk to each other without end.
            Message::Register(_)
            | Message::Deregister(_)
            | Message::RequestChallenge { .. }
            | Message::Prove(_)
            | Message::Enrol { .. }
                if address.port() == NODE_PORT =>
            {
                Err(DropReason::Spoofed)
            }
            #[cfg(feature = "proof")]
            Message::RequestChallenge { verb, address } => {
                self.decide(now, from, |registrar| registrar.challenge(now, from, verb, &address))
            }
            #[cfg(not(feature = "proof"))]
            Message::RequestChallenge { .. } => {
                self.receive(now, from, &message.without_extension().encode(), charged)
            }
            #[cfg(feature = "proof")]
            Message::Enrol { address, key } => self.enrol(now, from, address, key),
            #[cfg(feature = "proof")]
            Message::Prove(proof) => self.decide(now, from, |registrar| registrar.prove(now, from, &proof)),
            Message::Register(registrant) => {
                self.has_room_for(from, Verb::Register, &registrant)?;
                self.decide(now, from, |registrar| registrar.register(now, from, &registrant))
            }
            Message::Deregister(registrant) => {
                self.has_room_for(from, Verb::Deregister, &registrant)?;
                self.decide(now, from, |registrar| Ok(registrar.deregister(from, &registrant)))
            }
            Message::Locate(locate) => self.locate(now, from, locate),
            Message::LocateReply { locate, outcome, extension } => {
                self.locate_reply(now, from, locate, outcome, extension)?;
                if let (Some(source), Some(limiter)) = (charged, &mut self.limiter) {
                    limiter.give_back(source);
                }
                Ok(())
            }
            _ => Err(DropReason::Unexpected),
        }
    }

    /// Returns whether an agent can be at `address`.
    fn may_be_agent(&self, address: UdpAddress) -> bool {
        !self.is_impossible(address) && address.port() != NODE_PORT
    }

    /// Returns whether nobody else can be at `address`: nothing can be sent to port 0, and this node never
    /// sends to itself.
    fn is_impossible(&self, address: UdpAddress) -> bool {
        address.port() == 0 || NodeAddress::from(address) == self.local
    }

    fn registrar(&mut self) -> Registrar<'_> {
        let Self { domain, settings, users, policies, events, outsiders, .. } = self;
        Registrar {
            domain,
            settings,
            users,
            policies,
            events,
            outsiders,
            #[cfg(feature = "proof")]
            credentials: &mut self.credentials,
        }
    }

    fn locate(&mut self, now: Instant, from: Party, locate: Locate) -> Result<(), DropReason> {
        if locate.from.domain() == self.domain {
            self.users.hear_question(now, &locate.from.user(), from.address, &mut self.events);
        }
        if !self.may_ask(&locate.from, from.address) {
            return Err(DropReason::Foreign);
        }
        let request = Request::new(now, locate, from);
        let owner = self.owner(&request);
        let step = if locate.to.domain() == self.domain {
            self.is_settled(&locate.to.user())?;
            if let Some(step) = self.hand_on(now, request, owner)? {
                Ok(step)
            } else {
                let Self { users, policies, events, limiter, .. } = self;
                let parts = Parts { users, policies, events, limiter: limiter.as_ref() };
                self.location.ask_user(now, request, owner, parts)
            }
        } else if self.is_online_at(&locate.from, from.address) {
            self.location.ask_elsewhere(now, request, owner, &mut self.policies)
        } else {
            Err(DropReason::Foreign)
        };
        self.take(step?);
        Ok(())
    }

    fn locate_reply(
        &mut self,
        now: Instant,
        from: Party,
        locate: Locate,
        mut outcome: LocateOutcome,
        extension: Extension,
    ) -> Result<(), DropReason> {
        let own_user = locate.to.domain() == self.domain;
        if own_user {
            self.users.hear_answer(now, &locate.to.user(), from.address, &mut self.events);
        }
        // Some agents do not know their own address, but their node does.
        if let LocateOutcome::Found(MiSocketAddress { ip, .. }) = &mut outcome
            && ip.is_unspecified()
            && own_user
            && !self.is_sibling(from.address)
        {
            *ip = *from.address.ip();
        }
        let step = self.location.answer(now, from, locate, outcome, extension, |asker, address| {
            let is_own = asker.domain() == self.domain;
            if !is_own {
                return true;
            }
            // A user with a key gets an answer where that was proved, and nowhere else.
            let bound = self.users.party(&asker.user());
            let members = self.members.as_deref();
            if bound.is_none() && members.is_some_and(|members| members.is_sibling(address)) {
                return true;
            }
            bound.map_or_else(|| !self.users.has_key(&asker.user()), |party| party.address == address)
        })?;
        self.take(step);
        Ok(())
    }

    /// Carries out the next step of a location request.
    fn take(&mut self, step: Step) {
        match step {
            Step::Forward { to, locate } => self.transmit(to, Message::Locate(locate)),
            Step::Reply { to, locate, outcome, extension } => {
                let Locate { from, to: asked, .. } = locate;
                self.events.push(NodeEvent::Located { from, to: asked, outcome });
                self.transmit(to, Message::LocateReply { locate, outcome, extension });
            }
            Step::Resolve { id, domain, instead_of } => {
                self.outputs.push_back(Output::Resolve { id, domain, instead_of });
            }
            Step::Wait => {}
        }
    }

    /// Returns the one that a request counts for, and its share of what may be pending.
    fn owner(&self, Request { locate: Locate { from, .. }, asker, .. }: &Request) -> (Owner, Share) {
        let address = asker.address;
        if self.is_sibling(address)
            || self.is_of_peer(from, address)
            || is_in(&self.settings.exempt, address.into())
        {
            return owner::spoken_for(*from, address);
        }
        let asker = if from.domain() != self.domain {
            Asker::Foreign(address, *from)
        } else if self.is_online_at(from, address) {
            Asker::User(from.user())
        } else {
            Asker::Socket(address)
        };
        owner::at(*address.ip(), asker)
    }

    fn is_online_at(&self, user: &MiAddress, address: UdpAddress) -> bool {
        user.domain() == self.domain && self.address_of(&user.user()) == Some(address)
    }

    /// Sends a message, behind an answer to the same socket that waits for its change to be saved.
    fn transmit(&mut self, to: Party, message: Message) {
        let is_held = self.bindings.as_mut().is_some_and(|bindings| bindings.hold_behind(to, &message));
        if !is_held {
            self.transmit_now(to, message);
        }
    }

    fn transmit_now(&mut self, to: Party, message: Message) {
        self.sent.count(&message);
        let Party { address, heard_at } = to;
        self.outputs.push_back(Output::Transmit { to: address, source: heard_at, message });
    }
}
