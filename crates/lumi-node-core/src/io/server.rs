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
use tokio::{task, time};
use tracing::{debug, info, warn};

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
    kept_out: Tally,
    unsent: Tally,
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
            kept_out: Tally::default(),
            unsent: Tally::default(),
            socket,
        }
    }

    /// Lets an administrator in, whose changes go to `roster`. A second call takes the first one's place.
    pub fn administrator(&mut self, roster: RosterFile) -> Administrator {
        let (administration, administrator) = Administration::new(roster);
        self.administration = Some(administration);
        administrator
    }

    /// Serves until `shutdown` is ready. A change of the roster that is being saved then is finished first,
    /// if the disk takes no longer than 5 s.
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
        self.serve_the_rest(&mut buffer, local).await;
        Ok(())
    }

    /// Serves what has come before the end: who is not answered asks again, at a port that is closed then, and
    /// the ICMP error that tells it so ends some agents.
    async fn serve_the_rest(&mut self, buffer: &mut [u8], local: SocketAddrV4) {
        // What has come is known only once the runtime has looked.
        task::yield_now().await;
        for _ in 0..MAX_REST {
            match self.socket.try_recv_from(buffer) {
                Ok((length, from)) => self.receive(now(), from, &buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => debug!(%error, "cannot receive"),
            }
            self.drain(local).await;
        }
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
            if let Some(datagrams) = self.kept_out.add(now) {
                warn!(datagrams, latest = %from.ip(), "more datagrams than the rate limit allows");
            }
            return;
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
                    if let Err(error) = self.socket.send_to(&bytes, SocketAddr::V4(to)).await
                        && let Some(datagrams) = self.unsent.add(now())
                    {
                        warn!(datagrams, latest = %to, %error, "cannot send");
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
    let found = directory.find(domain).await.inspect_err(|error| match error {
        LookupError::NoAnswer => warn!("domain {domain} {error}"),
        error => info!("domain {domain} {error}"),
    })?;
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

/// Counts what strangers can make happen as often as they like, and says when to tell: once a second at most.
#[derive(Debug, Default)]
struct Tally {
    count: u64,
    told: Option<Instant>,
}

impl Tally {
    /// How many there were since it was told last, if it is time to tell.
    fn add(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        if self.told.is_some_and(|told| now < told + TELL_INTERVAL) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.count))
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

/// Datagrams served after the end: more than the queue of a socket holds by default.
const MAX_REST: usize = 1_024;

const TELL_INTERVAL: Duration = Duration::from_secs(1);
