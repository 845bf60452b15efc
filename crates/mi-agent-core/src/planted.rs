//! Bugs that are put in on purpose: the test `planted` shows that each of them is found.

use std::cell::Cell;

/// From now on, this crate has the bug of this name on this thread, and no other; `""` is none.
pub fn plant(bug: &'static str) {
    BUG.set(bug);
}

pub(crate) fn has(bug: &str) -> bool {
    BUG.get() == bug
}

thread_local! {
    static BUG: Cell<&'static str> = const { Cell::new("") };
}
