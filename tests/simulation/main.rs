//! Simulated worlds, as many as a test has time for. The program `simulate` runs more.

use std::io::{self, Write};
use std::panic;
use std::process::Command;
use std::thread;
use std::time::Duration;

use integration_tests::fuzz_targets::outbox_of_seed;
use integration_tests::simulation::{Law, Report, Statistics, run_seed, run_seed_within, run_seeds};

/// Enough for every kind of world to occur several times.
const SEEDS: u64 = 500;

/// Enough for every kind of loss to have its chance. The program `simulate --outbox` runs more.
const OUTBOX_SEEDS: u64 = 300;

#[test]
fn no_law_is_broken_under_any_seed() {
    let threads = thread::available_parallelism().map_or(1, Into::into);
    let report = run_seeds(0..SEEDS, threads);
    print_summary(&report);
    assert!(report.failures.is_empty(), "{}", report.failures[0]);
    assert_eq!(report.statistics.seeds, SEEDS);
    // Worlds in which no lookup succeeds, or nothing goes wrong, prove nothing.
    assert!(report.statistics.lookups_won > report.statistics.lookups / 10);
    assert!(report.statistics.pairs_found > SEEDS);
    assert!(report.statistics.lines > SEEDS);
    assert!(report.statistics.faults.len() > 20);
    let calls = &report.statistics.calls;
    // Each kind, the rarest of which is a relayed call that is refused.
    assert!(calls.len() >= 8 && calls.values().sum::<u64>() > SEEDS, "{calls:?}");
    assert!(report.statistics.deaths.values().sum::<u64>() > 0);
    // Users with a key are bound, asked and answered, and proofs of others come to nothing.
    for part in [
        "RL to a user with a key",
        "binding by a proof",
        "challenge",
        "proof accepted",
        "proof answered again",
        "proof refused",
    ] {
        let looked_at = report.statistics.proofs.get(part).copied().unwrap_or_default();
        assert!(looked_at > SEEDS / 4, "{part}: {looked_at}");
    }
    // Bindings are saved by stores that work and by stores that do not, and restored.
    for (part, least) in [
        ("answer that waits", SEEDS),
        ("answer that was not promised", SEEDS / 8),
        ("PL dropped for a user who is being saved", SEEDS),
        ("message behind an answer", SEEDS / 40),
        ("commit that failed", SEEDS / 8),
        ("binding restored", SEEDS / 8),
    ] {
        let looked_at = report.statistics.bindings.get(part).copied().unwrap_or_default();
        assert!(looked_at > least, "{part}: {looked_at}");
    }
}

/// Prints to the real stdout, which the test harness does not capture, so that a run that proves little is
/// seen.
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
fn no_message_of_an_outbox_is_lost_under_any_seed() {
    for seed in 0..OUTBOX_SEEDS {
        let kept = panic::catch_unwind(|| outbox_of_seed(seed));
        assert!(kept.is_ok(), "the outbox of seed {seed}, see above");
    }
}

#[test]
fn different_seeds_have_different_worlds() {
    assert_ne!(run_seed(1, false).trace_hash, run_seed(2, false).trace_hash);
}

/// Each of these seeds once broke a law or did not end.
#[test]
fn seeds_that_failed_once_pass() {
    for (seed, why) in [
        (515160161, "an emulated node sent an RL to itself, and the network made more and more copies"),
        (515166584, "an agent crashed and asked again from another port while DNS was looking"),
        (515167012, "the same"),
        (515194039, "the same"),
        (21186, "an answer that had waited for a store seemed to be honest, and an attacker had written it"),
    ] {
        let failure = run_seed_within(LONG, seed, false).failure;
        assert!(failure.is_none(), "{why}: {}", failure.expect("there is one"));
    }
}

#[test]
fn a_seed_that_takes_too_long_fails_with_its_number() {
    let failure = run_seed_within(Duration::ZERO, 4_711, false).failure.expect("every world takes a while");
    assert_eq!((failure.seed, failure.law), (4_711, Law::SeedTimeout));
    for seeds in [&["--seed", "4711"][..], &["--from", "4711", "--seeds", "1000", "--threads", "1"]] {
        let mut simulate = Command::new(env!("CARGO_BIN_EXE_simulate"));
        let output = simulate.args(seeds).args(["--seed-timeout", "0"]).output().expect("it starts");
        let said = String::from_utf8(output.stdout).expect("text");
        assert!(said.contains("\nseed 4711, after 0.0"), "{said}");
        assert_eq!(output.status.code(), Some(1));
    }
}

/// Many times what a seed needs on a slow machine.
const LONG: Duration = Duration::from_secs(120);
