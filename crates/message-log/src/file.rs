//! The files of logs, and their names.

use std::fmt::Write;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::visible::is_visible;

/// Returns the name of the log of the node of `domain`: `nodelumi-<domain>.log`.
///
/// The name is always a file name without a folder, and differs for every domain: `/`, `\`, `%` and
/// characters that are not printable are written as `%NN`, byte by byte.
pub fn node_log_name(domain: &str) -> String {
    log_name(NODE, domain)
}

/// Returns the name of the log of the agent of `address`: `mi-agent-<user>@<domain>.log`, escaped like
/// [`node_log_name`].
pub fn agent_log_name(address: &str) -> String {
    log_name(AGENT, address)
}

/// Returns the party with a log of this name, or `None` if it is not the name of a log. Reads the names of
/// [`node_log_name`] and [`agent_log_name`], also of files that were put aside and end in a number.
pub fn log_owner(name: &str) -> Option<String> {
    let escaped = [NODE, AGENT].iter().find_map(|program| name.strip_prefix(program))?;
    let escaped = &escaped[..escaped.rfind(".log")?];
    let mut owner = Vec::new();
    let mut rest = escaped.as_bytes();
    while let Some((&first, others)) = rest.split_first() {
        let digits = others.first_chunk::<2>().filter(|_| first == b'%');
        let byte = digits.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        owner.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &others[2..] } else { others };
    }
    String::from_utf8(owner).ok()
}

/// Opens the log at `path` for appending, and creates it if it does not exist.
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

/// The beginning of the name of a node's log.
const NODE: &str = "nodelumi-";

/// The beginning of the name of an agent's log.
const AGENT: &str = "mi-agent-";
