//! The one task of a node.

use std::future::{self, Future};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket as StdUdpSocket};
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use lumi_dns::{FoundNode, LookupError, NodeDirectory};
use plumi_proto::Domain;
use tokio::net::UdpSocket;
use tokio::time;
use tracing::{debug, warn};

use super::administrator::{AdminEvent, Administration, Administrator};
use super::roster_file::RosterFile;
use crate::state::lookups::LookupId;
use crate::state::node::{Node, Output};

/// Serves a [`Node`] on a UDP socket: one message at a time, in one task, which never waits for a name server
/// or a disk.
#[derive(Debug)]
pub struct Server {
    node: Node,
    directory: NodeDirectory,
    lookups: FuturesUnordered<BoxFuture<'static, (LookupId, Result<FoundNode, LookupError>)>>,
    administration: Option<Administration>,
    kept_out: KeptOut,
    /// Last, because the ICMP error that a closed socket answers with ends some agents.
    socket: UdpSocket,
}

/// What happened.
enum Event {
    Datagram(io::Result<(usize, SocketAddr)>),
    Resolved(LookupId, Result<FoundNode, LookupError>),
    Admin(AdminEvent),
    Timeout,
    Shutdown,
}

impl Server {
    /// Will serve `node` on `socket`, and find other nodes in `directory`.
    pub fn new(socket: UdpSocket, node: Node, directory: NodeDirectory) -> Self {
        Self {
            node,
            directory,
            lookups: FuturesUnordered::new(),
            administration: None,
            kept_out: KeptOut::default(),
            socket,
        }
    }

    /// Lets an administrator in, whose changes go to `roster`. A second call takes the first one's place.
    pub fn administrator(&mut self, roster: RosterFile) -> Administrator {
        let (administration, administrator) = Administration::new(roster);
        self.administration = Some(administration);
        administrator
    }

    /// Serves until `shutdown` is ready. A change of the roster that is being saved then is finished first.
    /// No error that a datagram or its sender can cause ends it.
    ///
    /// # Errors
    /// [`ServeError`], before anything is served.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let local = match self.socket.local_addr().map_err(ServeError::LocalAddress)? {
            SocketAddr::V4(local) => local,
            SocketAddr::V6(_) => return Err(ServeError::NotIpv4),
        };
        let mut shutdown = pin!(shutdown);
        // As large as a datagram can be, so that the log tells the true length of one that is too long.
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            let event = self.next_event(&mut buffer, shutdown.as_mut()).await;
            let now = now();
            match event {
                Event::Datagram(Ok((length, from))) => self.receive(now, from, &buffer[..length]),
                Event::Datagram(Err(error)) => {
                    warn!(%error, "cannot receive");
                    time::sleep(ERROR_PAUSE).await;
                }
                Event::Resolved(id, answer) => self.node.handle_resolved(now, id, &answer),
                Event::Admin(event) => {
                    if let Some(administration) = &mut self.administration {
                        administration.handle(now, &mut self.node, event);
                    }
                }
                Event::Timeout => self.node.handle_timeout(now),
                Event::Shutdown => break,
            }
            self.drain(local).await;
        }
        if let Some(administration) = &mut self.administration {
            administration.finish(now(), &mut self.node).await;
        }
        Ok(())
    }

    async fn next_event(&mut self, buffer: &mut [u8], shutdown: impl Future<Output = ()>) -> Event {
        let timeout = self.node.poll_timeout();
        let timeout = async move {
            match timeout {
                Some(at) => time::sleep_until(at.into()).await,
                None => future::pending().await,
            }
        };
        let administration = self.administration.as_mut();
        let admin_event = async move {
            match administration {
                Some(administration) => administration.next_event().await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown => Event::Shutdown,
            received = self.socket.recv_from(buffer) => Event::Datagram(received),
            Some((id, answer)) = self.lookups.next() => Event::Resolved(id, answer),
            event = admin_event => Event::Admin(event),
            () = timeout => Event::Timeout,
        }
    }

    fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let SocketAddr::V4(from) = from else { return };
        if !self.node.admit(now, *from.ip()) {
            return self.kept_out.count(now, *from.ip());
        }
        message_log::received(self.node.domain().as_str(), from, datagram);
        if let Err(reason) = self.node.handle_datagram(now, from, datagram) {
            debug!(%from, %reason, "dropped a datagram");
        }
    }

    /// Carries out what the node wants done.
    async fn drain(&mut self, local: SocketAddrV4) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Transmit { to, message } => {
                    let bytes = message.encode();
                    // First the log: who sees a reply can rely on its line.
                    message_log::sent(self.node.domain().as_str(), to, &bytes);
                    if let Err(error) = self.socket.send_to(&bytes, SocketAddr::V4(to)).await {
                        warn!(%to, %error, "cannot send");
                    }
                }
                Output::Resolve { id, domain } => {
                    let directory = self.directory.clone();
                    let lookup = async move { (id, resolve(&directory, &domain, local).await) };
                    self.lookups.push(Box::pin(lookup));
                }
            }
        }
    }
}

/// Finds the node of `domain`, unless it is the one at `local`.
async fn resolve(
    directory: &NodeDirectory,
    domain: &Domain,
    local: SocketAddrV4,
) -> Result<FoundNode, LookupError> {
    let found = directory.find(domain).await.inspect_err(|error| debug!(%domain, %error, "no node"))?;
    let ip = *found.address.ip();
    // A socket bound to every address of this host is reached by each of them.
    if local.ip().is_unspecified() && found.address.port() == local.port() && is_of_this_host(ip) {
        debug!(%domain, %ip, "this node goes by that domain too");
        return Err(LookupError::Unusable(ip));
    }
    Ok(found)
}

fn is_of_this_host(ip: Ipv4Addr) -> bool {
    StdUdpSocket::bind((ip, 0)).is_ok()
}

/// The clock of the state machine: tokio's, which tests can hold.
fn now() -> Instant {
    time::Instant::now().into_std()
}

/// The datagrams that the rate limit kept out, summed up in one diagnostic line a second.
#[derive(Debug, Default)]
struct KeptOut {
    count: u64,
    reported: Option<Instant>,
}

impl KeptOut {
    fn count(&mut self, now: Instant, source: Ipv4Addr) {
        self.count += 1;
        if self.reported.is_none_or(|reported| now >= reported + REPORT_INTERVAL) {
            warn!(datagrams = self.count, latest = %source, "more datagrams than the rate limit allows");
            *self = Self { count: 0, reported: Some(now) };
        }
    }
}

/// Why a node cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The socket's own address cannot be read.
    #[error("cannot read the address of the node's socket")]
    LocalAddress(#[source] io::Error),
    /// The socket is not an IPv4 one, and PLUMI has no other addresses.
    #[error("the node's socket is not an IPv4 socket")]
    NotIpv4,
}

/// After an error of the socket, so that one that lasts does not take all of a processor.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

const REPORT_INTERVAL: Duration = Duration::from_secs(1);
