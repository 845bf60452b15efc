//! A running node.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use lumi_dns::NodeDirectory;
use tokio::net::UdpSocket;

use super::administration::Administration;
use super::roster_file::RosterFile;
use super::socket::NodeSocket;
use super::task::Task;
use crate::administrator::Administrator;
use crate::state::node::Node;

/// Serves a [`Node`] on a UDP socket: one message at a time, in one task, which never waits for a name server
/// or a disk.
#[derive(Debug)]
pub struct Server {
    socket: UdpSocket,
    node: Node,
    directory: NodeDirectory,
    administration: Option<Administration>,
}

impl Server {
    /// Creates a server of `node` on `socket` that finds other nodes in `directory`. If the socket is bound
    /// to
    /// 0.0.0.0, messages leave from the address of this host to which their receiver last sent.
    pub fn new(socket: UdpSocket, node: Node, directory: NodeDirectory) -> Self {
        Self { socket, node, directory, administration: None }
    }

    /// Creates an administrator, whose changes go to `roster`. A second call replaces the first
    /// administrator.
    pub fn administrator(&mut self, roster: RosterFile) -> Administrator {
        let (administration, administrator) = Administration::new(roster);
        self.administration = Some(administration);
        administrator
    }

    /// Serves until `shutdown` is ready. A change of the roster that is being saved then is finished first,
    /// if the disk takes no longer than 5 s. No datagram and no sender can end the server.
    ///
    /// # Errors
    /// [`ServeError`], before anything is served.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let local = match self.socket.local_addr().map_err(ServeError::LocalAddress)? {
            SocketAddr::V4(local) => local,
            SocketAddr::V6(_) => return Err(ServeError::NotIpv4),
        };
        let socket = NodeSocket::new(self.socket, local).map_err(ServeError::Options)?;
        Task::new(socket, local.into(), self.node, self.directory, self.administration).run(shutdown).await;
        Ok(())
    }
}

/// The reason why a node cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The socket's own address cannot be read.
    #[error("cannot read the address of the node's socket")]
    LocalAddress(#[source] io::Error),
    /// The socket is not an IPv4 socket, and PLUMI has no other addresses.
    #[error("the node's socket is not an IPv4 socket")]
    NotIpv4,
    /// The socket cannot be set to report the addresses to which its datagrams were sent.
    #[error("cannot set the options of the node's socket")]
    Options(#[source] io::Error),
}
