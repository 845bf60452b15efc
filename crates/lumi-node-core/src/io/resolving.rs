//! The look-ups that a node has asked for.

use std::collections::HashMap;

use futures_util::future::{AbortHandle, Abortable, BoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use lumi_dns::{FoundNode, LookupError, NodeDirectory};
use plumi_proto::Domain;

use crate::state::lookups::LookupId;

/// The look-ups under way, as many as the node allows.
#[derive(Default)]
pub(super) struct Resolving {
    futures: FuturesUnordered<Abortable<BoxFuture<'static, Resolved>>>,
    handles: HashMap<LookupId, AbortHandle>,
}

/// The result of a look-up.
pub(super) struct Resolved {
    pub(super) id: LookupId,
    pub(super) domain: Domain,
    pub(super) answer: Result<FoundNode, LookupError>,
}

impl Resolving {
    /// Starts to look `domain` up in `directory`, and gives up the look-up `instead_of`: its questions to
    /// name servers end with it.
    pub(super) fn start(
        &mut self,
        id: LookupId,
        domain: Domain,
        directory: NodeDirectory,
        instead_of: Option<LookupId>,
    ) {
        if let Some(handle) = instead_of.and_then(|given_up| self.handles.remove(&given_up)) {
            handle.abort();
        }
        let (handle, registration) = AbortHandle::new_pair();
        let lookup = async move { Resolved { id, domain, answer: directory.find(&domain).await } };
        self.futures.push(Abortable::new(Box::pin(lookup), registration));
        self.handles.insert(id, handle);
    }

    /// Returns the next result, or `None` if nothing is looked up. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Resolved> {
        loop {
            // An error: it was given up.
            if let Ok(resolved) = self.futures.next().await? {
                self.handles.remove(&resolved.id);
                return Some(resolved);
            }
        }
    }
}
