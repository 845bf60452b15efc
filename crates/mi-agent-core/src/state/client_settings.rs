//! The settings of a LUMI client.

use std::time::Duration;

use plumi_proto::{MiAddress, MiSocketAddress, NodeAddress};

use super::refresh::DEFAULT_REFRESH;
use super::request::RequestSchedule;
use super::source::ExpectedSource;

/// The user that a [`LumiClient`](crate::LumiClient) registers, the node, and the schedule.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ClientSettings {
    /// The user's address.
    pub address: MiAddress,
    /// Set to register as `PRuser`, without a domain (protocol.md §7, row 2).
    pub bare: bool,
    /// The node of the user's domain.
    pub node: NodeAddress,
    /// The address on which the user listens for conversations.
    pub listening: MiSocketAddress,
    /// The schedule on which requests are repeated.
    pub schedule: RequestSchedule,
    /// The interval between refreshes of the registration, from [`RETRY`](crate::RETRY) to a day. `None`
    /// means never. See [`DEFAULT_REFRESH`](crate::DEFAULT_REFRESH).
    pub refresh: Option<Duration>,
    /// Set to look for the node again while it is silent, by
    /// [`LumiOutput::FindNode`](crate::LumiOutput::FindNode).
    pub finds_node: bool,
    /// Set to tell callers that they may encrypt (protocol.md §11).
    pub offers_tls: bool,
    /// The way in which registrations are proved (protocol.md §12). `None`: the user has no key. The bare
    /// form is never proved.
    pub proofs: Option<ProofSettings>,
}

/// The way in which a [`LumiClient`](crate::LumiClient) proves its registrations.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ProofSettings {
    /// Set if the node knows the user's key, as far as anybody remembers: the client begins by asking for a
    /// challenge. Otherwise it does so once the node has refused it.
    pub is_enrolled: bool,
    /// The source at which the node has to see the client. `None`: anywhere, for an agent behind a NAT.
    pub source: Option<ExpectedSource>,
    /// Random bits. They spread the pauses after refused proofs.
    pub seed: u64,
}

impl ProofSettings {
    /// Creates the settings of a client with a key that the node may not know.
    pub fn new(source: Option<ExpectedSource>, seed: u64) -> Self {
        Self { is_enrolled: false, source, seed }
    }
}

impl ClientSettings {
    /// Creates the settings of a client that repeats requests on the default schedule, registers with its
    /// domain, refreshes every [`DEFAULT_REFRESH`](crate::DEFAULT_REFRESH), stays with its node, offers no
    /// encryption, and proves nothing.
    pub fn new(address: MiAddress, node: NodeAddress, listening: MiSocketAddress) -> Self {
        let (schedule, refresh) = (RequestSchedule::default(), Some(DEFAULT_REFRESH));
        Self {
            address,
            bare: false,
            node,
            listening,
            schedule,
            refresh,
            finds_node: false,
            offers_tls: false,
            proofs: None,
        }
    }
}
