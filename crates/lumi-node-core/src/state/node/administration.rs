//! The commands of administrators: one at a time, each change saved before it takes effect.

use std::time::Instant;

use plumi_proto::{MiAddress, UserName};

use super::Node;
use crate::state::admin::{
    AdminCommand, AdminId, AdminRefusal, AdminReply, NotRead, NotSaved, ReloadRefusal, RosterChange,
};
use crate::state::bindings::Change;
use crate::state::output::Output;
use crate::state::roster::Roster;

/// The result that an administrator's command waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Awaited {
    Saved(RosterChange),
    Read,
}

impl Node {
    /// Handles a command of the administrator, which ends with [`Output::Answer`].
    ///
    /// Commands are handled one at a time: the next one must not come before that answer. A change takes
    /// effect once it is saved.
    pub fn handle_admin(&mut self, now: Instant, id: AdminId, command: AdminCommand) {
        match command {
            AdminCommand::AddUser(user) => match self.may_add(&user) {
                Ok(()) => self.save(id, RosterChange::Add(user)),
                Err(refusal) => self.answer(id, AdminReply::Refused(refusal)),
            },
            AdminCommand::RemoveUser(user) if self.users.contains(&user) => {
                self.save(id, RosterChange::Remove(user));
            }
            AdminCommand::RemoveUser(user) => {
                self.answer(id, AdminReply::Refused(AdminRefusal::NoSuchUser(user)));
            }
            AdminCommand::List => {
                self.users.expire_moves(now);
                let users = self.users().collect();
                self.answer(id, AdminReply::Users(users));
            }
            AdminCommand::ListBindings => {
                let bindings = self.bindings(now).collect();
                self.answer(id, AdminReply::Bindings(bindings));
            }
            AdminCommand::Reload => {
                self.admin = Some((id, Awaited::Read));
                self.outputs.push_back(Output::ReadRoster { id });
            }
            #[cfg(feature = "proof")]
            AdminCommand::KeysChanged(keys) => {
                self.note_time(now);
                self.handle_keys(&keys);
                self.answer(id, AdminReply::KeysTaken);
            }
            #[cfg(feature = "proof")]
            AdminCommand::CredentialsChanged(state, enrolled) => {
                self.handle_credentials(now, &state);
                self.handle_enrolled(&enrolled);
                self.answer(id, AdminReply::KeysTaken);
            }
            #[cfg(feature = "proof")]
            AdminCommand::ListProvenKeys => {
                let proven = self.credentials.proven();
                self.answer(id, AdminReply::ProvenKeys(proven));
            }
            AdminCommand::RosterChanged(change) => match self.is_made(change) {
                Ok(false) => self.make(now, id, change),
                Ok(true) => self.answer(id, AdminReply::Changed(change)),
                Err(refusal) => self.answer(id, AdminReply::Refused(refusal)),
            },
        }
    }

    /// Handles the result of [`Output::SaveRoster`]: a change that was saved takes effect. If the node has a
    /// store of bindings, the answer to a removal waits until that has it too, for 250 ms at most.
    ///
    /// A result that nothing waits for is ignored.
    pub fn handle_roster_saved(&mut self, now: Instant, id: AdminId, result: Result<(), NotSaved>) {
        let Some((under_way, Awaited::Saved(change))) = self.admin else { return };
        if under_way != id {
            return;
        }
        self.admin = None;
        match result {
            Ok(()) => self.make(now, id, change),
            Err(NotSaved) => self.answer(id, AdminReply::NotSaved),
        }
    }

    /// Handles the result of [`Output::ReadRoster`]: a roster of the same domain replaces the old one. Users
    /// that it lacks are disconnected; nobody else is affected.
    ///
    /// This goes through the whole old roster, and the new one if it has other users, which takes some tens
    /// of milliseconds for a million users. A result that nothing waits for is ignored.
    pub fn handle_roster_read(&mut self, now: Instant, id: AdminId, result: Result<Roster, NotRead>) {
        if self.admin.is_none_or(|(under_way, awaited)| under_way != id || !matches!(awaited, Awaited::Read))
        {
            return;
        }
        self.admin = None;
        match result {
            Ok(roster) => self.replace(now, id, roster),
            Err(NotRead) => self.answer(id, AdminReply::NotRead),
        }
    }

    fn may_add(&self, user: &UserName) -> Result<(), AdminRefusal> {
        if self.users.contains(user) {
            return Err(AdminRefusal::AlreadyUser(*user));
        }
        MiAddress::new(user, &self.domain).map(drop).map_err(AdminRefusal::TooLong)
    }

    fn save(&mut self, id: AdminId, change: RosterChange) {
        self.admin = Some((id, Awaited::Saved(change)));
        self.outputs.push_back(Output::SaveRoster { id, change });
    }

    pub(super) fn answer(&mut self, id: AdminId, reply: AdminReply) {
        self.outputs.push_back(Output::Answer { id, reply: Box::new(reply) });
    }

    /// Returns whether a change that was made elsewhere is made here already.
    fn is_made(&self, change: RosterChange) -> Result<bool, AdminRefusal> {
        match change {
            RosterChange::Add(user) => match self.may_add(&user) {
                Ok(()) => Ok(false),
                Err(AdminRefusal::AlreadyUser(_)) => Ok(true),
                Err(refusal) => Err(refusal),
            },
            RosterChange::Remove(user) => Ok(!self.users.contains(&user)),
        }
    }

    /// Makes a change, and answers the administrator once the store of bindings has it too.
    fn make(&mut self, now: Instant, id: AdminId, change: RosterChange) {
        self.note_time(now);
        let events = self.events.len();
        self.change(change);
        let saved = match change {
            RosterChange::Remove(user) => self.save_binding(&user, Change::Unbound, None),
            RosterChange::Add(_) => None,
        };
        self.answer_once_saved(now, id, AdminReply::Changed(change), saved, events);
    }

    fn change(&mut self, change: RosterChange) {
        match change {
            RosterChange::Add(user) => {
                self.users.add(user);
                #[cfg(feature = "proof")]
                self.apply_keys(&user);
            }
            RosterChange::Remove(user) => {
                self.users.remove(&user, &mut self.events);
                self.forget_requests(|other| *other == user);
            }
        }
    }

    fn replace(&mut self, now: Instant, id: AdminId, roster: Roster) {
        if roster.domain != self.domain {
            let refusal = ReloadRefusal::OtherDomain { served: self.domain, found: roster.domain };
            return self.answer(id, AdminReply::NotTaken(refusal));
        }
        self.note_time(now);
        let events = self.events.len();
        // Equal domains may be spelled differently, and so may the users in them.
        self.domain = roster.domain;
        let (old, reloaded) = self.users.replace(roster.users, &mut self.events);
        self.forget_requests(|user| old.contains(user));
        #[cfg(feature = "proof")]
        self.apply_all_keys();
        let mut saved = None;
        if self.bindings.is_some() {
            for user in self.users.unregistered_of(&old) {
                saved = self.save_binding(&user, Change::Unbound, None).or(saved);
            }
        }
        self.answer_once_saved(now, id, AdminReply::Reloaded(reloaded), saved, events);
    }

    /// Drops pending requests from or for users removed from the roster.
    fn forget_requests(&mut self, was_user: impl Fn(&UserName) -> bool) {
        let users = &self.users;
        self.location.forget(&self.domain, |user| was_user(user) && !users.contains(user));
    }
}
