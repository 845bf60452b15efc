//! A domain that several nodes share: claims, and requests that are handed to the node that has the user.

use std::time::{Duration, Instant};

use fair_table::Share;
use lumi_bindings::{DirectoryReport, Entry};
use plumi_proto::{NODE_PORT, UdpAddress, UserName};

use super::Node;
use crate::state::binding::Binding;
use crate::state::bindings::Bindings;
use crate::state::dropped::DropReason;
use crate::state::event::GoneReason;
use crate::state::location::Step;
use crate::state::members::{Members, Place, REPAIRED_AT_ONCE};
use crate::state::output::{NotOneAddress, Output};
use crate::state::owner::Owner;
use crate::state::party::Party;
use crate::state::pendings::Request;

impl Node {
    /// Begins to share the domain with other nodes, through a directory whose reports go to
    /// [`Node::handle_directory`]. Call this once, and before [`Node::save_bindings`], without which nothing
    /// is claimed.
    ///
    /// Each later change of a binding is also an [`Output::Claim`]. A `PL` for a user who is registered at
    /// another node is handed to that node, once, and never one that another node handed on. Until a copy of
    /// the directory is complete, a `PL` for a user who is not registered here is dropped.
    /// [`Takeover::Deny`](crate::Takeover::Deny) regards the registrations of this node only.
    ///
    /// # Errors
    /// [`NotOneAddress`]: agents accept messages only from where they registered, so a node serves one
    /// address, and other nodes find it at port 3344.
    pub fn share_domain(&mut self, now: Instant) -> Result<(), NotOneAddress> {
        let serving = self.local.ip();
        if serving.is_unspecified() || self.local.port() != NODE_PORT {
            return Err(NotOneAddress);
        }
        self.members = Some(Box::new(Members::new(now, serving)));
        Ok(())
    }

    /// Handles a report of the directory.
    pub fn handle_directory(&mut self, now: Instant, report: &DirectoryReport) {
        let Some(members) = &mut self.members else { return };
        match report {
            DirectoryReport::Lease(lease) => members.set_lease(*lease),
            DirectoryReport::Siblings(siblings) => members.set_siblings(siblings),
            DirectoryReport::Time { engine, at } => members.set_clock(*engine, *at),
            DirectoryReport::Joined | DirectoryReport::Resumed => members.joined(now),
            DirectoryReport::CutOff { .. } => members.cut_off(),
            DirectoryReport::Joining(entries)
            | DirectoryReport::Changed(entries)
            | DirectoryReport::Refused(entries) => {
                self.note_time(now);
                entries.iter().for_each(|(user, entry)| self.merge(now, user, *entry));
            }
            _ => {}
        }
    }

    /// Returns whether another process has taken this node's address over. Such a node sends and saves
    /// nothing any more, and its program should end.
    pub fn is_fenced(&self) -> bool {
        self.members.as_deref().is_some_and(Members::is_fenced)
    }

    /// Returns whether the node may serve now.
    ///
    /// # Errors
    /// [`DropReason::NotJoined`].
    pub(super) fn serves(&self, now: Instant) -> Result<(), DropReason> {
        let serves = self.members.as_deref().is_none_or(|members| members.serves(now));
        if serves { Ok(()) } else { Err(DropReason::NotJoined) }
    }

    pub(super) fn is_sibling(&self, address: UdpAddress) -> bool {
        self.members.as_deref().is_some_and(|members| members.is_sibling(address))
    }

    /// Hands a request to the node that has the user. `None` if this node answers it.
    ///
    /// # Errors
    /// The reason why it is dropped, as [`DropReason::NotJoined`].
    pub(super) fn hand_on(
        &mut self,
        now: Instant,
        request: Request,
        owner: (Owner, Share),
    ) -> Result<Option<Step>, DropReason> {
        let Some(members) = self.members.as_deref() else { return Ok(None) };
        let user = request.locate.to.user();
        if !self.users.contains(&user) {
            return Ok(None);
        }
        let (is_here, is_restored) = self.users.is_registered(&user);
        match members.place(now, &user, is_here, is_restored) {
            Place::Here => Ok(None),
            // It comes from a node that was told that the user is here. However stale the copies of both are,
            // nothing goes round.
            Place::At { .. } if members.is_sibling(request.asker.address) => Ok(None),
            Place::At { member, is_gone } => {
                self.location.ask_member(now, request, owner, (member, is_gone), &mut self.policies).map(Some)
            }
            Place::Unknown => Err(DropReason::NotJoined),
        }
    }

    /// Claims the registration of `user`, which has changed.
    pub(super) fn claim(&mut self, user: &UserName) {
        let (Some(members), Some(bindings)) = (&mut self.members, self.bindings.as_deref()) else { return };
        let now = bindings.now();
        let agent = self.users.binding(now, user).map(|binding| binding.party.address);
        let entry = members.change(now, bindings.wall(Duration::ZERO), *user, agent);
        self.outputs.push_back(Output::Claim { user: *user, entry });
    }

    /// Claims what the directory may have lost, some at a time.
    pub(super) fn repair_directory(&mut self, now: Instant) {
        let Some(members) = &mut self.members else { return };
        let Some(first) = members.next_repair(now, self.users.len()) else { return };
        let names = self.users.names(first).take(REPAIRED_AT_ONCE);
        let own = names.filter_map(|user| Some(Output::Claim { user, entry: members.own(&user)? }));
        self.outputs.extend(own);
    }

    /// Merges an entry of the directory, and lets the registrations here follow it.
    fn merge(&mut self, now: Instant, user: &UserName, entry: Entry) {
        let Some(members) = &mut self.members else { return };
        let has_room = self.users.contains(user) || members.has_room_for_unlisted(self.users.len());
        if !members.merge(*user, entry, has_room) {
            return;
        }
        let is_own = entry.serving == self.local.ip();
        let events = self.events.len();
        let here = self.users.binding(now, user).map(|binding| binding.party.address);
        if here.is_some() && (!is_own || here != entry.agent) {
            self.users.drop_binding(user, GoneReason::Elsewhere, &mut self.events);
            self.save_dropped(user);
            self.hold_events(now, events);
        }
        // The address was another process's before, and its agents follow the address.
        if is_own && let Some(agent) = entry.agent {
            self.restore(now, &Binding::new(*user, Party::from(agent), Some(Duration::ZERO)));
        }
    }

    fn save_dropped(&mut self, user: &UserName) {
        if let Some(id) = self.bindings.as_deref_mut().and_then(|bindings| Bindings::begin(bindings, *user)) {
            self.save_again(id, user);
        }
    }
}
