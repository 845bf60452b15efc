//! The report that is printed.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

/// The table, printed line by line as it comes about.
pub(crate) struct Report {
    scenario: &'static str,
    is_broken: bool,
}

impl Report {
    pub(crate) fn new() -> Self {
        line("SCENARIO", "FIGURE", "IS", "SHOULD BE", "");
        Self { scenario: "", is_broken: false }
    }

    pub(crate) fn begin(&mut self, scenario: &'static str) {
        self.scenario = scenario;
    }

    /// Returns whether a law was broken.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Reports a law that holds on any machine.
    pub(crate) fn law(&mut self, figure: &str, is: impl Display, should_be: &str, holds: bool) {
        self.is_broken |= !holds;
        line(self.scenario, figure, is, should_be, if holds { "kept" } else { "BROKEN" });
    }

    /// Reports a figure for which a machine may be too slow.
    pub(crate) fn figure(&mut self, figure: &str, is: impl Display, should_be: &str, holds: bool) {
        line(self.scenario, figure, is, should_be, if holds { "kept" } else { "missed" });
    }

    /// Reports a figure that is to be seen beside another one.
    pub(crate) fn note(&mut self, figure: &str, is: impl Display) {
        line(self.scenario, figure, is, "", "");
    }
}

fn line(scenario: &str, figure: &str, is: impl Display, should_be: &str, verdict: &str) {
    let is = is.to_string();
    let line = format!("{scenario:<15} {figure:<52} {is:<22} {should_be:<16} {verdict}");
    // A reader that does not read on does not hold it up.
    _ = writeln!(io::stdout(), "{}", line.trim_end());
}

/// Milliseconds, to two places.
pub(crate) fn in_ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}

/// KiB.
pub(crate) fn in_kib(bytes: usize) -> String {
    format!("{} KiB", bytes / 1024)
}
