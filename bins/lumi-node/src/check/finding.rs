//! Findings and the report that prints them, one line each.

use std::fmt::{self, Display};

use diagnostics::escaped;

use crate::stdout;

/// The result of one check.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    verdict: Verdict,
    subject: String,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Well,
    Wrong,
    Skipped,
}

impl Finding {
    /// The requirement is met; `found` describes how.
    pub(super) fn well(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self { verdict: Verdict::Well, subject: subject.into(), text: found.into() }
    }

    /// The requirement is not met: the reason, and what to do about it.
    pub(super) fn wrong(subject: impl Into<String>, reason: impl Display, remedy: impl Display) -> Self {
        Self { verdict: Verdict::Wrong, subject: subject.into(), text: format!("{reason}; {remedy}") }
    }

    /// There is nothing to check, or something else has to be put right first. That was
    /// [`wrong`](Self::wrong) before.
    pub(super) fn skipped(subject: impl Into<String>, first: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, subject: subject.into(), text: first.into() }
    }

    /// Returns whether a node can run as far as this finding goes.
    pub(super) fn is_well(&self) -> bool {
        self.verdict != Verdict::Wrong
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Well => "ok  ",
            Verdict::Wrong => "FAIL",
            Verdict::Skipped => "skip",
        };
        // Names of files and keys of settings may contain any character.
        write!(f, "{verdict} {}: {}", escaped(&self.subject), escaped(&self.text))
    }
}

/// Prints findings as they come. A check may wait for a name server or a node.
pub(super) struct Report {
    all_well: bool,
}

impl Report {
    /// A report without findings.
    pub(super) fn new() -> Self {
        Self { all_well: true }
    }

    /// Returns whether no finding was [`wrong`](Finding::wrong).
    pub(super) fn all_well(&self) -> bool {
        self.all_well
    }

    /// Prints `finding`.
    ///
    /// # Errors
    /// Stdout cannot be written to.
    pub(super) fn add(&mut self, finding: &Finding) -> anyhow::Result<()> {
        self.all_well &= finding.is_well();
        // The exit code still stands for all findings if nobody reads them.
        stdout::print(&format!("{finding}\n"))
    }

    /// Prints a line for each of the `errors` in a file, up to [`MAX_ERRORS`].
    ///
    /// # Errors
    /// Those of [`Report::add`].
    pub(super) fn add_all(
        &mut self,
        file: &str,
        errors: impl ExactSizeIterator<Item = Finding>,
    ) -> anyhow::Result<()> {
        let more = errors.len().saturating_sub(MAX_ERRORS);
        for error in errors.take(MAX_ERRORS) {
            self.add(&error)?;
        }
        if more > 0 {
            let remedy = "correct those above first";
            self.add(&Finding::wrong(file, format!("\u{2026} and {more} more lines are wrong"), remedy))?;
        }
        Ok(())
    }
}

/// The maximum number of errors for one file. More of them have one cause, such as a file of another kind.
const MAX_ERRORS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_the_verdict_and_what_cannot_be_seen_is_escaped() {
        let line = |finding: Finding| (finding.is_well(), finding.to_string());
        assert_eq!(line(Finding::well("port", "free")), (true, "ok   port: free".to_owned()));
        assert_eq!(line(Finding::skipped("log", "a domain")), (true, "skip log: a domain".to_owned()));
        let odd = Finding::wrong("roster \x1b[2J\n", "it is\r\u{202e} gone", "buy\u{9b} another — és fàcil");
        let expected = r"FAIL roster \u{1b}[2J\n: it is\r\u{202e} gone; buy\u{9b} another — és fàcil";
        assert_eq!(line(odd), (false, expected.to_owned()));
    }
}
