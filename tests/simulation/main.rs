//! Simulated worlds: as many seeds as a test has time for. `simulate` runs more.

use std::io::{self, Write};
use std::thread;

use integration_tests::simulation::{Report, Statistics, run_seed, run_seeds};

/// Enough for every kind of world to come by several times.
const SEEDS: u64 = 500;

#[test]
fn no_law_is_broken_under_any_seed() {
    let threads = thread::available_parallelism().map_or(1, Into::into);
    let report = run_seeds(0..SEEDS, threads);
    print_summary(&report);
    assert!(report.failures.is_empty(), "{}", report.failures[0]);
    assert_eq!(report.statistics.seeds, SEEDS);
    // A world in which nobody finds anybody, or nothing goes wrong, proves nothing.
    assert!(report.statistics.lookups_won > report.statistics.lookups / 10);
    assert!(report.statistics.pairs_found > SEEDS);
    assert!(report.statistics.lines > SEEDS);
    assert!(report.statistics.faults.len() > 20);
    assert!(report.statistics.deaths.values().sum::<u64>() > 0);
}

/// Where the tests' own output is not caught: a run that proves nothing is to be seen, too.
fn print_summary(report: &Report) {
    let Statistics { seeds, events, lookups, lookups_won, lines, faults, .. } = &report.statistics;
    let (faults, failed) = (faults.values().sum::<u64>(), report.failures.len());
    writeln!(
        io::stdout(),
        "simulation: {seeds} seeds, {events} events, {faults} faults, {lookups_won} of {lookups} lookups won, \
         {lines} lines said and heard, {failed} laws broken"
    )
    .expect("stdout");
}

#[test]
fn the_same_seed_has_the_same_trace() {
    for seed in 0..20 {
        let (one, other) = (run_seed(seed, true), run_seed(seed, true));
        let different = one.trace.iter().zip(&other.trace).find(|(one, other)| one != other);
        assert_eq!(different, None, "seed {seed}");
        assert_eq!(one.trace_hash, other.trace_hash, "seed {seed}");
        assert_eq!(one.statistics, other.statistics, "seed {seed}");
    }
}

#[test]
fn different_seeds_have_different_worlds() {
    assert_ne!(run_seed(1, false).trace_hash, run_seed(2, false).trace_hash);
}
