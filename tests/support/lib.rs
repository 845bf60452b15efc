//! What the tests of this workspace share: nodes, agents, a DNS server and a wire in memory.

pub mod dns_server;
pub mod network;
pub mod programs;
pub mod trace;
pub mod wire;
