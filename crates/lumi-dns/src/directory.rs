//! The directory: which source decides, and which of its addresses is the node's.

use std::collections::HashMap;
use std::io;
use std::iter;
use std::net::{SocketAddr, UdpSocket};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use plumi_proto::{Domain, HostIp, NODE_PORT, NodeAddress, is_reachable};
use tokio::{task, time};

use crate::error::{DirectoryError, LookupError};
use crate::hosts::Hosts;
use crate::name_servers::NameServers;
use crate::watched_file::WatchedFile;

/// Tells where the node of a domain is. Cheap to clone; the clones share everything.
#[derive(Clone, Debug)]
pub struct NodeDirectory {
    sources: Arc<Sources>,
}

#[derive(Debug)]
struct Sources {
    peers: HashMap<Domain, Vec<NodeAddress>>,
    hosts: WatchedFile<Hosts>,
    name_servers: AskedServers,
    acceptance: Acceptance,
}

/// The answers that count, besides peers.
#[derive(Clone, Copy, Debug)]
struct Acceptance {
    node_port: u16,
    literals: bool,
    /// The asker's address, if it restricts the answers.
    asker: Option<HostIp>,
}

/// The name servers that a directory asks.
#[derive(Debug)]
enum AskedServers {
    /// Those that the builder was told.
    Given(Arc<NameServers>),
    /// Those of the system now.
    OfSystem(WatchedFile<NameServers>),
}

impl NodeDirectory {
    /// A directory without peers that asks the system's name servers, until told otherwise.
    pub fn builder() -> NodeDirectoryBuilder {
        let acceptance = Acceptance { node_port: NODE_PORT, literals: true, asker: None };
        NodeDirectoryBuilder { peers: HashMap::new(), name_servers: Vec::new(), acceptance }
    }

    /// Finds the node of `domain`: each address that a node can have, [`MAX_ADDRESSES`] at most.
    ///
    /// Takes [`LOOKUP_DEADLINE`] at most, and may be dropped at any time. Must run within a tokio runtime
    /// with IO and time, the same one for all clones.
    ///
    /// # Errors
    /// Why there is none, or none that is known of.
    ///
    /// # Cancel safety
    /// Cancel safe. A question to a name server that is under way is given up.
    pub async fn find(&self, domain: &Domain) -> Result<FoundNode, LookupError> {
        // All of it: a disk can be as silent as a name server.
        let found = time::timeout(LOOKUP_DEADLINE, self.look_up(domain)).await;
        found.unwrap_or(Err(LookupError::NoAnswer))
    }

    async fn look_up(&self, domain: &Domain) -> Result<FoundNode, LookupError> {
        let Sources { peers, acceptance, .. } = &*self.sources;
        if let Some(found) =
            peers.get(domain).and_then(|addresses| FoundNode::at_all(addresses.iter().copied(), MAX_TTL))
        {
            return Ok(found);
        }
        if let Ok(literal) = domain.as_str().trim_end_matches('.').parse() {
            if !acceptance.literals {
                return Err(LookupError::NotFound);
            }
            return acceptance.found(slice::from_ref(&literal), MAX_TTL);
        }
        let (hosts, name_servers) = self.files().await?;
        if let Some(addresses) = hosts.addresses(domain) {
            return acceptance.found(addresses, MAX_TTL);
        }
        let (addresses, ttl) = name_servers.look_up(domain).await?;
        acceptance.found(&addresses, ttl)
    }

    /// Reads the files of the system that have changed. The disk may be slow, and the asker may have other
    /// things to do.
    async fn files(&self) -> Result<(Arc<Hosts>, Arc<NameServers>), LookupError> {
        let sources = Arc::clone(&self.sources);
        let files = task::spawn_blocking(move || {
            let name_servers = match &sources.name_servers {
                AskedServers::Given(given) => Arc::clone(given),
                AskedServers::OfSystem(file) => file.content(),
            };
            (sources.hosts.content(), name_servers)
        });
        // An error: the runtime ends.
        files.await.map_err(|_| LookupError::NoAnswer)
    }
}

impl Acceptance {
    /// Returns the node at those of `addresses` that are accepted.
    fn found(self, addresses: &[HostIp], ttl: Duration) -> Result<FoundNode, LookupError> {
        let mut usable = Vec::new();
        for &ip in addresses {
            if self.accepts(ip) && !usable.contains(&ip) && usable.len() < MAX_ADDRESSES {
                usable.push(ip);
            }
        }
        let usable = usable.into_iter().map(|ip| NodeAddress::new(ip, self.node_port));
        match (FoundNode::at_all(usable, ttl), addresses.first()) {
            (Some(found), _) => Ok(found),
            (None, Some(&unusable)) => Err(LookupError::Unusable(unusable)),
            (None, None) => Err(LookupError::NotFound),
        }
    }

    /// Returns whether a node can be at `ip` and the asker may send to it.
    ///
    /// The address is chosen by others: by users that name a domain, and by servers that answer for it. An
    /// address of the asker's own host or link would make the asker reach what others cannot.
    fn accepts(self, ip: HostIp) -> bool {
        let is_at = |is_of_range: fn(&HostIp) -> bool| self.asker.is_none_or(|asker| is_of_range(&asker));
        is_reachable(ip)
            && (!ip.is_loopback() || is_at(HostIp::is_loopback))
            && (!ip.is_link_local() || is_at(HostIp::is_link_local))
    }
}

/// Returns whether `ip` is an address of this host. Binds a socket there for a moment, and sends nothing.
///
/// # Errors
/// No socket can be opened, so it is not known.
pub fn is_of_this_host(ip: HostIp) -> io::Result<bool> {
    match UdpSocket::bind((ip, 0)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => Ok(false),
        Err(error) => Err(error),
    }
}

/// A [`NodeDirectory`] in the making.
#[derive(Clone, Debug)]
#[must_use]
pub struct NodeDirectoryBuilder {
    peers: HashMap<Domain, Vec<NodeAddress>>,
    name_servers: Vec<SocketAddr>,
    acceptance: Acceptance,
}

impl NodeDirectoryBuilder {
    /// The node of `domain` is at `address`, whatever anything else says. One call for each peer; of two for
    /// the same domain the later holds.
    pub fn peer(self, domain: Domain, address: NodeAddress) -> Self {
        self.peer_at(domain, vec![address])
    }

    /// The node of `domain` is at `addresses`, as [`NodeDirectoryBuilder::peer`]. The first one is asked
    /// first, and [`MAX_ADDRESSES`] are used. An empty list is no peer.
    pub fn peer_at(mut self, domain: Domain, addresses: Vec<NodeAddress>) -> Self {
        self.peers.insert(domain, addresses);
        self
    }

    /// Asks the DNS server at `address` (UDP, and TCP for a long answer) instead of the system's, without the
    /// system's search list. With several calls, an earlier server goes before a later one: each gets a head
    /// start of 300 ms, and the first to say yes or no is believed. Those after the seventh come too late.
    #[cfg(feature = "dns")]
    pub fn name_server(mut self, address: SocketAddr) -> Self {
        self.name_servers.push(address);
        self
    }

    /// The UDP port of the nodes that are found by anything but [`peer`](Self::peer); [`NODE_PORT`] if not
    /// told.
    pub fn node_port(mut self, port: u16) -> Self {
        self.acceptance.node_port = port;
        self
    }

    /// The look-ups are for a node that is bound to `ip` and sends to what others name. Unless `ip` is such
    /// an address too, loopback (127.0.0.0/8) and link-local addresses (169.254.0.0/16) are
    /// [`LookupError::Unusable`]. A [`peer`](Self::peer) can be at any. Without this, all are accepted.
    pub fn bound_to(mut self, ip: HostIp) -> Self {
        self.acceptance.asker = Some(ip);
        self
    }

    /// Sets whether an IPv4 literal is a domain with a node at that address. The default is yes. If it is
    /// not, the result is [`LookupError::NotFound`], unless the literal is a [`peer`](Self::peer).
    pub fn literals(mut self, accepted: bool) -> Self {
        self.acceptance.literals = accepted;
        self
    }

    /// Reads the system's hosts file and, unless a name server was given, its resolver configuration.
    /// Look-ups read them again when they have changed.
    ///
    /// There is only the hosts file if the feature `dns` is off. If the resolver configuration cannot be
    /// used, there still is a directory: it logs a warning, and the look-ups that need DNS end in
    /// [`LookupError::NoAnswer`] until there is one.
    ///
    /// # Errors
    /// A peer where no node can be, or a DNS client that cannot be set up.
    pub fn build(self) -> Result<NodeDirectory, DirectoryError> {
        let Self { peers, name_servers, acceptance } = self;
        let mut addresses =
            peers.iter().flat_map(|(domain, all)| all.iter().map(|address| (*domain, *address)));
        if let Some((domain, address)) = addresses.find(|(_, at)| at.port() == 0 || !is_reachable(at.ip())) {
            return Err(DirectoryError::UnusablePeer { domain, address });
        }
        let name_servers = match &name_servers[..] {
            [] => AskedServers::OfSystem(NameServers::of_system()),
            given => AskedServers::Given(Arc::new(NameServers::given(given)?)),
        };
        let sources = Sources { peers, hosts: Hosts::of_system(), name_servers, acceptance };
        Ok(NodeDirectory { sources: Arc::new(sources) })
    }
}

/// A node that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundNode {
    /// Its UDP socket. Of several, the first.
    pub address: NodeAddress,
    /// Set if its IP is an address of the host that asked. `false` if that is not known.
    pub is_this_host: bool,
    /// The time for which the answer may be kept: the least TTL of the records that led to it, at most
    /// [`MAX_TTL`]; [`MAX_TTL`] for what was not asked by DNS.
    pub valid_for: Duration,
    /// The other addresses at which it may be, in the order of the answer and none twice. They are for a node
    /// that does not answer at the first.
    pub others: Vec<AddressOfNode>,
}

/// One of the addresses of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressOfNode {
    /// The UDP socket.
    pub address: NodeAddress,
    /// Set if its IP is an address of the host that asked. `false` if that is not known.
    pub is_this_host: bool,
}

impl AddressOfNode {
    /// Creates an address, on this host or not.
    pub fn new(address: impl Into<NodeAddress>, is_this_host: bool) -> Self {
        Self { address: address.into(), is_this_host }
    }
}

impl From<FoundNode> for AddressOfNode {
    fn from(found: FoundNode) -> Self {
        Self::new(found.address, found.is_this_host)
    }
}

impl FoundNode {
    /// A node at `address` alone, an answer with this time to live. Whatever it is, `valid_for` is at most
    /// [`MAX_TTL`].
    pub fn new(address: impl Into<NodeAddress>, is_this_host: bool, ttl: Duration) -> Self {
        Self { address: address.into(), is_this_host, valid_for: ttl.min(MAX_TTL), others: Vec::new() }
    }

    /// Returns all addresses of the node in the order of the answer: one at least, [`MAX_ADDRESSES`] at most.
    pub fn addresses(&self) -> impl Iterator<Item = AddressOfNode> {
        iter::once(AddressOfNode::new(self.address, self.is_this_host)).chain(self.others.iter().copied())
    }

    /// Returns the node at the first [`MAX_ADDRESSES`] of `addresses`; `None` if there are none.
    fn at_all(addresses: impl IntoIterator<Item = NodeAddress>, ttl: Duration) -> Option<Self> {
        let at =
            |address: NodeAddress| Self::new(address, is_of_this_host(address.ip()).unwrap_or(false), ttl);
        let mut found = addresses.into_iter().take(MAX_ADDRESSES).map(at);
        let first = found.next()?;
        Some(Self { others: found.map(AddressOfNode::from).collect(), ..first })
    }
}

/// The limit of addresses of a node: more than a request is repeated, each time at the next one.
pub const MAX_ADDRESSES: usize = 8;

/// The longest time that an answer is kept. A node that moved is found again within a minute.
pub const MAX_TTL: Duration = Duration::from_secs(60);

/// The longest that a look-up takes, whatever the name servers do. It is less than what an agent waits for
/// the answer to a location request: 5 tries, 1 s apart.
pub const LOOKUP_DEADLINE: Duration = Duration::from_secs(2);
