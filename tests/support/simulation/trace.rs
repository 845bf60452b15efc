//! Everything that happened, for people to read and for two runs to be compared.

use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::network::Datagram;

/// A hash over everything that happened, which tells two runs apart; and its lines, if they were asked for.
#[derive(Debug)]
pub(super) struct Trace {
    hasher: DefaultHasher,
    line: String,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(super) fn new(is_kept: bool) -> Self {
        Self { hasher: DefaultHasher::new(), line: String::new(), lines: is_kept.then(Vec::new) }
    }

    pub(super) fn note(&mut self, at: Duration, what: fmt::Arguments<'_>) {
        self.line.clear();
        write!(self.line, "{:>10.6} {what}", at.as_secs_f64()).expect("a string takes everything");
        self.hasher.write(self.line.as_bytes());
        if let Some(lines) = &mut self.lines {
            lines.push(self.line.clone());
        }
    }

    /// A datagram was sent, or has arrived. Most of what happens is of this kind, and its line is not written
    /// unless somebody wants to read it.
    pub(super) fn passes(&mut self, at: Duration, datagram: &Datagram, has_arrived: bool) {
        let Datagram { from, to, bytes, sender, .. } = datagram;
        (at, from, to, bytes, has_arrived).hash(&mut self.hasher);
        let Some(lines) = &mut self.lines else { return };
        let (at, bytes) = (at.as_secs_f64(), bytes.escape_ascii());
        lines.push(match has_arrived {
            true => format!("{at:>10.6} {to} <- {from} {bytes}"),
            false => format!("{at:>10.6} {from} -> {to} {bytes} ({sender:?})"),
        });
    }

    pub(super) fn finish(self) -> (u64, Vec<String>) {
        (self.hasher.finish(), self.lines.unwrap_or_default())
    }
}
