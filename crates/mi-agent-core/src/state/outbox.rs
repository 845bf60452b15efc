//! Messages that wait for their receivers, on the sender's side.
//!
//! No server stores anything. The sender keeps what it could not deliver, and calls again: by timer, and when the
//! receiver shows that it is there.
//!
//! ```text
//!   put ─► queued ─► Output::Try ─► Output::Save(trying) ─► Output::Write … ─► Output::Finish ─► sent
//!             ▲          │ fails          │ cannot                 │ breaks
//!             └──────────┴────────────────┘                        └─► unsure       expired, undeliverable, forgotten
//! ```
//!
//! A peer gets each message at most once: that it is being delivered is on the disk before its first byte leaves,
//! and whatever was under way when the connection broke, or this program ended, is not sent again unless the user
//! says so.

mod effects;
mod item;
mod peer;
mod rules;
mod schedule;

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use plumi_proto::MiAddress;

pub use self::effects::{Finished, OutboxOutput, Written};
pub use self::item::{
    DEFAULT_KEEP, ItemId, ItemIdError, ItemState, ItemStateError, LONGEST_KEEP, MAX_ITEM, OutboxItem,
    OutboxTime, SHORTEST_KEEP,
};
use self::peer::{PeerItems, Phase};
pub use self::rules::{MAX_ITEMS, MAX_ITEMS_OF_PEER, OutboxError, may_forget, may_put, may_resend};
use self::schedule::Manner;
pub use self::schedule::Tried;
use crate::security::Security;

/// The outbox of a user, without files, sockets and clocks.
///
/// Call [`OutboxState::poll_output`] after every other method until it returns `None`, and
/// [`OutboxState::handle_timeout`] at the time of [`OutboxState::poll_timeout`].
#[derive(Debug)]
pub struct OutboxState {
    own: MiAddress,
    is_quiet: bool,
    is_registered: bool,
    peers: BTreeMap<MiAddress, PeerItems>,
    outputs: VecDeque<OutboxOutput>,
    /// The number of tries so far. Pauses vary with it.
    tries: u64,
}

impl OutboxState {
    /// Creates the outbox of the user `own` with what is stored.
    ///
    /// A message that was being delivered when a program ended may have arrived: its state is saved as
    /// [`ItemState::Unsure`].
    pub fn new(own: MiAddress, is_quiet: bool, stored: impl IntoIterator<Item = OutboxItem>) -> Self {
        let (peers, outputs) = Default::default();
        let mut outbox = Self { own, is_quiet, is_registered: false, peers, outputs, tries: 0 };
        for mut item in stored {
            if item.state == ItemState::Trying {
                item.state = ItemState::Unsure;
                outbox.change(item.clone());
            }
            outbox.insert(item);
        }
        outbox
    }

    /// Returns every message, those for one user in the order in which they were written.
    pub fn items(&self) -> impl Iterator<Item = &OutboxItem> {
        self.peers.values().flat_map(|peer| &peer.items)
    }

    /// Takes a message that is stored, so that [`may_put`] has allowed it. It is delivered after those before it.
    pub fn put(&mut self, now: OutboxTime, item: OutboxItem) {
        let to = item.to;
        self.prune(now);
        self.insert(item);
        self.begin(now, to);
    }

    /// Takes over what another program has changed in the store: a message that is new, or that has another
    /// state. A message that is being delivered stays as it is here.
    pub fn handle_changed(&mut self, now: OutboxTime, item: OutboxItem) {
        if item.state == ItemState::Trying {
            // Nobody else delivers. This agent knows better what has become of it since.
            return;
        }
        self.prune(now);
        let peer = self.peers.entry(item.to).or_default();
        match peer.items.iter_mut().find(|known| known.id == item.id) {
            Some(known) if known.state == ItemState::Trying => {
                return peer.overruled = Some(item).filter(|item| item.state.is_last());
            }
            Some(known) if known.state == item.state => return,
            Some(known) => known.state = item.state,
            None if item.state.is_last() => return,
            None => peer.items.push_back(item.clone()),
        }
        self.outputs.push_back(OutboxOutput::Report(item.clone()));
        self.drop_ended(&item.to);
        self.begin(now, item.to);
    }

    /// Handles that the agent has registered, or is registered again.
    pub fn handle_registered(&mut self, now: OutboxTime) {
        self.is_registered = true;
        for peer in self.peers.values_mut().filter(|peer| peer.has_queued()) {
            peer.schedule.registered(now, self.is_quiet);
        }
    }

    /// Handles that the agent is not registered any more.
    pub fn handle_unregistered(&mut self) {
        self.is_registered = false;
    }

    /// Handles that this user is there: it asked, called, or talks.
    pub fn handle_sign_of_life(&mut self, now: OutboxTime, user: MiAddress) {
        if let Some(peer) = self.peers.get_mut(&user).filter(|peer| peer.has_queued()) {
            peer.schedule.sign_of_life(now);
            self.try_due(now);
        }
    }

    /// Tries everybody for whom something waits.
    pub fn handle_retry(&mut self, now: OutboxTime) {
        self.peers.values_mut().filter(|peer| peer.has_queued()).for_each(|peer| peer.schedule.retry(now));
        self.try_due(now);
    }

    /// Sends a message again that may have arrived, or that could not be delivered.
    ///
    /// # Errors
    /// [`OutboxError::NoSuchItem`], [`OutboxError::NotAgain`], [`OutboxError::BeingDelivered`].
    pub fn resend(&mut self, now: OutboxTime, id: ItemId) -> Result<(), OutboxError> {
        let item = self.find(id)?;
        may_resend(item)?;
        item.state = ItemState::Queued;
        let item = item.clone();
        if let Some(peer) = self.peers.get_mut(&item.to) {
            peer.schedule.retry(now);
        }
        self.change(item);
        self.try_due(now);
        Ok(())
    }

    /// Drops a message.
    ///
    /// # Errors
    /// [`OutboxError::NoSuchItem`], [`OutboxError::BeingDelivered`].
    pub fn forget(&mut self, now: OutboxTime, id: ItemId) -> Result<(), OutboxError> {
        let item = self.find(id)?;
        may_forget(item)?;
        item.state = ItemState::Forgotten;
        let item = item.clone();
        self.drop_ended(&item.to);
        self.begin(now, item.to);
        self.change(item);
        Ok(())
    }

    /// Handles that a try came to nothing. `knows_peer` is set if the user is known to have a program like this
    /// one.
    pub fn handle_failed(&mut self, now: OutboxTime, user: MiAddress, tried: Tried, knows_peer: bool) {
        let (is_quiet, jitter) = (self.is_quiet, self.jitter());
        let is_own_domain = user.domain() == self.own.domain();
        let Some(peer) = self.peers.get_mut(&user).filter(|peer| peer.phase == Phase::Trying) else { return };
        peer.phase = Phase::Idle;
        let manner = Manner { is_quiet, knows_peer };
        // For another domain, a name server may be the cause.
        if peer.schedule.failed(now, tried, manner, jitter) && is_own_domain {
            let queued = peer.items.iter_mut().filter(|item| item.state == ItemState::Queued);
            let denied: Vec<_> = queued
                .map(|item| {
                    item.state = ItemState::Undeliverable;
                    item.clone()
                })
                .collect();
            peer.schedule.ends();
            denied.into_iter().for_each(|item| self.change(item));
        }
        self.prune(now);
        self.try_due(now);
    }

    /// Handles that a conversation with this user has begun, whose protection is enough for the level `strength`.
    /// Returns `false` if the outbox has no use for it, because there is another one, or because nothing waits.
    pub fn handle_begun(&mut self, now: OutboxTime, user: MiAddress, strength: Security) -> bool {
        // An answer may come after its try has failed. Some agents are deaf until the call that they expect then.
        let Some(peer) = self.peers.get_mut(&user) else { return false };
        if !matches!(peer.phase, Phase::Idle | Phase::Trying) {
            return false;
        }
        peer.phase = Phase::Idle;
        if !peer.has_queued() {
            self.prune(now);
            return false;
        }
        peer.schedule.talks(now);
        peer.phase = Phase::Talking { strength, writing: None };
        self.write_next(now, &user);
        true
    }

    /// Handles the result of [`OutboxOutput::Save`] for a message that is about to be sent: what is not on the
    /// disk is not sent.
    pub fn handle_saved(&mut self, user: MiAddress, id: ItemId, is_saved: bool) {
        let Some(peer) = self.peers.get_mut(&user) else { return };
        let Phase::Talking { writing, .. } = &mut peer.phase else { return };
        if *writing != Some(id) {
            return;
        }
        let Some(item) = peer.items.iter_mut().find(|item| item.id == id) else { return };
        if is_saved {
            self.outputs.push_back(OutboxOutput::Write(item.clone()));
        } else {
            let overruled = peer.overruled.take().filter(|overruled| overruled.id == id);
            item.state = overruled.as_ref().map_or(ItemState::Queued, |overruled| overruled.state);
            (peer.phase, peer.trouble) = (Phase::Finishing, Some(Tried::Offline));
            self.outputs.push_back(OutboxOutput::Finish(user));
            self.outputs.extend(overruled.map(OutboxOutput::Report));
            self.drop_ended(&user);
        }
    }

    /// Handles that a message is written, or that the conversation has ended before that.
    pub fn handle_written(&mut self, now: OutboxTime, user: MiAddress, id: ItemId, written: Written) {
        let Some(peer) = self.peers.get_mut(&user) else { return };
        match &mut peer.phase {
            Phase::Talking { writing, .. } if *writing == Some(id) => *writing = None,
            _ => return,
        }
        if written == Written::All {
            return self.write_next(now, &user);
        }
        // The end of the conversation says nothing about this message, even if the peer ends it in order.
        (peer.phase, peer.trouble) = (Phase::Finishing, Some(Tried::Offline));
        self.outputs.push_back(OutboxOutput::Finish(user));
        if let Some(item) = peer.items.iter_mut().find(|item| item.id == id) {
            let is_here = written == Written::Nothing;
            item.state = if is_here { ItemState::Queued } else { ItemState::Unsure };
            let item = item.clone();
            self.change(item);
        }
    }

    /// Handles that a conversation is over.
    pub fn handle_finished(&mut self, now: OutboxTime, user: MiAddress, finished: Finished) {
        let (is_quiet, jitter) = (self.is_quiet, self.jitter());
        let Some(peer) = self.peers.get_mut(&user) else { return };
        let unwritten = match peer.phase {
            Phase::Talking { writing, .. } => writing,
            Phase::Finishing => None,
            Phase::Idle | Phase::Trying => return,
        };
        peer.phase = Phase::Idle;
        let overruled = peer.overruled.take().map(|overruled| (overruled.id, overruled.state));
        let of_it = peer.items.iter_mut().filter(|item| item.state == ItemState::Trying);
        let of_it: Vec<_> = of_it
            .map(|item| {
                item.state = match finished {
                    _ if overruled.is_some_and(|(id, _)| id == item.id) => {
                        overruled.map_or(item.state, |(_, state)| state)
                    }
                    Finished::Answered if unwritten != Some(item.id) => ItemState::Sent,
                    Finished::Answered | Finished::Broken => ItemState::Unsure,
                    Finished::Refused => ItemState::Queued,
                };
                item.clone()
            })
            .collect();
        let trouble = match (peer.trouble.take(), finished) {
            (_, Finished::Refused) => Some(Tried::Busy),
            (None, Finished::Broken) => Some(Tried::Offline),
            (trouble, _) => trouble,
        };
        // A peer that takes nothing is not called every minute.
        if trouble.is_none() || of_it.iter().any(|item| item.state == ItemState::Sent) {
            peer.schedule.ends();
        }
        match trouble {
            Some(trouble) => {
                _ = peer.schedule.failed(now, trouble, Manner { is_quiet, ..Manner::default() }, jitter);
            }
            None if peer.has_queued() => peer.schedule.begin(now, is_quiet, jitter),
            None => {}
        }
        of_it.into_iter().for_each(|item| self.change(item));
        self.drop_ended(&user);
        self.try_due(now);
    }

    /// Handles the passing of time.
    pub fn handle_timeout(&mut self, now: OutboxTime) {
        let mut expired = Vec::new();
        for peer in self.peers.values_mut() {
            let over =
                peer.items.iter_mut().filter(|item| item.until <= now && item.state != ItemState::Trying);
            expired.extend(over.map(|item| {
                item.state = ItemState::Expired;
                item.clone()
            }));
        }
        for item in expired {
            self.drop_ended(&item.to);
            self.begin(now, item.to);
            self.change(item);
        }
        self.prune(now);
        self.try_due(now);
    }

    /// Returns the time at which [`OutboxState::handle_timeout`] has to be called.
    pub fn poll_timeout(&self) -> Option<OutboxTime> {
        let waiting = self.peers.values().flat_map(|peer| &peer.items);
        let expiry = waiting.filter(|item| item.state != ItemState::Trying).map(|item| item.until).min();
        let may_try = self.is_registered && self.tries_under_way() < MAX_TRIES;
        let idle = self.peers.values().filter(|peer| may_try && peer.is_ready());
        idle.filter_map(|peer| peer.schedule.due()).chain(expiry).min()
    }

    /// Returns the next thing to do.
    pub fn poll_output(&mut self) -> Option<OutboxOutput> {
        self.outputs.pop_front()
    }

    fn insert(&mut self, item: OutboxItem) {
        self.peers.entry(item.to).or_default().items.push_back(item);
    }

    /// Has a changed message stored and reported.
    fn change(&mut self, item: OutboxItem) {
        self.outputs.push_back(OutboxOutput::Save(item.clone()));
        self.outputs.push_back(OutboxOutput::Report(item));
    }

    fn find(&mut self, id: ItemId) -> Result<&mut OutboxItem, OutboxError> {
        let mut all = self.peers.values_mut().flat_map(|peer| &mut peer.items);
        all.find(|item| item.id == id).ok_or(OutboxError::NoSuchItem)
    }

    fn begin(&mut self, now: OutboxTime, user: MiAddress) {
        let (is_quiet, jitter) = (self.is_quiet, self.jitter());
        if let Some(peer) = self.peers.get_mut(&user).filter(|peer| peer.is_ready()) {
            peer.schedule.begin(now, is_quiet, jitter);
        }
    }

    /// Forgets messages after which nothing comes.
    fn drop_ended(&mut self, user: &MiAddress) {
        let Some(peer) = self.peers.get_mut(user) else { return };
        peer.items.retain(|item| !item.state.is_last());
        let first = peer.items.iter().find(|item| item.state == ItemState::Queued).map(|item| item.id);
        if peer.weak_for.is_some() && first != peer.weak_for {
            peer.weak_for = None;
            peer.schedule.is_strong_enough();
        }
    }

    /// Forgets the users for whom there is nothing, an hour after they were asked for: until then, the next message
    /// must not make anybody ask too often.
    fn prune(&mut self, now: OutboxTime) {
        self.peers.retain(|_, peer| {
            !peer.items.is_empty() || peer.phase != Phase::Idle || peer.schedule.is_recent(now)
        });
    }

    /// Begins the tries that are due, the longest due first.
    fn try_due(&mut self, now: OutboxTime) {
        while self.is_registered && self.tries_under_way() < MAX_TRIES {
            let ready = self.peers.iter().filter(|(_, peer)| peer.is_ready());
            let due = ready.filter_map(|(user, peer)| Some((peer.schedule.due()?, *user)));
            let Some((_, user)) = due.filter(|(at, _)| *at <= now).min() else { return };
            let Some(peer) = self.peers.get_mut(&user) else { return };
            peer.phase = Phase::Trying;
            peer.schedule.tries(now);
            self.tries += 1;
            self.outputs.push_back(OutboxOutput::Try(user));
        }
    }

    fn tries_under_way(&self) -> usize {
        self.peers.values().filter(|peer| peer.phase == Phase::Trying).count()
    }

    /// Takes the next message in hand. One that needs more protection than there is holds back those behind it.
    fn write_next(&mut self, now: OutboxTime, user: &MiAddress) {
        let Some(peer) = self.peers.get_mut(user) else { return };
        let Phase::Talking { strength, writing } = &mut peer.phase else { return };
        let next = peer.items.iter_mut().find(|item| item.state == ItemState::Queued && item.until > now);
        peer.weak_for = next.as_ref().filter(|item| item.needs > *strength).map(|item| item.id);
        if peer.weak_for.is_some() {
            peer.trouble = Some(Tried::TooWeak);
        }
        match next.filter(|item| item.needs <= *strength) {
            Some(item) => {
                item.state = ItemState::Trying;
                *writing = Some(item.id);
                self.outputs.push_back(OutboxOutput::Save(item.clone()));
            }
            None => {
                peer.phase = Phase::Finishing;
                self.outputs.push_back(OutboxOutput::Finish(*user));
            }
        }
    }

    /// Returns a number from 0.8 to 1.2, another one for each try, so that agents that begin together do not try
    /// together.
    fn jitter(&self) -> f64 {
        let hash =
            BuildHasherDefault::<DefaultHasher>::default().hash_one((self.own.to_string(), self.tries));
        0.8 + 0.4 * (hash >> 40) as f64 / f64::from(1 << 24)
    }
}

/// The most users who are tried at a time.
pub const MAX_TRIES: usize = 4;
