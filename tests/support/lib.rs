//! What the tests of this workspace share: nodes, agents, a DNS server, a wire in memory, emulators of the
//! programs that are deployed, and simulated worlds of all of them.

pub mod browser;
pub mod captured;
pub mod dns_server;
pub mod emulators;
pub mod exchange;
pub mod fault_proxy;
pub mod fuzz_targets;
pub mod loads;
pub mod network;
pub mod picture;
pub mod planted;
pub mod programs;
pub mod raw_user;
pub mod simulation;
pub mod trace;
pub mod wire;
