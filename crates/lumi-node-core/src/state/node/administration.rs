//! The commands of administrators: one at a time, each change saved before it takes effect.

use std::time::Instant;

use plumi_proto::{MiAddress, UserName};

use super::Node;
use crate::state::admin::{
    AdminCommand, AdminId, AdminRefusal, AdminReply, NotRead, NotSaved, ReloadRefusal, RosterChange,
};
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
            AdminCommand::RosterChanged(change) => {
                let reply = self.changed_elsewhere(change);
                self.answer(id, reply);
            }
        }
    }

    /// Handles the result of [`Output::SaveRoster`]: a change that was saved takes effect.
    ///
    /// A result that nothing waits for is ignored.
    pub fn handle_roster_saved(&mut self, _now: Instant, id: AdminId, result: Result<(), NotSaved>) {
        let Some((under_way, Awaited::Saved(change))) = self.admin else { return };
        if under_way != id {
            return;
        }
        self.admin = None;
        let reply = match result {
            Ok(()) => {
                self.change(change);
                AdminReply::Changed(change)
            }
            Err(NotSaved) => AdminReply::NotSaved,
        };
        self.answer(id, reply);
    }

    /// Handles the result of [`Output::ReadRoster`]: a roster of the same domain replaces the old one. Users
    /// that it lacks are disconnected; nobody else is affected.
    ///
    /// This goes through the whole old roster, and the new one if it has other users, which takes some tens of
    /// milliseconds for a million users. A result that nothing waits for is ignored.
    pub fn handle_roster_read(&mut self, _now: Instant, id: AdminId, result: Result<Roster, NotRead>) {
        if self.admin.is_none_or(|(under_way, awaited)| under_way != id || !matches!(awaited, Awaited::Read))
        {
            return;
        }
        self.admin = None;
        let reply = match result {
            Ok(roster) => self.replace(roster),
            Err(NotRead) => AdminReply::NotRead,
        };
        self.answer(id, reply);
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

    fn answer(&mut self, id: AdminId, reply: AdminReply) {
        self.outputs.push_back(Output::Answer { id, reply: Box::new(reply) });
    }

    fn changed_elsewhere(&mut self, change: RosterChange) -> AdminReply {
        if let RosterChange::Add(user) = change {
            match self.may_add(&user) {
                Ok(()) => {}
                Err(AdminRefusal::AlreadyUser(_)) => return AdminReply::Changed(change),
                Err(refusal) => return AdminReply::Refused(refusal),
            }
        }
        self.change(change);
        AdminReply::Changed(change)
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

    fn replace(&mut self, roster: Roster) -> AdminReply {
        if roster.domain != self.domain {
            return AdminReply::NotTaken(ReloadRefusal::OtherDomain {
                served: self.domain,
                found: roster.domain,
            });
        }
        // Equal domains may be spelled differently, and so may the users in them.
        self.domain = roster.domain;
        let (old, reloaded) = self.users.replace(roster.users, &mut self.events);
        self.forget_requests(|user| old.contains(user));
        #[cfg(feature = "proof")]
        self.apply_all_keys();
        AdminReply::Reloaded(reloaded)
    }

    /// Drops pending requests from or for users removed from the roster.
    fn forget_requests(&mut self, was_user: impl Fn(&UserName) -> bool) {
        let users = &self.users;
        self.location.forget(&self.domain, |user| was_user(user) && !users.contains(user));
    }
}
