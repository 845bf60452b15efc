//! The decisions of a node (protocol.md §3).

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use lumi_dns::{FoundNode, LookupError};
use plumi_proto::{
    DeregisterCode, Domain, Extension, Locate, LocateOutcome, Message, MiAddress, MiSocketAddress, NODE_PORT,
    RegisterCode, Registrant, UserName,
};

use super::address_range::AddressRange;
use super::admin::{AdminCommand, AdminRefusal, AdminReply, ReloadRefusal, RosterChange};
use super::dropped::{DropReason, Dropped};
use super::limiter::Limiter;
use super::location_times::Locations;
use super::lookups::{Asked, LookupId, Lookups};
use super::message_counts::MessageCounts;
use super::party::Party;
use super::pendings::{Pendings, Request, Share};
use super::roster::Roster;
use super::settings::{NodeSettings, Takeover};
use super::status::NodeStatus;
use super::users::Users;

/// The node of a domain, without its socket.
///
/// Report what happened with a `handle_*` method. After each of these calls, carry out every [`Output`] until
/// [`Node::poll_output`] returns `None`. [`Node::poll_timeout`] returns the time at which
/// [`Node::handle_timeout`] is next due.
#[derive(Debug)]
pub struct Node {
    domain: Domain,
    users: Users,
    pendings: Pendings,
    lookups: Lookups,
    limiter: Option<Limiter>,
    settings: NodeSettings,
    local: SocketAddrV4,
    outputs: VecDeque<Output>,
    received: MessageCounts,
    sent: MessageCounts,
    dropped: Dropped,
    locations: Locations,
}

/// An effect that a [`Node`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this message.
    Transmit {
        /// The receiver.
        to: SocketAddrV4,
        /// The address of this host to send from: the one that the receiver sent to, see [`Party::heard_at`].
        /// `None` leaves the choice to the kernel.
        source: Option<Ipv4Addr>,
        /// The message.
        message: Message,
    },
    /// Find the node of this domain, and pass the result to [`Node::handle_resolved`].
    Resolve {
        /// Identifies the look-up.
        id: LookupId,
        /// The domain.
        domain: Domain,
    },
}

impl Node {
    /// Creates the node of the roster's domain, on the UDP address `local`.
    pub fn new(roster: Roster, local: SocketAddrV4, settings: NodeSettings) -> Self {
        Self {
            domain: roster.domain,
            users: Users::new(roster.users, settings.strike_interval),
            pendings: Pendings::default(),
            lookups: Lookups::default(),
            limiter: settings.rate_limit.map(Limiter::new),
            settings,
            local,
            outputs: VecDeque::new(),
            received: MessageCounts::default(),
            sent: MessageCounts::default(),
            dropped: Dropped::default(),
            locations: Locations::default(),
        }
    }

    /// Returns whether the rate limit admits a datagram from `source`. A datagram that is not admitted goes
    /// neither to the message log nor to [`Node::handle_datagram`].
    pub fn admit(&mut self, now: Instant, source: Ipv4Addr) -> bool {
        let admitted = is_in(&self.settings.exempt, source)
            || self.limiter.as_mut().is_none_or(|limiter| limiter.admit(now, source));
        if !admitted {
            self.dropped.too_many += 1;
        }
        admitted
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
        self.receive(now, from.into(), datagram).inspect_err(|reason| self.dropped.count(reason))
    }

    /// Fetches from memory what `datagrams`, which come next, will need. Changes nothing and is optional. With
    /// very many users, a registration spends most of its time waiting for memory, and this waits for all of
    /// them at once.
    pub fn prefetch<'d>(&self, datagrams: impl Iterator<Item = &'d [u8]>) {
        let names = datagrams.filter_map(|datagram| match datagram {
            [b'P', b'R' | b'D', registrant @ ..] => registrant.split(|&byte| byte == b'@').next(),
            _ => None,
        });
        self.users.fetch(names);
    }

    /// Handles the result of a look-up that [`Output::Resolve`] asked for.
    pub fn handle_resolved(&mut self, now: Instant, id: LookupId, answer: &Result<FoundNode, LookupError>) {
        let (node, waiting) = self.lookups.answer(now, id, answer);
        for request in waiting {
            // The asker may have gone offline or moved since.
            let forwarded = if self.is_online_at(&request.locate.from, request.asker.address) {
                self.forward_to_node(now, request, node)
            } else {
                Err(DropReason::Foreign)
            };
            if let Err(reason) = forwarded {
                self.dropped.count(&reason);
            }
        }
    }

    /// Handles a command of the administrator. Changes nothing: [`AdminReply::Save`] holds the change to save
    /// first.
    pub fn handle_admin(&self, now: Instant, command: AdminCommand) -> AdminReply {
        match command {
            AdminCommand::Register(user) if self.users.contains(&user) => {
                AdminReply::Refused(AdminRefusal::AlreadyUser(user))
            }
            AdminCommand::Register(user) => match MiAddress::new(&user, &self.domain) {
                Ok(_) => AdminReply::Save(RosterChange::Add(user)),
                Err(error) => AdminReply::Refused(AdminRefusal::TooLong(error)),
            },
            AdminCommand::Deregister(user) if self.users.contains(&user) => {
                AdminReply::Save(RosterChange::Remove(user))
            }
            AdminCommand::Deregister(user) => AdminReply::Refused(AdminRefusal::NoSuchUser(user)),
            AdminCommand::List => AdminReply::Users(self.users.statuses(now).collect()),
        }
    }

    /// Applies a change of the roster that has been saved.
    pub fn handle_roster_saved(&mut self, change: RosterChange) {
        match change {
            RosterChange::Add(user) => {
                self.users.add(user);
            }
            RosterChange::Remove(user) => {
                self.users.remove(&user);
                self.forget_requests(|other| *other == user);
            }
        }
    }

    /// Replaces the roster. Users that the new one lacks are disconnected; nobody else is affected.
    ///
    /// This goes through the whole old roster, which takes some milliseconds for a million users.
    ///
    /// # Errors
    /// [`ReloadRefusal`]; then nothing has changed.
    pub fn handle_roster_reloaded(&mut self, roster: Roster) -> Result<(), ReloadRefusal> {
        if roster.domain != self.domain {
            return Err(ReloadRefusal::OtherDomain { served: self.domain, found: roster.domain });
        }
        // Equal domains may be spelled differently, and so may the users in them.
        self.domain = roster.domain;
        let old = self.users.replace(roster.users);
        self.forget_requests(|user| old.contains(user));
        Ok(())
    }

    /// Applies `settings`, and forgets the answers of the directory of nodes.
    ///
    /// The answers may be outdated, because the directory has changed too. Online users stay online, even
    /// if the new settings do not allow their address. If the rate limit is the same as before, each source
    /// keeps what is left of its share.
    pub fn handle_settings(&mut self, settings: NodeSettings) {
        if self.settings.rate_limit != settings.rate_limit {
            self.limiter = settings.rate_limit.map(Limiter::new);
        }
        self.users.set_strike_interval(settings.strike_interval);
        self.settings = settings;
        self.lookups.forget_answers();
    }

    /// Handles the time that [`Node::poll_timeout`] returned.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.pendings.expire(now);
    }

    /// Returns the next effect to carry out, or `None` when there is nothing left to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns the time at which [`Node::handle_timeout`] is due, if there is one.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.pendings.next_deadline()
    }

    /// Returns the domain of this node.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Returns the UDP address of the user's agent, if the user is online.
    pub fn address_of(&self, user: &UserName) -> Option<SocketAddrV4> {
        self.users.party(user).map(|party| party.address)
    }

    /// Returns the number of location requests that were forwarded and have no answer yet.
    pub fn pending_count(&self) -> usize {
        self.pendings.len()
    }

    /// Returns the number of look-ups that [`Output::Resolve`] asked for and whose result has not come yet.
    pub fn lookups_in_flight(&self) -> usize {
        self.lookups.in_flight()
    }

    /// Returns the counts of dropped datagrams.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Returns a snapshot of the node and its counters.
    pub fn status(&self) -> NodeStatus {
        NodeStatus {
            domain: self.domain,
            users: self.users.len(),
            online: self.users.online(),
            pendings: self.pendings.len(),
            unanswered: self.pendings.expired(),
            received: self.received,
            sent: self.sent,
            dropped: self.dropped,
            locations: self.locations,
            lookups: self.lookups.status(),
        }
    }

    fn receive(&mut self, now: Instant, from: Party, datagram: &[u8]) -> Result<(), DropReason> {
        // Nothing can be sent to port 0, and this node never sends to itself.
        let Party { address, .. } = from;
        if address.port() == 0 || address == self.local {
            return Err(DropReason::Spoofed);
        }
        let message = Message::decode(datagram).map_err(DropReason::Malformed)?;
        self.received.count(&message);
        match message {
            // A forged source port could make this node answer another node that never asked, or take it for
            // an agent. Two nodes could then be made to talk to each other without end.
            Message::Register(_) | Message::Deregister(_) if address.port() == NODE_PORT => {
                Err(DropReason::Spoofed)
            }
            Message::Register(registrant) => {
                self.register(now, from, &registrant);
                Ok(())
            }
            Message::Deregister(registrant) => {
                self.deregister(from, &registrant);
                Ok(())
            }
            Message::Locate(locate) => self.locate(now, from, locate),
            Message::LocateReply { locate, outcome, extension } => {
                self.locate_reply(now, from, locate, outcome, extension)
            }
            _ => Err(DropReason::Unexpected),
        }
    }

    fn register(&mut self, now: Instant, from: Party, registrant: &Registrant) {
        let user = self.own_user(registrant).filter(|_| self.may_register_from(*from.address.ip()));
        let is_held = self.settings.takeover == Takeover::Deny;
        let may_register =
            |online: Option<SocketAddrV4>| !is_held || online.is_none_or(|address| address == from.address);
        let code = match user {
            Some(user) if self.users.bind(now, &user, from, may_register) => RegisterCode::Registered,
            _ => RegisterCode::NoSuchUser,
        };
        self.transmit(from, Message::RegisterReply { code, extension: Extension::NONE });
    }

    fn may_register_from(&self, ip: Ipv4Addr) -> bool {
        self.settings.allow.is_empty() || is_in(&self.settings.allow, ip)
    }

    fn deregister(&mut self, from: Party, registrant: &Registrant) {
        let code = match self.own_user(registrant) {
            Some(user) if self.users.unbind(&user, from.address) => DeregisterCode::Deregistered,
            _ => DeregisterCode::NoSuchUser,
        };
        self.transmit(from, Message::DeregisterReply { code, extension: Extension::NONE });
    }

    fn locate(&mut self, now: Instant, from: Party, locate: Locate) -> Result<(), DropReason> {
        if locate.from.domain() == self.domain {
            self.users.hear_question(now, &locate.from.user(), from.address);
        }
        let request = Request::new(now, locate, from);
        if locate.to.domain() == self.domain {
            self.locate_own_user(now, request)
        } else if self.is_online_at(&locate.from, from.address) {
            self.locate_elsewhere(now, request)
        } else {
            Err(DropReason::Foreign)
        }
    }

    fn locate_own_user(&mut self, now: Instant, request: Request) -> Result<(), DropReason> {
        let user = request.locate.to.user();
        if !self.users.contains(&user) {
            self.refuse(now, &request, LocateOutcome::NoSuchUser);
            return Ok(());
        }
        let Some(agent) = self.users.party(&user) else {
            self.refuse(now, &request, LocateOutcome::Offline);
            return Ok(());
        };
        // First, because a request that never reaches the agent is not a strike.
        if !self.pendings.add(now, request, agent.address, self.share(&request)) {
            return Err(DropReason::NoRoom);
        }
        if self.users.strike(now, &user) {
            self.refuse(now, &request, LocateOutcome::Offline);
        } else {
            self.transmit(agent, Message::Locate(request.locate));
        }
        Ok(())
    }

    fn locate_elsewhere(&mut self, now: Instant, request: Request) -> Result<(), DropReason> {
        match self.lookups.ask(now, request) {
            Asked::Known(node) => self.forward_to_node(now, request, node),
            Asked::Start(id) => {
                self.outputs.push_back(Output::Resolve { id, domain: request.locate.to.domain() });
                Ok(())
            }
            Asked::Waits => Ok(()),
            Asked::Full => Err(DropReason::NoRoom),
        }
    }

    fn forward_to_node(
        &mut self,
        now: Instant,
        request: Request,
        node: Option<SocketAddrV4>,
    ) -> Result<(), DropReason> {
        match node {
            // The guard keeps out another name of this very node: it has no users by that name, and the
            // message would come back.
            Some(node) if node != self.local => {
                if !self.pendings.add(now, request, node, self.share(&request)) {
                    return Err(DropReason::NoRoom);
                }
                self.transmit(node.into(), Message::Locate(request.locate));
            }
            _ => self.refuse(now, &request, LocateOutcome::NoSuchUser),
        }
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
            self.users.hear_answer(now, &locate.to.user(), from.address);
        }
        let request = self.pendings.take(now, &locate, from.address).ok_or(DropReason::Unasked)?;
        // Some agents do not know their own address, but their node does.
        if let LocateOutcome::Found(MiSocketAddress { ip, .. }) = &mut outcome
            && ip.is_unspecified()
            && own_user
        {
            *ip = *from.address.ip();
        }
        // The answer repeats the names byte for byte: they can be spelled in several ways. So does the extension,
        // unless the address above has left no room for it.
        self.reply(now, &Request { locate, ..request }, outcome, extension);
        Ok(())
    }

    /// Returns the user name of a registration or deregistration, if it belongs to this domain.
    fn own_user(&self, registrant: &Registrant) -> Option<UserName> {
        match registrant {
            Registrant::User(user) => Some(*user),
            Registrant::Address(address) if address.domain() == self.domain => Some(address.user()),
            Registrant::Address(_) => None,
        }
    }

    /// Drops pending requests from or for users removed from the roster.
    fn forget_requests(&mut self, was_user: impl Fn(&UserName) -> bool) {
        let Self { domain, users, pendings, lookups, .. } = self;
        let is_gone = |address: &MiAddress| {
            let user = address.user();
            address.domain() == *domain && was_user(&user) && !users.contains(&user)
        };
        pendings.forget(is_gone);
        lookups.forget(is_gone);
    }

    fn share(&self, request: &Request) -> Share {
        if is_in(&self.settings.exempt, *request.asker.address.ip()) { Share::All } else { Share::OfOne }
    }

    fn is_online_at(&self, user: &MiAddress, address: SocketAddrV4) -> bool {
        user.domain() == self.domain && self.address_of(&user.user()) == Some(address)
    }

    /// Answers a request in place of the other side. If that side still answers, its answer is dropped.
    fn refuse(&mut self, now: Instant, request: &Request, outcome: LocateOutcome) {
        let repeated = self.pendings.cancel(request);
        // The answer repeats the names of the latest repetition, which can be spelled differently.
        let request = repeated.map_or(*request, |earlier| request.repeating(&earlier));
        self.reply(now, &request, outcome, Extension::NONE);
    }

    fn reply(&mut self, now: Instant, request: &Request, outcome: LocateOutcome, extension: Extension) {
        let Request { locate, asker, first_asked_at, .. } = *request;
        self.locations.add(&outcome, now.saturating_duration_since(first_asked_at));
        self.transmit(asker, Message::LocateReply { locate, outcome, extension });
    }

    fn transmit(&mut self, to: Party, message: Message) {
        self.sent.count(&message);
        let Party { address, heard_at } = to;
        self.outputs.push_back(Output::Transmit { to: address, source: heard_at, message });
    }
}

fn is_in(ranges: &[AddressRange], address: Ipv4Addr) -> bool {
    ranges.iter().any(|range| range.contains(address))
}
