//! `mi-agent config`: the path of the settings file, and the settings in effect.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use mi_agent_core::safe_text;

use crate::cli::ConfigSubcommand;
use crate::options::load;
use crate::options::settings::Settings;

/// Prints the path or the settings, as `subcommand` asks.
///
/// # Errors
/// The settings cannot be read, or have an error; stdout cannot be written to.
pub(crate) fn run(subcommand: ConfigSubcommand) -> anyhow::Result<ExitCode> {
    let path = load::path()?;
    let text = match subcommand {
        ConfigSubcommand::Path => [path.as_os_str().as_bytes(), b"\n"].concat(),
        ConfigSubcommand::Show => shown(&path, Settings::read(&path)?)?.into_bytes(),
    };
    crate::print(&text)
}

/// Formats the settings in effect as a settings file: those `read` at `path`, or the defaults.
fn shown(path: &Path, read: Option<Settings>) -> anyhow::Result<String> {
    let origin = if read.is_some() { "Read from" } else { "There is no" };
    let mut text = format!("# {origin} {}\n", safe_text(&path.to_string_lossy()));
    for (key, value) in read.map_or_else(Settings::defaults, Ok)?.keys() {
        text += &match value {
            Some(value) => format!("{key} = {value}\n"),
            None => format!("# {key} is not set\n"),
        };
    }
    Ok(text)
}
