//! Runs one seed, or many at a time.

use std::any::Any;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::laws::Law;
use super::report::{Failure, Outcome, Statistics};
use super::trace::Trace;
use super::world::World;

/// The result of many seeds.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The sum over all seeds. No seed is started once one has failed.
    pub statistics: Statistics,
    /// The failures, lowest seed first, at most one per thread.
    pub failures: Vec<Failure>,
}

/// Runs the world of `seed` to its end or until a law is broken. Keeps the trace if `is_traced`.
pub fn run_seed(seed: u64, is_traced: bool) -> Outcome {
    run_seed_within(Duration::MAX, seed, is_traced)
}

/// Like [`run_seed`], but a world that takes longer than `limit` breaks [`Law::SeedTimeout`].
pub fn run_seed_within(limit: Duration, seed: u64, is_traced: bool) -> Outcome {
    let mut world = World::new(seed, is_traced);
    let ended = panic::catch_unwind(AssertUnwindSafe(|| world.run(limit)));
    let broken = match ended {
        Ok(Ok(())) => None,
        Ok(Err(violation)) => Some((violation.law, violation.what)),
        Err(panic) => Some((Law::NoPanic, words(&*panic))),
    };
    let failure = broken.map(|(law, what)| Failure { seed, at: world.now, law, what });
    let trace = std::mem::replace(&mut world.trace, Trace::new(false));
    let (trace_hash, trace) = trace.finish();
    Outcome { seed, statistics: world.statistics.clone(), failure, trace_hash, trace }
}

/// Runs the worlds of `seeds` on `threads` threads. No world is started once one has failed.
pub fn run_seeds(seeds: Range<u64>, threads: usize) -> Report {
    run_seeds_within(Duration::MAX, seeds, threads)
}

/// Like [`run_seeds`], but a world that takes longer than `limit` breaks [`Law::SeedTimeout`].
pub fn run_seeds_within(limit: Duration, seeds: Range<u64>, threads: usize) -> Report {
    let next = AtomicU64::new(seeds.start);
    let report = Mutex::new(Report::default());
    let lock = || report.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut statistics = Statistics::default();
                while lock().failures.is_empty() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !seeds.contains(&seed) {
                        break;
                    }
                    let outcome = run_seed_within(limit, seed, false);
                    statistics.add(&outcome.statistics);
                    lock().failures.extend(outcome.failure);
                }
                lock().statistics.add(&statistics);
            });
        }
    });
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.failures.sort_by_key(|failure| failure.seed);
    report
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}
