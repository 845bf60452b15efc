//! What a node and an agent cost: each figure beside its limit, which is measured in the same run on the same machine.
//!
//! ```text
//! cargo run --release -p bench -- [--only FIGURES] [--rounds N]
//! ```
//!
//! It prints, and people judge: nothing here fails because a machine is slow.

mod echo;
mod load;
mod registrations;
mod report;

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Parser;

use crate::report::Report;

/// Measure what a node and an agent cost, against limits measured in the same run.
#[derive(Debug, Parser)]
struct Options {
    /// How many times each figure is measured, in turn with its limit; what is printed is the median
    #[arg(long, default_value = "5", value_name = "N")]
    rounds: NonZeroUsize,
    /// How long each measurement takes, in milliseconds
    #[arg(long, default_value_t = 1000, value_name = "MS")]
    millis: u64,
    /// Nothing but this; may repeat
    #[arg(long, value_name = "FIGURES")]
    only: Vec<String>,
}

impl Options {
    fn each(&self) -> Duration {
        Duration::from_millis(self.millis)
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut report = Report::new();
    for (name, measure) in FIGURES {
        if options.only.is_empty() || options.only.iter().any(|only| only == name) {
            measure(&options, &mut report)?;
        }
    }
    Ok(())
}

type Measure = fn(&Options, &mut Report) -> anyhow::Result<()>;

const FIGURES: [(&str, Measure); 1] = [("registrations", registrations::measure)];
