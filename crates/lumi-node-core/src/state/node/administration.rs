//! The commands of administrators: one at a time, each change saved before it takes effect.

use std::time::Instant;

use plumi_proto::{MiAddress, UserName};

use super::Node;
use super::pieces::{Awaited, Pieces, Reload};
use crate::state::admin::{
    AdminCommand, AdminId, AdminRefusal, AdminReply, NotRead, NotSaved, ReloadRefusal, RosterChange,
};
use crate::state::bindings::Change;
use crate::state::output::Output;
use crate::state::roster::Roster;

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
                let users = Vec::with_capacity(self.users.len());
                self.begin(now, id, Pieces::List(users));
            }
            AdminCommand::ListBindings => {
                self.begin(now, id, Pieces::ListBindings { seen: 0, bindings: Vec::new() });
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
        let Some(&(under_way, Awaited::Saved(change))) = self.admin.as_ref() else { return };
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
    /// A roster of more than 1,024 users is compared in pieces, and [`Node::poll_timeout`] is now until the
    /// last of them. Then users go, and others come, piece by piece. A result that nothing waits for is
    /// ignored.
    pub fn handle_roster_read(&mut self, now: Instant, id: AdminId, result: Result<Roster, NotRead>) {
        if !matches!(&self.admin, Some((under_way, Awaited::Read)) if *under_way == id) {
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
                self.location.forget(&self.domain, |other| *other == user);
            }
        }
    }

    fn replace(&mut self, now: Instant, id: AdminId, roster: Roster) {
        if roster.domain != self.domain {
            let refusal = ReloadRefusal::OtherDomain { served: self.domain, found: roster.domain };
            return self.answer(id, AdminReply::NotTaken(refusal));
        }
        // Equal domains may be spelled differently.
        self.domain = roster.domain;
        self.begin(now, id, Pieces::Reload(Reload::new(roster.users)));
    }
}
