//! The settings of a LUMI client.

use std::time::Duration;

use plumi_proto::{MiAddress, MiSocketAddress, NodeAddress};

use super::refresh::DEFAULT_REFRESH;
use super::request::RequestSchedule;

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
    /// Set to look for the node again while it is silent, by [`LumiOutput::FindNode`].
    pub finds_node: bool,
    /// Set to tell callers that they may encrypt (protocol.md §11).
    pub offers_tls: bool,
}

impl ClientSettings {
    /// Creates the settings of a client that repeats requests on the default schedule, registers with its domain,
    /// refreshes every [`DEFAULT_REFRESH`](crate::DEFAULT_REFRESH), stays with its node, and offers no encryption.
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
        }
    }
}
