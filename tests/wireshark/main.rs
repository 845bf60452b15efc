//! The dissector of `contrib/wireshark`, by way of tshark, on captures that are made here.

mod capture;
mod encrypted;
mod exchange;
mod plumi;
mod pmi;
mod pmi2;
mod requests;
mod tshark;

#[path = "../../crates/plumi-proto/tests/samples/messages.rs"]
mod messages;
#[path = "../../crates/plumi-proto/tests/samples/no_messages.rs"]
mod no_messages;

/// An agent and a node.
const LAURA: &str = "10.0.0.1:4000";
const NODE: &str = "10.0.0.3:3344";
