//! Checks whether this user may use the files as a node does. Nothing is opened or made, so the check leaves
//! nothing behind and does not disturb a running node.

use std::path::{Path, PathBuf};
use std::{fs, io};

use rustix::fs::{Access, AtFlags, CWD, StatxAttributes, StatxFlags, accessat, statx};
use rustix::process::geteuid;

use super::finding::Finding;
use crate::reason;

/// Checks that the existing roster at `path` can be rewritten when the administrator changes it.
pub(super) fn may_be_replaced(path: &Path) -> Finding {
    // The node writes a new file beside it and renames that. If the path is a link, it does so beside the
    // target.
    let folder = fs::canonicalize(path).map_or_else(|_| folder_of(path), |path| folder_of(&path));
    let may = may_access(&folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK);
    let subject = format!("roster's folder {}", folder.display());
    if may.is_ok() && is_mounted_by_itself(path) {
        let wrong = format!("{} is mounted by itself, so no change of it can be saved", path.display());
        return Finding::wrong(subject, wrong, "mount the folder instead of the file");
    }
    judge(subject, may, "changes of the roster can be saved", &folder)
}

/// Checks that the message log at `path`, which need not exist, can be appended to.
pub(super) fn may_be_appended_to(path: &Path) -> Finding {
    let subject = format!("message log {}", path.display());
    if path.as_os_str().is_empty() {
        return Finding::wrong(subject, "it has no name", "name a file with the key log, or take that out");
    }
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            Finding::wrong(subject, "it is a folder", "name a file with --log or the key log")
        }
        Ok(_) => judge(subject, may_access(path, Access::WRITE_OK), "it can be written to", path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => may_be_made(subject, path),
        Err(error) => judge(subject, Err(error), "", path),
    }
}

/// Checks that the database at `path` can be changed, with files beside it.
pub(super) fn may_be_changed(subject: String, path: &Path, well: &str) -> Finding {
    let folder = folder_of(path);
    let may = may_access(path, Access::READ_OK | Access::WRITE_OK);
    let may = may.and_then(|()| may_access(&folder, Access::WRITE_OK | Access::EXEC_OK));
    judge(subject, may, well, &folder)
}

/// Checks that a missing file can be made at `path`.
pub(super) fn may_be_made(subject: String, path: &Path) -> Finding {
    let folder = folder_of(path);
    judge(subject, may_access(&folder, Access::WRITE_OK | Access::EXEC_OK), "it can be made", &folder)
}

/// The remedy for a file that this user may not read.
pub(super) fn let_read(path: &Path) -> String {
    let user = user();
    format!(
        "{user} tried: run this as the user whom the node runs as, or let that user read {}",
        path.display()
    )
}

/// Turns the result of an access check at `place` into a finding.
fn judge(subject: String, may: io::Result<()>, well: &str, place: &Path) -> Finding {
    let user = user();
    let place = place.display();
    match may {
        Ok(()) => Finding::well(subject, format!("{well}, by {user}")),
        Err(error) => {
            let remedy = match error.kind() {
                io::ErrorKind::NotFound => format!("make the folder {place}"),
                io::ErrorKind::PermissionDenied => format!(
                    "run this as the user whom the node runs as; if it is this one, let it write to {place} (chown, \
                     chmod), or name another place in the settings"
                ),
                _ => "name another place in the settings".to_owned(),
            };
            Finding::wrong(subject, format!("{} (tried as {user})", reason::in_words(&error)), remedy)
        }
    }
}

fn may_access(path: &Path, access: Access) -> io::Result<()> {
    // Checks the effective user, which opens the files, and not the real one.
    Ok(accessat(CWD, path, access, AtFlags::EACCESS)?)
}

/// Returns whether the file at `path` is a mount point, which nothing can replace; `false` if that is not
/// known.
fn is_mounted_by_itself(path: &Path) -> bool {
    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS);
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The user that runs this, by name if there is one.
fn user() -> String {
    let id = geteuid().as_raw().to_string();
    let users = fs::read(USERS).unwrap_or_default();
    let users = String::from_utf8_lossy(&users);
    // The fields are name, password, number and more, separated by colons (passwd(5)).
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        fields.next().filter(|_| fields.nth(1) == Some(&id))
    });
    name.map_or_else(|| format!("user {id}"), |name| format!("user {name}"))
}

const USERS: &str = "/etc/passwd";
