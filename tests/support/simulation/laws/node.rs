//! The laws of a node of ours, checked after each datagram and each answer of DNS.

mod honest;
mod locating;
mod proofs;
mod saving;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::slice;
use std::time::{Duration, Instant};

use lumi_dns::{FoundNode, LookupError};
use lumi_node_core::{DropReason, LookupId, Node, NodeSettings, Output, RosterChange};
use plumi_proto::{
    Domain, Extension, Locate, LocateOutcome, Message, MiAddress, NODE_PORT, RegisterCode, Registrant,
    UserName,
};

use self::proofs::Proofs;
pub(in crate::simulation) use self::saving::Promise;
use self::saving::{Bound, Request, Saving};
use super::limiter::{Admitted, Tokens};
use super::lookups::LookUps;
use super::registrations::Registrations;
use super::requests::Requests;
use super::step::Step;
use super::{Law, Violation, ensure};
use crate::simulation::network::{Datagram, Sender, Taint};

/// The state of a node as an observer can derive it.
#[derive(Debug)]
pub(in crate::simulation) struct NodeLaws {
    start: Instant,
    domain: Domain,
    local: SocketAddrV4,
    registrations: Registrations,
    requests: Requests,
    lookups: LookUps,
    tokens: Tokens,
    /// The source that paid for the datagram that is handled.
    charged: Option<Ipv4Addr>,
    /// The last answer of each user that came to the host of the node, and where it came from.
    answers: HashMap<UserName, (SocketAddrV4, Duration)>,
    proofs: Proofs,
    saving: Saving,
}

impl NodeLaws {
    /// The laws of a node that has just been started, in a world that began at `start`.
    pub(in crate::simulation) fn new(
        start: Instant,
        domain: Domain,
        local: SocketAddrV4,
        users: &[UserName],
        settings: &NodeSettings,
    ) -> Self {
        Self {
            start,
            domain,
            local,
            registrations: Registrations::new(domain, users, settings),
            requests: Requests::new(domain, settings),
            lookups: LookUps::default(),
            tokens: Tokens::new(settings),
            charged: None,
            answers: HashMap::new(),
            proofs: Proofs::default(),
            saving: Saving::default(),
        }
    }

    /// The address at which the user is online, by the rules.
    pub(in crate::simulation) fn address_of(&self, user: &UserName) -> Option<SocketAddrV4> {
        self.registrations.address_of(user)
    }

    /// The address at which the user is registered, by the rules.
    pub(in crate::simulation) fn registered_at(&self, user: &UserName) -> Option<SocketAddrV4> {
        self.registrations.registered_at(user)
    }

    /// The taint of the requests with these names that came to the node.
    pub(in crate::simulation) fn cause(&self, locate: &Locate) -> Taint {
        self.requests.cause(locate)
    }

    /// Checks whether the rate limit had to admit a datagram.
    pub(in crate::simulation) fn admitted(
        &mut self,
        now: Duration,
        datagram: &Datagram,
        is_admitted: bool,
    ) -> Result<(), Violation> {
        let (from, source) = (datagram.from, *datagram.from.ip());
        let admitted = self.tokens.take(now, source);
        self.charged = (admitted == Admitted::ForToken).then_some(source);
        if let Ok(Message::LocateReply { locate, .. }) = Message::decode(&datagram.bytes) {
            if locate.to.domain() == self.domain {
                self.answers.insert(locate.to.user(), (from, now));
            }
            let owed = self.owed_to(now, &locate, from);
            let is_passed = is_admitted || owed.is_empty();
            ensure!(is_passed, AskersAreAnswered, "an RL from {from} to {owed:?} was kept out");
        }
        let expected = admitted != Admitted::No || self.is_wanted(now, datagram);
        if !expected {
            self.tokens.keep_out(now, source);
        }
        ensure!(
            is_admitted == expected,
            RateLimit,
            "a datagram from {from}: let in is {is_admitted}, and should be {expected}"
        );
        Ok(())
    }

    /// Returns whether a datagram is waited for, or is of a user who is online where it comes from and may
    /// send more.
    fn is_wanted(&mut self, now: Duration, datagram: &Datagram) -> bool {
        let from = datagram.from;
        let user = match Message::decode(&datagram.bytes) {
            Ok(Message::LocateReply { locate, .. }) => {
                if !self.requests.waiting_for(now, &locate, from).is_empty() {
                    return true;
                }
                Some(locate.to)
            }
            Ok(Message::Locate(locate)) => Some(locate.from),
            Ok(Message::RequestChallenge { address, .. }) => Some(address),
            Ok(Message::Register(registrant) | Message::Deregister(registrant)) => match registrant {
                Registrant::User(user) => MiAddress::new(&user, &self.domain).ok(),
                Registrant::Address(address) => Some(address),
            },
            _ => None,
        };
        user.is_some_and(|user| self.is_own_user_at(&user, from)) && self.tokens.take_of_user(now, from)
    }

    /// Checks what the node did for a datagram.
    pub(in crate::simulation) fn received(
        &mut self,
        now: Duration,
        datagram: &Datagram,
        handled: &Result<(), DropReason>,
        outputs: &[Output],
        node: &Node,
    ) -> Result<(), Violation> {
        let seen = self.seen(outputs, node);
        let outputs = &seen.all()[..];
        let step = Step { now, from: datagram.from, handled, outputs };
        ensure!(outputs.len() <= 1, NoAmplification, "{} outputs for one datagram", outputs.len());
        step.is_not_amplified(datagram.bytes.len())?;
        self.answers_go_to_bindings(outputs)?;
        let message = Message::decode(&datagram.bytes).map(|message| self.as_understood(message));
        let request = message.as_ref().ok().and_then(|message| self.request(message, step.from));
        let request = request.map(|request| (request, self.bound(&request.user)));
        match message {
            _ if step.from.port() == 0 || step.from == self.local => step.is_silent()?,
            Err(_) => step.is_silent()?,
            Ok(Message::Locate(locate)) => self.located(step, locate, datagram)?,
            Ok(answer @ Message::LocateReply { locate, .. }) => self.answered(step, locate, answer)?,
            // All others are for agents to send.
            Ok(_) if step.from.port() == NODE_PORT => step.is_silent()?,
            Ok(Message::RequestChallenge { verb, address }) => self.challenged(step, verb, &address)?,
            Ok(Message::Prove(proof)) => self.proved(step, &proof, request)?,
            Ok(Message::Enrol { .. }) => {
                // Nobody was invited here.
                let refused =
                    Message::RegisterReply { code: RegisterCode::NoSuchUser, extension: Extension::NONE };
                step.sends(Law::OneOwner, step.from, refused)?;
            }
            Ok(Message::Register(registrant)) => {
                let code = self.registrations.register(&registrant, step.from);
                let answer = Message::RegisterReply { code, extension: Extension::NONE };
                self.answers(step, Law::OneOwner, request, answer)?;
            }
            Ok(Message::Deregister(registrant)) => {
                let code = self.registrations.deregister(&registrant, step.from);
                let answer = Message::DeregisterReply { code, extension: Extension::NONE };
                self.answers(step, Law::NoForeignDeregistration, request, answer)?;
            }
            Ok(_) => step.is_silent()?,
        }
        self.saves(now, request, Some(datagram), seen, node)?;
        self.agrees(now, node)
    }

    /// Checks the answer to a request, unless another one is answered for both.
    fn answers(
        &self,
        step: Step<'_>,
        law: Law,
        request: Option<(Request, Bound)>,
        answer: Message,
    ) -> Result<(), Violation> {
        let is_joined = step.outputs.is_empty() && step.handled.is_ok();
        if is_joined && self.is_joined(request.as_ref().map(|(request, _)| request)) {
            return Ok(());
        }
        step.sends(law, step.from, answer)
    }

    /// Checks what the node did when DNS answered.
    pub(in crate::simulation) fn resolved(
        &mut self,
        now: Duration,
        id: LookupId,
        answer: &Result<FoundNode, LookupError>,
        outputs: &[Output],
        node: &Node,
    ) -> Result<(), Violation> {
        let seen = self.seen(outputs, node);
        let outputs = &seen.all()[..];
        let itself = Err(LookupError::Unusable(*self.local.ip()));
        let answer = match answer {
            Ok(found) if found.address == self.local.into() => &itself,
            answer => answer,
        };
        self.answers_go_to_bindings(outputs)?;
        let mut waiting = self.lookups.answered(now, id, answer);
        for output in outputs {
            let Output::Transmit { to, message, .. } = output else {
                ensure!(false, LookUps, "an answer of DNS led to {output:?}");
                continue;
            };
            let (locate, is_question) = match message {
                Message::Locate(locate) => (*locate, true),
                Message::LocateReply { locate, .. } => (*locate, false),
                _ => {
                    ensure!(false, Silence, "an answer of DNS led to {message:?}");
                    continue;
                }
            };
            let waits =
                |(names, asker): &(Locate, SocketAddrV4)| *names == locate && (is_question || asker == to);
            // An agent that crashed and asked again from another port waits twice. The node drops the first
            // request and forwards the second, because only that one comes from where the user is online.
            let is_there = |(names, asker): &(Locate, SocketAddrV4)| self.is_own_user_at(&names.from, *asker);
            let there = waiting.iter().position(|waiter| waits(waiter) && is_there(waiter));
            let Some(position) = there.or_else(|| waiting.iter().position(waits)) else {
                ensure!(false, NoAmplification, "nobody waits for {message:?} to {to}");
                continue;
            };
            let (_, asker) = waiting.remove(position);
            ensure!(there.is_some(), NoOpenProxy, "{asker} is gone, and its question led to {message:?}");
            let step = Step { now, from: asker, handled: &Ok(()), outputs: slice::from_ref(output) };
            self.known_elsewhere(step, locate, answer.as_ref().ok().map(|found| found.address.into()))?;
        }
        self.saves(now, None, None, seen, node)?;
        self.agrees(now, node)
    }

    /// Checks the node after it reloaded a roster with these users.
    pub(in crate::simulation) fn reloaded(
        &mut self,
        now: Duration,
        users: &[UserName],
        node: &Node,
    ) -> Result<(), Violation> {
        let gone: Vec<_> = self.registrations.users().filter(|user| !users.contains(user)).collect();
        for user in gone {
            self.removed(user, node)?;
        }
        for user in users {
            if !self.registrations.contains(user) {
                self.registrations.add(*user);
            }
        }
        self.agrees(now, node)
    }

    /// Checks the node after the administrator changed the roster.
    pub(in crate::simulation) fn changed(
        &mut self,
        now: Duration,
        change: RosterChange,
        node: &Node,
    ) -> Result<(), Violation> {
        match change {
            RosterChange::Add(user) => self.registrations.add(user),
            RosterChange::Remove(user) => self.removed(user, node)?,
            change => ensure!(false, Administration, "{change:?} is not a change that a node asks for"),
        }
        self.agrees(now, node)
    }

    fn removed(&mut self, user: UserName, node: &Node) -> Result<(), Violation> {
        self.registrations.remove(&user);
        if let Ok(address) = MiAddress::new(&user, &self.domain) {
            self.requests.forget(&address);
        }
        let address = node.address_of(&user);
        ensure!(address.is_none(), Administration, "{user} was removed, and is online at {address:?}");
        Ok(())
    }

    /// Checks the node after its timeout.
    pub(in crate::simulation) fn timed_out(&mut self, now: Duration, node: &Node) -> Result<(), Violation> {
        ensure!(!self.is_overdue(now, node), Bounds, "something is pending though its time is over");
        self.agrees(now, node)
    }

    /// Returns whether the node's own state follows from the datagrams it was sent.
    fn agrees(&mut self, now: Duration, node: &Node) -> Result<(), Violation> {
        for user in self.registrations.users().collect::<Vec<_>>() {
            self.is_bound_rightly(&user, node.address_of(&user))?;
        }
        self.are_few(now, node)?;
        let (lookups, expected) = (node.lookups_in_flight(), self.lookups.in_flight());
        ensure!(lookups == expected, LookUps, "{lookups} look-ups are under way, {expected} should be");
        Ok(())
    }

    /// Returns whether no more requests are pending than should be.
    ///
    /// A request that expired while the node was frozen may stay until the node's next timeout.
    fn are_few(&mut self, now: Duration, node: &Node) -> Result<(), Violation> {
        let (pending, most) = (node.pending_count(), self.requests.pending(now));
        ensure!(
            pending <= most || self.is_overdue(now, node),
            Bounds,
            "{pending} requests are pending, {most} at most should be"
        );
        Ok(())
    }

    fn is_overdue(&self, now: Duration, node: &Node) -> bool {
        node.poll_timeout().is_some_and(|due| due <= self.start + now)
    }

    fn is_own_user_at(&self, user: &MiAddress, address: SocketAddrV4) -> bool {
        user.domain() == self.domain && self.registrations.address_of(&user.user()) == Some(address)
    }

    fn located(&mut self, step: Step<'_>, locate: Locate, datagram: &Datagram) -> Result<(), Violation> {
        let Step { now, from, .. } = step;
        // A dropped request prolongs nothing and is owed no answer.
        let is_online = self.is_own_user_at(&locate.from, from);
        if step.handled.is_ok() {
            let is_known = is_online || locate.from.domain() != self.domain;
            let is_honest = is_known && datagram.sender != Sender::Attacker;
            self.requests.came(now, locate, from, datagram.cause, is_honest);
        }
        let has_room = *step.handled != Err(DropReason::NoRoom) || !is_online;
        ensure!(
            has_room,
            AskersAreAnswered,
            "there was no room for {}, who is online at {from}",
            locate.from
        );
        if locate.from.domain() == self.domain {
            let bound = self.binding(&locate.from);
            if bound.is_some_and(|bound| bound != Some(from)) {
                ensure!(step.outputs.is_empty(), OneAsker, "{} is at {bound:?}, not at {from}", locate.from);
                return step.is_silent();
            }
            self.registrations.hear(&locate.from.user(), from, false);
        }
        if locate.to.domain() == self.domain {
            self.located_here(step, locate)
        } else {
            self.located_elsewhere(step, locate)
        }
    }

    fn answered(&mut self, step: Step<'_>, locate: Locate, mut answer: Message) -> Result<(), Violation> {
        let Step { now, from, .. } = step;
        let is_own = locate.to.domain() == self.domain;
        if is_own {
            self.registrations.hear(&locate.to.user(), from, true);
        }
        let owed = self.owed_to(now, &locate, from);
        // Somebody may have asked in the name of a user who was online nowhere, and hears nothing.
        let may_pass = !step.outputs.is_empty() || *step.handled == Err(DropReason::Foreign);
        ensure!(may_pass || owed.is_empty(), AskersAreAnswered, "an RL from {from} did not come to {owed:?}");
        let waiting = self.requests.waiting_for(now, &locate, from);
        let bound = self.asker_of(&locate);
        if let (Some(bound), Some(oldest)) = (bound, waiting.first())
            && bound != Some(*oldest)
        {
            // The one who asked is online elsewhere by now, or has a key and is nowhere.
            self.requests.given_up(&locate, *oldest)?;
            ensure!(step.outputs.is_empty(), OneAsker, "{} is at {bound:?}, not at {oldest}", locate.from);
            return step.is_silent();
        }
        let Some(Output::Transmit { to, .. }) = step.outputs.first() else {
            ensure!(waiting.is_empty(), RepliesPass, "an RL from {from} did not come to {waiting:?}");
            return step.is_silent();
        };
        self.requests.answered(&locate, *to)?;
        ensure!(
            waiting.contains(to),
            ReplyFromWhereAsked,
            "an RL from {from} came to {to}, not to {waiting:?}"
        );
        if let Message::LocateReply { outcome: LocateOutcome::Found(address), .. } = &mut answer
            && is_own
            && address.ip.is_unspecified()
        {
            address.ip = *from.ip();
        }
        ensure!(
            bound.is_none_or(|bound| bound == Some(*to)),
            OneAsker,
            "an RL for {}, who is at {bound:?}, went to {to}",
            locate.from
        );
        if let Some(source) = self.charged.take() {
            self.tokens.give_back(source);
        }
        step.sends(Law::KnownAddress, *to, answer)
    }

    /// Returns where alone the one who asks gets an answer, if that is a user of this node. Nobody asks in
    /// the name of a user with a key who is online nowhere; one without a key may be asked for by anybody
    /// then.
    fn asker_of(&self, locate: &Locate) -> Option<Option<SocketAddrV4>> {
        let user = Some(locate.from).filter(|from| from.domain() == self.domain)?.user();
        let online_at = self.registrations.address_of(&user);
        (online_at.is_some() || self.has_key(&locate.from)).then_some(online_at)
    }

    /// Returns the user who asks, if that is a user of this node who is online there.
    fn asking_user(&self, locate: &Locate, from: SocketAddrV4) -> Option<UserName> {
        self.is_own_user_at(&locate.from, from).then(|| locate.from.user())
    }
}
