//! Nodes, agents and programs together, over real sockets.

mod admission;
mod conversation;
mod documents;
mod embedding;
mod emulators;
mod exchange;
mod faults;
mod location;
mod lumi_node;
mod mi_agent;
#[cfg(target_os = "linux")]
mod network;
mod registration;
mod several_addresses;
mod terminal;
mod traffic;
