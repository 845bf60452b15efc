//! The source at which a node has to see an agent that proves a registration (protocol.md §12).

use plumi_proto::{HostIp, UdpAddress};

/// The source of an agent's messages, at which its node should see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedSource {
    /// This host's address on the way to the node, or the one that the program named.
    pub ip: HostIp,
    /// The port of the agent's socket.
    pub port: u16,
    /// Set if something on the way may replace the port.
    pub is_any_port: bool,
}

impl ExpectedSource {
    pub(super) fn check(&self, seen: UdpAddress) -> Result<(), SeenElsewhere> {
        let is_expected = *seen.ip() == self.ip && (self.is_any_port || seen.port() == self.port);
        let own = UdpAddress::new(self.ip, self.port);
        if is_expected { Ok(()) } else { Err(SeenElsewhere { seen, own }) }
    }
}

/// A node saw an agent elsewhere than it is: there is a NAT on the way, or somebody relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its node saw {seen} and this agent is at {own}")]
pub struct SeenElsewhere {
    /// The address at which the node saw the agent.
    pub seen: UdpAddress,
    /// The address at which it should have.
    pub own: UdpAddress,
}
