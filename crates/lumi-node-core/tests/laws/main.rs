//! The laws of a node: on random events, and on floods of what strangers can send (protocol.md §9).

mod floods;
mod limiter;
mod network;
mod owners;

use std::net::SocketAddrV4;

use lumi_node_core::{Node, NodeSettings, Output, Roster};

fn node(roster: &str, at: SocketAddrV4, settings: NodeSettings) -> Node {
    Node::new(Roster::parse(roster.as_bytes()).expect("a roster"), at.into(), settings)
}

fn drain(node: &mut Node) -> Vec<Output> {
    std::iter::from_fn(|| node.poll_output()).collect()
}

fn address(text: &str) -> SocketAddrV4 {
    text.parse().expect("an address")
}
