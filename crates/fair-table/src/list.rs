//! Doubly linked lists of what a slab holds.

use std::ops::{Deref, DerefMut};

use slab::Slab;

/// An item that can be in one list at a time, and its neighbours there.
#[derive(Debug)]
pub(crate) struct Linked<T> {
    pub(crate) item: T,
    before: Option<usize>,
    after: Option<usize>,
}

impl<T> Linked<T> {
    /// An item that is in no list.
    pub(crate) fn new(item: T) -> Self {
        Self { item, before: None, after: None }
    }
}

impl<T> Deref for Linked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T> DerefMut for Linked<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.item
    }
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

    pub(crate) fn push<T>(&mut self, all: &mut Slab<Linked<T>>, item: usize) {
        self.insert_after(all, self.last, item);
    }

    /// Inserts `item` after `before`, or as the first one.
    pub(crate) fn insert_after<T>(&mut self, all: &mut Slab<Linked<T>>, before: Option<usize>, item: usize) {
        let after = before.map_or(self.first, |before| after(all, before));
        (all[item].before, all[item].after) = (before, after);
        self.join(all, before, Some(item));
        self.join(all, Some(item), after);
    }

    pub(crate) fn remove<T>(&mut self, all: &mut Slab<Linked<T>>, item: usize) {
        let Linked { before, after, .. } = all[item];
        self.join(all, before, after);
    }

    /// Makes two items neighbours; `None` is the end of the list.
    fn join<T>(&mut self, all: &mut Slab<Linked<T>>, before: Option<usize>, after: Option<usize>) {
        match before {
            Some(before) => all[before].after = after,
            None => self.first = after,
        }
        match after {
            Some(after) => all[after].before = before,
            None => self.last = before,
        }
    }
}

pub(crate) fn before<T>(all: &Slab<Linked<T>>, item: usize) -> Option<usize> {
    all[item].before
}

pub(crate) fn after<T>(all: &Slab<Linked<T>>, item: usize) -> Option<usize> {
    all[item].after
}
