//! The database of bindings, opened at the start.

use std::path::Path;
use std::time::SystemTime;

use anyhow::{anyhow, bail};
use diagnostics::escaped;
use lumi_bindings::{Away, BindingsFile, Found, OpenError, OpenOptions, SyncMode};
use plumi_proto::Domain;

use crate::admin::report::{counted_users, in_words};
use crate::logging::messages::is_same_file;
use crate::options::settings::Settings;
use crate::options::values::BindingsSync;
use crate::reason;

/// Opens the database that the settings name, and reports what is wrong with it. `None` if there is to be
/// none.
///
/// # Errors
/// Another node has it, or it can never be opened.
pub(crate) fn open(settings: &Settings, domain: &Domain) -> anyhow::Result<Option<(BindingsFile, Found)>> {
    let Some(path) = settings.bindings_path() else { return Ok(None) };
    let name = escaped(&path.to_string_lossy());
    if let Some(taken) = is_another_file(&path, settings) {
        bail!("cannot open the bindings {name}: {taken}");
    }
    let options = OpenOptions {
        sync: match settings.bindings_sync {
            BindingsSync::Normal => SyncMode::Normal,
            BindingsSync::Full => SyncMode::Full,
        },
        restore_within: settings.restore_within.0,
        now: wall_clock(),
    };
    match BindingsFile::open(&path, domain, options) {
        Ok((file, found)) => {
            report(&name, &found);
            Ok(Some((file, found)))
        }
        Err(OpenError::Locked { .. }) => bail!("another node has the bindings {name}; {WHO_HAS_IT}"),
        Err(error) => Err(anyhow!("{}; {ANOTHER_PLACE}", reason::in_one_line(&error.into()))),
    }
}

/// Returns why no database can be at `path`: another file is there that the node needs.
pub(crate) fn is_another_file(path: &Path, settings: &Settings) -> Option<&'static str> {
    if is_same_file(path, &settings.roster) {
        Some("it is the roster")
    } else if settings.log.as_ref().is_some_and(|log| is_same_file(path, log)) {
        Some("it is the message log")
    } else {
        None
    }
}

/// Reports what was found in the database of this name.
fn report(name: &str, found: &Found) {
    if let Some(moved) = &found.moved_aside {
        let to = escaped(&moved.to.to_string_lossy());
        tracing::warn!(
            "the bindings {name} cannot be used: {}; they are in {to} now, and {OFFLINE}",
            moved.reason
        );
    }
    if let Some(reason) = &found.not_writable {
        tracing::warn!(
            "bindings cannot be saved in {name}: {reason}; the node serves all the same, and tries again"
        );
    }
    let users = |count: u64| counted_users(usize::try_from(count).unwrap_or(usize::MAX));
    if found.dropped > 0 {
        let dropped = users(found.dropped);
        tracing::warn!("the bindings of {dropped} in {name} are damaged and were dropped; {OFFLINE}");
    }
    let away = match found.away {
        Away::Known(away) => format!("the node was away for {} at most", in_words(away)),
        Away::Unknown => "it is not known for how long the node was away".to_owned(),
    };
    if found.too_old > 0 {
        let users = users(found.too_old);
        tracing::warn!("{away}, so the bindings of {users} are too old (restore-within); {OFFLINE}");
    }
    let bound = found.rows.iter().filter(|row| !row.is_logout()).count();
    tracing::info!("{away}; {} online before", counted_users(bound));
}

#[expect(clippy::disallowed_methods, reason = "no other clock goes on while the node is away")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// The remedy for a database that another node has.
const WHO_HAS_IT: &str = "`lumi-node ctl status` asks that node; give this one another roster, or name another file with \
                          --bindings";

/// The remedy for a place where no database can be.
const ANOTHER_PLACE: &str = "name another file with --bindings, or say `off`";

const OFFLINE: &str = "they are offline until they register again";
