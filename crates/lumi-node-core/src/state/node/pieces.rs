//! Commands about all users, carried out some users at a time: a million of them take tens of milliseconds,
//! and others wait for no piece longer than about one.
//!
//! Nobody is added to the domain or removed from it by anything else meanwhile: an administrator's command
//! ends before the next one begins.

use std::collections::HashSet;
use std::time::Instant;
use std::{mem, vec};

use lumi_bindings::SaveId;
use plumi_proto::UserName;

use super::Node;
use crate::state::admin::{AdminId, AdminReply, Reloaded, RosterChange, UserStatus};
use crate::state::binding::Binding;
use crate::state::bindings::Change;
use crate::state::name_table::{CHUNK, NameTable};
use crate::state::user::User;

/// The event that an administrator's command waits for.
#[derive(Debug)]
pub(super) enum Awaited {
    /// The result of [`Output::SaveRoster`](crate::Output::SaveRoster).
    Saved(RosterChange),
    /// The result of [`Output::ReadRoster`](crate::Output::ReadRoster).
    Read,
    /// The next piece of work. The last one was at this time.
    Piece(Instant, Box<Pieces>),
}

impl Awaited {
    /// Returns the time from which on the next piece is due: others come in between.
    pub(super) fn next_piece(&self) -> Option<Instant> {
        if let Self::Piece(last, _) = self { Some(*last) } else { None }
    }
}

/// A command that is carried out in pieces, with its results so far.
#[derive(Debug)]
pub(super) enum Pieces {
    /// Lists the users, these so far.
    List(Vec<UserStatus>),
    /// Lists the bindings, of so many users so far.
    ListBindings { seen: usize, bindings: Vec<Binding> },
    /// Replaces the roster.
    Reload(Reload),
}

/// A roster that takes the place of the one before.
#[derive(Debug)]
pub(super) struct Reload {
    step: Step,
    reloaded: Reloaded,
    /// The last change of a binding.
    saved: Option<SaveId>,
}

/// A step in the replacement of a roster.
#[derive(Debug)]
enum Step {
    /// Looks for users whom the new roster lacks, after so many.
    Compare { roster: NameTable<User>, compared: usize, gone: Vec<UserName> },
    /// Removes these.
    Remove { roster: NameTable<User>, gone: Vec<UserName> },
    /// Adds those of these users who are new.
    Add(vec::IntoIter<Vec<User>>),
}

impl Reload {
    pub(super) fn new(roster: NameTable<User>) -> Self {
        let reloaded = Reloaded { users: roster.len(), ..Reloaded::default() };
        Self { step: Step::Compare { roster, compared: 0, gone: Vec::new() }, reloaded, saved: None }
    }
}

impl Node {
    /// Begins a command about all users, and ends it if they are few.
    pub(super) fn begin(&mut self, now: Instant, id: AdminId, pieces: Pieces) {
        self.do_some(now, id, Box::new(pieces));
    }

    /// Goes on with the command that is carried out in pieces, if there is one.
    pub(super) fn go_on(&mut self, now: Instant) {
        match self.admin.take() {
            Some((id, Awaited::Piece(_, pieces))) => self.do_some(now, id, pieces),
            other => self.admin = other,
        }
    }

    /// Does as much as may be done in one turn.
    fn do_some(&mut self, now: Instant, id: AdminId, mut pieces: Box<Pieces>) {
        self.note_time(now);
        let events = self.events.len();
        let mut seen = 0;
        while seen < USERS_PER_TURN {
            match self.do_piece(now, &mut pieces) {
                Some(users) => seen += users,
                None => {
                    let (reply, saved) = match *pieces {
                        Pieces::List(users) => (AdminReply::Users(users), None),
                        Pieces::ListBindings { bindings, .. } => (AdminReply::Bindings(bindings), None),
                        Pieces::Reload(Reload { reloaded, saved, .. }) => {
                            (AdminReply::Reloaded(reloaded), saved)
                        }
                    };
                    return self.answer_once_saved(now, id, reply, saved, events);
                }
            }
        }
        self.hold_events(now, events);
        self.admin = Some((id, Awaited::Piece(now, pieces)));
    }

    /// Does one piece. Returns the number of users that were looked at, or `None` if there is nothing left to
    /// do.
    fn do_piece(&mut self, now: Instant, pieces: &mut Pieces) -> Option<usize> {
        match pieces {
            Pieces::List(users) => {
                let before = users.len();
                users.extend(self.users.statuses(before).take(CHUNK));
                (users.len() > before).then(|| users.len() - before)
            }
            Pieces::ListBindings { seen, bindings } => {
                if *seen >= self.users.len() {
                    return None;
                }
                bindings.extend(self.bindings_from(now, *seen, CHUNK));
                *seen += CHUNK;
                Some(CHUNK)
            }
            Pieces::Reload(reload) => self.reload_some(reload),
        }
    }

    fn reload_some(&mut self, Reload { step, reloaded, saved }: &mut Reload) -> Option<usize> {
        match step {
            Step::Compare { roster, compared, gone } if *compared < self.users.len() => {
                gone.extend(self.users.missing_in(roster, *compared, CHUNK));
                *compared += CHUNK;
                Some(CHUNK)
            }
            Step::Compare { roster, gone, .. } => {
                let (roster, gone) = (mem::replace(roster, NameTable::with_capacity(0)), mem::take(gone));
                *step = Step::Remove { roster, gone };
                Some(0)
            }
            Step::Remove { gone, .. } if !gone.is_empty() => {
                let some = gone.split_off(gone.len().saturating_sub(CHUNK));
                *saved = self.remove_some(&some, reloaded).or(*saved);
                Some(some.len())
            }
            Step::Remove { roster, .. } => {
                *step = Step::Add(mem::replace(roster, NameTable::with_capacity(0)).into_chunks());
                Some(0)
            }
            Step::Add(users) => {
                let users = users.next()?;
                let new = self.users.strangers_of(&users);
                for user in &new {
                    self.users.add(*user);
                    #[cfg(feature = "proof")]
                    self.apply_keys(user);
                }
                reloaded.adds_all(new.into_iter());
                Some(users.len())
            }
        }
    }

    /// Removes users from the domain. Returns the last change of a binding, if one is to be saved.
    fn remove_some(&mut self, users: &[UserName], reloaded: &mut Reloaded) -> Option<SaveId> {
        let mut saved = None;
        for user in users {
            let Some(removed) = self.users.remove(user, &mut self.events) else { continue };
            reloaded.removes(*user, removed.was_online);
            if removed.was_registered {
                saved = self.save_binding(user, Change::Unbound, None).or(saved);
            }
        }
        let gone: HashSet<_> = users.iter().collect();
        self.location.forget(&self.domain, |user| gone.contains(user));
        saved
    }
}

/// Users who are looked at before others have their turn. That takes less than a millisecond, and a domain of
/// so few is done with at once.
const USERS_PER_TURN: usize = 2 * CHUNK;
