//! The addresses of an agent's node: which one is asked, and when the domain is looked up again.

use std::time::{Duration, Instant};

use lumi_dns::MAX_ADDRESSES;
use plumi_proto::NodeAddress;

use super::refresh::RETRY;

/// The addresses at which the node may be, and the one that is asked now.
#[derive(Debug)]
pub(super) struct Nodes {
    current: NodeAddress,
    /// All addresses, in the order of the answer. The current one may have disappeared from it.
    all: Vec<NodeAddress>,
    /// The time of the last change to another address.
    turned: Option<Instant>,
    /// Set if the node can be looked up.
    finds_node: bool,
    /// The time at which the node was last asked to be looked up.
    looked_up: Option<Instant>,
}

impl Nodes {
    pub(super) fn new(node: NodeAddress, finds_node: bool) -> Self {
        Self { current: node, all: vec![node], turned: None, finds_node, looked_up: None }
    }

    pub(super) fn current(&self) -> NodeAddress {
        self.current
    }

    pub(super) fn contains(&self, node: NodeAddress) -> bool {
        node == self.current || self.all.contains(&node)
    }

    /// Returns the number of addresses at which the node may be.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Asks this address from now on.
    pub(super) fn stay_at(&mut self, node: NodeAddress) {
        self.current = node;
    }

    /// Takes the addresses that a look-up has found. Returns whether the node has moved: it is not at the
    /// current address any more, and does not answer there.
    pub(super) fn found(&mut self, now: Instant, nodes: &[NodeAddress], answers: bool) -> bool {
        let Some(&first) = nodes.first() else { return false };
        self.all = nodes.iter().copied().take(MAX_ADDRESSES).collect();
        let has_moved = !answers && !self.all.contains(&self.current);
        if has_moved {
            self.current = first;
            self.turned = Some(now);
        }
        has_moved
    }

    /// Returns whether a silent node is to be looked up now. Counts as that look-up.
    pub(super) fn wants_to_be_found(&mut self, now: Instant) -> bool {
        let is_due = self.finds_node && is_past(self.looked_up, now, RETRY);
        if is_due {
            self.looked_up = Some(now);
        }
        is_due
    }

    /// Goes on to the next address, if there is one, but once in `interval` at most: each gets the time to
    /// answer.
    pub(super) fn turn(&mut self, now: Instant, interval: Duration) -> bool {
        let at = self.all.iter().position(|node| *node == self.current);
        let next = self.all[at.map_or(0, |at| at + 1) % self.all.len()];
        let turns = next != self.current && is_past(self.turned, now, interval);
        if turns {
            self.current = next;
            self.turned = Some(now);
        }
        turns
    }
}

fn is_past(last: Option<Instant>, now: Instant, pause: Duration) -> bool {
    last.is_none_or(|last| now.saturating_duration_since(last) >= pause)
}
