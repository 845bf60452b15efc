//! Runs simulated worlds, one seed or many, and prints the results.

use std::io::{self, Write};
use std::panic;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use clap::Parser;
use integration_tests::fuzz_targets::outbox_of_seed;
use integration_tests::simulation::{Report, run_seed_within, run_seeds_within};

/// Simulate nodes, agents and strangers on a network that fails, and check the laws that must hold.
#[derive(Debug, Parser)]
struct Options {
    /// How many seeds to run
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0, value_name = "N")]
    from: u64,
    /// Run this seed alone
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Print everything that happened under it
    #[arg(long, requires = "seed")]
    trace: bool,
    /// How many seeds to run at a time; as many as there are processors unless told
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Simulate outboxes, whose programs and peers fail, instead of a network
    #[arg(long, conflicts_with_all = ["trace", "seed_timeout"])]
    outbox: bool,
    /// How long one seed may take; a seed that takes longer is reported as a failure
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    seed_timeout: u64,
}

fn main() -> io::Result<ExitCode> {
    let options = Options::parse();
    if options.outbox {
        return outboxes(&options);
    }
    let mut out = io::stdout().lock();
    let limit = Duration::from_secs(options.seed_timeout);
    let report = match options.seed {
        Some(seed) => {
            let outcome = run_seed_within(limit, seed, options.trace);
            for line in outcome.trace {
                writeln!(out, "{line}")?;
            }
            Report { statistics: outcome.statistics, failures: outcome.failure.into_iter().collect() }
        }
        None => {
            let threads =
                options.threads.or(thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
            let started = tokio::time::Instant::now();
            let seeds = options.from..options.from.saturating_add(options.seeds);
            let report = run_seeds_within(limit, seeds, threads);
            let seconds = started.elapsed().as_secs_f64().max(f64::EPSILON);
            let events = u32::try_from(report.statistics.events).map_or(f64::INFINITY, f64::from);
            writeln!(out, "{seconds:.1} s, {:.0} events/s on {threads} threads", events / seconds)?;
            report
        }
    };
    write!(out, "{}", report.statistics)?;
    for failure in &report.failures {
        writeln!(out, "\n{failure}")?;
    }
    // A run proves nothing if no lookup succeeds in any world.
    let proves_something = report.statistics.lookups_won > 0;
    if report.failures.is_empty() && !proves_something {
        writeln!(out, "no lookup was won")?;
    }
    Ok(if report.failures.is_empty() && proves_something { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs outboxes until one fails, which says why on stderr.
fn outboxes(options: &Options) -> io::Result<ExitCode> {
    let seeds = match options.seed {
        Some(seed) => seed..=seed,
        None => options.from..=options.from.saturating_add(options.seeds.saturating_sub(1)),
    };
    let threads = options.threads.or(thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let (next, failed) = (AtomicU64::new(*seeds.start()), Mutex::new(Vec::new()));
    let lock = || failed.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while lock().is_empty() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !seeds.contains(&seed) {
                        break;
                    }
                    if panic::catch_unwind(|| outbox_of_seed(seed)).is_err() {
                        lock().push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut out = io::stdout().lock();
    match failed.iter().min() {
        Some(seed) => writeln!(out, "the outbox of seed {seed} breaks a law")?,
        None => writeln!(out, "outboxes of {} seeds", seeds.count())?,
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
