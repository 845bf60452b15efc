//! Where `mi-agent listen` tells what happens.

use std::io;

use tokio::io::Stdout;

use crate::clock;
use crate::printed_lines::PrintedLines;
use crate::report::Report;

/// Where reports go.
pub(crate) struct Output {
    pub(crate) screen: PrintedLines<Stdout>,
    pub(crate) json: bool,
    /// There may be several conversations at a time.
    pub(crate) several: bool,
}

impl Output {
    /// Waits for as long as nobody takes it: nothing else is done meanwhile, so nothing more comes to be told.
    pub(crate) async fn tell(&mut self, report: &Report) -> io::Result<()> {
        let line = if self.json { Some(report.json(clock::now())) } else { report.words(self.several) };
        match line {
            Some(line) => self.screen.line(&line).await,
            None => Ok(()),
        }
    }
}
