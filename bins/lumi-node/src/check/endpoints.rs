//! Checks the other endpoints that the settings ask for: control socket, web address, journal.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use diagnostics::Format;
use tracing_subscriber::Registry;

use super::files;
use super::finding::{Finding, Report};
use super::settings::Doubt;
use crate::admin::control::socket;
use crate::logging::PROGRAM;
use crate::options::settings::Settings;
use crate::options::values::PathOrOff;
use crate::reason;

/// Checks the endpoints in the settings. `node_runs` says whether a node has the UDP port already.
///
/// # Errors
/// Those of `report`.
pub(super) fn check(
    settings: &Settings,
    doubt: &Doubt,
    node_runs: bool,
    report: &mut Report,
) -> anyhow::Result<()> {
    if !doubt.is_about(&["control-socket"]) {
        match &settings.control_socket {
            Some(PathOrOff::At(path)) => report.add(&control_socket(path))?,
            None if !socket::has_default() => report.add(&Finding::skipped("control socket", NO_SOCKET))?,
            None | Some(PathOrOff::Off) => {}
        }
    }
    if let Some(address) = settings.web
        && !doubt.is_about(&["web"])
    {
        report.add(&web(address, node_runs))?;
    }
    if settings.diagnostics_format == Some(Format::Journald) && !doubt.is_about(&["diagnostics-format"]) {
        report.add(&match diagnostics::layer::<Registry>(settings.diagnostics_format, PROGRAM) {
            Ok(_) => Finding::well("journal", "it can be written to"),
            Err(error) => {
                let remedy = "set diagnostics-format to text or json, or take it out";
                Finding::wrong("journal", reason::in_words(&error), remedy)
            }
        })?;
    }
    Ok(())
}

fn control_socket(path: &Path) -> Finding {
    let subject = format!("control socket {}", path.display());
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => Finding::well(subject, "that of a node is there"),
        Ok(_) => {
            let remedy = "name another place with the key control-socket, or take away what is there";
            Finding::wrong(subject, "something else is there", remedy)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => files::may_be_made(subject, path),
        Err(error) => Finding::wrong(subject, reason::in_words(&error), "name another place"),
    }
}

fn web(address: SocketAddr, node_runs: bool) -> Finding {
    let subject = format!("web {address}");
    let Err(error) = TcpListener::bind(address) else { return Finding::well(subject, "free") };
    let remedy = match error.kind() {
        ErrorKind::AddrInUse if node_runs => {
            return Finding::well(subject, "in use, and so is the node's port");
        }
        ErrorKind::AddrInUse => format!(
            "ss -tlpn 'sport = :{}' tells which program has it: end it, or set web to another address",
            address.port()
        ),
        ErrorKind::AddrNotAvailable => "this host has no such address: set web to one that it has".to_owned(),
        _ => "set web to another address".to_owned(),
    };
    Finding::wrong(subject, reason::in_words(&error), remedy)
}

const NO_SOCKET: &str =
    "none, as neither RUNTIME_DIRECTORY nor XDG_RUNTIME_DIR is set here; --control-socket PATH makes one";
