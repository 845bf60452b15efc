//! The answers to look-ups that are kept, and the askers for whom they are.
//!
//! An answer is kept for each asker that needed it, as an entry in a [`FairTable`], and goes with the last of
//! these. So somebody who asks for many domains displaces only answers that nobody else needed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use fair_table::{FairTable, Inserted, Key, Share};
use lumi_dns::{FoundNode, LookupError};
use plumi_proto::{Domain, NodeAddress};

use super::Nodes;
use crate::state::owner::{Asker, Owner, RequestSource};

/// The answers that are kept.
#[derive(Debug)]
pub(super) struct Answers {
    by_domain: HashMap<Domain, Answer>,
    needs: FairTable<RequestSource, Asker, Need>,
    keys: HashMap<Need, Key>,
}

/// An answer that an asker needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Need {
    source: RequestSource,
    asker: Asker,
    domain: Domain,
}

#[derive(Debug)]
struct Answer {
    /// `None`: the domain has no node.
    nodes: Option<Nodes>,
    until: Instant,
    /// The nodes that were found last. A name server that is silent does not make them other nodes.
    last_found: Option<Nodes>,
    /// The number of askers that needed it.
    needs: usize,
}

impl Default for Answers {
    fn default() -> Self {
        Self { by_domain: HashMap::new(), needs: FairTable::new(MAX_NEEDS), keys: HashMap::new() }
    }
}

impl Answers {
    /// Returns the answer for `domain` that is valid at `now`, if there is one. `owner` needs it from now on.
    pub(super) fn get(&mut self, now: Instant, domain: &Domain, owner: Owner) -> Option<Option<Nodes>> {
        let nodes = self.by_domain.get(domain).filter(|answer| answer.until > now)?.nodes.clone();
        self.need(*domain, owner);
        Some(nodes)
    }

    /// Keeps an answer for `valid_for`, and longer as the last one, for the `owners` that need it.
    pub(super) fn keep(
        &mut self,
        domain: Domain,
        answer: &Result<FoundNode, LookupError>,
        (now, valid_for): (Instant, Duration),
        owners: impl IntoIterator<Item = Owner>,
    ) -> Option<Nodes> {
        let nodes =
            answer.as_ref().ok().map(|found| found.addresses().map(|at| at.address).collect::<Nodes>());
        let until = now + valid_for;
        let kept = self.by_domain.entry(domain);
        let kept = kept.or_insert(Answer { nodes: None, until, last_found: None, needs: 0 });
        (kept.nodes, kept.until) = (nodes.clone(), until);
        if !matches!(answer, Err(LookupError::NoAnswer)) {
            kept.last_found.clone_from(&nodes);
        }
        for owner in owners {
            self.need(domain, owner);
        }
        if self.by_domain.get(&domain).is_some_and(|answer| answer.needs == 0) {
            self.by_domain.remove(&domain);
        }
        nodes
    }

    /// Returns whether `node` is among the nodes of `domain` that were found last, be that out of date or
    /// not.
    pub(super) fn has_found(&self, domain: &Domain, node: NodeAddress) -> bool {
        let found = self.by_domain.get(domain).and_then(|answer| answer.last_found.as_ref());
        found.is_some_and(|nodes| nodes.contains(&node))
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the number of domains whose answer is kept.
    pub(super) fn len(&self) -> usize {
        self.by_domain.len()
    }

    /// Notes that `owner` needs the answer for `domain`. The answer that the greediest asker needed longest
    /// ago may give way, if nobody else needed that one.
    fn need(&mut self, domain: Domain, owner: Owner) {
        let need = Need { source: owner.source, asker: owner.asker, domain };
        if let Some(key) = self.keys.get(&need) {
            self.needs.renew(*key);
            return;
        }
        let Ok(Inserted { key, gave_way }) = self.needs.insert(owner, Share::ALL, need) else { return };
        self.keys.insert(need, key);
        if let Some(answer) = self.by_domain.get_mut(&domain) {
            answer.needs += 1;
        }
        let Some((_, gone)) = gave_way else { return };
        self.keys.remove(&gone);
        if let Some(answer) = self.by_domain.get_mut(&gone.domain) {
            answer.needs = answer.needs.saturating_sub(1);
            if answer.needs == 0 {
                self.by_domain.remove(&gone.domain);
            }
        }
    }
}

/// The limit of answers that are kept, once for each asker that needed them: about 2 MiB.
const MAX_NEEDS: usize = 4_096;
