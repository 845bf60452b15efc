#![doc = include_str!("../README.md")]

mod list;
mod ranking;

use std::fmt::Debug;
use std::hash::{BuildHasher, Hash, RandomState};

use hashbrown::HashTable;
use slab::Slab;

use list::{Linked, List};
use ranking::{Ranked, Ranking, Step};

/// A bounded table that makes room when it is full.
///
/// `S` is a source and `A` an asker, as in [`Owner`]. See the [crate] for the order of giving way.
///
/// All operations take constant time, except [`FairTable::iter`] and [`FairTable::new`]. Nothing is allocated
/// after [`FairTable::new`].
#[derive(Debug)]
pub struct FairTable<S, A, T> {
    capacity: usize,
    entries: Slab<Linked<Entry<T>>>,
    askers: Slab<Linked<Ranked<Asker<A>>>>,
    sources: Slab<Linked<Ranked<Source<S>>>>,
    /// Keys of [`FairTable::sources`] and [`FairTable::askers`], by their names.
    by_source: HashTable<u32>,
    by_asker: HashTable<u32>,
    /// Nobody can choose names that fall together.
    hashes: RandomState,
    /// The sources by the number of their entries.
    ranking: Ranking,
    steps: Slab<Linked<Step>>,
    inserted: u64,
}

/// The one that an entry counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<S, A> {
    /// The source, such as an IP address.
    pub source: S,
    /// The asker within the source, such as a user.
    pub asker: A,
    /// Set if the asker gives way before the others of its source, however few entries it has. This is for an
    /// asker that could be anybody, beside askers that are known. It is the same for all entries that an
    /// asker has at a time.
    pub gives_way_first: bool,
}

impl<S, A> Owner<S, A> {
    /// An owner that gives way as all others do.
    pub fn new(source: S, asker: A) -> Self {
        Self { source, asker, gives_way_first: false }
    }
}

/// The number of entries that one owner may have, although there is room. Beyond it, its own entries give
/// way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The limit for the source.
    pub of_source: usize,
    /// The limit for the asker.
    pub of_asker: usize,
}

impl Share {
    /// All the room there is.
    pub const ALL: Self = Self { of_source: usize::MAX, of_asker: usize::MAX };
}

/// Identifies an entry. No other entry of the table ever has the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    index: usize,
    number: u64,
}

/// The result of [`FairTable::insert`].
#[derive(Debug, PartialEq, Eq)]
pub struct Inserted<T> {
    /// The key of the new entry.
    pub key: Key,
    /// The entry that gave way to it, if any.
    pub gave_way: Option<(Key, T)>,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    number: u64,
    asker: usize,
}

#[derive(Debug)]
struct Asker<A> {
    name: A,
    source: usize,
    gives_way_first: bool,
    /// The oldest first.
    entries: List,
}

#[derive(Debug)]
struct Source<S> {
    name: S,
    /// Its askers that give way first, by the number of their entries.
    first: Ranking,
    /// Its other askers.
    others: Ranking,
}

impl<S: Copy + Eq + Hash, A: Copy + Eq + Hash, T> FairTable<S, A, T> {
    /// Creates a table for `capacity` entries: at least one, and 2³⁰ at most.
    pub fn new(capacity: usize) -> Self {
        // A newcomer is counted before an entry gives way to it.
        let capacity = capacity.clamp(1, 1 << 30);
        let all = capacity + 1;
        Self {
            capacity,
            entries: Slab::with_capacity(all),
            askers: Slab::with_capacity(all),
            sources: Slab::with_capacity(all),
            // They clean up in place only with that much room to spare.
            by_source: HashTable::with_capacity(2 * all),
            by_asker: HashTable::with_capacity(2 * all),
            hashes: RandomState::new(),
            ranking: Ranking::default(),
            // Each asker and each source is on one, and one is made before another is left.
            steps: Slab::with_capacity(2 * all + 1),
            inserted: 0,
        }
    }

    /// Inserts `value` as the newest entry of `owner`. If that is more than its `share`, or than the table
    /// can hold, another entry gives way.
    ///
    /// # Errors
    /// `value`, if that would have to give way itself: its owner [gives way first](Owner::gives_way_first),
    /// and its source has the most.
    pub fn insert(&mut self, owner: Owner<S, A>, share: Share, value: T) -> Result<Inserted<T>, T> {
        let source = self.source(owner.source);
        let asker = self.asker(source, &owner);
        self.inserted += 1;
        let entry = self.entries.insert(Linked::new(Entry { value, number: self.inserted, asker }));
        self.askers[asker].entries.push(&mut self.entries, entry);
        self.ranking_of(asker, |ranking, steps, askers| ranking.raise(steps, askers, asker));
        self.ranking.raise(&mut self.steps, &mut self.sources, source);

        let key = self.key(entry);
        let gives_way = if self.askers[asker].number(&self.steps) > share.of_asker {
            self.askers[asker].entries.first()
        } else if self.sources[source].number(&self.steps) > share.of_source {
            self.greediest_of(source)
        } else if self.entries.len() > self.capacity {
            self.ranking.highest(&self.steps).and_then(|source| self.greediest_of(source))
        } else {
            None
        };
        let gave_way = gives_way.map(|entry| self.key(entry));
        let gave_way = gave_way.and_then(|key| Some((key, self.remove(key)?)));
        match gave_way {
            Some((gone, value)) if gone == key => Err(value),
            gave_way => Ok(Inserted { key, gave_way }),
        }
    }

    /// Removes an entry. Returns `None` if it has gone already.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        let Entry { value, asker, .. } = self.unlink(key.index);
        self.ranking_of(asker, |ranking, steps, askers| ranking.lower(steps, askers, asker));
        let source = self.askers[asker].source;
        self.ranking.lower(&mut self.steps, &mut self.sources, source);
        if self.askers[asker].entries.is_empty() {
            let hash = self.hashes.hash_one((source, self.askers[asker].name));
            if let Ok(found) = self.by_asker.find_entry(hash, |&other| index(other) == asker) {
                found.remove();
            }
            self.askers.remove(asker);
        }
        if self.sources[source].number(&self.steps) == 0 {
            let hash = self.hashes.hash_one(self.sources[source].name);
            if let Ok(found) = self.by_source.find_entry(hash, |&other| index(other) == source) {
                found.remove();
            }
            self.sources.remove(source);
        }
        Some(value)
    }

    /// Makes an entry the newest one of its asker.
    pub fn renew(&mut self, key: Key) {
        if self.get(key).is_some() {
            let asker = self.entries[key.index].asker;
            let entries = &mut self.askers[asker].entries;
            entries.remove(&mut self.entries, key.index);
            entries.push(&mut self.entries, key.index);
        }
    }

    /// Returns an entry, or `None` if it has gone.
    pub fn get(&self, key: Key) -> Option<&T> {
        let entry = self.entries.get(key.index)?;
        (entry.number == key.number).then_some(&entry.value)
    }

    /// Returns an entry, or `None` if it has gone.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.index)?;
        (entry.number == key.number).then_some(&mut entry.value)
    }

    /// Returns the entries and their keys, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.entries.iter().map(|(index, entry)| (Key { index, number: entry.number }, &entry.value))
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns whether an entry has to give way to the next one.
    pub fn is_full(&self) -> bool {
        self.entries.len() >= self.capacity
    }

    /// Returns the number of entries of `source`.
    pub fn count(&self, source: &S) -> usize {
        self.find_source(source).map_or(0, |source| self.sources[source].number(&self.steps))
    }

    /// Returns the source with the most entries, and how many; of several, the one that has had as many
    /// longest.
    pub fn greediest(&self) -> Option<(&S, usize)> {
        let source = &self.sources[self.ranking.highest(&self.steps)?];
        Some((&source.name, source.number(&self.steps)))
    }

    /// Returns the entry of `source` that gives way first.
    pub fn first_of(&self, source: &S) -> Option<(Key, &T)> {
        let entry = self.greediest_of(self.find_source(source)?)?;
        Some((self.key(entry), &self.entries[entry].value))
    }

    fn find_source(&self, name: &S) -> Option<usize> {
        let hash = self.hashes.hash_one(name);
        self.by_source
            .find(hash, |&source| self.sources[index(source)].name == *name)
            .map(|&source| index(source))
    }

    fn source(&mut self, name: S) -> usize {
        if let Some(source) = self.find_source(&name) {
            return source;
        }
        let source = Source { name, first: Ranking::default(), others: Ranking::default() };
        let source = self.sources.insert(Linked::new(Ranked::new(source)));
        let Self { sources, hashes, .. } = self;
        let hash = |other: &u32| hashes.hash_one(sources[index(*other)].name);
        self.by_source.insert_unique(hashes.hash_one(name), short(source), hash);
        source
    }

    fn asker(&mut self, source: usize, owner: &Owner<S, A>) -> usize {
        let (name, gives_way_first) = (owner.asker, owner.gives_way_first);
        let hash = self.hashes.hash_one((source, name));
        let is_same = |&other: &u32| {
            let other = &self.askers[index(other)];
            other.source == source && other.name == name
        };
        if let Some(&asker) = self.by_asker.find(hash, is_same) {
            return index(asker);
        }
        let asker = Asker { name, source, gives_way_first, entries: List::default() };
        let asker = self.askers.insert(Linked::new(Ranked::new(asker)));
        let Self { askers, hashes, .. } = self;
        let hash_of = |other: &u32| {
            let other = &askers[index(*other)];
            hashes.hash_one((other.source, other.name))
        };
        self.by_asker.insert_unique(hash, short(asker), hash_of);
        asker
    }

    fn key(&self, entry: usize) -> Key {
        Key { index: entry, number: self.entries[entry].number }
    }

    /// Takes an entry out of the list of its asker.
    fn unlink(&mut self, entry: usize) -> Entry<T> {
        let asker = self.entries[entry].asker;
        self.askers[asker].entries.remove(&mut self.entries, entry);
        self.entries.remove(entry).item
    }

    /// Returns the entry of `source` that gives way first.
    fn greediest_of(&self, source: usize) -> Option<usize> {
        let Source { first, others, .. } = &**self.sources[source];
        let asker = first.highest(&self.steps).or_else(|| others.highest(&self.steps))?;
        self.askers[asker].entries.first()
    }

    /// Passes the ranking of `asker` within its source to `change`.
    fn ranking_of(
        &mut self,
        asker: usize,
        change: impl FnOnce(&mut Ranking, &mut Slab<Linked<Step>>, &mut Slab<Linked<Ranked<Asker<A>>>>),
    ) {
        let Asker { source, gives_way_first, .. } = **self.askers[asker];
        let Source { first, others, .. } = &mut **self.sources[source];
        let ranking = if gives_way_first { first } else { others };
        change(ranking, &mut self.steps, &mut self.askers);
    }
}

/// Returns a key of a slab as an index table has it. A table has no more than fit.
fn short(key: usize) -> u32 {
    u32::try_from(key).unwrap_or(u32::MAX)
}

fn index(key: u32) -> usize {
    key as usize
}
