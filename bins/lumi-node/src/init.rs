//! `lumi-node init`: a roster and settings to begin with, and a check of them.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use lumi_node_core::Roster;
use plumi_proto::UserName;

use crate::cli::{CheckArgs, InitArgs};
use crate::options::load::DEFAULT_CONFIG;
use crate::options::settings::DEFAULT_ROSTER;
use crate::{check, stdout};

/// Writes both files, or neither if one of them exists, and runs `lumi-node check`. Returns its exit code.
///
/// # Errors
/// A file exists or cannot be written; a user is named twice; those of [`check::run`].
pub(crate) fn run(args: &InitArgs) -> anyhow::Result<ExitCode> {
    let names = std::iter::once(args.domain.as_str()).chain(args.users.iter().map(UserName::as_str));
    let roster: String = names.flat_map(|name| [name, "\n"]).collect();
    Roster::parse(roster.as_bytes()).context("that would be no roster")?;
    let files = [(DEFAULT_ROSTER, roster.as_str()), (DEFAULT_CONFIG, SETTINGS)];
    if let Some((path, _)) = files.iter().find(|(path, _)| fs::symlink_metadata(path).is_ok()) {
        bail!("{path} exists already, and init overwrites nothing; remove it, or run init in another folder");
    }
    for (path, text) in files {
        write_new(Path::new(path), text).with_context(|| format!("cannot write {path}"))?;
        stdout::print(&format!("wrote {path}\n"))?;
    }
    check::run(CheckArgs::default())
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    fs::create_dir_all(path.parent().map_or_else(PathBuf::new, Path::to_owned))?;
    let mut file = File::create_new(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Every key with its explanation and its default.
const SETTINGS: &str = include_str!("../../../config/lumi-node.toml");
