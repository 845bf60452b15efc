//! The domain that is measured: its users and its node.

use std::fmt::Write;
use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::Path;

use fastrand::Rng;
use integration_tests::programs::NodeProgram;
use tempfile::TempDir;

use crate::load::Requests;

/// The node of [`DOMAIN`], in a folder that is removed after its end.
pub(crate) struct NodeOfMany {
    program: NodeProgram,
    _folder: TempDir,
}

impl NodeOfMany {
    /// Starts the node of so many users, and waits until it is ready.
    pub(crate) fn start(users: usize, arguments: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        write_roster(folder.path(), users)?;
        let program = start_in(folder.path(), arguments);
        Ok(Self { program, _folder: folder })
    }
}

impl Deref for NodeOfMany {
    type Target = NodeProgram;

    fn deref(&self) -> &NodeProgram {
        &self.program
    }
}

impl DerefMut for NodeOfMany {
    fn deref_mut(&mut self) -> &mut NodeProgram {
        &mut self.program
    }
}

/// Starts a node in a folder with a roster of [`write_roster`], and waits until it is ready.
pub(crate) fn start_in(folder: &Path, arguments: &[&str]) -> NodeProgram {
    NodeProgram::start_in(folder, &[&["--roster", ROSTER], arguments].concat())
}

/// Writes the roster of so many users where [`start_in`] looks for it.
pub(crate) fn write_roster(folder: &Path, users: usize) -> anyhow::Result<()> {
    Ok(fs::write(folder.join(ROSTER), roster(users))?)
}

/// [`DOMAIN`] with so many users.
pub(crate) fn roster(users: usize) -> String {
    let mut text = format!("{DOMAIN}\n");
    (0..users).for_each(|number| writeln!(text, "{}", user(number)).expect("a String takes everything"));
    text
}

/// A `PR` of each of so many users, in no order.
pub(crate) fn registrations(users: usize) -> Requests {
    let mut order: Vec<_> = (0..users).collect();
    Rng::with_seed(1).shuffle(&mut order);
    Requests::new(order.into_iter().map(|number| format!("PR{}@{DOMAIN}", user(number))))
}

/// The name of a user; all are of one length.
pub(crate) fn user(number: usize) -> String {
    format!("u{number:07}")
}

pub(crate) const DOMAIN: &str = "bb.com";

/// The roster's file.
pub(crate) const ROSTER: &str = "nodelumi.cfg";

/// Whatever number of datagrams comes from one address is taken, with a limit that is looked at all the same.
pub(crate) const NO_LIMIT: [&str; 2] = ["--rate-limit", "1000000000"];
