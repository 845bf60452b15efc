//! Loads on real programs that take too long for a test, to be run by hand and read:
//!
//! ```text
//! cargo run --release -p integration-tests --bin soak -- [--minutes N] [--only NAME]...
//! ```
//!
//! Prints a line for each figure: what it is, what it came to, what it should be, and a verdict. `kept` is
//! kept, `missed` is a figure that was not reached, perhaps because this machine is slow or has other things
//! to do, and `BROKEN` is a law that does not depend on that: something was lost, was changed, or died. Only
//! that makes the exit code 1.

mod agents;
mod callers;
mod first_bytes;
mod held;
mod honest;
mod logs;
mod memory;
mod name_servers;
mod report;
mod strangers;
mod weapons;

use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use report::Report;

/// Put loads on real programs that take too long for a test, and print what came of it.
#[derive(Debug, Parser)]
struct Options {
    /// How many minutes to watch the memory of programs at work
    #[arg(long, default_value_t = 2, value_name = "N")]
    minutes: u32,
    /// Nothing but this; may repeat
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(SCENARIOS.map(|(name, _)| name)))]
    only: Vec<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let mut report = Report::new();
    for (name, run) in SCENARIOS {
        if options.only.is_empty() || options.only.iter().any(|only| only == name) {
            report.begin(name);
            run(&options, &mut report);
        }
    }
    if report.is_broken() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

type Scenario = fn(&Options, &mut Report);

const SCENARIOS: [(&str, Scenario); 18] = [
    ("near-misses", strangers::near_misses),
    ("forged-answers", strangers::forged_answers),
    ("flood", strangers::flood),
    ("held-by-many", held::by_many),
    ("held-by-insider", held::by_an_insider),
    ("held-next-door", held::by_a_neighbour),
    ("victims-address", weapons::victims_address),
    ("own-answers", weapons::own_answers),
    ("silent-dns", name_servers::silent),
    ("silent-names", name_servers::one_insider),
    ("full-log", logs::full_of_noise),
    ("unread-output", logs::unread),
    ("many-questions", agents::many_questions),
    ("lines", agents::lines_to_others),
    ("history", callers::history),
    ("callers", callers::contacts),
    ("first-bytes", first_bytes::random),
    ("memory", memory::over_time),
];
