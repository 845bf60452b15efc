//! The files that logs are kept in.

use std::fmt::Write;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::visible::is_visible;

/// The name of the log of the node of `domain`: `nodelumi-<domain>.log`.
///
/// A name is always that of a file in the working directory, and another one for another domain: `/`, `\`, `%`
/// and characters that are not printable stand in it as `%NN`, byte by byte.
pub fn node_log_name(domain: &str) -> String {
    log_name("nodelumi-", domain)
}

/// The name of the log of the agent of `address`: `mi-agent-<user>@<domain>.log`, escaped as
/// [`node_log_name`] is.
pub fn agent_log_name(address: &str) -> String {
    log_name("mi-agent-", address)
}

/// Opens the log at `path` to append to it, and creates it if there is none.
///
/// # Errors
/// Those of the operating system.
pub fn open_log(path: impl AsRef<Path>) -> io::Result<File> {
    File::options().append(true).create(true).open(path)
}

fn log_name(program: &str, party: &str) -> String {
    let mut name = program.to_owned();
    for character in party.chars() {
        if is_visible(character) && !matches!(character, '/' | '\\' | '%') {
            name.push(character);
        } else {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                write!(name, "%{byte:02X}").expect("a String takes everything");
            }
        }
    }
    name + ".log"
}
