//! A running node.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;

use lumi_bindings::StoredBinding;
use lumi_dns::{DirectoryError, NodeDirectory, is_of_this_host};
use message_log::{LogProgress, TrafficTap};
use plumi_proto::udp_address;
use tokio::net::UdpSocket;
use tokio::time;

use super::administration::Administration;
use super::bindings::{BindingStore, wall_clock};
#[cfg(feature = "proof")]
use super::enrolments::{EnrolmentSender, Enrolments, enrolments};
use super::events::{NodeEventSender, NodeEvents, node_events};
use super::roster_store::{RosterStore, Store};
use super::socket::NodeSocket;
use super::task::Task;
use crate::administrator::{Administrator, ServerHandle};
use crate::state::node::Node;
use crate::state::policy::Policy;

/// Serves a [`Node`] on a UDP socket: one message at a time, in one task, which waits neither for a name
/// server nor for the roster to be saved.
///
/// It does wait for the subscriber that its messages are logged to. A [`LineWriter`] that is a sink belongs
/// in the background, and its progress into [`ServerBuilder::log_progress`].
///
/// [`LineWriter`]: https://docs.rs/message-log/latest/message_log/struct.LineWriter.html
pub struct Server {
    socket: UdpSocket,
    node: Node,
    directory: NodeDirectory,
    administration: Administration,
    handle: ServerHandle,
    events: Option<NodeEventSender>,
    tap: Option<TrafficTap>,
    log_progress: LogProgress,
    bindings: Option<Box<dyn BindingStore>>,
    #[cfg(feature = "proof")]
    enrolments: Option<EnrolmentSender>,
}

impl Server {
    /// Creates a server of `node` on `socket` that finds other nodes in `directory`. If the socket is bound to
    /// 0.0.0.0, messages leave from the address of this host to which their receiver last sent.
    pub fn new(socket: UdpSocket, node: Node, directory: NodeDirectory) -> Self {
        let (administration, handle) = Administration::new();
        let log_progress = LogProgress::default();
        Self {
            socket,
            node,
            directory,
            administration,
            handle,
            events: None,
            tap: None,
            log_progress,
            bindings: None,
            #[cfg(feature = "proof")]
            enrolments: None,
        }
    }

    /// Begins a server of `node` on `socket`, of which more is to be set.
    pub fn builder(socket: UdpSocket, node: Node) -> ServerBuilder {
        ServerBuilder {
            socket,
            node,
            directory: None,
            store: None,
            events: None,
            tap: None,
            log_progress: LogProgress::default(),
            bindings: None,
            handle: |handle| handle,
        }
    }

    /// Returns the handle of this server.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Keeps the roster in `store`, and returns the handle that changes it there. A second call replaces the
    /// store.
    pub fn administrator(&mut self, store: impl RosterStore) -> Administrator {
        self.administration.keep_in(Store::new(store));
        Administrator { handle: self.handle() }
    }

    /// Returns the events of the node. A second call replaces the first one's.
    pub fn events(&mut self) -> NodeEvents {
        let (sender, events) = node_events();
        self.events = Some(sender);
        events
    }

    /// Returns the enrolments that the node asks to be saved. Without this, or once they are dropped, no key
    /// is accepted by an invitation. A second call replaces the first one's.
    #[cfg(feature = "proof")]
    pub fn enrolments(&mut self) -> Enrolments {
        let (sender, enrolments) = enrolments();
        self.enrolments = Some(sender);
        enrolments
    }

    /// Serves until `shutdown` is ready. A change of the roster that is being saved then is finished first,
    /// if the disk takes no longer than 5 s. No datagram and no sender can end the server.
    ///
    /// # Errors
    /// [`ServeError`], before anything is served.
    ///
    /// # Cancel safety
    /// Dropping this closes the socket at once. What has arrived and is not served yet is lost, and a change of
    /// the roster that is being saved is not waited for. End a server by `shutdown`.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let local = self.socket.local_addr().map_err(ServeError::LocalAddress)?;
        let local = udp_address(local).ok_or(ServeError::NotIpv4)?;
        let socket = NodeSocket::new(self.socket, local).map_err(ServeError::Options)?;
        // Handles that are left alone keep no server.
        drop(self.handle);
        let mut task = Task::new(socket, local.into(), self.node, self.directory, self.administration);
        if let Some(events) = self.events {
            task.report_events(events);
        }
        if let Some(tap) = self.tap {
            task.report_traffic(tap);
        }
        #[cfg(feature = "proof")]
        task.save_enrolments(self.enrolments);
        task.wait_for_log(self.log_progress);
        if let Some(store) = self.bindings {
            task.bindings.save_in(store);
        }
        // Its buffers are no burden for the futures of embedding programs.
        Box::pin(task.run(shutdown)).await;
        Ok(())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("node", &self.node).finish_non_exhaustive()
    }
}

/// A [`Server`] in the making. Its type parameter is the handle that comes with the server.
#[must_use]
pub struct ServerBuilder<H = ServerHandle> {
    socket: UdpSocket,
    node: Node,
    directory: Option<NodeDirectory>,
    store: Option<Store>,
    events: Option<NodeEventSender>,
    tap: Option<TrafficTap>,
    log_progress: LogProgress,
    bindings: Option<Box<dyn BindingStore>>,
    handle: fn(ServerHandle) -> H,
}

impl<H> ServerBuilder<H> {
    /// Finds other nodes in `directory`. Without this, the system's hosts file and name servers are asked,
    /// for a node that is [bound to](lumi_dns::NodeDirectoryBuilder::bound_to) the address of the socket.
    pub fn directory(self, directory: NodeDirectory) -> Self {
        Self { directory: Some(directory), ..self }
    }

    /// Keeps the roster in `store`. The handle that comes with the server is an [`Administrator`], which
    /// changes the roster there. Without this, the roster changes only by [`ServerHandle::roster_changed`].
    pub fn store(self, store: impl RosterStore) -> ServerBuilder<Administrator> {
        let Self { socket, node, directory, events, tap, log_progress, bindings, .. } = self;
        let store = Some(Store::new(store));
        ServerBuilder {
            socket,
            node,
            directory,
            store,
            events,
            tap,
            log_progress,
            bindings,
            handle: |handle| Administrator { handle },
        }
    }

    /// Sets rules for who may register and who may be located, see [`Node::set_policy`].
    pub fn policy(mut self, policy: impl Policy + Send + 'static) -> Self {
        self.node.set_policy(Box::new(policy));
        self
    }

    /// Reports the events of the node to `events`, the sender of [`node_events`].
    pub fn events(self, events: NodeEventSender) -> Self {
        Self { events: Some(events), ..self }
    }

    /// Reports every datagram that the node sends and receives to `tap`, but for those that its rate limit
    /// keeps out. See [`traffic()`](message_log::traffic).
    pub fn traffic(self, tap: TrafficTap) -> Self {
        Self { tap: Some(tap), ..self }
    }

    /// Lets each `RR0` and `RD0` wait until the log of `progress` has its line, for 250 ms at most: what an
    /// agent was told is in the log then, even if this process is killed. Whatever goes to the same agent
    /// waits behind it. While the log takes longer than that, answers leave at once and are counted as
    /// [`ServerStatus::early_answers`].
    ///
    /// Without this, answers leave when their messages have been logged, which is as soon for a log that is
    /// not in the background.
    ///
    /// [`ServerStatus::early_answers`]: crate::ServerStatus::early_answers
    pub fn log_progress(self, progress: LogProgress) -> Self {
        Self { log_progress: progress, ..self }
    }

    /// Saves the bindings of users in `store`, so that they survive a restart, and restores those that are
    /// `stored`: all that the store has. Give the node the keys of its users first. A second call replaces
    /// the store of the first one.
    ///
    /// Each `RR0` and `RD0` that changes a binding waits until that is saved, for 250 ms at most: what an
    /// agent was told is in the store then, even if this process is killed. See [`Node::save_bindings`] for
    /// what is restored and what waits, and [`NodeStatus::bindings`](crate::NodeStatus::bindings) for
    /// figures.
    pub fn bindings(
        mut self,
        store: impl BindingStore,
        stored: impl IntoIterator<Item = StoredBinding>,
    ) -> Self {
        let now = time::Instant::now().into_std();
        let mut known = HashMap::new();
        // An address that cannot be tried is not this host's, as far as anybody can tell.
        let is_own = |ip| *known.entry(ip).or_insert_with(|| is_of_this_host(ip).unwrap_or(false));
        self.node.save_bindings(now, wall_clock(), stored, is_own);
        Self { bindings: Some(Box::new(store)), ..self }
    }

    /// Returns the server and its handle.
    ///
    /// # Errors
    /// No directory was given, and that of the system cannot be set up.
    pub fn build(self) -> Result<(Server, H), DirectoryError> {
        let directory = match self.directory {
            Some(directory) => directory,
            None => {
                let local = self.socket.local_addr().ok().and_then(udp_address);
                let builder = NodeDirectory::builder();
                local.iter().fold(builder, |builder, local| builder.bound_to(*local.ip())).build()?
            }
        };
        let mut server = Server::new(self.socket, self.node, directory);
        if let Some(store) = self.store {
            server.administration.keep_in(store);
        }
        (server.events, server.tap) = (self.events, self.tap);
        (server.log_progress, server.bindings) = (self.log_progress, self.bindings);
        let handle = (self.handle)(server.handle());
        Ok((server, handle))
    }
}

impl<H> fmt::Debug for ServerBuilder<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder").field("node", &self.node).finish_non_exhaustive()
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
