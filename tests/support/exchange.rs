//! The captured exchange of protocol.md §8, as its node PC-c has it.

use crate::raw_user::uninterrupted;
use std::io;
use std::net::{SocketAddrV4, UdpSocket};

use crate::programs::DEADLINE;

/// The agent of u1 and the node PC-d, repeating to a node PC-c the messages of that time.
#[derive(Debug)]
pub struct Exchange {
    agent: UdpSocket,
    other_node: UdpSocket,
}

impl Exchange {
    /// Sets up the exchange with the agent and the other node at these addresses, each `IP:PORT`.
    ///
    /// # Errors
    /// Somebody else is there.
    pub fn at(agent: &str, other_node: &str) -> io::Result<Self> {
        let exchange = Self { agent: UdpSocket::bind(agent)?, other_node: UdpSocket::bind(other_node)? };
        for socket in [&exchange.agent, &exchange.other_node] {
            socket.set_read_timeout(Some(DEADLINE))?;
        }
        Ok(exchange)
    }

    /// The value of `--peer` by which PC-c finds PC-d.
    ///
    /// # Panics
    /// Never.
    pub fn peer(&self) -> String {
        format!("PC-d={}", self.other_node.local_addr().expect("it is bound"))
    }

    /// Says all of it to the node PC-c at `node`, of which u1 is a user, and hears its answers.
    ///
    /// # Panics
    /// If it does not answer as it did then.
    pub fn play(&self, node: SocketAddrV4) {
        let locate = "PLu1@PC-c:u2@PC-d";
        let found = "RL0u1@PC-c:u2@PC-d:10.100.100.102:43038";
        for (from, message, to, heard) in [
            (&self.agent, "PRu1@PC-c", &self.agent, "RR0"),
            (&self.agent, locate, &self.other_node, locate),
            (&self.other_node, found, &self.agent, found),
            (&self.agent, "PDu1@PC-c", &self.agent, "RD0"),
        ] {
            from.send_to(message.as_bytes(), node).expect("it is sent");
            let mut buffer = [0; 100];
            let length = uninterrupted(|| to.recv(&mut buffer)).expect("the node answers");
            assert_eq!(String::from_utf8_lossy(&buffer[..length]), heard);
        }
    }
}
