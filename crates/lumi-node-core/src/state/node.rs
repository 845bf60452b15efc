//! The decisions of a node (protocol.md §3).

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use lumi_dns::{FoundNode, LookupError};
use plumi_proto::{
    DeregisterCode, Domain, Locate, LocateOutcome, Message, MiAddress, MiSocketAddress, RegisterCode,
    Registrant, UserName,
};

use super::admin::{AdminCommand, AdminRefusal, AdminReply, Presence, RosterChange, UserStatus};
use super::dropped::{DropReason, Dropped};
use super::limiter::{Limiter, RateLimit};
use super::lookups::{Asked, LookupId, Lookups, Waiting};
use super::pendings::Pendings;
use super::roster::Roster;

/// The node of a domain, without its socket.
///
/// Tell it what happened with a `handle_*` method, then carry out every [`Output`] until
/// [`Node::poll_output`] returns `None`, after each one of them. [`Node::poll_timeout`] says when
/// [`Node::handle_timeout`] is next due.
#[derive(Debug)]
pub struct Node {
    roster: Roster,
    /// Who is online. Every user in it is in the roster.
    online: HashMap<UserName, Binding>,
    pendings: Pendings,
    lookups: Lookups,
    limiter: Option<Limiter>,
    local: SocketAddrV4,
    outputs: VecDeque<Output>,
    dropped: Dropped,
}

/// Where an online user is.
#[derive(Debug)]
struct Binding {
    address: SocketAddrV4,
    since: Instant,
    /// Location requests since the user's agent was last heard.
    strikes: u8,
}

/// What a node is set to.
#[derive(Clone, Copy, Debug)]
pub struct NodeSettings {
    /// How many datagrams it takes from one address; `None` is any number.
    pub rate_limit: Option<RateLimit>,
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self { rate_limit: Some(RateLimit::default()) }
    }
}

/// What a [`Node`] wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this message.
    Transmit {
        /// To whom.
        to: SocketAddrV4,
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
            roster,
            online: HashMap::new(),
            pendings: Pendings::default(),
            lookups: Lookups::default(),
            limiter: settings.rate_limit.map(Limiter::new),
            local,
            outputs: VecDeque::new(),
            dropped: Dropped::default(),
        }
    }

    /// Whether the rate limit lets a datagram from `source` in. One that it keeps out goes no further: not to
    /// the message log, not to [`Node::handle_datagram`].
    pub fn admit(&mut self, now: Instant, source: Ipv4Addr) -> bool {
        let admitted = self.limiter.as_mut().is_none_or(|limiter| limiter.admit(now, source));
        if !admitted {
            self.dropped.too_many += 1;
        }
        admitted
    }

    /// A datagram came.
    ///
    /// # Errors
    /// Why it is dropped: nothing is sent for it, and nothing has changed but a count in [`Node::dropped`].
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        datagram: &[u8],
    ) -> Result<(), DropReason> {
        let handled = match Message::decode(datagram) {
            Ok(Message::Register(registrant)) => {
                self.register(now, from, &registrant);
                Ok(())
            }
            Ok(Message::Deregister(registrant)) => {
                self.deregister(from, &registrant);
                Ok(())
            }
            Ok(Message::Locate(locate)) => self.locate(now, from, locate),
            Ok(Message::LocateReply { locate, outcome }) => self.locate_reply(now, from, locate, outcome),
            Ok(Message::RegisterReply(_) | Message::DeregisterReply(_)) => Err(DropReason::Unexpected),
            Err(error) => Err(DropReason::Malformed(error)),
        };
        handled.inspect_err(|reason| self.dropped.count(reason))
    }

    /// A look-up that [`Output::Resolve`] asked for ended.
    pub fn handle_resolved(&mut self, now: Instant, id: LookupId, answer: &Result<FoundNode, LookupError>) {
        let (node, waiting) = self.lookups.answer(now, id, answer);
        for waiting in waiting {
            if let Err(reason) = self.forward_to_node(now, waiting, node) {
                self.dropped.count(&reason);
            }
        }
    }

    /// The administrator asks. Changes nothing: [`AdminReply::Save`] says what to save first.
    pub fn handle_admin(&self, now: Instant, command: AdminCommand) -> AdminReply {
        match command {
            AdminCommand::Register(user) if self.roster.contains(&user) => {
                AdminReply::Refused(AdminRefusal::AlreadyUser(user))
            }
            AdminCommand::Register(user) => match MiAddress::new(&user, &self.roster.domain) {
                Ok(_) => AdminReply::Save(RosterChange::Add(user)),
                Err(error) => AdminReply::Refused(AdminRefusal::TooLong(error)),
            },
            AdminCommand::Deregister(user) if self.roster.contains(&user) => {
                AdminReply::Save(RosterChange::Remove(user))
            }
            AdminCommand::Deregister(user) => AdminReply::Refused(AdminRefusal::NoSuchUser(user)),
            AdminCommand::List => AdminReply::Users(self.users(now)),
        }
    }

    /// A change of the roster is saved, and holds from now on.
    pub fn handle_roster_saved(&mut self, change: RosterChange) {
        match change {
            RosterChange::Add(user) => {
                self.roster.users.insert(user);
            }
            RosterChange::Remove(user) => {
                self.roster.users.remove(&user);
                self.online.remove(&user);
                if let Ok(address) = MiAddress::new(&user, &self.roster.domain) {
                    self.pendings.forget(&address);
                }
            }
        }
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
        &self.roster.domain
    }

    /// The UDP address of the user's agent, if the user is online.
    pub fn address_of(&self, user: &UserName) -> Option<SocketAddrV4> {
        self.online.get(user).map(|binding| binding.address)
    }

    /// What was dropped so far.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    fn register(&mut self, now: Instant, from: SocketAddrV4, registrant: &Registrant) {
        let Some(user) = self.own_user(registrant) else {
            return self.transmit(from, Message::RegisterReply(RegisterCode::NoSuchUser));
        };
        let binding = self.online.entry(user).or_insert(Binding { address: from, since: now, strikes: 0 });
        if binding.address != from {
            *binding = Binding { address: from, since: now, strikes: 0 };
        }
        binding.strikes = 0;
        self.transmit(from, Message::RegisterReply(RegisterCode::Registered));
    }

    fn deregister(&mut self, from: SocketAddrV4, registrant: &Registrant) {
        let code = match self.own_user(registrant) {
            Some(user) => {
                self.online.remove(&user);
                DeregisterCode::Deregistered
            }
            None => DeregisterCode::NoSuchUser,
        };
        self.transmit(from, Message::DeregisterReply(code));
    }

    fn locate(&mut self, now: Instant, from: SocketAddrV4, locate: Locate) -> Result<(), DropReason> {
        if locate.to.domain() == self.roster.domain {
            self.locate_own_user(now, from, locate)
        } else if self.is_online_at(&locate.from, from) {
            self.locate_elsewhere(now, Waiting { locate, asker: from })
        } else {
            Err(DropReason::Foreign)
        }
    }

    fn locate_own_user(
        &mut self,
        now: Instant,
        asker: SocketAddrV4,
        locate: Locate,
    ) -> Result<(), DropReason> {
        let user = locate.to.user();
        if !self.roster.contains(&user) {
            self.refuse(asker, locate, LocateOutcome::NoSuchUser);
            return Ok(());
        }
        let Some(binding) = self.online.get_mut(&user) else {
            self.refuse(asker, locate, LocateOutcome::Offline);
            return Ok(());
        };
        let agent = binding.address;
        if binding.strikes + 1 >= STRIKES {
            self.online.remove(&user);
            self.refuse(asker, locate, LocateOutcome::Offline);
            return Ok(());
        }
        if !self.pendings.add(now, locate, asker, agent) {
            // Not a strike: the agent never hears of it.
            return Err(DropReason::NoRoom);
        }
        binding.strikes += 1;
        self.transmit(agent, Message::Locate(locate));
        Ok(())
    }

    fn locate_elsewhere(&mut self, now: Instant, waiting: Waiting) -> Result<(), DropReason> {
        match self.lookups.ask(now, waiting) {
            Asked::Known(node) => self.forward_to_node(now, waiting, node),
            Asked::Start(id) => {
                self.outputs.push_back(Output::Resolve { id, domain: waiting.locate.to.domain() });
                Ok(())
            }
            Asked::Waits => Ok(()),
            Asked::Full => Err(DropReason::NoRoom),
        }
    }

    fn forward_to_node(
        &mut self,
        now: Instant,
        waiting: Waiting,
        node: Option<SocketAddrV4>,
    ) -> Result<(), DropReason> {
        match node {
            // Another name of this very node: nobody is known here by it, and the message would come back.
            Some(node) if node != self.local => {
                if !self.pendings.add(now, waiting.locate, waiting.asker, node) {
                    return Err(DropReason::NoRoom);
                }
                self.transmit(node, Message::Locate(waiting.locate));
            }
            _ => self.refuse(waiting.asker, waiting.locate, LocateOutcome::NoSuchUser),
        }
        Ok(())
    }

    fn locate_reply(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        locate: Locate,
        mut outcome: LocateOutcome,
    ) -> Result<(), DropReason> {
        let own_user = locate.to.domain() == self.roster.domain;
        if own_user
            && let Some(binding) = self.online.get_mut(&locate.to.user())
            && binding.address == from
        {
            binding.strikes = 0;
        }
        let asker = self.pendings.take(now, &locate, from).ok_or(DropReason::Unasked)?;
        // Some agents do not know their own address. Their node does.
        if let LocateOutcome::Found(MiSocketAddress { ip, .. }) = &mut outcome
            && ip.is_unspecified()
            && own_user
        {
            *ip = *from.ip();
        }
        self.reply(asker, locate, outcome);
        Ok(())
    }

    /// The user of the roster whom a registration or deregistration means.
    fn own_user(&self, registrant: &Registrant) -> Option<UserName> {
        let user = match registrant {
            Registrant::User(user) => *user,
            Registrant::Address(address) if address.domain() == self.roster.domain => address.user(),
            Registrant::Address(_) => return None,
        };
        self.roster.contains(&user).then_some(user)
    }

    fn is_online_at(&self, user: &MiAddress, address: SocketAddrV4) -> bool {
        user.domain() == self.roster.domain && self.address_of(&user.user()) == Some(address)
    }

    fn users(&self, now: Instant) -> Vec<UserStatus> {
        let presence = |binding: &Binding| Presence {
            address: binding.address,
            online_for: now.saturating_duration_since(binding.since),
        };
        let status =
            |user: &UserName| UserStatus { user: *user, presence: self.online.get(user).map(presence) };
        let mut users: Vec<_> = self.roster.users.iter().map(status).collect();
        users.sort_unstable_by_key(|status| status.user);
        users
    }

    /// Answers in the place of the one who was asked for. An answer that still comes from there is one too many.
    fn refuse(&mut self, asker: SocketAddrV4, locate: Locate, outcome: LocateOutcome) {
        self.pendings.cancel(&locate, asker);
        self.reply(asker, locate, outcome);
    }

    fn reply(&mut self, to: SocketAddrV4, locate: Locate, outcome: LocateOutcome) {
        self.transmit(to, Message::LocateReply { locate, outcome });
    }

    fn transmit(&mut self, to: SocketAddrV4, message: Message) {
        self.outputs.push_back(Output::Transmit { to, message });
    }
}

/// The location request without any answer that takes a user for gone.
const STRIKES: u8 = 5;
