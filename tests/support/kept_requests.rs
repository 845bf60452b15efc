//! The requests that a node keeps when there is no room for all (protocol.md §9), as an observer can derive
//! it.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use fair_table::{FairTable, Inserted, Key, Owner, Share};
use lumi_node_core::AddressRange;
use plumi_proto::{Domain, Locate, MiAddress, UserName};

/// A request: its names, and its asker.
pub(crate) type Asked = (Locate, SocketAddrV4);

/// The pending requests of a node.
#[derive(Debug)]
pub(crate) struct KeptRequests {
    table: FairTable<Source, Asker, Asked>,
    keys: HashMap<Asked, Key>,
    domain: Domain,
    exempt: Vec<AddressRange>,
}

/// A source of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Host(Ipv4Addr),
    SpokenFor(MiAddress),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Asker {
    User(UserName),
    Foreign(MiAddress, SocketAddrV4),
    Socket(SocketAddrV4),
}

impl KeptRequests {
    /// Those of the node of `domain`, for which these addresses are exempt.
    pub(crate) fn new(domain: Domain, exempt: &[AddressRange]) -> Self {
        Self { table: FairTable::new(MAX_PENDINGS), keys: HashMap::new(), domain, exempt: exempt.to_vec() }
    }

    /// Adds a request, or renews it. `user` is the asking user of the node that is online at its source, if
    /// there is one. Returns what gives way: another request, or this one.
    pub(crate) fn add(&mut self, asked: Asked, user: Option<UserName>) -> Option<Asked> {
        if let Some(key) = self.keys.get(&asked) {
            self.table.renew(*key);
            return None;
        }
        let (locate, asker) = asked;
        let source = self.source_of(&asked);
        let (owner, share) = if let Source::SpokenFor(_) = source {
            (Owner::new(source, Asker::Socket(asker)), Share::ALL)
        } else {
            let owner = Owner {
                source,
                asker: match user {
                    Some(user) => Asker::User(user),
                    None if locate.from.domain() == self.domain => Asker::Socket(asker),
                    None => Asker::Foreign(locate.from, asker),
                },
                gives_way_first: user.is_none(),
            };
            (owner, Share { of_source: MAX_OF_SOURCE, of_asker: MAX_OF_ASKER })
        };
        match self.table.insert(owner, share, asked) {
            Ok(Inserted { key, gave_way }) => {
                self.keys.insert(asked, key);
                let (_, gone) = gave_way?;
                self.keys.remove(&gone);
                Some(gone)
            }
            Err(refused) => Some(refused),
        }
    }

    /// Returns the source that a request counts for.
    pub(crate) fn source_of(&self, (locate, asker): &Asked) -> Source {
        let is_exempt = self.exempt.iter().any(|range| range.contains(*asker.ip()));
        if is_exempt { Source::SpokenFor(locate.from) } else { Source::Host(*asker.ip()) }
    }

    /// A request is pending no longer.
    pub(crate) fn remove(&mut self, asked: &Asked) {
        if let Some(key) = self.keys.remove(asked) {
            self.table.remove(key);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}

/// The bounds of protocol.md §9.
const MAX_PENDINGS: usize = 4_096;
const MAX_OF_SOURCE: usize = 1_024;
const MAX_OF_ASKER: usize = 8;
