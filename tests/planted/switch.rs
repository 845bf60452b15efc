//! The switch of the bugs that `bugs.toml` puts into a copy of this crate.

// The crate may be one without std.
extern crate std;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

/// Turns on the bug of this name in this crate and turns off every other one; `""` turns all of them off.
///
/// The bug is there on the current thread, or else on every thread of the process.
pub fn plant(bug: &'static str, on_any_thread: bool) {
    HERE.set(if on_any_thread { "" } else { bug });
    if on_any_thread || IS_ANYWHERE.load(Ordering::SeqCst) {
        *ANYWHERE.write().unwrap_or_else(PoisonError::into_inner) = if on_any_thread { bug } else { "" };
        IS_ANYWHERE.store(on_any_thread && !bug.is_empty(), Ordering::SeqCst);
    }
}

pub(crate) fn has(bug: &str) -> bool {
    HERE.get() == bug
        || IS_ANYWHERE.load(Ordering::Relaxed)
            && *ANYWHERE.read().unwrap_or_else(PoisonError::into_inner) == bug
}

std::thread_local! {
    static HERE: Cell<&'static str> = const { Cell::new("") };
}

static ANYWHERE: RwLock<&str> = RwLock::new("");

/// Spares nearly every call the lock.
static IS_ANYWHERE: AtomicBool = AtomicBool::new(false);
