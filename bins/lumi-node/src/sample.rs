//! The roster of a checkout: a sample under version control, and a copy of it that the node changes.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::Context;
use standard_streams::stderr;

use crate::options::settings::DEFAULT_ROSTER;

/// Copies the sample to `roster`, if that is the default one and does not exist, and says so on stderr.
///
/// # Errors
/// The copy cannot be made.
pub(crate) fn copy_to(roster: &Path) -> anyhow::Result<()> {
    let Some(text) = text_for(roster) else { return Ok(()) };
    let failed = || format!("cannot copy {SAMPLE} to {DEFAULT_ROSTER}");
    match File::create_new(roster) {
        Ok(mut file) => file.write_all(&text).with_context(failed)?,
        // Another node was faster, or it is a link to nowhere.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error).with_context(failed),
    }
    // An error: there is no stderr, so nobody can read it.
    _ = writeln!(stderr(), "lumi-node: {DEFAULT_ROSTER} is new, a copy of {SAMPLE}; it is yours to change");
    Ok(())
}

/// Returns whether the node would begin with a copy of the sample at `roster`.
pub(crate) fn is_used_for(roster: &Path) -> bool {
    text_for(roster).is_some()
}

fn text_for(roster: &Path) -> Option<Vec<u8>> {
    let is_missing = |error: std::io::Error| error.kind() == ErrorKind::NotFound;
    let is_wanted =
        roster == Path::new(DEFAULT_ROSTER) && fs::symlink_metadata(roster).is_err_and(is_missing);
    // Only a checkout has the sample.
    if is_wanted { fs::read(SAMPLE).ok() } else { None }
}

/// The sample of a checkout, in its folder.
pub(crate) const SAMPLE: &str = "config/nodelumi.cfg.sample";
