//! The path of a location request: to a user's agent or another domain's node, and back (protocol.md §3).
//!
//! Each method returns the next [`Step`], which the node carries out. Nothing here calls the node back.

use std::time::Instant;

use fair_table::Share;
use lumi_dns::{FoundNode, LookupError};
use plumi_proto::{Domain, Extension, Locate, LocateOutcome, MiAddress, NodeAddress, UdpAddress, UserName};

use super::dropped::DropReason;
use super::event::Events;
use super::limiter::Limiter;
use super::location_times::Locations;
use super::lookups::{Asked, LookupId, LookupStatus, Lookups, Nodes};
use super::owner::{Owner, RequestSource};
use super::party::Party;
use super::pendings::{Pendings, Request};
use super::policy::{LocateVerdict, Policies};
use super::users::Users;

/// The location requests under way.
#[derive(Debug, Default)]
pub(super) struct Location {
    pendings: Pendings,
    lookups: Lookups,
    times: Locations,
}

/// The parts of a node that a request for one of its users concerns.
#[derive(Debug)]
pub(super) struct Parts<'n> {
    pub(super) users: &'n mut Users,
    pub(super) policies: &'n mut Policies,
    pub(super) events: &'n mut Events,
    pub(super) limiter: Option<&'n Limiter>,
}

/// The next step of a location request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Send the request on.
    Forward { to: Party, locate: Locate },
    /// Answer the asker.
    Reply { to: Party, locate: Locate, outcome: LocateOutcome, extension: Extension },
    /// Look the domain up, and give up the look-up `instead_of`.
    Resolve { id: LookupId, domain: Domain, instead_of: Option<LookupId> },
    /// Wait for a look-up that is under way.
    Wait,
}

impl Location {
    /// Handles a request for a user of this domain.
    pub(super) fn ask_user(
        &mut self,
        now: Instant,
        request: Request,
        owner: (Owner, Share),
        Parts { users, policies, events, limiter }: Parts<'_>,
    ) -> Result<Step, DropReason> {
        let user = request.locate.to.user();
        if !users.contains(&user) {
            return Ok(self.refuse(now, &request, LocateOutcome::NoSuchUser));
        }
        let Some(agent) = users.party(&user) else {
            return Ok(self.refuse(now, &request, LocateOutcome::Offline));
        };
        if let Some(outcome) = refusal(policies, now, &request)? {
            return Ok(self.refuse(now, &request, outcome));
        }
        // First, because a request that never reaches the agent is not a strike.
        self.pendings.add(now, request, agent.address, owner)?;
        let kept_out_at = limiter.and_then(|limiter| limiter.kept_out_at(agent.address.into()));
        if users.strike(now, &user, kept_out_at, events) {
            return Ok(self.refuse(now, &request, LocateOutcome::Offline));
        }
        Ok(Step::Forward { to: agent, locate: request.locate })
    }

    /// Handles a request for a user of another domain.
    pub(super) fn ask_elsewhere(
        &mut self,
        now: Instant,
        request: Request,
        owner: (Owner, Share),
        policies: &mut Policies,
    ) -> Result<Step, DropReason> {
        if let Some(outcome) = refusal(policies, now, &request)? {
            return Ok(self.refuse(now, &request, outcome));
        }
        match self.lookups.ask(now, request, owner) {
            Asked::Known(nodes) => self.ask_node(now, request, nodes, owner),
            Asked::Start { id, instead_of } => {
                Ok(Step::Resolve { id, domain: request.locate.to.domain(), instead_of })
            }
            Asked::Waits => Ok(Step::Wait),
            Asked::Full => Err(DropReason::NoRoom),
        }
    }

    /// Handles a request for a user who is registered at another node of this domain. If that has gone, it is
    /// asked once all the same, and the repetition is answered.
    pub(super) fn ask_member(
        &mut self,
        now: Instant,
        request: Request,
        owner: (Owner, Share),
        (member, is_gone): (NodeAddress, bool),
        policies: &mut Policies,
    ) -> Result<Step, DropReason> {
        if let Some(outcome) = refusal(policies, now, &request)? {
            return Ok(self.refuse(now, &request, outcome));
        }
        self.pendings.expire(now);
        if is_gone && self.pendings.is_repeated_by(&request) {
            return Ok(self.refuse(now, &request, LocateOutcome::Offline));
        }
        self.pendings.add(now, request, member.into(), owner)?;
        Ok(Step::Forward { to: member.into(), locate: request.locate })
    }

    /// Keeps the answer to a look-up. Returns the node, if one was found, and the requests that still wait
    /// for it, each of which goes on with [`Location::ask_node`].
    pub(super) fn resolved(
        &mut self,
        now: Instant,
        id: LookupId,
        answer: &Result<FoundNode, LookupError>,
    ) -> (Option<Nodes>, Vec<Request>) {
        self.lookups.answer(now, id, answer)
    }

    /// Sends a request on to the node of the other domain, if it has one. A repetition goes to the next one
    /// of its addresses, in case that nobody answers at the one before.
    pub(super) fn ask_node(
        &mut self,
        now: Instant,
        request: Request,
        nodes: Option<Nodes>,
        owner: (Owner, Share),
    ) -> Result<Step, DropReason> {
        let Some(nodes) = nodes else { return Ok(self.refuse(now, &request, LocateOutcome::NoSuchUser)) };
        let node = self.pendings.next_of(&request, &nodes);
        self.pendings.add(now, request, node.into(), owner)?;
        Ok(Step::Forward { to: node.into(), locate: request.locate })
    }

    /// Passes an answer from `answerer` on to the asker, if that is still the one who asked by `is_same`.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        answerer: Party,
        locate: Locate,
        outcome: LocateOutcome,
        extension: Extension,
        is_same: impl FnOnce(&MiAddress, UdpAddress) -> bool,
    ) -> Result<Step, DropReason> {
        let request = self.pendings.take(now, &locate, answerer.address).ok_or(DropReason::Unasked)?;
        if !is_same(&request.locate.from, request.asker.address) {
            return Err(DropReason::Foreign);
        }
        // The answer repeats the names byte for byte: they can be spelled in several ways. So does the
        // extension, unless another address has left no room for it.
        Ok(self.reply(now, &Request { locate, ..request }, outcome, extension))
    }

    /// Returns whether an answer from `answerer` answers a request that is pending.
    pub(super) fn awaits(&mut self, now: Instant, locate: &Locate, answerer: UdpAddress) -> bool {
        self.pendings.expire(now);
        self.pendings.awaits(locate, answerer)
    }

    /// Drops the requests from and for removed users.
    pub(super) fn forget(&mut self, domain: &Domain, is_gone: impl Fn(&UserName) -> bool) {
        let is_gone = |address: &MiAddress| address.domain() == *domain && is_gone(&address.user());
        self.pendings.forget(is_gone);
        self.lookups.forget(is_gone);
    }

    /// Returns whether `node` is the node of `domain`, as far as it has been looked up.
    pub(super) fn has_found(&self, domain: &Domain, node: NodeAddress) -> bool {
        self.lookups.has_found(domain, node)
    }

    /// Forgets the answers to look-ups, because nodes may have moved.
    pub(super) fn forget_answers(&mut self) {
        self.lookups.forget_answers();
    }

    /// Drops the requests that have ended.
    pub(super) fn expire(&mut self, now: Instant) {
        self.pendings.expire(now);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.pendings.next_deadline()
    }

    /// Returns the number of requests that wait for their answer.
    pub(super) fn pending(&self) -> usize {
        self.pendings.len()
    }

    /// Returns the number of requests that have ended without an answer.
    pub(super) fn unanswered(&self) -> u64 {
        self.pendings.expired()
    }

    /// Returns the number of requests that gave way to others, those that waited for a look-up included.
    pub(super) fn displaced(&self) -> u64 {
        self.pendings.displaced() + self.lookups.displaced_requests()
    }

    /// Returns the number of look-ups that gave way to others.
    pub(super) fn displaced_lookups(&self) -> u64 {
        self.lookups.displaced()
    }

    /// Returns the source that has the most requests pending, and the one that has the most look-ups.
    pub(super) fn greediest(&self) -> [Option<RequestSource>; 2] {
        [self.pendings.greediest(), self.lookups.greediest()]
    }

    pub(super) fn lookups_in_flight(&self) -> usize {
        self.lookups.in_flight()
    }

    pub(super) fn lookup_status(&self) -> LookupStatus {
        self.lookups.status()
    }

    pub(super) fn times(&self) -> Locations {
        self.times
    }

    /// Answers a request in place of the other side. If that side still answers, its answer is dropped.
    fn refuse(&mut self, now: Instant, request: &Request, outcome: LocateOutcome) -> Step {
        let repeated = self.pendings.cancel(request);
        // The answer repeats the names of the latest repetition, which can be spelled differently.
        let request = repeated.map_or(*request, |earlier| request.repeating(&earlier));
        self.reply(now, &request, outcome, Extension::NONE)
    }

    fn reply(
        &mut self,
        now: Instant,
        request: &Request,
        outcome: LocateOutcome,
        extension: Extension,
    ) -> Step {
        let Request { locate, asker, first_asked_at, .. } = *request;
        self.times.add(&outcome, now.saturating_duration_since(first_asked_at));
        Step::Reply { to: asker, locate, outcome, extension }
    }
}

/// Asks the policy. Returns the answer if it refuses.
///
/// # Errors
/// [`DropReason::Ignored`].
fn refusal(
    policies: &mut Policies,
    now: Instant,
    request: &Request,
) -> Result<Option<LocateOutcome>, DropReason> {
    match policies.locate(now, &request.locate, request.asker) {
        LocateVerdict::Allow => Ok(None),
        LocateVerdict::Busy => Ok(Some(LocateOutcome::Busy)),
        LocateVerdict::NoSuchUser => Ok(Some(LocateOutcome::NoSuchUser)),
        LocateVerdict::Offline => Ok(Some(LocateOutcome::Offline)),
        LocateVerdict::Ignore => Err(DropReason::Ignored),
    }
}
