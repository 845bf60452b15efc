//! `lumi-node check`: whether a node would start here and be found, one line for each requirement.
//!
//! ```text
//! line = "ok   " what ": " how it is
//!      | "FAIL " what ": " what is wrong "; " what to do about it
//!      | "skip " what ": " what has to be put right first, or why there is nothing to check
//! ```
//!
//! Nothing is changed: no file is written or made, and the messages to nodes change nothing there. Where
//! systemd holds the port of a node that does not run, a message to it starts the node.

mod ask;
mod bindings;
mod endpoints;
mod files;
mod finding;
mod keys;
mod network;
mod settings;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lumi_node_core::{Roster, RosterError, RosterFile, RosterReason};
use plumi_proto::{Domain, UserName};
use tokio::runtime;

use crate::admin::report::{commented_out, counted_users};
use crate::cli::CheckArgs;
use crate::logging::messages::{IS_ROSTER, is_same_file};
use crate::options::settings::Settings;
use crate::{logging, reason, sample};
use finding::{Finding, Report};
use settings::{Doubt, SettingsFile};

pub(crate) use settings::errors as settings_errors;

/// Checks everything that `args` name, as far as earlier failures allow.
///
/// # Errors
/// RUST_LOG is wrong, or stdout cannot be written to.
pub(crate) fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    logging::start_diagnostics(args.diagnostics())?;
    let checked = check(args);
    diagnostics::drain(logging::LAST_PATIENCE);
    checked
}

fn check(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let mut report = Report::new();
    let SettingsFile { mut settings, doubt } = settings::check(args.config.as_deref(), &mut report)?;
    let named = settings.users.keys().copied().filter(|_| !doubt.is_about(&["users"])).collect();
    let roster_is_known = args.roster.is_some() || !doubt.is_about(&["roster"]);
    if let Some(roster) = args.roster {
        settings.roster = roster;
    }
    let domain = if roster_is_known {
        roster(&settings.roster, named, &mut report)?
    } else {
        report.add(&Finding::skipped("roster", "not checked until the settings are right"))?;
        None
    };
    bindings::check(&settings, &doubt, domain, &mut report)?;
    log(&settings, &doubt, domain, &mut report)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let checked =
        runtime.block_on(network::check(&settings, &doubt, domain, &args.peer_domains, &mut report));
    // A disk that hangs, with a hosts file on it, must not delay the end.
    runtime.shutdown_background();
    endpoints::check(&settings, &doubt, checked?, &mut report)?;
    Ok(if report.all_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks that the roster can be read and rewritten, and has the users that the settings have `named`.
/// Returns its domain if that is right.
fn roster(path: &Path, named: Vec<UserName>, report: &mut Report) -> anyhow::Result<Option<Domain>> {
    let subject = format!("roster {}", path.display());
    let (subject, read) = if sample::is_used_for(path) {
        (format!("{subject}, a copy of {}", sample::SAMPLE), Path::new(sample::SAMPLE))
    } else {
        (subject, path)
    };
    let (domain, errors) = match RosterFile::errors(read) {
        Ok(read) => read,
        Err(error) => {
            let error = anyhow::Error::from(error);
            let cause = error.root_cause();
            let is_forbidden = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
            let remedy = if cause.downcast_ref().is_some_and(is_forbidden) {
                files::let_read(path)
            } else {
                reason::HOW_TO_GIVE_A_ROSTER.to_owned()
            };
            report.add(&Finding::wrong(subject, reason::in_words(cause), remedy))?;
            return Ok(None);
        }
    };
    if errors.is_empty() {
        let (_, roster) = RosterFile::open(read)?;
        let mut found = format!("domain {}, {}", roster.domain(), counted_users(roster.len()));
        if let Some(note) = commented_out(roster.users()) {
            found += &format!("; {note}");
        }
        report.add(&Finding::well(&subject, found))?;
        if !named.is_empty() {
            report_named(named, &roster, report)?;
        }
    }
    let in_line = |error: RosterError| {
        let RosterError { line, reason, .. } = error;
        Finding::wrong(format!("{subject}, line {line}"), reason, remedy(reason))
    };
    report.add_all(&subject, errors.into_iter().map(in_line))?;
    report.add(&files::may_be_replaced(path))?;
    keys::check(path, report)?;
    Ok(domain)
}

/// Reports users that the settings name and the roster does not have.
fn report_named(mut named: Vec<UserName>, roster: &Roster, report: &mut Report) -> anyhow::Result<()> {
    let count = named.len();
    named.retain(|user| !roster.contains(user));
    if named.is_empty() {
        let found = format!("ranges of addresses for {count}, and the roster has each");
        return report.add(&Finding::well("users", found));
    }
    named.sort_unstable();
    let missing = |user| {
        let remedy =
            "correct the name under [users] in the settings, register the user, or take the line out";
        Finding::wrong(format!("users, {user}"), "the roster has no such user", remedy)
    };
    report.add_all("users", named.into_iter().map(missing))
}

/// The remedy for a line of a roster that is wrong for this `reason`.
fn remedy(reason: RosterReason) -> &'static str {
    match reason {
        RosterReason::NoDomain => "write it there, such as bb.com, and below it a user name on each line",
        RosterReason::Domain(_) => "write the domain there, such as bb.com, and nothing else",
        RosterReason::Address => "write laura instead of laura@bb.com",
        RosterReason::Duplicate => "remove that line",
        RosterReason::TooLong(_) => "give the user a shorter name",
        RosterReason::NotUtf8 => "save the file as UTF-8",
        _ => "correct the name: letters, digits and marks but ':' and '@', without blanks",
    }
}

/// Checks that messages can be logged.
fn log(
    settings: &Settings,
    doubt: &Doubt,
    domain: Option<Domain>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let named = settings.log.clone().filter(|_| !doubt.is_about(&["log"]));
    let default = || {
        let domain = domain.filter(|_| !doubt.is_about(&["log"]))?;
        Some(PathBuf::from(message_log::node_log_name(domain.as_str())))
    };
    report.add(&match named.or_else(default) {
        Some(path) if path == Path::new("-") => Finding::well("message log", "goes to stdout"),
        Some(path) if is_same_file(&path, &settings.roster) => Finding::wrong(
            format!("message log {}", path.display()),
            IS_ROSTER,
            "name another file with the key log",
        ),
        Some(path) => files::may_be_appended_to(&path),
        None => Finding::skipped("message log", "not checked until the settings and the roster are right"),
    })
}
