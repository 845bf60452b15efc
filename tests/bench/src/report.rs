//! The table, printed line by line as it comes about.

use std::fmt::Display;
use std::io::{self, Write};

/// The printed report.
pub(crate) struct Report {
    machine: String,
}

/// The target of a figure, or of its ratio to its limit.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn verdict(self, value: f64) -> &'static str {
        let reached = match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        };
        if reached { "reached" } else { "missed" }
    }

    fn text(self, unit: &str) -> String {
        let text = match self {
            Self::AtLeast(least) => format!(">= {least} {unit}"),
            Self::AtMost(most) => format!("<= {most} {unit}"),
        };
        text.trim_end().to_owned()
    }
}

impl Report {
    /// Prints what the figures come from, and the head of the table.
    pub(crate) fn new(machine: String, conditions: &str) -> Self {
        print(&format!("{machine}; {conditions}\n"));
        line("FIGURE", "IS", "LIMIT", "RATIO", "TARGET", "");
        Self { machine }
    }

    /// The source of the figures.
    pub(crate) fn machine(&self) -> &str {
        &self.machine
    }

    /// A figure beside its limit, each with its unit; the target is that of the ratio.
    pub(crate) fn ratio(&mut self, figure: &str, is: f64, limit: f64, unit: &str, target: Target) {
        let ratio = is / limit;
        let (is, limit) = (with_unit(is, unit), with_unit(limit, unit));
        line(figure, is, limit, ratio_text(ratio), target.text(""), target.verdict(ratio));
    }

    /// A figure beside another one that says what there is at best, each with its unit; the target is the
    /// figure's own.
    pub(crate) fn beside(&mut self, figure: &str, is: f64, best: f64, unit: &str, target: Target) {
        let (verdict, ratio) = (target.verdict(is), ratio_text(is / best));
        line(figure, with_unit(is, unit), with_unit(best, unit), ratio, target.text(unit), verdict);
    }

    /// A figure with a target of its own.
    pub(crate) fn figure(&mut self, figure: &str, is: f64, unit: &str, target: Target) {
        line(figure, with_unit(is, unit), "", "", target.text(unit), target.verdict(is));
    }

    /// A figure without a target.
    pub(crate) fn note(&mut self, figure: &str, is: f64, unit: &str) {
        line(figure, with_unit(is, unit), "", "", "", "");
    }

    /// A figure beside its limit, without a target.
    pub(crate) fn note_beside(&mut self, figure: &str, is: f64, limit: f64, unit: &str) {
        line(figure, with_unit(is, unit), with_unit(limit, unit), ratio_text(is / limit), "", "");
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    values.get(low).zip(values.get(high)).map_or(f64::NAN, |(low, high)| f64::midpoint(*low, *high))
}

fn ratio_text(ratio: f64) -> String {
    // Nothing has no ratio.
    if ratio.is_finite() { format!("{ratio:.2}") } else { String::new() }
}

/// Such as `0.0123 ms`, `12.34 KiB`, `7`, `187,512 /s`.
fn with_unit(value: f64, unit: &str) -> String {
    let number = match value.abs() {
        large if large >= 1000.0 || large.fract() == 0.0 => with_commas(value),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    };
    format!("{number} {unit}").trim_end().to_owned()
}

/// Rounded, its thousands apart.
pub(crate) fn with_commas(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn line(
    figure: &str,
    is: impl Display,
    limit: impl Display,
    ratio: impl Display,
    target: impl Display,
    verdict: &str,
) {
    let line = format!("{figure:<60} {is:>14} {limit:>14} {ratio:>7}  {target:<14} {verdict}");
    print(line.trim_end());
}

fn print(line: &str) {
    // A closed output does not stop the run.
    _ = writeln!(io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_and_have_their_units() {
        assert_eq!(with_unit(187_512.4, "/s"), "187,512 /s");
        assert_eq!(with_unit(1_000_000.0, ""), "1,000,000");
        assert_eq!(with_unit(99.984, "%"), "99.98 %");
        assert_eq!(with_unit(0.012_34, "ms"), "0.0123 ms");
        assert_eq!(with_unit(7.0, ""), "7");
        assert_eq!(ratio_text(1.0 / 0.0), "");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![9.0, 1.0, 2.0, 4.0]), 3.0);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn a_target_is_reached_at_its_bound() {
        assert_eq!(Target::AtLeast(0.8).verdict(0.8), "reached");
        assert_eq!(Target::AtLeast(0.8).verdict(0.79), "missed");
        assert_eq!(Target::AtMost(1.3).verdict(1.3), "reached");
        assert_eq!(Target::AtMost(1.3).verdict(1.31), "missed");
        assert_eq!(Target::AtMost(12.0).text("MiB"), "<= 12 MiB");
        assert_eq!(Target::AtLeast(0.8).text(""), ">= 0.8");
    }
}
