//! What has to hold for every message and every peer of an outbox.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mi_agent_core::{
    ItemId, ItemState, MAX_ITEM, MAX_ITEMS, MAX_ITEMS_OF_PEER, MAX_TRIES, MiAddress, OutboxItem, OutboxTime,
    may_put,
};

use super::peers::Mood;
use super::{Disk, own};

/// The truth about messages and peers, which no program knows.
pub(super) struct Laws {
    is_quiet: bool,
    /// The time of the last registration, while there is one.
    registered: Option<OutboxTime>,
    messages: BTreeMap<ItemId, Message>,
    peers: BTreeMap<MiAddress, Asked>,
    learned: usize,
}

/// The fate of a message whose id was printed.
#[derive(Debug, Default)]
struct Message {
    /// Its place among those that the program knows; `None` if another program has written it, and this one has not
    /// looked yet.
    order: Option<usize>,
    /// Its first byte has left since it was written, or sent again by the user.
    has_begun: bool,
    /// The peer has all of it.
    has_arrived: bool,
    /// The user wants to drop it.
    is_unwanted: bool,
    /// That is on the disk.
    is_forgotten: bool,
}

/// What was asked about a peer.
#[derive(Debug, Default)]
struct Asked {
    /// The questions of the last hour, and whether each came soon after the one before.
    questions: VecDeque<(OutboxTime, bool)>,
    /// The latest sign of life, or order of the user.
    prompted: Option<OutboxTime>,
    /// The orders of the last hour.
    orders: VecDeque<OutboxTime>,
    unanswered: usize,
    knows_peer: bool,
    denied: VecDeque<OutboxTime>,
}

impl Laws {
    pub(super) fn new(is_quiet: bool) -> Self {
        Self { is_quiet, registered: None, messages: BTreeMap::new(), peers: BTreeMap::new(), learned: 0 }
    }

    /// Returns whether a message may be put into the outbox, on which the program has to agree.
    pub(super) fn may_put(&self, own: &MiAddress, items: &[OutboxItem], item: &OutboxItem) -> bool {
        let waiting = || items.iter().filter(|item| !item.state.is_last());
        let of_peer = waiting().filter(|waiting| waiting.to == item.to).count();
        let has_text = (1..=MAX_ITEM).contains(&item.text.len()) && item.text.contains(|c| c != '\n');
        let may = has_text && of_peer < MAX_ITEMS_OF_PEER && waiting().count() < MAX_ITEMS;
        assert_eq!(may_put(own, waiting(), &item.to, &item.text).is_ok(), may, "{of_peer} wait");
        may
    }

    pub(super) fn put(&mut self, item: &OutboxItem) {
        self.messages.insert(item.id, Message::default());
    }

    pub(super) fn forgets(&mut self, id: ItemId) {
        let message = self.message(id);
        message.is_unwanted = true;
    }

    /// The user sends a message again, and wants it to be tried.
    pub(super) fn sends_again(&mut self, id: ItemId, to: MiAddress, now: OutboxTime) {
        self.message(id).has_begun = false;
        self.retry(to, now);
    }

    /// A message changes on the disk.
    pub(super) fn saves(&mut self, old: &OutboxItem, new: &OutboxItem, now: OutboxTime) {
        let denials = self.peers.entry(new.to).or_default().denials(now);
        let message = self.message(new.id);
        let is_right = match new.state {
            ItemState::Queued => !message.has_begun,
            ItemState::Trying => old.state == ItemState::Queued && now < new.until && !message.has_begun,
            ItemState::Sent => message.has_arrived,
            ItemState::Unsure => true,
            ItemState::Expired => now >= new.until,
            ItemState::Undeliverable => new.to.domain() == own().domain() && denials >= 3,
            ItemState::Forgotten => {
                std::mem::replace(&mut message.is_forgotten, message.is_unwanted) || message.is_unwanted
            }
            state => panic!("{state:?} is new"),
        };
        assert!(is_right, "at {now:?}, {old:?} becomes {:?}: {message:?}", new.state);
    }

    /// A message is to be sent now.
    pub(super) fn hands_out(&mut self, item: &OutboxItem, disk: &Disk) {
        let stored = disk.items.iter().find(|stored| stored.id == item.id).expect("its id was printed");
        assert_eq!(stored.state, ItemState::Trying, "this has to be on the disk before {item:?} is sent");
        let message = self.message(item.id);
        assert!(!message.has_begun && !message.is_forgotten, "{item:?}: {message:?}");
    }

    /// A message is taken in hand. Those before it have left, or may not.
    pub(super) fn is_in_order(&mut self, item: &OutboxItem, now: OutboxTime, disk: &Disk) {
        let order = self.message(item.id).order;
        let overtaken = disk.items.iter().find(|before| {
            let is_before = self.messages[&before.id].order.is_some_and(|before| Some(before) < order);
            let is_seen = !disk.unseen.contains(&before.id);
            is_before
                && is_seen
                && before.to == item.to
                && before.state == ItemState::Queued
                && before.until > now
        });
        assert!(overtaken.is_none() || disk.has_refused, "{item:?} overtakes {overtaken:?}");
    }

    /// The program that delivers knows this message from now on, if it has not before.
    pub(super) fn learns(&mut self, id: ItemId) {
        self.learned += 1;
        let learned = self.learned;
        self.message(id).order.get_or_insert(learned);
    }

    /// The first byte of a message leaves.
    pub(super) fn begins(&mut self, item: &OutboxItem) {
        let message = self.message(item.id);
        assert!(!message.has_begun, "{item:?} is sent twice");
        message.has_begun = true;
    }

    pub(super) fn arrives(&mut self, id: ItemId) {
        self.message(id).has_arrived = true;
    }

    /// The user hears what has become of a message.
    pub(super) fn reports(&mut self, item: &OutboxItem) {
        let message = self.message(item.id);
        match item.state {
            ItemState::Sent => assert!(message.has_arrived, "{item:?} is lost"),
            ItemState::Forgotten => assert!(message.is_unwanted, "{item:?}"),
            _ => {}
        }
    }

    /// A program begins. It does not know what the one before has asked.
    pub(super) fn starts(&mut self, items: &[OutboxItem]) {
        self.peers.clear();
        for item in items {
            self.message(item.id).order = None;
            self.learns(item.id);
        }
    }

    pub(super) fn registers(&mut self, at: Option<OutboxTime>) {
        self.registered = at;
    }

    pub(super) fn sign(&mut self, user: MiAddress, now: OutboxTime) {
        let peer = self.peers.entry(user).or_default();
        (peer.prompted, peer.unanswered) = (Some(now), 0);
    }

    pub(super) fn retry(&mut self, user: MiAddress, now: OutboxTime) {
        let peer = self.peers.entry(user).or_default();
        peer.prompted = Some(now);
        peer.orders.push_back(now);
    }

    /// A question about a peer is sent.
    pub(super) fn tries(&mut self, user: MiAddress, now: OutboxTime, under_way: usize) {
        assert!(self.registered.is_some(), "nobody could answer");
        assert!(under_way < MAX_TRIES, "{under_way} others are tried");
        let peer = self.peers.entry(user).or_default();
        let last = peer.questions.back().map(|(at, _)| *at);
        let is_since = |at: Option<OutboxTime>| at.is_some() && at >= last;
        let is_prompted = is_since(peer.prompted);
        let is_soon = last.is_some_and(|last| now - last < MINUTE);
        assert!(is_prompted || !is_soon, "at {now:?}, {user} is asked for twice by timer: {peer:?}");
        assert!(is_prompted || !self.is_quiet, "{user} is asked for by timer");
        // After an hour without messages for a user, nothing is known of it.
        let is_recent = last.is_some_and(|last| now - last < HOUR);
        let is_gone = peer.unanswered >= 3 && !peer.knows_peer && is_recent;
        assert!(is_prompted || is_since(self.registered) || !is_gone, "{user} has not answered: {peer:?}");
        let before_last = peer.questions.iter().rev().nth(1);
        assert!(before_last.is_none_or(|(at, _)| now - *at >= MINUTE / 2), "at {now:?}: {peer:?}");
        peer.questions.push_back((now, is_soon));
        peer.questions.retain(|(at, _)| now - *at < HOUR);
        peer.orders.retain(|at| now - *at < HOUR);
        let soon = peer.questions.iter().filter(|(_, is_soon)| *is_soon).count();
        assert!(soon <= 20 + peer.orders.len(), "{soon} questions in an hour: {peer:?}");
    }

    /// A conversation has begun.
    pub(super) fn talks(&mut self, user: MiAddress) {
        self.peers.entry(user).or_default().unanswered = 0;
    }

    pub(super) fn ends_question(&mut self, user: MiAddress, now: OutboxTime, mood: Mood, knows_peer: bool) {
        let peer = self.peers.entry(user).or_default();
        peer.knows_peer = knows_peer;
        peer.unanswered = if mood == Mood::Silent { peer.unanswered + 1 } else { 0 };
        if mood == Mood::NoUser {
            peer.denied.push_back(now);
        }
    }

    fn message(&mut self, id: ItemId) -> &mut Message {
        self.messages.get_mut(&id).expect("its id was printed")
    }
}

impl Asked {
    /// Returns the number of answers of the last hour that there is no such user.
    fn denials(&mut self, now: OutboxTime) -> usize {
        self.denied.retain(|at| now - *at <= HOUR);
        self.denied.len()
    }
}

/// Returns whether a message is on its way to its receiver.
pub(super) fn is_under_way(state: ItemState) -> bool {
    matches!(state, ItemState::Queued | ItemState::Trying)
}

const MINUTE: Duration = Duration::from_secs(60);

const HOUR: Duration = Duration::from_secs(60 * 60);
