//! The promises of a table, compared with a slow one that states the rule directly, and its allocations.

use std::collections::HashMap;

use fair_table::{FairTable, Inserted, Key, Owner, Share};
use proptest::prelude::*;

/// The rule, in so many words.
#[derive(Debug, Default)]
struct Slow {
    entries: Vec<(u8, u8, bool, Key, u32)>,
    /// The time since which a source, or an asker of a source, has had its number.
    since: HashMap<(u8, Option<u8>), u64>,
    time: u64,
}

impl Slow {
    fn count(&self, source: u8, asker: Option<u8>) -> usize {
        let is_of = |entry: &&(u8, u8, bool, Key, u32)| {
            entry.0 == source && asker.is_none_or(|asker| entry.1 == asker)
        };
        self.entries.iter().filter(is_of).count()
    }

    fn touch(&mut self, source: u8, asker: u8) {
        self.time += 1;
        self.since.insert((source, None), self.time);
        self.since.insert((source, Some(asker)), self.time);
    }

    fn add(&mut self, owner: Owner<u8, u8>, key: Key, value: u32) {
        self.entries.push((owner.source, owner.asker, owner.gives_way_first, key, value));
        self.touch(owner.source, owner.asker);
    }

    fn remove(&mut self, key: Key) -> Option<u32> {
        let at = self.entries.iter().position(|entry| entry.3 == key)?;
        let (source, asker, _, _, value) = self.entries.remove(at);
        self.touch(source, asker);
        Some(value)
    }

    fn greediest(&self) -> Option<u8> {
        let sources = self.entries.iter().map(|entry| entry.0);
        sources.max_by_key(|&source| (self.count(source, None), u64::MAX - self.since[&(source, None)]))
    }

    fn first_of(&self, source: u8) -> Option<Key> {
        let all = self.entries.iter().filter(|entry| entry.0 == source);
        let asker = all.max_by_key(|&&(_, asker, first, ..)| {
            (first, self.count(source, Some(asker)), u64::MAX - self.since[&(source, Some(asker))])
        })?;
        let mut oldest = self.entries.iter().filter(|entry| (entry.0, entry.1) == (source, asker.1));
        oldest.next().map(|entry| entry.3)
    }

    fn gives_way(&self, owner: Owner<u8, u8>, share: Share, capacity: usize) -> Option<Key> {
        if self.count(owner.source, Some(owner.asker)) > share.of_asker {
            let mut own = self.entries.iter().filter(|e| (e.0, e.1) == (owner.source, owner.asker));
            own.next().map(|entry| entry.3)
        } else if self.count(owner.source, None) > share.of_source {
            self.first_of(owner.source)
        } else if self.entries.len() > capacity {
            self.first_of(self.greediest()?)
        } else {
            None
        }
    }
}

#[derive(Clone, Debug)]
enum Action {
    Insert(Owner<u8, u8>),
    Remove(prop::sample::Index),
    Renew(prop::sample::Index),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    // An asker that could be anybody has an odd number.
    let owner =
        (0..4u8, 0..6u8).prop_map(|(source, asker)| Owner { source, asker, gives_way_first: asker % 2 == 1 });
    let action = prop_oneof![
        8 => owner.prop_map(Action::Insert),
        2 => any::<prop::sample::Index>().prop_map(Action::Remove),
        1 => any::<prop::sample::Index>().prop_map(Action::Renew),
    ];
    prop::collection::vec(action, 1..200)
}

proptest! {
    /// Every entry that is in it, and everyone that gives way, is as the rule says.
    #[test]
    fn the_greediest_gives_way(
        actions in actions(),
        capacity in 1..12usize,
        of_source in 1..12usize,
        of_asker in 1..6usize,
    ) {
        let share = Share { of_source, of_asker };
        let mut table = FairTable::new(capacity);
        let mut slow = Slow::default();
        for (value, action) in (0..).zip(actions) {
            let chosen = |index: prop::sample::Index| {
                (!slow.entries.is_empty()).then(|| slow.entries[index.index(slow.entries.len())].3)
            };
            match action {
                Action::Insert(owner) => match table.insert(owner, share, value) {
                    Ok(Inserted { key, gave_way }) => {
                        slow.add(owner, key, value);
                        let gone = slow.gives_way(owner, share, capacity);
                        prop_assert_eq!(gave_way.as_ref().map(|(key, _)| *key), gone);
                        let removed = gone.and_then(|key| slow.remove(key));
                        prop_assert_eq!(gave_way.map(|(_, value)| value), removed);
                    }
                    Err(refused) => {
                        prop_assert_eq!(refused, value);
                        prop_assert!(owner.gives_way_first);
                        slow.touch(owner.source, owner.asker);
                    }
                },
                Action::Remove(index) => {
                    let Some(key) = chosen(index) else { continue };
                    prop_assert_eq!(table.remove(key), slow.remove(key));
                    prop_assert_eq!(table.remove(key), None);
                }
                Action::Renew(index) => {
                    let Some(key) = chosen(index) else { continue };
                    table.renew(key);
                    let at = slow.entries.iter().position(|entry| entry.3 == key).unwrap();
                    let entry = slow.entries.remove(at);
                    slow.entries.push(entry);
                }
            }
            prop_assert_eq!(table.len(), slow.entries.len());
            prop_assert!(table.len() <= capacity);
            for (source, asker, _, key, value) in &slow.entries {
                prop_assert_eq!(table.get(*key), Some(value));
                prop_assert!(slow.count(*source, None) <= of_source);
                prop_assert!(slow.count(*source, Some(*asker)) <= of_asker);
            }
            for source in 0..4 {
                prop_assert_eq!(table.count(&source), slow.count(source, None));
                prop_assert_eq!(table.first_of(&source).map(|(key, _)| key), slow.first_of(source));
            }
            let greediest = slow.greediest().map(|source| (source, slow.count(source, None)));
            prop_assert_eq!(table.greediest().map(|(source, count)| (*source, count)), greediest);
        }
    }
}

/// A table with room for all that have fewer entries than their share.
#[test]
fn a_flood_displaces_itself() {
    let mut table = FairTable::new(64);
    let honest = table.insert(Owner::new(0, 0), Share::ALL, "honest").unwrap().key;
    for flooder in 1..=1000 {
        table.insert(Owner::new(1 + flooder % 63, flooder), Share::ALL, "flood").unwrap();
    }
    assert_eq!(table.get(honest), Some(&"honest"));
    assert!(table.is_full());
    // With as many sources as there are entries, the oldest entry is the one that gives way.
    let gone = table.insert(Owner::new(64, 0), Share::ALL, "one more").unwrap().gave_way;
    assert_eq!(gone, Some((honest, "honest")));
}

/// An unknown asker displaces other unknown ones, but none that is known.
#[test]
fn who_gives_way_first_displaces_nobody_of_its_source() {
    let mut table = FairTable::new(2);
    let known = |asker| Owner::new("school", asker);
    let unknown = |asker| Owner { gives_way_first: true, ..Owner::new("school", asker) };
    table.insert(known(1), Share::ALL, 1).unwrap();
    table.insert(known(1), Share::ALL, 2).unwrap();
    assert_eq!(table.insert(unknown(9), Share::ALL, 3), Err(3));
    assert_eq!(table.insert(known(2), Share::ALL, 4).unwrap().gave_way.map(|(_, value)| value), Some(1));
    assert!(table.insert(Owner::new("elsewhere", 9), Share::ALL, 5).is_ok());
    assert_eq!((table.count(&"school"), table.count(&"elsewhere"), table.len()), (1, 1, 2));
}

#[test]
fn nothing_is_allocated_after_the_start() {
    let mut table = FairTable::new(1_000);
    let counted = allocation_counter::measure(|| {
        for n in 0..100_000u32 {
            // Sources with one entry, and some with many, come and go.
            let owner = Owner::new(if n % 3 == 0 { n % 7 } else { n }, n % 11);
            let key = table.insert(owner, Share { of_source: 300, of_asker: 50 }, n).unwrap().key;
            if n % 5 == 0 {
                table.remove(key);
            }
        }
    });
    assert_eq!(counted.count_total, 0);
    assert_eq!(table.len(), 1_000);
}
