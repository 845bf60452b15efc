//! Members in order of a number that each of them has, which changes by one at a time.

use slab::Slab;

use crate::list::{Linked, Links, List, after, before};

/// What a member's place in a ranking is.
pub(crate) trait Ranked: Linked {
    /// Its step, or `None` if its number is 0: then it is in no ranking.
    fn step(&self) -> Option<usize>;
    fn set_step(&mut self, step: Option<usize>);
}

/// Members with the same number, the one that has had it longest first.
#[derive(Debug)]
pub(crate) struct Step {
    number: usize,
    members: List,
    links: Links,
}

impl Linked for Step {
    fn links(&self) -> &Links {
        &self.links
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }
}

/// A ranking, the lowest number first. Several rankings share one slab of steps.
#[derive(Debug, Default)]
pub(crate) struct Ranking {
    steps: List,
}

impl Ranking {
    /// Returns the member with the highest number; of several, the one that has had it longest.
    pub(crate) fn highest(&self, steps: &Slab<Step>) -> Option<usize> {
        steps[self.steps.last()?].members.first()
    }

    /// Raises the number of `member` by one.
    pub(crate) fn raise<M: Ranked>(&mut self, steps: &mut Slab<Step>, members: &mut Slab<M>, member: usize) {
        let old = members[member].step();
        let next = old.map_or(self.steps.first(), |old| after(steps, old));
        let number = number(steps, old) + 1;
        let step = match next {
            Some(next) if steps[next].number == number => next,
            _ => self.add_step(steps, old, number),
        };
        self.change(steps, members, member, Some(step));
    }

    /// Lowers the number of `member`, which is not 0, by one.
    pub(crate) fn lower<M: Ranked>(&mut self, steps: &mut Slab<Step>, members: &mut Slab<M>, member: usize) {
        let old = members[member].step();
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

    fn add_step(&mut self, steps: &mut Slab<Step>, before: Option<usize>, number: usize) -> usize {
        let step = steps.insert(Step { number, members: List::default(), links: Links::default() });
        self.steps.insert_after(steps, before, step);
        step
    }

    /// Moves `member` to `step`. The step that it leaves is removed if nobody else is on it.
    fn change<M: Ranked>(
        &mut self,
        steps: &mut Slab<Step>,
        members: &mut Slab<M>,
        member: usize,
        step: Option<usize>,
    ) {
        if let Some(old) = members[member].step() {
            steps[old].members.remove(members, member);
            if steps[old].members.is_empty() {
                self.steps.remove(steps, old);
                steps.remove(old);
            }
        }
        members[member].set_step(step);
        if let Some(step) = step {
            steps[step].members.push(members, member);
        }
    }
}

/// Returns the number of the members on `step`.
pub(crate) fn number(steps: &Slab<Step>, step: Option<usize>) -> usize {
    step.map_or(0, |step| steps[step].number)
}
