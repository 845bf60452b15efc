//! Entries found by the name of a user.

use std::array;
use std::hash::BuildHasher;
use std::hint;
use std::mem;
use std::vec;

use hashbrown::{DefaultHashBuilder, HashTable, hash_table};
use plumi_proto::UserName;

/// A set of entries, each with a name of its own, made for a million of them of which any may be asked for
/// next.
///
/// A look-up waits mostly for memory, so it reads few places: a table of numbers, most of which fits the
/// processor's caches, and the entry. There are many such tables, because one that grows is gone through
/// whole: for one of a million names that would be a tenth of a second, in which nothing else is done.
///
/// ```text
///   hash of the name ─▶ one of the tables ─▶ number of the entry ─▶ the entry
///                                            a 32-bit number        in chunks, which never move
/// ```
#[derive(Clone, Debug)]
pub(super) struct NameTable<T> {
    numbers: Box<[HashTable<u32>; TABLES]>,
    chunks: Vec<Vec<T>>,
    hashes: DefaultHashBuilder,
}

/// An entry that can be found by its name.
pub(super) trait Named {
    /// Its name, which never changes.
    fn name(&self) -> &UserName;
}

impl<T: Named> NameTable<T> {
    /// An empty one, with room for so many names.
    pub(super) fn with_capacity(names: usize) -> Self {
        let names = names.min(MAX_NAMES);
        Self {
            numbers: Box::new(array::from_fn(|_| HashTable::with_capacity(names / TABLES))),
            chunks: Vec::with_capacity(names.div_ceil(CHUNK)),
            hashes: DefaultHashBuilder::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        // All chunks but the last are full.
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    pub(super) fn contains(&self, name: &UserName) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn get(&self, name: &UserName) -> Option<&T> {
        self.number(name).map(|number| entry(&self.chunks, number))
    }

    pub(super) fn get_mut(&mut self, name: &UserName) -> Option<&mut T> {
        let (chunk, place) = place(self.number(name)?);
        Some(&mut self.chunks[chunk][place])
    }

    /// Adds an entry. Returns `false` if there is no room, or there is one of its name.
    pub(super) fn insert(&mut self, new: T) -> bool {
        let count = self.len();
        let Self { numbers, chunks, hashes } = self;
        let Some(number) = u32::try_from(count).ok().filter(|_| count < MAX_NAMES) else { return false };
        let hash = hashes.hash_one(new.name());
        let vacant = numbers[table(hash)].entry(
            hash,
            |&number| entry(chunks, number).name() == new.name(),
            |&number| hashes.hash_one(entry(chunks, number).name()),
        );
        let hash_table::Entry::Vacant(vacant) = vacant else { return false };
        vacant.insert(number);
        if place(number).0 == chunks.len() {
            chunks.push(Vec::with_capacity(CHUNK));
        }
        chunks[place(number).0].push(new);
        true
    }

    /// Takes the entry of that name out, if there is one.
    pub(super) fn remove(&mut self, name: &UserName) -> Option<T> {
        let number = self.number(name)?;
        let Self { numbers, chunks, hashes } = self;
        let hash = hashes.hash_one(name);
        numbers[table(hash)].find_entry(hash, |&other| other == number).ok()?.remove();
        let last = chunks.last_mut()?.pop()?;
        if chunks.last().is_some_and(Vec::is_empty) {
            chunks.pop();
        }
        let last_number = u32::try_from(self.len()).ok()?;
        if last_number == number {
            return Some(last);
        }
        // It takes the place of the one that goes.
        let Self { numbers, chunks, hashes } = self;
        let hash = hashes.hash_one(last.name());
        *numbers[table(hash)].find_mut(hash, |&number| number == last_number)? = number;
        let (chunk, place) = place(number);
        Some(mem::replace(&mut chunks[chunk][place], last))
    }

    /// Has the memory fetch the entries of these names, so that they need not be waited for one after the
    /// other when they are asked for. Names beyond the first [`FETCHED`] are left out. `look` has to look at
    /// an entry.
    pub(super) fn fetch<'n>(&self, names: impl Iterator<Item = &'n [u8]>, look: impl Fn(&T) -> bool) {
        // Step by step for all of them: while the processor waits for one it goes on to the next.
        let (mut hashes, mut numbers) = ([0; FETCHED], [None; FETCHED]);
        for (hash, name) in hashes.iter_mut().zip(names) {
            *hash = self.hashes.hash_one(name);
        }
        for (number, hash) in numbers.iter_mut().zip(hashes).filter(|(_, hash)| *hash != 0) {
            // The first that may be it; nearly always it is.
            *number = self.numbers[table(hash)].find(hash, |_| true).copied();
        }
        let looks = numbers.iter().flatten().filter(|&&number| look(entry(&self.chunks, number)));
        hint::black_box(looks.count());
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    /// All of them from the one number `first` on, in an order that stays as long as no name comes or goes.
    pub(super) fn iter_from(&self, first: usize) -> impl Iterator<Item = &T> {
        let chunks = self.chunks.get(first / CHUNK..).unwrap_or_default();
        chunks.iter().flatten().skip(first % CHUNK)
    }

    /// Takes the table apart into pieces of at most [`CHUNK`] entries. Nothing is freed at once but numbers.
    pub(super) fn into_chunks(self) -> vec::IntoIter<Vec<T>> {
        self.chunks.into_iter()
    }

    fn number(&self, name: &UserName) -> Option<u32> {
        let is_it = |&number: &u32| entry(&self.chunks, number).name() == name;
        let hash = self.hashes.hash_one(name);
        self.numbers[table(hash)].find(hash, is_it).copied()
    }
}

/// The table of numbers for this hash. hashbrown uses its lowest and its highest bits.
fn table(hash: u64) -> usize {
    (hash >> 40) as usize % TABLES
}

fn entry<T>(chunks: &[Vec<T>], number: u32) -> &T {
    let (chunk, place) = place(number);
    &chunks[chunk][place]
}

/// The chunk of an entry, and its place there.
fn place(number: u32) -> (usize, usize) {
    let number = number as usize;
    (number / CHUNK, number % CHUNK)
}

/// Names whose entries are fetched together.
pub(super) const FETCHED: usize = 32;

/// Entries that are allocated at once: what is not used of a chunk is little, and a table that grows moves
/// nothing but numbers.
pub(super) const CHUNK: usize = 1024;

/// Tables of numbers. With a million names, one that grows is gone through in about a millisecond.
const TABLES: usize = 128;

/// The most names of a table: numbers tell no more apart, and no memory holds as many.
const MAX_NAMES: usize = u32::MAX as usize;

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Numbered(UserName, u32);

    impl Named for Numbered {
        fn name(&self) -> &UserName {
            &self.0
        }
    }

    proptest! {
        /// Few names, so that they are there and removed again; and those of whole chunks before them.
        #[test]
        fn it_is_a_map(
            others in 0..2 * CHUNK + 5,
            steps in prop::collection::vec((any::<bool>(), 0..60_usize), 0..300),
        ) {
            let mut table = NameTable::with_capacity(3);
            let mut map = HashMap::new();
            for other in 0..others {
                let entry = Numbered(name(&format!("other{other}")), u32::MAX);
                prop_assert!(table.insert(entry.clone()));
                map.insert(entry.0, entry);
            }
            for (step, (is_added, number)) in (0..).zip(steps) {
                // Both ends of a chunk are among them.
                let name = match number {
                    0..30 => name(&number.to_string()),
                    number => name(&format!("other{}", (number - 30) * CHUNK / 15 + number % 2)),
                };
                if is_added {
                    let entry = Numbered(name, step);
                    prop_assert_eq!(table.insert(entry.clone()), !map.contains_key(&name));
                    map.entry(name).or_insert(entry);
                } else {
                    prop_assert_eq!(table.remove(&name), map.remove(&name));
                }
                prop_assert_eq!(table.get(&name), map.get(&name));
                prop_assert_eq!(table.get_mut(&name), map.get_mut(&name));
                prop_assert_eq!(table.len(), map.len());
            }
            let kept: HashMap<_, _> = table.iter().map(|entry| (entry.0, entry.clone())).collect();
            prop_assert_eq!(table.iter().count(), table.len());
            prop_assert_eq!(&kept, &map);
            prop_assert!(map.iter().all(|(name, entry)| table.get(name) == Some(entry)));
            for first in [0, 1, CHUNK - 1, CHUNK, table.len() / 2, table.len(), table.len() + 1] {
                prop_assert!(table.iter_from(first).eq(table.iter().skip(first)));
            }
            prop_assert!(table.clone().into_chunks().flatten().eq(table.iter().cloned()));
        }
    }

    /// The processor would otherwise fetch what nobody asks for.
    #[test]
    fn what_is_fetched_is_what_will_be_asked_for() {
        let mut table = NameTable::with_capacity(0);
        let names: Vec<_> = (0..5_000).map(|number| name(&format!("user{number}"))).collect();
        table.fetch([&b"user0"[..]].into_iter(), |_: &Numbered| panic!("there is nothing to look at"));
        names.iter().for_each(|name| assert!(table.insert(Numbered(*name, 1))));
        let mut found = 0;
        for name in &names {
            let seen = Cell::new(None);
            table
                .fetch([name.as_str().as_bytes()].into_iter(), |entry| seen.replace(Some(entry.0)).is_none());
            found += usize::from(seen.get() == Some(*name));
        }
        assert!(found > names.len() * 9 / 10, "{found} of {}", names.len());
        let seen = Cell::new(0);
        let all = names.iter().map(|name| name.as_str().as_bytes());
        table.fetch(all, |_| {
            seen.set(seen.get() + 1);
            true
        });
        assert_eq!(seen.get(), FETCHED);
    }

    fn name(name: &str) -> UserName {
        name.parse().expect("a name")
    }
}
