//! The way to the node: whether this host has one, from which of its addresses, and the look-up of a node
//! that moves.

use std::future;
use std::pin::Pin;
use std::time::Duration;

use lumi_dns::{FoundNode, LookupError, NodeDirectory};
use plumi_proto::{Domain, HostIp, NodeAddress};
use tokio::time::{self, Instant};
use tracing::{debug, info};

use super::node_link::route_to;

/// This host's way to the node. Hosts move to other networks while their programs run.
#[derive(Debug)]
pub(crate) struct Way {
    /// The address of this host on the way. `None` while there is no way.
    local: Option<HostIp>,
    next_look: Instant,
}

/// The look-ups of a node that is silent.
pub(crate) struct Search {
    directory: NodeDirectory,
    domain: Domain,
    /// The one that is under way.
    find: Option<Find>,
}

type Find = Pin<Box<dyn Future<Output = Result<FoundNode, LookupError>> + Send>>;

impl Way {
    /// Creates the way of a host that reaches its node from `local`.
    pub(crate) fn new(local: HostIp) -> Self {
        Self { local: Some(local), next_look: Instant::now() + LOOK }
    }

    /// Waits until it is time to look. Cancel safe.
    pub(crate) async fn next_look(&self) {
        time::sleep_until(self.next_look).await;
    }

    /// Has the next look taken at once: something could not be sent.
    pub(crate) fn look_soon(&mut self) {
        self.next_look = Instant::now();
    }

    /// Looks at the way to `node`. Returns this host's address if that has changed or there was no way
    /// before.
    pub(crate) fn look(&mut self, node: NodeAddress) -> Option<HostIp> {
        self.next_look = Instant::now() + LOOK;
        let route = route_to(node);
        if let (Err(error), Some(_)) = (&route, self.local) {
            info!(%node, %error, "there is no way to the node");
        }
        let local = route.ok().map(|(local, _)| local);
        let before = std::mem::replace(&mut self.local, local);
        let moved = local.filter(|_| local != before);
        if let Some(local) = moved {
            info!(%node, %local, "there is another way to the node");
        }
        moved
    }
}

impl Search {
    /// Creates the search for the node of `domain`.
    pub(crate) fn new(directory: NodeDirectory, domain: Domain) -> Self {
        Self { directory, domain, find: None }
    }

    /// Starts a look-up, unless one is under way.
    pub(crate) fn start(&mut self) {
        let (directory, domain) = (self.directory.clone(), self.domain);
        self.find.get_or_insert_with(|| Box::pin(async move { directory.find(&domain).await }));
    }

    /// Waits for the end of the look-up that is under way, and returns the addresses of the node: none if it
    /// failed. Cancel safe.
    pub(crate) async fn next_found(&mut self) -> Vec<NodeAddress> {
        let Some(find) = &mut self.find else { return future::pending().await };
        let found = find.await;
        self.find = None;
        match found {
            Ok(found) => found.addresses().map(|at| at.address).collect(),
            Err(error) => {
                debug!(domain = %self.domain, %error, "the silent node cannot be looked up");
                Vec::new()
            }
        }
    }
}

/// The pause between two looks at the way. A look costs three system calls, and after a host has moved, its
/// user cannot be found until the next.
const LOOK: Duration = Duration::from_secs(3);
