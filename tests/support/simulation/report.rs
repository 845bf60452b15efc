//! The results of one seed, and of many.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::laws::Law;

/// The result of one seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The figures.
    pub statistics: Statistics,
    /// The law that was broken, if any.
    pub failure: Option<Failure>,
    /// A hash over everything that happened: the same seed has the same, traced or not.
    pub trace_hash: u64,
    /// The events, a line each, if they were asked for.
    pub trace: Vec<String>,
}

/// A law was broken.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The time after the beginning.
    pub at: Duration,
    /// The law that was broken.
    pub law: Law,
    /// The way in which it was broken.
    pub what: String,
}

impl Failure {
    /// The command that shows how it came to it.
    pub fn command(&self) -> String {
        format!("cargo run --release -p integration-tests --bin simulate -- --seed {} --trace", self.seed)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, at, law, what } = self;
        writeln!(f, "seed {seed}, after {:.6} s: {law} ({law:?})", at.as_secs_f64())?;
        writeln!(f, "    {what}")?;
        write!(f, "    {}", self.command())
    }
}

/// The figures of one seed, or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Seeds.
    pub seeds: u64,
    /// Things that happened.
    pub events: u64,
    /// Datagrams that programs sent.
    pub datagrams: u64,
    /// Questions of users where somebody is.
    pub lookups: u64,
    /// Those that ended with where that somebody is.
    pub lookups_won: u64,
    /// The pairs among them after the network healed.
    pub pairs_found: u64,
    /// Lines that were said in conversations, all of them heard.
    pub lines: u64,
    /// The faults, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// The outcomes of our agents' requests.
    pub requests: BTreeMap<String, u64>,
    /// The calls of our agents, by how they were protected and how they ended.
    pub calls: BTreeMap<&'static str, u64>,
    /// The laws of users with a key, by what was looked at.
    pub proofs: BTreeMap<&'static str, u64>,
    /// The laws of nodes that save bindings, by what was looked at.
    pub bindings: BTreeMap<&'static str, u64>,
    /// The causes that ended emulators.
    pub deaths: BTreeMap<String, u64>,
}

impl Statistics {
    pub(super) fn fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    pub(super) fn looked_at(&mut self, figures: BTreeMap<&'static str, u64>) {
        for (kind, count) in figures {
            *self.proofs.entry(kind).or_default() += count;
        }
    }

    pub(super) fn saved(&mut self, figures: BTreeMap<&'static str, u64>) {
        for (kind, count) in figures {
            *self.bindings.entry(kind).or_default() += count;
        }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.datagrams += other.datagrams;
        self.lookups += other.lookups;
        self.lookups_won += other.lookups_won;
        self.pairs_found += other.pairs_found;
        self.lines += other.lines;
        for (mine, others) in [
            (&mut self.faults, &other.faults),
            (&mut self.calls, &other.calls),
            (&mut self.proofs, &other.proofs),
            (&mut self.bindings, &other.bindings),
        ] {
            for (kind, count) in others {
                *mine.entry(kind).or_default() += count;
            }
        }
        for (mine, others) in [(&mut self.requests, &other.requests), (&mut self.deaths, &other.deaths)] {
            for (kind, count) in others {
                *mine.entry(kind.clone()).or_default() += count;
            }
        }
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seeds, events, datagrams, lookups, lookups_won, pairs_found, lines, .. } = self;
        writeln!(f, "{seeds} seeds, {events} events, {datagrams} datagrams sent")?;
        writeln!(
            f,
            "{lookups} lookups, {lookups_won} won, {pairs_found} of them after the network healed; {lines} lines said and heard"
        )?;
        table(f, "went wrong", self.faults.iter())?;
        table(f, "requests of our agents", self.requests.iter())?;
        table(f, "calls of our agents", self.calls.iter())?;
        table(f, "proofs of users with a key", self.proofs.iter())?;
        table(f, "bindings that are saved", self.bindings.iter())?;
        table(f, "emulators ended by", self.deaths.iter())
    }
}

fn table<K: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    rows: impl Iterator<Item = (K, impl fmt::Display)>,
) -> fmt::Result {
    writeln!(f, "{title}:")?;
    for (kind, count) in rows {
        writeln!(f, "{count:>12}  {kind}")?;
    }
    Ok(())
}
