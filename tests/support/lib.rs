//! Everything that the tests of this workspace share beside the test kit, which is for other programs as
//! well: a DNS server, the programs as processes, and simulated worlds of nodes, agents and emulators.

use std::io::{self, Write};

pub mod browser;
pub mod camera;
pub mod captured;
pub mod dns_server;
pub mod exchange;
pub mod fault_proxy;
pub mod fuzz_targets;
#[cfg(target_os = "linux")]
pub mod host;
mod kept_requests;
pub mod loads;
pub mod picture;
#[cfg(target_os = "linux")]
pub mod places;
pub mod planted;
pub mod programs;
pub mod raw_user;
pub mod simulation;
pub mod trace;

pub use lumi_testkit::{conversation, emulators, network, wire};

/// Reports that a test did not run, and why.
///
/// The test harness does not capture this, so nobody mistakes a skipped test for a passed one.
pub fn skipped(reason: &str) {
    _ = writeln!(io::stderr(), "SKIPPED, {reason}");
}
