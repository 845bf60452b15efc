//! `mi-agent config`: where the settings are, and what holds.

use std::fmt::{self, Display, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use mi_agent_core::safe_text;

use crate::cli::ConfigErrand;
use crate::options::settings::{self, Settings};
use crate::options::values::{DEFAULT_CONVERSATIONS, Refresh};
use crate::toml_text::quoted;

/// Tells what `errand` says.
///
/// # Errors
/// Settings that cannot be read or are wrong; nothing can be printed any more.
pub(crate) fn run(errand: ConfigErrand) -> anyhow::Result<ExitCode> {
    let path = settings::path()?;
    let text = match errand {
        ConfigErrand::Path => [path.as_os_str().as_bytes(), b"\n"].concat(),
        ConfigErrand::Show => shown(&path, Settings::read(&path)?.as_ref()).into_bytes(),
    };
    crate::print(&text)
}

/// What holds with the `settings` that were read at `path`, or without any, as a settings file.
fn shown(path: &Path, settings: Option<&Settings>) -> String {
    let place = path.to_string_lossy();
    let mut text = match settings {
        Some(_) => format!("# Read from {}\n", safe_text(&place)),
        None => format!("# There is no {}\n", safe_text(&place)),
    };
    // A String takes whatever is written.
    _ = write_keys(&mut text, settings.unwrap_or(&Settings::default()));
    text
}

fn write_keys(text: &mut String, settings: &Settings) -> fmt::Result {
    // No `..`, so that a new key is missed here.
    let Settings {
        address,
        nick,
        port,
        node,
        name_servers,
        advertise,
        refresh,
        bare_user,
        log,
        conversations,
        history,
        bell,
        mouse,
        plain,
    } = settings;
    let in_quotes = |value: &dyn Display| quoted(&value.to_string());
    let mut write = |key: &str, value: Option<String>| match value {
        Some(value) => writeln!(text, "{key} = {value}"),
        None => writeln!(text, "# {key} is not set"),
    };
    write("address", address.as_ref().map(|address| in_quotes(address)))?;
    write("nick", nick.as_ref().map(|nick| in_quotes(nick)))?;
    write("port", Some(port.unwrap_or(settings::DEFAULT_PORT).to_string()))?;
    write("node", node.as_ref().map(|node| in_quotes(node)))?;
    let servers: Vec<_> = name_servers.iter().map(|server| in_quotes(server)).collect();
    write("name-servers", (!servers.is_empty()).then(|| format!("[{}]", servers.join(", "))))?;
    write("advertise", advertise.as_ref().map(|ip| in_quotes(ip)))?;
    write(
        "refresh",
        Some(match refresh.unwrap_or_default() {
            Refresh::Off => quoted("off"),
            every => every.to_string(),
        }),
    )?;
    write("bare-user", Some(bare_user.unwrap_or(settings::DEFAULT_BARE_USER).to_string()))?;
    write("log", log.as_ref().map(|log| in_quotes(&log.display())))?;
    let most = conversations.unwrap_or(DEFAULT_CONVERSATIONS);
    write("conversations", Some(most.to_string()))?;
    write("history", Some(history.unwrap_or(settings::DEFAULT_HISTORY).to_string()))?;
    write("bell", Some(bell.unwrap_or(settings::DEFAULT_BELL).to_string()))?;
    write("mouse", Some(mouse.unwrap_or(settings::DEFAULT_MOUSE).to_string()))?;
    write("plain", Some(plain.unwrap_or(settings::DEFAULT_PLAIN).to_string()))
}
