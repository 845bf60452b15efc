//! Checks the database of bindings, which a node may have open.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lumi_bindings::{InspectError, Inspected, inspect};
use plumi_proto::Domain;

use super::files;
use super::finding::{Finding, Report};
use super::settings::Doubt;
use crate::admin::report::counted_users;
use crate::bindings::is_another_file;
use crate::options::settings::Settings;

/// Checks that bindings can be saved, and that those that are saved can be used.
///
/// # Errors
/// stdout cannot be written to.
pub(super) fn check(
    settings: &Settings,
    doubt: &Doubt,
    domain: Option<Domain>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (false, Some(domain)) = (doubt.is_about(&["bindings"]), domain) else {
        let first = "not checked until the settings and the roster are right";
        return report.add(&Finding::skipped("bindings", first));
    };
    let Some(path) = settings.bindings_path() else {
        let off = "off, so users are offline after a restart until they register again";
        return report.add(&Finding::skipped("bindings", off));
    };
    let subject = format!("bindings {}", path.display());
    if let Some(taken) = is_another_file(&path, settings) {
        return report.add(&Finding::wrong(subject, taken, "name another file with the key bindings"));
    }
    report.add(&match inspect(&path, &domain) {
        Ok(None) => files::may_be_made(subject, &path),
        Ok(Some(Inspected { damaged: 0, bindings, heartbeat, .. })) => {
            let bound = counted_users(usize::try_from(bindings).unwrap_or(usize::MAX));
            let alive = heartbeat.and_then(in_words).map(|time| format!(", a node was last alive at {time}"));
            files::may_be_changed(subject, &path, &format!("{bound} bound{}", alive.unwrap_or_default()))
        }
        Ok(Some(Inspected { damaged, .. })) => Finding::wrong(
            subject,
            format!("{damaged} rows are damaged"),
            "look after the disk; a node that starts drops these rows, and their users are offline until they register again",
        ),
        Err(InspectError::Unusable(reason)) => Finding::wrong(
            subject,
            reason,
            "a node that starts moves it aside and begins a new one; if you need it, name another file with the key bindings",
        ),
        Err(error) => Finding::wrong(subject, error, files::let_read(&path)),
    })
}

/// The time on the wall.
fn in_words(time: SystemTime) -> Option<String> {
    let time = Timestamp::try_from(time).ok()?.to_zoned(TimeZone::system());
    Some(time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
