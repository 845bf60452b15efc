//! Members in order of a number that each of them has, which changes by one at a time.

use std::ops::{Deref, DerefMut};

use slab::Slab;

use crate::list::{Linked, List, after, before};

/// A member of a ranking, and its place there.
#[derive(Debug)]
pub(crate) struct Ranked<T> {
    pub(crate) member: T,
    /// `None` if its number is 0: then it is in no ranking.
    step: Option<usize>,
}

impl<T> Ranked<T> {
    /// A member with the number 0.
    pub(crate) fn new(member: T) -> Self {
        Self { member, step: None }
    }

    /// Returns its number.
    pub(crate) fn number(&self, steps: &Slab<Linked<Step>>) -> usize {
        number(steps, self.step)
    }
}

impl<T> Deref for Ranked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.member
    }
}

impl<T> DerefMut for Ranked<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.member
    }
}

/// Members with the same number, the one that has had it longest first.
#[derive(Debug)]
pub(crate) struct Step {
    number: usize,
    members: List,
}

/// A ranking, the lowest number first. Several rankings share one slab of steps.
#[derive(Debug, Default)]
pub(crate) struct Ranking {
    steps: List,
}

impl Ranking {
    /// Returns the member with the highest number; of several, the one that has had it longest.
    pub(crate) fn highest(&self, steps: &Slab<Linked<Step>>) -> Option<usize> {
        steps[self.steps.last()?].members.first()
    }

    /// Raises the number of `member` by one.
    pub(crate) fn raise<T>(
        &mut self,
        steps: &mut Slab<Linked<Step>>,
        members: &mut Slab<Linked<Ranked<T>>>,
        member: usize,
    ) {
        let old = members[member].step;
        let next = old.map_or(self.steps.first(), |old| after(steps, old));
        let number = number(steps, old) + 1;
        let step = match next {
            Some(next) if steps[next].number == number => next,
            _ => self.add_step(steps, old, number),
        };
        self.change(steps, members, member, Some(step));
    }

    /// Lowers the number of `member`, which is not 0, by one.
    pub(crate) fn lower<T>(
        &mut self,
        steps: &mut Slab<Linked<Step>>,
        members: &mut Slab<Linked<Ranked<T>>>,
        member: usize,
    ) {
        let old = members[member].step;
        let previous = old.and_then(|old| before(steps, old));
        let step = match number(steps, old).saturating_sub(1) {
            0 => None,
            number => match previous {
                Some(previous) if steps[previous].number == number => Some(previous),
                _ => Some(self.add_step(steps, previous, number)),
            },
        };
        self.change(steps, members, member, step);
    }

    fn add_step(&mut self, steps: &mut Slab<Linked<Step>>, before: Option<usize>, number: usize) -> usize {
        let step = steps.insert(Linked::new(Step { number, members: List::default() }));
        self.steps.insert_after(steps, before, step);
        step
    }

    /// Moves `member` to `step`. The step that it leaves is removed if nobody else is on it.
    fn change<T>(
        &mut self,
        steps: &mut Slab<Linked<Step>>,
        members: &mut Slab<Linked<Ranked<T>>>,
        member: usize,
        step: Option<usize>,
    ) {
        if let Some(old) = members[member].step {
            steps[old].members.remove(members, member);
            if steps[old].members.is_empty() {
                self.steps.remove(steps, old);
                steps.remove(old);
            }
        }
        members[member].step = step;
        if let Some(step) = step {
            steps[step].members.push(members, member);
        }
    }
}

/// Returns the number of the members on `step`.
fn number(steps: &Slab<Linked<Step>>, step: Option<usize>) -> usize {
    step.map_or(0, |step| steps[step].number)
}
