//! The cost of a node and an agent: each figure beside its limit, which is measured in the same run on the
//! same machine.
//!
//! ```text
//! cargo run --release -p bench -- [--only FIGURES] [--rounds N] [--millis MS] [--flood-minutes N]
//!     [--plot FILE]
//! ```
//!
//! A figure and its limit are measured in turn, several rounds of each, and the medians are printed. The
//! programs are the real ones, as processes with their message logs on real files, and the load has one core
//! of two, what is measured the other, so that neither takes the other's time; both unless it says otherwise.
//!
//! - `agents`: many agents of one program are registered and do nothing: what each adds in memory, sockets
//!   and tasks, beside the sockets alone.
//! - `secure`: what encryption costs. The memory of this process for each side of 120 conversations in which
//!   nothing is said, encrypted beside plain. How long calls take, one after the other, from the question
//!   where the callee is to its nickname, encrypted and plain, each beside as many connections that block and
//!   carry a nickname each way, in TLS by rustls with the same kind of keys or in plain TCP. The difference
//!   of the two is the handshake. And `lines` in TLS, beside the same writes by rustls alone, and beside
//!   agents in plain text.
//! - `registrations`: `PR`s are kept in flight from one socket and the `RR0`s are counted, beside a server
//!   that does nothing but receive and answer. Whether the load was the limit is seen by how long it looked
//!   for answers in vain. With the log off, the node is no process: it is the library in this one, which has
//!   no subscriber to its events.
//! - `locations`: a user's `PL` goes through two nodes to an agent, a bare socket that answers at once, and
//!   the `RL0` comes back; beside three round trips to a server that does nothing, which are as many hops.
//!   Then many at once. Each hop ends on the other core, so the load shares its core with one node, and the
//!   agent has that of the other.
//! - `askers`: 4,096 requests for the same user are pending, each of a socket of its own; they are repeated
//!   and then answered. The processor time of the node for each datagram while all askers give the same name,
//!   beside the same while each has its own.
//! - `bindings`: registrations that are saved, beside the same at a node with `--bindings off`: while nobody
//!   moves, while each moves its user, and one after the other of users who were offline; how long others wait
//!   while many move; and a start with a million users who were online. Nothing is kept on a core but for the
//!   first two.
//! - `roster`: a node is started with a million users, until it says that it is ready, beside reading the
//!   file; its memory is that over a node without users. Then its administrator changes the roster again and
//!   again, and it is measured how long the answers to somebody else take, from when they were due to be
//!   asked for; and the same while the roster is read again, and while all users are listed. The node is not
//!   kept on a core.
//! - `flood`: a thousand agents register once a second each, from a thousand addresses and with each request
//!   sent but once, while another address sends 100,000 datagrams a second, beside the same without those.
//!   The node has the rate limit that it has by itself.
//! - `forged`: somebody registers every 200 µs, while proofs that are forged come 100,000 times a second: of
//!   one address, and of 200. Each is for a challenge that the node gave to that socket. Nothing is kept on a
//!   core.
//! - `lines`: lines of 50 bytes from agent to agent, both of the library and without pacing, beside the same
//!   writes on a bare TCP connection.
//! - `idle`: two nodes, one with a console, and an agent that is registered are watched for some seconds; how
//!   long they were on a processor is what the scheduler counted. It ends before the agent's first refresh,
//!   which is due after 60 s, and nothing is kept on a core.
//! - `users`: as `registrations` with the log on, for a hundred users, a thousand and so on to a million;
//!   `--plot` draws them.
//!
//! It prints, and people judge: nothing here fails because a machine is slow.

mod agents;
mod askers;
mod bindings;
mod domain;
mod echo;
mod flood;
mod forged;
mod idle;
mod lines;
mod load;
mod locations;
mod machine;
mod registrations;
mod report;
mod roster;
mod secure;
mod users;

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::PossibleValuesParser;

use crate::report::Report;

/// Measure what a node and an agent cost, against limits measured in the same run.
#[derive(Debug, Parser)]
struct Options {
    /// How many times each figure is measured, in turn with its limit; what is printed is the median
    #[arg(long, default_value = "5", value_name = "N")]
    rounds: NonZeroUsize,
    /// How long each measurement takes, in milliseconds
    #[arg(long, default_value = "1000", value_name = "MS")]
    millis: NonZeroU64,
    /// How long the flood takes, in minutes, instead of some seconds
    #[arg(long, value_name = "N")]
    flood_minutes: Option<NonZeroUsize>,
    /// Draw what `users` finds in this file, an SVG
    #[arg(long, value_name = "FILE", value_parser = users::svg_file)]
    plot: Option<PathBuf>,
    /// Nothing but this; may repeat
    #[arg(long, value_name = "FIGURES", value_parser = PossibleValuesParser::new(FIGURES.iter().map(|(name, _)| *name)))]
    only: Vec<String>,
}

impl Options {
    /// Returns whether these figures are to be measured.
    fn wants(&self, figures: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == figures)
    }

    /// The duration of each measurement.
    fn each(&self) -> Duration {
        Duration::from_millis(self.millis.get())
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    anyhow::ensure!(
        options.plot.is_none() || options.wants("users"),
        "--plot draws `users`, which --only leaves out"
    );
    let conditions = format!("medians of {} rounds of {} ms", options.rounds, options.millis);
    let mut report = Report::new(machine::describe(), &conditions);
    for (name, measure) in FIGURES {
        if options.wants(name) {
            // A load has kept it where it was.
            load::let_this_thread_run_anywhere()?;
            measure(&options, &mut report)?;
        }
    }
    Ok(())
}

type Measure = fn(&Options, &mut Report) -> anyhow::Result<()>;

const FIGURES: &[(&str, Measure)] = &[
    // First: memory that others have left would hide what agents take.
    ("agents", agents::measure),
    ("secure", secure::measure),
    ("registrations", registrations::measure),
    ("locations", locations::measure),
    ("askers", askers::measure),
    ("flood", flood::measure),
    ("forged", forged::measure),
    ("bindings", bindings::measure),
    ("roster", roster::measure),
    ("lines", lines::measure),
    ("idle", idle::measure),
    ("users", users::measure),
];
