//! The registration of users: who may register, and what is answered (protocol.md §3).

use std::collections::HashMap;
use std::time::Instant;

use plumi_proto::{DeregisterCode, Domain, Extension, Message, RegisterCode, Registrant, UserName, Verb};

use super::address_range::is_in;
use super::bindings::{Change, Request};
#[cfg(feature = "proof")]
use super::credentials::Credentials;
use super::dropped::DropReason;
use super::event::Events;
use super::notice::{NOTICE_INTERVAL, Notice};
use super::party::Party;
use super::policy::{Policies, RegisterVerdict};
use super::settings::{Auth, NodeSettings, Takeover};
use super::users::{Bound, Granted, Users};

/// Decides about registrations and deregistrations, and changes the users accordingly.
#[derive(Debug)]
pub(super) struct Registrar<'n> {
    pub(super) domain: &'n Domain,
    pub(super) settings: &'n NodeSettings,
    pub(super) users: &'n mut Users,
    pub(super) policies: &'n mut Policies,
    pub(super) events: &'n mut Events,
    pub(super) outsiders: &'n mut Outsiders,
    #[cfg(feature = "proof")]
    pub(super) credentials: &'n mut Credentials,
}

/// The answer to a request of an agent.
#[derive(Debug)]
pub(super) enum Answer {
    /// This changes nothing, and depends on nothing that may still have to be saved.
    Now(Message),
    /// The request was granted, and this is what it changed.
    Granted(Request, Option<Change>),
}

/// The time of the last notice about each user who was registered from outside the user's ranges: users whom
/// the settings name.
pub(super) type Outsiders = HashMap<UserName, Instant>;

impl Registrar<'_> {
    /// Registers a user at `from`, if the user belongs to the domain and may register there.
    ///
    /// # Errors
    /// [`DropReason::Ignored`].
    pub(super) fn register(
        mut self,
        now: Instant,
        from: Party,
        registrant: &Registrant,
    ) -> Result<Answer, DropReason> {
        let request = match own_user(self.domain, registrant) {
            Some(user) if self.is_within(now, from, user) => Request::plain(user, Verb::Register),
            _ => return Ok(Answer::refusal(Verb::Register, Extension::NONE)),
        };
        let granted = self.bind(now, from, request.user, false)?;
        Ok(Answer::of(request, granted))
    }

    /// Takes a user offline, if the request comes from the user's agent and the user has no key.
    pub(super) fn deregister(self, from: Party, registrant: &Registrant) -> Answer {
        let Some(user) = own_user(self.domain, registrant) else {
            return Answer::refusal(Verb::Deregister, Extension::NONE);
        };
        let granted = self.users.unbind(&user, from.address, false, self.events);
        Answer::of(Request::plain(user, Verb::Deregister), granted)
    }

    /// Registers a user of the domain at `from`, who may be there. Returns `None` if that is refused.
    ///
    /// # Errors
    /// [`DropReason::Ignored`].
    pub(super) fn bind(
        &mut self,
        now: Instant,
        from: Party,
        user: UserName,
        is_proved: bool,
    ) -> Result<Option<Granted>, DropReason> {
        let Self { settings, users, policies, events, .. } = self;
        let is_held = settings.takeover == Takeover::Deny && !is_proved;
        let has_room = users.has_room(&user, from.address);
        let mut verdict = RegisterVerdict::Refuse;
        let may_register = |Bound { online_at, registered_at, has_key, is_restored }: Bound| {
            let is_proved = is_proved || registered_at == Some(from.address);
            let lacks_proof = if has_key { !is_proved } else { settings.auth == Auth::Required };
            if lacks_proof {
                return false;
            }
            // Another port of the same host is no other owner: an agent that crashed, or is behind a NAT. One
            // that was restored may be gone.
            let is_free = is_restored || online_at.is_none_or(|address| address.ip() == from.address.ip());
            if has_room && (!is_held || is_free) {
                verdict = policies.register(now, &user, from, online_at);
            }
            verdict == RegisterVerdict::Allow
        };
        let granted = users.bind(now, &user, from, is_proved, may_register, events);
        match verdict {
            RegisterVerdict::Allow | RegisterVerdict::Refuse => Ok(granted),
            RegisterVerdict::Ignore => Err(DropReason::Ignored),
        }
    }

    /// Returns whether the settings let a user register from there. A refusal by the user's own ranges is
    /// reported.
    pub(super) fn is_within(&mut self, now: Instant, from: Party, user: UserName) -> bool {
        let Self { settings, users, events, outsiders, .. } = self;
        let source = from.address.into();
        if !settings.allow.is_empty() && !is_in(&settings.allow, source) {
            return false;
        }
        let is_outside = settings.users.get(&user).is_some_and(|ranges| !is_in(ranges, source));
        if is_outside && users.contains(&user) && is_due(outsiders, now, user) {
            events.notices.push(Notice::OutsideRanges { user, from: from.address });
        }
        !is_outside
    }
}

impl Answer {
    /// Answers `request`, which was granted or refused.
    pub(super) fn of(request: Request, granted: Option<Granted>) -> Self {
        match granted {
            Some(Granted { change }) => Self::Granted(request, change),
            None => Self::refusal(request.verb, Extension::NONE),
        }
    }

    /// Refuses a request.
    pub(super) fn refusal(verb: Verb, extension: Extension) -> Self {
        Self::Now(match verb {
            Verb::Register => Message::RegisterReply { code: RegisterCode::NoSuchUser, extension },
            Verb::Deregister => Message::DeregisterReply { code: DeregisterCode::NoSuchUser, extension },
        })
    }
}

impl Request {
    /// A `PR` or a `PD` of a user. Its spelling makes no difference.
    pub(super) fn plain(user: UserName, verb: Verb) -> Self {
        Self { user, verb, proof: None }
    }

    /// Returns the message that says that the request was granted.
    pub(super) fn granted(&self) -> Message {
        let extension = Extension::NONE;
        match self.verb {
            Verb::Register => Message::RegisterReply { code: RegisterCode::Registered, extension },
            Verb::Deregister => Message::DeregisterReply { code: DeregisterCode::Deregistered, extension },
        }
    }
}

/// Returns whether a notice about `user` is due, and notes that it is given.
fn is_due(outsiders: &mut Outsiders, now: Instant, user: UserName) -> bool {
    let is_due = outsiders.get(&user).is_none_or(|last| now >= *last + NOTICE_INTERVAL);
    if is_due {
        outsiders.insert(user, now);
    }
    is_due
}

/// Returns the name of a user, if it belongs to `domain`.
pub(super) fn own_user(domain: &Domain, registrant: &Registrant) -> Option<UserName> {
    match registrant {
        Registrant::User(user) => Some(*user),
        Registrant::Address(address) if address.domain() == *domain => Some(address.user()),
        Registrant::Address(_) => None,
    }
}
