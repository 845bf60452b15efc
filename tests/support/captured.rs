//! The captured exchange of protocol.md §8.

use std::fs;
use std::path::{Path, PathBuf};

/// Writes the message log of its node PC-c, under the name that it has, into `folder`, and returns where it
/// is.
///
/// # Panics
/// If it cannot be written.
pub fn write_log_of_pc_c(folder: &Path) -> PathBuf {
    let path = folder.join(message_log::node_log_name("PC-c"));
    fs::write(&path, LOG_OF_PC_C).expect("a file can be written");
    path
}

/// The log of the node PC-c.
pub const LOG_OF_PC_C: &str = include_str!("../../crates/message-ladder/tests/captured/nodelumi-PC-c.log");

/// The log of the node PC-d.
pub const LOG_OF_PC_D: &str = include_str!("../../crates/message-ladder/tests/captured/nodelumi-PC-d.log");
