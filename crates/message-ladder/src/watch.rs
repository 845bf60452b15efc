//! The last messages of a running node, for its watchers.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use message_log::{Entry, Sink};
use tokio::sync::Notify;

use crate::arrow::Change;
use crate::ladder::Ladder;

/// Keeps the last messages as they are, and lets any number of watchers see them and those that follow.
///
/// It is a [`Sink`], which leaves out the messages of all parties but its owner. A clone keeps and shows the
/// same messages. What a message costs is a copy of it: a watcher makes a ladder of them in its own time. A
/// waiting watcher is woken by each message, or each batch of them, which a node under load pays for: take
/// what there is, and pause for some milliseconds before you wait again.
#[derive(Clone)]
pub struct Watch {
    shared: Arc<Shared>,
}

struct Shared {
    owner: String,
    capacity: usize,
    clock: fn() -> SystemTime,
    passed: Mutex<Passed>,
    /// There is more.
    more: Notify,
}

#[derive(Default)]
struct Passed {
    kept: VecDeque<Kept>,
    /// The number of the last message; the first one has 1.
    last: u64,
}

/// A message that has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// Counts messages, from 1.
    pub number: u64,
    /// The time at which it passed.
    pub at: SystemTime,
    /// The message.
    pub entry: Entry,
}

impl Watch {
    /// Keeps the last `capacity` messages of `owner`: the domain of a node, or the address of an agent.
    /// `clock` gives the time at which each of them passes; a watcher that is so many behind misses some.
    pub fn new(owner: &str, capacity: usize, clock: fn() -> SystemTime) -> Self {
        let owner = owner.to_owned();
        let shared =
            Shared { owner, capacity: capacity.max(1), clock, passed: Mutex::default(), more: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    /// A watcher of the kept messages, and then of those that pass: each message once. At first, its ladder
    /// has only the owner of the messages.
    pub fn subscribe(&self) -> Watcher {
        let ladder = Ladder::new(&self.shared.owner, self.shared.capacity);
        Watcher { entries: self.entries(), ladder }
    }

    /// Begins to watch as [`Watch::subscribe`] does, for a ladder that is made elsewhere.
    pub fn entries(&self) -> Entries {
        let passed = self.shared.passed();
        let seen = passed.kept.front().map_or(passed.last, |first| first.number - 1);
        drop(passed);
        Entries { shared: Arc::clone(&self.shared), seen }
    }

    /// Returns the name of the party that the messages belong to.
    pub fn owner(&self) -> &str {
        &self.shared.owner
    }
}

impl Shared {
    fn passed(&self) -> MutexGuard<'_, Passed> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Watch {
    fn take(&mut self, entry: &Entry) {
        // Other nodes and agents of this process log as well.
        if entry.party() != self.shared.owner {
            return;
        }
        let at = (self.shared.clock)();
        let mut passed = self.shared.passed();
        passed.last += 1;
        let number = passed.last;
        if passed.kept.len() < self.shared.capacity {
            passed.kept.push_back(Kept { number, at, entry: entry.clone() });
        } else if let Some(mut oldest) = passed.kept.pop_front() {
            // Its memory serves again.
            oldest.number = number;
            oldest.at = at;
            oldest.entry.clone_from(entry);
            passed.kept.push_back(oldest);
        }
    }

    fn write(&mut self) {
        // A watcher begins to wait before it looks.
        self.shared.more.notify_waiters();
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("owner", &self.shared.owner).finish_non_exhaustive()
    }
}

/// The messages that a [`Watch`] keeps and that pass there.
#[derive(Clone)]
pub struct Entries {
    shared: Arc<Shared>,
    /// The number of the last message that was seen.
    seen: u64,
}

/// The new entries, at least one or a miss.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct News {
    /// The number of messages that have passed unseen, before the entries.
    pub missed: u64,
    /// The entries, in their order.
    pub entries: Vec<Kept>,
}

impl Entries {
    /// Returns the name of the party that the messages belong to.
    pub fn owner(&self) -> &str {
        &self.shared.owner
    }

    /// Waits for the next ones, [`MAX_NEWS`] at most.
    ///
    /// # Cancel safety
    /// Cancel safe: none is lost.
    pub async fn next(&mut self) -> News {
        loop {
            let shared = Arc::clone(&self.shared);
            let more = shared.more.notified();
            if let Some(news) = self.news() {
                return news;
            }
            more.await;
        }
    }

    /// Returns those that are there, as [`Entries::next`] does, and does not wait.
    pub fn news(&mut self) -> Option<News> {
        let passed = self.shared.passed();
        let first = passed.kept.front()?.number;
        let missed = (first - 1).saturating_sub(self.seen);
        // Numbers follow each other.
        let from = usize::try_from(self.seen.saturating_sub(first - 1)).unwrap_or(usize::MAX);
        let from = from.min(passed.kept.len());
        let entries: Vec<_> = passed.kept.range(from..).take(MAX_NEWS).cloned().collect();
        drop(passed);
        self.seen = entries.last()?.number;
        Some(News { missed, entries })
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("seen", &self.seen).finish_non_exhaustive()
    }
}

/// Sees a ladder grow: that of the messages that a [`Watch`] keeps, and of those that pass.
#[derive(Clone, Debug)]
pub struct Watcher {
    entries: Entries,
    ladder: Ladder,
}

impl Watcher {
    /// The ladder as it has become with the last [`Watcher::next`].
    pub fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    /// Waits for the next messages, [`MAX_NEWS`] at most, and returns what has become of the ladder with
    /// them. The first ones make the ladder of what was kept.
    ///
    /// # Cancel safety
    /// Cancel safe: no message is lost.
    pub async fn next(&mut self) -> Vec<Change> {
        let news = self.entries.next().await;
        self.take(&news)
    }

    /// Returns the changes that are there, as [`Watcher::next`] does; none if there is nothing new.
    pub fn changes(&mut self) -> Vec<Change> {
        self.entries.news().map(|news| self.take(&news)).unwrap_or_default()
    }

    fn take(&mut self, news: &News) -> Vec<Change> {
        let mut changes = Vec::new();
        if news.missed > 0 {
            changes.push(Change::Missed(news.missed));
        }
        for kept in &news.entries {
            self.ladder.skip_to(kept.number);
            changes.extend(self.ladder.push(Some(kept.at), &kept.entry));
        }
        changes
    }
}

/// The most entries that are handed out together: the node waits while they are copied.
pub const MAX_NEWS: usize = 64;
