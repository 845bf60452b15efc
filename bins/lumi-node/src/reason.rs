//! Errors in words, for people.

use std::error::Error;
use std::io;

use lumi_node_core::RosterFileError;

/// Joins an error and its causes: `cannot listen on 127.0.0.2:3344: address already in use`.
pub(crate) fn in_one_line(error: &anyhow::Error) -> String {
    error.chain().map(in_words).collect::<Vec<_>>().join(": ")
}

/// Explains why the roster cannot be read and, if there is none, what to do.
pub(crate) fn of_no_roster(error: RosterFileError) -> anyhow::Error {
    let missing =
        matches!(&error, RosterFileError::Read { error, .. } if error.kind() == io::ErrorKind::NotFound);
    let error = anyhow::Error::from(error);
    if missing { anyhow::anyhow!("{}; {HOW_TO_GIVE_A_ROSTER}", in_one_line(&error)) } else { error }
}

/// Words an error without its causes.
pub(crate) fn in_words(error: &(dyn Error + 'static)) -> String {
    let text = error.to_string();
    // Errors of the operating system read "Address already in use (os error 98)".
    match error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
        Some(code) => text.trim_end_matches(&format!(" (os error {code})")).to_lowercase(),
        None => text,
    }
}

/// The remedy for a missing roster.
pub(crate) const HOW_TO_GIVE_A_ROSTER: &str = "`lumi-node init DOMAIN USER...` writes one; or name another with \
                                                --roster, or write it: the domain on the first line, then a user name \
                                                on each line";
