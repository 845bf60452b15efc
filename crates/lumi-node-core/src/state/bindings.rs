//! Changes of bindings on their way to a store, and the answers that wait until they are saved (protocol.md
//! §9).
//!
//! The node makes a change at once, so whatever comes next is decided against it. The change takes effect
//! when it is saved: then its answer leaves, and its event is reported. Until then no `PL` is for its user.
//!
//! ```text
//!   PR ─► change ─► begin() ─► Output::SaveBinding ─ ─ ─ ─ ► the store
//!         answer ─► hold()                                       │ one result for all that were committed together
//!                     └── take() ◄── result(id, is_saved) ◄─ ─ ─ ┘
//! ```
//!
//! A store that is slow or broken costs the promise and not the service: an answer waits for [`SAVE_WAIT`] at
//! most. From an answer that waited in vain, or a commit that failed, until a commit succeeds, answers leave
//! at once. What is not saved then is noted for each user, and is saved later as it is by then.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use lumi_bindings::{SaveId, Stamp, UnixMillis};
use plumi_proto::{Message, Proof, UdpAddress, UserName, Verb};

use super::admin::{AdminId, AdminReply};
use super::event::NodeEvent;
use super::party::Party;

/// The bindings of a node that has a store.
#[derive(Debug)]
pub(super) struct Bindings {
    wall: WallClock,
    /// The largest stamp that was given or found in the store.
    last_stamp: Stamp,
    last_id: SaveId,
    /// The last change that is saved, together with all before it.
    saved: SaveId,
    queue: VecDeque<Entry>,
    users: HashMap<UserName, Awaited>,
    /// The last change that the answer to each request waits for.
    requests: HashMap<(Request, UdpAddress), SaveId>,
    /// The number of answers that wait for each socket. No socket is here without one.
    sockets: HashMap<UdpAddress, usize>,
    /// The changes that the store has, and has not reported yet.
    in_flight: VecDeque<(SaveId, UserName)>,
    /// The users whose binding is not in the store, and is to be saved again. They are users of the roster,
    /// or were.
    unsaved: BTreeSet<UserName>,
    /// Set while answers do not wait.
    is_failing: bool,
    retry_at: Option<Instant>,
    restored: usize,
    unpromised: u64,
}

/// The bindings of a node and its store, see [`Node::save_bindings`](crate::Node::save_bindings).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BindingCounts {
    /// The bindings that were restored at the start.
    pub restored: usize,
    /// The changes that the store does not have yet: those that it has been given, and those that are to be
    /// saved again.
    pub unsaved: usize,
    /// The answers that wait until their changes are saved, with everything that waits behind them.
    pub waiting: usize,
    /// Answers that left although their changes were not saved: that took longer than 250 ms, or failed, or
    /// too many waited.
    pub unpromised: u64,
    /// Set from such an answer or a failed commit on until something is saved. Answers do not wait meanwhile.
    pub is_failing: bool,
}

/// A request of an agent that was granted. Two that are equal, and come from the same socket, are the same
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Request {
    pub(super) user: UserName,
    pub(super) verb: Verb,
    pub(super) proof: Option<Proof>,
}

/// A change of where a user is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A user who was not bound is.
    Bound,
    /// The agent of a user is elsewhere, was heard at another address of this host, or has proved another
    /// key.
    Moved,
    /// A user is not bound any more.
    Unbound,
}

/// Something that waits until a change is saved.
#[derive(Debug)]
pub(super) enum Held {
    /// The answer to an agent.
    Answer { to: Party, request: Request, message: Message },
    /// Another message to a socket that waits for an answer.
    Behind { to: Party, message: Message },
    /// The event of a change.
    Event(NodeEvent),
    /// The answer to the administrator.
    Reply { id: AdminId, reply: Box<AdminReply> },
}

#[derive(Debug)]
struct Entry {
    id: SaveId,
    until: Instant,
    held: Held,
}

/// A user whose change waits.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    /// The last change.
    id: SaveId,
    /// The number of entries of this user.
    entries: usize,
}

/// The clock on the wall, as far as the clock of the node tells it.
#[derive(Clone, Copy, Debug)]
struct WallClock {
    wall: UnixMillis,
    at: Instant,
    /// The last time that was passed in.
    now: Instant,
}

impl Bindings {
    /// The limit of bindings that are saved again after a commit, so that the changes of others are not
    /// behind many.
    pub(super) const MAX_REWRITTEN: usize = 256;

    /// Nothing is changed yet. It is `wall` by the clock on the wall.
    pub(super) fn new(now: Instant, wall: UnixMillis) -> Self {
        Self {
            wall: WallClock { wall, at: now, now },
            last_stamp: Stamp(0),
            last_id: SaveId(0),
            saved: SaveId(0),
            queue: VecDeque::new(),
            users: HashMap::new(),
            requests: HashMap::new(),
            sockets: HashMap::new(),
            in_flight: VecDeque::new(),
            unsaved: BTreeSet::new(),
            is_failing: false,
            retry_at: None,
            restored: 0,
            unpromised: 0,
        }
    }

    /// Notes the time.
    pub(super) fn at(&mut self, now: Instant) {
        self.wall.now = self.wall.now.max(now);
    }

    /// Notes that it is `wall` by the clock on the wall, which may have been set.
    pub(super) fn set_wall(&mut self, now: Instant, wall: UnixMillis) {
        self.wall = WallClock { wall, at: now, now };
    }

    /// Returns the last time that was noted.
    pub(super) fn now(&self) -> Instant {
        self.wall.now
    }

    /// Returns the time by the clock on the wall, `ago`.
    pub(super) fn wall(&self, ago: Duration) -> UnixMillis {
        let now =
            millis(self.wall.now.saturating_duration_since(self.wall.at)).saturating_add(self.wall.wall.0);
        UnixMillis(now.saturating_sub(millis(ago)))
    }

    /// Returns the next stamp: the time in microseconds, or one more than the largest that is known.
    pub(super) fn stamp(&mut self) -> Stamp {
        let passed = self.wall.now.saturating_duration_since(self.wall.at).as_micros();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        let now = self.wall.wall.0.saturating_mul(1_000).saturating_add(passed);
        self.last_stamp = Stamp(now.max(self.last_stamp.0.saturating_add(1)));
        self.last_stamp
    }

    /// Notes a stamp that the store has.
    pub(super) fn found(&mut self, stamp: Stamp) {
        self.last_stamp = self.last_stamp.max(stamp);
    }

    /// Notes that a binding of the store was restored.
    pub(super) fn count_restored(&mut self) {
        self.restored += 1;
    }

    /// Counts an answer that leaves although the store does not have what it says.
    pub(super) fn count_unpromised(&mut self) {
        self.unpromised += 1;
    }

    /// Begins to save the binding of `user`, which has changed. Returns the number under which it is saved,
    /// or `None` if that has to be later.
    pub(super) fn begin(&mut self, user: UserName) -> Option<SaveId> {
        if self.is_failing || self.in_flight.len() >= MAX_IN_FLIGHT {
            self.unsaved.insert(user);
            return None;
        }
        self.unsaved.remove(&user);
        Some(self.give(user))
    }

    /// Notes that the binding of `user` is to be saved as it is.
    pub(super) fn mark(&mut self, user: UserName) {
        self.unsaved.insert(user);
    }

    /// Returns the number under which the binding of the next user is saved again, if that is to be done now.
    pub(super) fn next_unsaved(&mut self) -> Option<(SaveId, UserName)> {
        if self.is_failing || self.in_flight.len() >= MAX_IN_FLIGHT {
            return None;
        }
        self.take_unsaved()
    }

    /// The same, for a store that failed, or one that is about to be closed.
    pub(super) fn take_unsaved(&mut self) -> Option<(SaveId, UserName)> {
        let user = self.unsaved.pop_first()?;
        Some((self.give(user), user))
    }

    /// Returns whether it is time to try again with a store that failed.
    pub(super) fn is_retry_due(&mut self, now: Instant) -> bool {
        let is_due = self.retry_at.take_if(|at| now >= *at).is_some();
        is_due && self.in_flight.is_empty()
    }

    /// Handles a commit that has all changes up to `id`, or failed with them.
    pub(super) fn result(&mut self, now: Instant, id: SaveId, is_saved: bool) {
        while let Some(&(_, user)) = self.in_flight.front().filter(|(given, _)| *given <= id) {
            self.in_flight.pop_front();
            if !is_saved {
                self.unsaved.insert(user);
            }
        }
        if is_saved {
            self.saved = self.saved.max(id);
        }
        self.is_failing = !is_saved;
        // A store that tries again itself, and fails as often, does not put it off.
        self.retry_at = if is_saved { None } else { self.retry_at.or(Some(now + RETRY_INTERVAL)) };
    }

    /// Returns whether one more answer can wait.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < MAX_WAITING
    }

    /// Returns whether one more change can be saved at once, and its answer can wait.
    pub(super) fn has_room_for_change(&self) -> bool {
        self.has_room() && self.in_flight.len() < MAX_IN_FLIGHT
    }

    /// Returns the last change of `user` that has not taken effect.
    pub(super) fn awaited(&self, user: &UserName) -> Option<SaveId> {
        // Mostly nobody waits, and a refresh must not pay for those who do.
        if self.users.is_empty() { None } else { self.users.get(user).map(|awaited| awaited.id) }
    }

    /// Returns whether the same request waits for the change `id`: one answer is for both.
    pub(super) fn joins(&self, request: &Request, from: UdpAddress, id: SaveId) -> bool {
        self.requests.get(&(*request, from)) == Some(&id)
    }

    /// Returns whether an answer to this socket waits.
    fn owes(&self, to: UdpAddress) -> bool {
        !self.sockets.is_empty() && self.sockets.contains_key(&to)
    }

    /// Holds something until the change `id` is saved.
    pub(super) fn hold(&mut self, now: Instant, id: SaveId, held: Held) {
        if let Some(user) = held.user() {
            let awaited = self.users.entry(user).or_insert(Awaited { id, entries: 0 });
            *awaited = Awaited { id, entries: awaited.entries + 1 };
        }
        if let Held::Answer { to, request, .. } = &held {
            *self.sockets.entry(to.address).or_default() += 1;
            self.requests.insert((*request, to.address), id);
        }
        self.queue.push_back(Entry { id, until: now + SAVE_WAIT, held });
    }

    /// Holds a message to a socket that waits for an answer, until that has left. Returns whether it is held.
    pub(super) fn hold_behind(&mut self, to: Party, message: &Message) -> bool {
        let last = self.queue.back().map(|last| (last.id, last.until));
        let Some((id, until)) = last.filter(|_| self.owes(to.address) && self.has_room()) else {
            return false;
        };
        self.queue.push_back(Entry { id, until, held: Held::Behind { to, message: *message } });
        true
    }

    /// Returns the next that leaves now.
    pub(super) fn take(&mut self, now: Instant) -> Option<Held> {
        let first = self.queue.front()?;
        if first.id > self.saved {
            if !self.is_failing && now < first.until {
                return None;
            }
            self.is_failing = true;
            self.unpromised += u64::from(first.held.is_promise());
        }
        let Entry { id, held, .. } = self.queue.pop_front()?;
        if let Some(user) = held.user()
            && let Some(awaited) = self.users.get_mut(&user)
        {
            awaited.entries -= 1;
            if awaited.entries == 0 {
                self.users.remove(&user);
            }
        }
        if let Held::Answer { to, request, .. } = &held {
            self.left(to.address, request, id);
        }
        Some(held)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let first = self.queue.front().map(|first| first.until);
        first.into_iter().chain(self.retry_at).min()
    }

    /// Returns the number of entries that wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Returns the messages that wait, with their receivers, the next first.
    pub(super) fn messages(&self) -> impl Iterator<Item = (UdpAddress, &Message)> {
        self.queue.iter().filter_map(|entry| match &entry.held {
            Held::Answer { to, message, .. } | Held::Behind { to, message } => Some((to.address, message)),
            Held::Event(_) | Held::Reply { .. } => None,
        })
    }

    pub(super) fn counts(&self) -> BindingCounts {
        BindingCounts {
            restored: self.restored,
            unsaved: self.in_flight.len() + self.unsaved.len(),
            waiting: self.queue.len(),
            unpromised: self.unpromised,
            is_failing: self.is_failing,
        }
    }

    fn give(&mut self, user: UserName) -> SaveId {
        self.last_id = SaveId(self.last_id.0 + 1);
        self.in_flight.push_back((self.last_id, user));
        self.last_id
    }

    /// Notes that the answer to `request` has left.
    fn left(&mut self, to: UdpAddress, request: &Request, id: SaveId) {
        if let Some(count) = self.sockets.get_mut(&to) {
            *count -= 1;
            if *count == 0 {
                self.sockets.remove(&to);
            }
        }
        if self.joins(request, to, id) {
            self.requests.remove(&(*request, to));
        }
    }
}

impl Held {
    /// Returns the user whose change this is about.
    fn user(&self) -> Option<UserName> {
        match self {
            Self::Answer { request, .. } => Some(request.user),
            Self::Event(event) => event.user(),
            Self::Behind { .. } | Self::Reply { .. } => None,
        }
    }

    /// Returns whether this says that a change is saved.
    fn is_promise(&self) -> bool {
        matches!(self, Self::Answer { .. } | Self::Reply { .. })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The time that an answer waits for its change: many times what a disk takes that works, and less than the
/// time after which agents ask again.
pub(super) const SAVE_WAIT: Duration = Duration::from_millis(250);

/// The limit of answers, and of what is held with them: those of 16 thousand registrations a second, in
/// [`SAVE_WAIT`].
pub(super) const MAX_WAITING: usize = 4_096;

/// The limit of changes that the store has and has not reported. More are noted for each user, and are saved
/// later.
const MAX_IN_FLIGHT: usize = 4_096;

/// The time after which a store that failed is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
