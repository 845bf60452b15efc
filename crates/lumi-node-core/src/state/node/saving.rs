//! Bindings that are saved: what is saved of a change, and what waits for that (protocol.md §9).

use std::time::{Duration, Instant};

use lumi_bindings::{BindingChange, SaveId, StoredBinding, UnixMillis};
use plumi_proto::{HostIp, Message, Registrant, UdpAddress, UserName, Verb};

use super::Node;
use crate::state::admin::{AdminId, AdminReply};
use crate::state::bindings::{Bindings, Change, Held, Request};
use crate::state::dropped::DropReason;
use crate::state::output::{BindingNotSaved, Output};
use crate::state::party::Party;
use crate::state::registration::{Answer, Registrar, own_user};

impl Node {
    /// Handles the result of [`Output::SaveBinding`], for this change and for all before it that have had
    /// none. A store commits together what comes together.
    ///
    /// A change that was saved takes effect: its answers leave. If it could not be saved, they leave all the
    /// same, as do all later ones until something is saved again, and the node has the bindings saved again
    /// later.
    pub fn handle_binding_saved(&mut self, now: Instant, id: SaveId, result: Result<(), BindingNotSaved>) {
        let Some(bindings) = &mut self.bindings else { return };
        bindings.at(now);
        bindings.result(now, id, result.is_ok());
        self.take_effect(now);
        self.save_rest_of_unsaved();
    }

    /// Handles that the store has lost everything that was saved before the latest result: all bindings are
    /// saved again. Call [`Node::handle_binding_saved`] next, with that result.
    pub fn handle_bindings_lost(&mut self, now: Instant) {
        let Some(bindings) = &mut self.bindings else { return };
        bindings.at(now);
        self.users.bindings(now, 0, usize::MAX).for_each(|binding| bindings.mark(binding.user));
    }

    /// Notes that it is `wall` by the clock on the wall, for the changes from now on. That clock can be set,
    /// and goes on while the host sleeps.
    pub fn handle_wall_clock(&mut self, now: Instant, wall: UnixMillis) {
        if let Some(bindings) = &mut self.bindings {
            bindings.set_wall(now, wall);
        }
    }

    /// Returns the messages that wait until a change is saved, with their receivers, in the order in which
    /// they will leave: answers, and whatever is behind them.
    pub fn waiting_messages(&self) -> impl Iterator<Item = (UdpAddress, &Message)> {
        self.bindings.as_deref().into_iter().flat_map(Bindings::messages)
    }

    /// Returns whether an answer, or anything behind one, waits for its change to be saved. None waits longer
    /// than 250 ms.
    pub fn is_waiting_for_store(&self) -> bool {
        self.bindings.as_ref().is_some_and(|bindings| bindings.waiting() > 0)
    }

    /// Asks for every binding that is not in the store to be saved, because the store is about to be closed.
    pub fn save_unsaved_bindings(&mut self, now: Instant) {
        let Some(bindings) = &mut self.bindings else { return };
        bindings.at(now);
        while let Some((id, user)) = self.bindings.as_deref_mut().and_then(Bindings::take_unsaved) {
            self.save_again(id, &user);
        }
    }

    pub(super) fn bindings_timeout(&mut self, now: Instant) {
        let Some(bindings) = &mut self.bindings else { return };
        bindings.at(now);
        if bindings.is_retry_due(now) {
            self.save_some_unsaved(Bindings::take_unsaved);
        }
        self.take_effect(now);
    }

    /// Notes the time, for changes that come without one.
    pub(super) fn note_time(&mut self, now: Instant) {
        if let Some(bindings) = &mut self.bindings {
            bindings.at(now);
        }
    }

    /// Lets the registrar decide about a request, and answers it.
    pub(super) fn decide(
        &mut self,
        now: Instant,
        from: Party,
        decide: impl FnOnce(Registrar<'_>) -> Result<Answer, DropReason>,
    ) -> Result<(), DropReason> {
        let events = self.events.len();
        match decide(self.registrar())? {
            Answer::Now(message) => self.transmit_now(from, message),
            Answer::Granted(request, change) => self.grant(now, from, request, change, events),
        }
        Ok(())
    }

    /// Answers a request that was granted: once what it depends on is saved. There were so many `events`
    /// before it.
    fn grant(&mut self, now: Instant, from: Party, request: Request, change: Option<Change>, events: usize) {
        let message = request.granted();
        let Some(bindings) = &mut self.bindings else { return self.transmit_now(from, message) };
        let user = request.user;
        let awaited = match change {
            Some(change) => {
                bindings.at(now);
                self.save_binding(&user, change, from.heard_at)
            }
            None => match bindings.awaited(&user) {
                // One answer is for both: some agents do not survive a second one (protocol.md §7).
                Some(id) if bindings.joins(&request, from.address, id) => return,
                None => return self.transmit(from, message),
                awaited => awaited,
            },
        };
        let Some(bindings) = &mut self.bindings else { return };
        match awaited {
            Some(id) if bindings.has_room() => {
                let events = self.events.take_since(events);
                events.into_iter().for_each(|event| bindings.hold(now, id, Held::Event(event)));
                bindings.hold(now, id, Held::Answer { to: from, request, message });
            }
            _ => {
                bindings.count_unpromised();
                self.transmit_now(from, message);
            }
        }
    }

    /// Answers an administrator once the change `id` is saved, and reports the events since there were so
    /// many.
    pub(super) fn answer_once_saved(
        &mut self,
        now: Instant,
        id: AdminId,
        reply: AdminReply,
        saved: Option<SaveId>,
        events: usize,
    ) {
        self.hold_events(now, events);
        match (&mut self.bindings, saved) {
            (Some(bindings), Some(saved)) => {
                let reply = Box::new(reply);
                bindings.hold(now, saved, Held::Reply { id, reply });
            }
            _ => self.answer(id, reply),
        }
    }

    /// Holds those of the events since there were `events` that are about a user whose change waits, until
    /// that takes effect.
    pub(super) fn hold_events(&mut self, now: Instant, events: usize) {
        let Some(bindings) = &mut self.bindings else { return };
        for event in self.events.take_since(events) {
            match event.user().and_then(|user| bindings.awaited(&user)) {
                Some(id) => bindings.hold(now, id, Held::Event(event)),
                None => self.events.push(event),
            }
        }
    }

    /// Asks for the binding of `user` to be saved, which has changed. Returns the number of the change,
    /// unless it has to be saved later.
    pub(super) fn save_binding(
        &mut self,
        user: &UserName,
        change: Change,
        heard_at: Option<HostIp>,
    ) -> Option<SaveId> {
        self.claim(user);
        let id = self.bindings.as_mut()?.begin(*user)?;
        self.push_save(id, user, change, heard_at);
        Some(id)
    }

    /// Returns whether no change of `user` waits. Until then no question may reach the user's agent: some
    /// agents take whatever comes first for the answer (protocol.md §7).
    ///
    /// # Errors
    /// [`DropReason::BeingSaved`].
    pub(super) fn is_settled(&self, user: &UserName) -> Result<(), DropReason> {
        let awaited = self.bindings.as_ref().and_then(|bindings| bindings.awaited(user));
        if awaited.is_some() { Err(DropReason::BeingSaved) } else { Ok(()) }
    }

    /// Returns whether a request of a user whose change waits can wait behind that.
    ///
    /// # Errors
    /// [`DropReason::NoRoom`]: its answer would overtake another one. The agent asks again.
    pub(super) fn has_room_for(
        &self,
        from: Party,
        verb: Verb,
        registrant: &Registrant,
    ) -> Result<(), DropReason> {
        let Some(bindings) = self.bindings.as_ref().filter(|bindings| !bindings.has_room_for_change()) else {
            return Ok(());
        };
        let user = own_user(&self.domain, registrant);
        let awaited = user.and_then(|user| Some((user, bindings.awaited(&user)?)));
        let overtakes =
            awaited.is_some_and(|(user, id)| !bindings.joins(&Request::plain(user, verb), from.address, id));
        if overtakes { Err(DropReason::NoRoom) } else { Ok(()) }
    }

    /// Notes that the binding of `user` has ended without a request. There were so many `events` before.
    #[cfg(feature = "proof")]
    pub(super) fn save_end(&mut self, user: &UserName, events: usize) {
        if let Some(now) = self.bindings.as_deref().map(Bindings::now) {
            self.save_binding(user, Change::Unbound, None);
            self.hold_events(now, events);
        }
    }

    /// Saves some of the bindings that the store does not have.
    pub(super) fn save_rest_of_unsaved(&mut self) {
        self.save_some_unsaved(Bindings::next_unsaved);
    }

    fn save_some_unsaved(&mut self, next: fn(&mut Bindings) -> Option<(SaveId, UserName)>) {
        for _ in 0..Bindings::MAX_REWRITTEN {
            let Some((id, user)) = self.bindings.as_deref_mut().and_then(next) else { return };
            self.save_again(id, &user);
        }
    }

    pub(super) fn save_again(&mut self, id: SaveId, user: &UserName) {
        self.push_save(id, user, Change::Bound, None);
    }

    /// Asks for the binding of `user` to be saved as it is now.
    fn push_save(&mut self, id: SaveId, user: &UserName, change: Change, heard_at: Option<HostIp>) {
        let Some(bindings) = &mut self.bindings else { return };
        let local = self.local;
        let serving =
            |heard_at: Option<HostIp>| UdpAddress::new(heard_at.unwrap_or(local.ip()), local.port());
        let (user, now) = (*user, bindings.now());
        let members = self.members.as_deref();
        let is_elsewhere = members.is_some_and(|members| members.is_elsewhere(&user));
        let claimed = members.and_then(|members| members.own(&user)).map(|entry| entry.stamp);
        let stamp = claimed.unwrap_or_else(|| bindings.stamp());
        let change = match self.users.binding(now, &user) {
            Some(binding) => {
                #[cfg(feature = "proof")]
                let key = self.credentials.proved_by(&user);
                #[cfg(not(feature = "proof"))]
                let key = None;
                let stored = StoredBinding {
                    user,
                    agent: binding.party.address,
                    heard_at: serving(binding.party.heard_at),
                    stamp,
                    since: bindings.wall(binding.online_for.unwrap_or_default()),
                    key,
                };
                if change == Change::Moved {
                    BindingChange::Moved(stored)
                } else {
                    BindingChange::Bound(stored)
                }
            }
            // What another node knows later must not lose to a logout here.
            None if self.users.contains(&user) && !is_elsewhere => BindingChange::Unbound {
                user,
                heard_at: serving(heard_at),
                stamp,
                since: bindings.wall(Duration::ZERO),
            },
            None => BindingChange::Removed { user },
        };
        self.outputs.push_back(Output::SaveBinding { id, change });
    }

    /// Sends and reports everything that has waited long enough.
    fn take_effect(&mut self, now: Instant) {
        while let Some(held) = self.bindings.as_deref_mut().and_then(|bindings| bindings.take(now)) {
            match held {
                Held::Answer { to, message, .. } | Held::Behind { to, message } => {
                    self.transmit_now(to, message);
                }
                Held::Event(event) => self.events.push(event),
                Held::Reply { id, reply } => self.outputs.push_back(Output::Answer { id, reply }),
            }
        }
    }
}
