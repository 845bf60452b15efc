//! Checks the keys by which users prove their registrations.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lumi_node_core::{KeyFile, KeyFileError, RosterFile};

use super::finding::{Finding, Report};
use crate::admin::report::counted_users;
use crate::reason;

/// Checks that nobody else reads the invitations and the node's own key.
fn check_secrets(roster: &Path, report: &mut Report) -> anyhow::Result<()> {
    for ending in [".invites", ".identity"] {
        let mut path = roster.as_os_str().to_owned();
        path.push(ending);
        let path = Path::new(&path);
        let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
        if mode & 0o077 != 0 {
            let wrong = format!("its mode is {:o}, so others may read it", mode & 0o7777);
            report.add(&Finding::wrong(
                path.display().to_string(),
                wrong,
                format!("chmod 600 {}", path.display()),
            ))?;
        }
    }
    Ok(())
}

/// Checks the keys beside the roster at `roster`, if there are any.
///
/// # Errors
/// stdout cannot be written to.
pub(super) fn check(roster: &Path, report: &mut Report) -> anyhow::Result<()> {
    check_secrets(roster, report)?;
    let file = match KeyFile::open(roster) {
        Ok(file) => file,
        Err(error) => {
            let remedy = match &error {
                KeyFileError::Wrong { .. } => "correct that line, or take it out",
                _ => "let the user read it whom the node runs as",
            };
            let error = anyhow::Error::from(error);
            return report.add(&Finding::wrong("keys", reason::in_one_line(&error), remedy));
        }
    };
    let subject = format!("keys {}", file.path().display());
    if !file.exists() {
        return Ok(());
    }
    report.add(&Finding::well(&subject, format!("{} have keys", counted_users(file.keys().len()))))?;
    let mode = fs::metadata(file.path()).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o022 != 0 {
        let wrong =
            format!("its mode is {:o}, so others may add a key and register as anybody", mode & 0o7777);
        report.add(&Finding::wrong(&subject, wrong, format!("chmod go-w {}", file.path().display())))?;
    }
    if let Ok((_, roster)) = RosterFile::open(roster) {
        let mut strangers: Vec<_> =
            file.keys().iter().map(|(user, _)| *user).filter(|user| !roster.contains(user)).collect();
        strangers.sort_unstable();
        let remedy = "register the user, or take the line out";
        let wrong = |user| Finding::wrong(format!("keys, {user}"), "the roster has no such user", remedy);
        report.add_all(&subject, strangers.iter().map(wrong))?;
    }
    let mut shared: Vec<_> = file.keys().shared().into_iter().collect();
    shared.sort_unstable();
    let in_words = |(key, users): &(_, Vec<plumi_proto::UserName>)| {
        let names = users.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let wrong = format!("{names} have the same, so it shows of nobody who calls");
        Finding::wrong(format!("keys, {key}"), wrong, "ask each for a key of their own, and remove this one")
    };
    report.add_all(&subject, shared.iter().map(in_words))
}
