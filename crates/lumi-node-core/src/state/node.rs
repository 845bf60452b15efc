//! The decisions of a node (protocol.md §3).

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use lumi_dns::{FoundNode, LookupError};
use plumi_proto::{
    DeregisterCode, Domain, Locate, LocateOutcome, Message, MiAddress, MiSocketAddress, NODE_PORT,
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
/// Tell it what happened with a `handle_*` method, then carry out every [`Output`] until
/// [`Node::poll_output`] returns `None`, after each one of them. [`Node::poll_timeout`] says when
/// [`Node::handle_timeout`] is next due.
#[derive(Debug)]
pub struct Node {
    domain: Domain,
    users: Users,
    pendings: Pendings,
    lookups: Lookups,
    limiter: Option<Limiter>,
    exempt: Vec<AddressRange>,
    allow: Vec<AddressRange>,
    takeover: Takeover,
    local: SocketAddrV4,
    outputs: VecDeque<Output>,
    received: MessageCounts,
    sent: MessageCounts,
    dropped: Dropped,
    locations: Locations,
}

/// What a [`Node`] wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this message.
    Transmit {
        /// To whom.
        to: SocketAddrV4,
        /// From which address of this host: where that one was heard, see [`Party::heard_at`]. `None` leaves it to
        /// the kernel.
        source: Option<Ipv4Addr>,
        /// What.
        message: Message,
    },
    /// Find the node of this domain, and tell [`Node::handle_resolved`].
    Resolve {
        /// Names the look-up.
        id: LookupId,
        /// Of which domain.
        domain: Domain,
    },
}

impl Node {
    /// The node of the roster's domain, on the UDP address `local`.
    pub fn new(roster: Roster, local: SocketAddrV4, settings: NodeSettings) -> Self {
        Self {
            domain: roster.domain,
            users: Users::new(roster.users, settings.strike_interval),
            pendings: Pendings::default(),
            lookups: Lookups::default(),
            limiter: settings.rate_limit.map(Limiter::new),
            exempt: settings.exempt,
            allow: settings.allow,
            takeover: settings.takeover,
            local,
            outputs: VecDeque::new(),
            received: MessageCounts::default(),
            sent: MessageCounts::default(),
            dropped: Dropped::default(),
            locations: Locations::default(),
        }
    }

    /// Whether the rate limit lets a datagram from `source` in. One that it keeps out goes no further: not to
    /// the message log, not to [`Node::handle_datagram`].
    pub fn admit(&mut self, now: Instant, source: Ipv4Addr) -> bool {
        let admitted = is_in(&self.exempt, source)
            || self.limiter.as_mut().is_none_or(|limiter| limiter.admit(now, source));
        if !admitted {
            self.dropped.too_many += 1;
        }
        admitted
    }

    /// A datagram came.
    ///
    /// # Errors
    /// Why it is dropped: nothing is sent for it, and nothing has changed but a count in [`Node::dropped`] and, if
    /// it is from the agent of a user, that the agent has been heard.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: impl Into<Party>,
        datagram: &[u8],
    ) -> Result<(), DropReason> {
        self.receive(now, from.into(), datagram).inspect_err(|reason| self.dropped.count(reason))
    }

    /// These datagrams come next. Changes nothing and need not be called, but with very many users most of what a
    /// registration takes is to wait for the memory, and here that is waited for all of them at a time.
    pub fn expect<'d>(&self, datagrams: impl Iterator<Item = &'d [u8]>) {
        let names = datagrams.filter_map(|datagram| match datagram {
            [b'P', b'R' | b'D', registrant @ ..] => registrant.split(|&byte| byte == b'@').next(),
            _ => None,
        });
        self.users.fetch(names);
    }

    /// A look-up that [`Output::Resolve`] asked for ended.
    pub fn handle_resolved(&mut self, now: Instant, id: LookupId, answer: &Result<FoundNode, LookupError>) {
        let (node, waiting) = self.lookups.answer(now, id, answer);
        for request in waiting {
            // Who asked may have gone meanwhile, or moved.
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

    /// The administrator asks. Changes nothing: [`AdminReply::Save`] says what to save first.
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

    /// A change of the roster is saved, and holds from now on.
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

    /// The roster was read again, and holds from now on: who is in it no longer is cut off, everybody else stays
    /// where they are. Goes through all of the old roster, which is some milliseconds for a million users.
    ///
    /// # Errors
    /// [`ReloadRefusal`]; nothing has changed then.
    pub fn handle_roster_reloaded(&mut self, roster: Roster) -> Result<(), ReloadRefusal> {
        if roster.domain != self.domain {
            return Err(ReloadRefusal::OtherDomain { served: self.domain, found: roster.domain });
        }
        // It may be spelled otherwise, and then its users may be called otherwise.
        self.domain = roster.domain;
        let old = self.users.replace(roster.users);
        self.forget_requests(|user| old.contains(user));
        Ok(())
    }

    /// The node is set to `settings` from now on, and the directory of nodes is another one, so that what it said is
    /// asked anew. Who is online stays so, wherever from users may register now. With the same rate limit as before,
    /// sources have what they have left.
    pub fn handle_settings(&mut self, settings: NodeSettings) {
        let NodeSettings { rate_limit, exempt, allow, takeover, strike_interval } = settings;
        if self.limiter.as_ref().map(Limiter::limit) != rate_limit {
            self.limiter = rate_limit.map(Limiter::new);
        }
        (self.exempt, self.allow, self.takeover) = (exempt, allow, takeover);
        self.users.set_strike_interval(strike_interval);
        self.lookups.forget_answers();
    }

    /// The time that [`Node::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.pendings.expire(now);
    }

    /// What to do next; `None` when everything is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Node::handle_timeout`] is due, if ever.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.pendings.next_deadline()
    }

    /// The domain of this node.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The UDP address of the user's agent, if the user is online.
    pub fn address_of(&self, user: &UserName) -> Option<SocketAddrV4> {
        self.users.party(user).map(|party| party.address)
    }

    /// How many location requests were sent on and wait for their answer.
    pub fn pending_count(&self) -> usize {
        self.pendings.len()
    }

    /// How many look-ups [`Output::Resolve`] asked for that [`Node::handle_resolved`] has not been told of.
    pub fn lookups_in_flight(&self) -> usize {
        self.lookups.in_flight()
    }

    /// What was dropped so far.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// How it is, and what has happened so far.
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
        // To port 0 nothing can be sent; and what this node sends is for others.
        let Party { address, .. } = from;
        if address.port() == 0 || address == self.local {
            return Err(DropReason::Spoofed);
        }
        let message = Message::decode(datagram).map_err(DropReason::Malformed)?;
        self.received.count(&message);
        match message {
            // From the port of nodes: one would be sent an answer that it never asked for, or be taken for an
            // agent, so that two of them could be made to talk to each other without end.
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
            Message::LocateReply { locate, outcome } => self.locate_reply(now, from, locate, outcome),
            Message::RegisterReply(_) | Message::DeregisterReply(_) => Err(DropReason::Unexpected),
        }
    }

    fn register(&mut self, now: Instant, from: Party, registrant: &Registrant) {
        let user = self.own_user(registrant).filter(|_| self.may_register_from(*from.address.ip()));
        let is_held = self.takeover == Takeover::Deny;
        let may_register =
            |online: Option<SocketAddrV4>| !is_held || online.is_none_or(|address| address == from.address);
        let code = match user {
            Some(user) if self.users.bind(now, &user, from, may_register) => RegisterCode::Registered,
            _ => RegisterCode::NoSuchUser,
        };
        self.transmit(from, Message::RegisterReply(code));
    }

    fn may_register_from(&self, ip: Ipv4Addr) -> bool {
        self.allow.is_empty() || is_in(&self.allow, ip)
    }

    fn deregister(&mut self, from: Party, registrant: &Registrant) {
        let code = match self.own_user(registrant) {
            Some(user) if self.users.unbind(&user, from.address) => DeregisterCode::Deregistered,
            _ => DeregisterCode::NoSuchUser,
        };
        self.transmit(from, Message::DeregisterReply(code));
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
        // First, because what the agent never hears of is no strike.
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
            // Another name of this very node: nobody is known here by it, and the message would come back.
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
    ) -> Result<(), DropReason> {
        let own_user = locate.to.domain() == self.domain;
        if own_user {
            self.users.hear_answer(now, &locate.to.user(), from.address);
        }
        let request = self.pendings.take(now, &locate, from.address).ok_or(DropReason::Unasked)?;
        // Some agents do not know their own address. Their node does.
        if let LocateOutcome::Found(MiSocketAddress { ip, .. }) = &mut outcome
            && ip.is_unspecified()
            && own_user
        {
            *ip = *from.address.ip();
        }
        // Byte for byte, and names may be spelled in several ways.
        self.reply(now, &Request { locate, ..request }, outcome);
        Ok(())
    }

    /// The user of this domain whom a registration or deregistration means, if there is such a user.
    fn own_user(&self, registrant: &Registrant) -> Option<UserName> {
        match registrant {
            Registrant::User(user) => Some(*user),
            Registrant::Address(address) if address.domain() == self.domain => Some(address.user()),
            Registrant::Address(_) => None,
        }
    }

    /// Drops the requests of and for those who were users and are in the roster no longer.
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
        if is_in(&self.exempt, *request.asker.address.ip()) { Share::All } else { Share::OfOne }
    }

    fn is_online_at(&self, user: &MiAddress, address: SocketAddrV4) -> bool {
        user.domain() == self.domain && self.address_of(&user.user()) == Some(address)
    }

    /// Answers in the place of the one who was asked for. An answer that still comes from there is one too many.
    fn refuse(&mut self, now: Instant, request: &Request, outcome: LocateOutcome) {
        let repeated = self.pendings.cancel(request);
        // Spelled as it was asked now, which may be another way.
        self.reply(now, &repeated.map_or(*request, |earlier| request.repeating(&earlier)), outcome);
    }

    fn reply(&mut self, now: Instant, request: &Request, outcome: LocateOutcome) {
        let Request { locate, asker, first_asked_at, .. } = *request;
        self.locations.add(&outcome, now.saturating_duration_since(first_asked_at));
        self.transmit(asker, Message::LocateReply { locate, outcome });
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
