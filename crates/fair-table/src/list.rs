//! Doubly linked lists of what a slab holds.

use slab::Slab;

/// The neighbours of an item in its list.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Links {
    before: Option<usize>,
    after: Option<usize>,
}

/// An item that can be in one list at a time.
pub(crate) trait Linked {
    fn links(&self) -> &Links;
    fn links_mut(&mut self) -> &mut Links;
}

/// A list of some items of a slab, by their keys.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct List {
    first: Option<usize>,
    last: Option<usize>,
}

impl List {
    pub(crate) fn first(&self) -> Option<usize> {
        self.first
    }

    pub(crate) fn last(&self) -> Option<usize> {
        self.last
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn push<T: Linked>(&mut self, all: &mut Slab<T>, item: usize) {
        self.insert_after(all, self.last, item);
    }

    /// Inserts `item` after `before`, or as the first one.
    pub(crate) fn insert_after<T: Linked>(&mut self, all: &mut Slab<T>, before: Option<usize>, item: usize) {
        let after = before.map_or(self.first, |before| after(all, before));
        *all[item].links_mut() = Links { before, after };
        self.join(all, before, Some(item));
        self.join(all, Some(item), after);
    }

    pub(crate) fn remove<T: Linked>(&mut self, all: &mut Slab<T>, item: usize) {
        let Links { before, after } = *all[item].links();
        self.join(all, before, after);
    }

    /// Makes two items neighbours; `None` is the end of the list.
    fn join<T: Linked>(&mut self, all: &mut Slab<T>, before: Option<usize>, after: Option<usize>) {
        match before {
            Some(before) => all[before].links_mut().after = after,
            None => self.first = after,
        }
        match after {
            Some(after) => all[after].links_mut().before = before,
            None => self.last = before,
        }
    }
}

pub(crate) fn before<T: Linked>(all: &Slab<T>, item: usize) -> Option<usize> {
    all[item].links().before
}

pub(crate) fn after<T: Linked>(all: &Slab<T>, item: usize) -> Option<usize> {
    all[item].links().after
}
