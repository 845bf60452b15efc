//! The table, printed line by line as it comes about.

use std::fmt::Display;
use std::io::{self, Write};

/// What is printed.
pub(crate) struct Report;

/// What a ratio should be.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Report {
    pub(crate) fn new() -> Self {
        line("FIGURE", "IS", "LIMIT", "RATIO", "TARGET", "");
        Self
    }

    /// A figure beside its limit, each with its unit.
    pub(crate) fn ratio(&mut self, figure: &str, is: f64, limit: f64, unit: &str, target: Target) {
        let ratio = is / limit;
        let (target, reached) = match target {
            Target::AtLeast(least) => (format!(">= {least}"), ratio >= least),
            Target::AtMost(most) => (format!("<= {most}"), ratio <= most),
        };
        let verdict = if reached { "reached" } else { "missed" };
        line(figure, with_unit(is, unit), with_unit(limit, unit), format!("{ratio:.2}"), target, verdict);
    }

    /// A figure with a target of its own.
    pub(crate) fn figure(&mut self, figure: &str, is: f64, unit: &str, target: Target) {
        let (target, reached) = match target {
            Target::AtLeast(least) => (format!(">= {least} {unit}"), is >= least),
            Target::AtMost(most) => (format!("<= {most} {unit}"), is <= most),
        };
        let verdict = if reached { "reached" } else { "missed" };
        line(figure, with_unit(is, unit), "", "", target, verdict);
    }

    /// What is only to be seen.
    pub(crate) fn note(&mut self, figure: &str, is: f64, unit: &str) {
        line(figure, with_unit(is, unit), "", "", "", "");
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    values.get(low).zip(values.get(high)).map_or(f64::NAN, |(low, high)| (low + high) / 2.0)
}

fn with_unit(value: f64, unit: &str) -> String {
    match value {
        large if large >= 1000.0 => format!("{large:.0} {unit}"),
        value => format!("{value:.2} {unit}"),
    }
}

fn line(
    figure: &str,
    is: impl Display,
    limit: impl Display,
    ratio: impl Display,
    target: impl Display,
    verdict: &str,
) {
    let line = format!("{figure:<58} {is:>14} {limit:>14} {ratio:>6}  {target:<16} {verdict}");
    // Who does not read on does not hold it up.
    _ = writeln!(io::stdout(), "{}", line.trim_end());
}
