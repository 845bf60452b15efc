//! Lets simulated worlds run, many seeds or one, and says what came out of them.

use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;

use clap::Parser;
use integration_tests::simulation::{Report, run_seed, run_seeds};

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
}

fn main() -> io::Result<ExitCode> {
    let options = Options::parse();
    let mut out = io::stdout().lock();
    let report = match options.seed {
        Some(seed) => {
            let outcome = run_seed(seed, options.trace);
            for line in outcome.trace {
                writeln!(out, "{line}")?;
            }
            Report { statistics: outcome.statistics, failures: outcome.failure.into_iter().collect() }
        }
        None => {
            let threads =
                options.threads.or(thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
            let started = tokio::time::Instant::now();
            let report = run_seeds(options.from..options.from.saturating_add(options.seeds), threads);
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
    // A world in which nobody ever finds anybody proves nothing.
    let proves_something = report.statistics.lookups_won > 0;
    if report.failures.is_empty() && !proves_something {
        writeln!(out, "no lookup was won")?;
    }
    Ok(if report.failures.is_empty() && proves_something { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
