//! Setting up and starting an agent.

#[cfg(feature = "secure")]
mod proofs;
#[cfg(feature = "secure")]
mod secure;

use std::future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use lumi_dns::{LookupError, NodeDirectory};
use mi_proto::Nickname;
use plumi_proto::{AddressRange, HostIp, MiAddress, MiSocketAddress, NodeAddress, TcpAddress};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time;
use tracing::warn;

#[cfg(feature = "secure")]
use self::proofs::ProofOptions;
use crate::agent::{Agent, Inner};
use crate::error::StartError;
use crate::event::{Events, MAX_EVENTS};
#[cfg(feature = "secure")]
use crate::identity::Identity;
use crate::io::dial;
use crate::io::driver::{Driver, Network};
use crate::io::listener::{self, Acceptor};
use crate::io::node_link::{self, NodeLink};
use crate::io::shutdown::Shutdown;
use crate::io::slot::Slots;
use crate::io::talk::ConversationOptions;
use crate::io::way::{Search, Way};
#[cfg(feature = "secure")]
use crate::key_log::KeyLog;
#[cfg(feature = "secure")]
use crate::pin::TrustStore;
#[cfg(feature = "secure")]
use crate::security::Security;
use crate::state::admission::Admission;
use crate::state::client::LumiClient;
use crate::state::client_settings::ClientSettings;
use crate::state::conversation_slots::DEFAULT_IDLE;
use crate::state::dialling::Dialling;
use crate::state::intake::Intake;
use crate::state::refresh::DEFAULT_REFRESH;
use crate::state::request::RequestSchedule;
use crate::traffic::TrafficTap;

/// Sets up an [`Agent`]. [`Agent::builder`] creates it.
#[derive(Clone, Debug)]
pub struct AgentBuilder {
    address: MiAddress,
    nickname: Option<String>,
    listen: TcpAddress,
    node: Option<NodeAddress>,
    directory: Option<NodeDirectory>,
    advertise: Option<HostIp>,
    bare_user: bool,
    schedule: RequestSchedule,
    refresh: Option<Duration>,
    pace: Duration,
    intake: Option<Intake>,
    conversations: usize,
    idle: Option<Duration>,
    dial: Vec<AddressRange>,
    tap: Option<TrafficTap>,
    admission: Admission,
    runtime: Option<Handle>,
    #[cfg(feature = "secure")]
    identity: Option<Identity>,
    #[cfg(feature = "secure")]
    trust: Option<Arc<dyn TrustStore>>,
    #[cfg(feature = "secure")]
    security: Security,
    #[cfg(feature = "secure")]
    key_log: Option<KeyLog>,
    #[cfg(feature = "secure")]
    proofs: ProofOptions,
}

impl AgentBuilder {
    pub(crate) fn new(address: MiAddress) -> Self {
        Self {
            address,
            nickname: None,
            listen: TcpAddress::new(HostIp::UNSPECIFIED, 0),
            node: None,
            directory: None,
            advertise: None,
            bare_user: false,
            schedule: RequestSchedule::default(),
            refresh: Some(DEFAULT_REFRESH),
            pace: DEFAULT_PACE,
            intake: None,
            conversations: 1,
            idle: Some(DEFAULT_IDLE),
            dial: Vec::new(),
            tap: None,
            admission: Admission::default(),
            runtime: None,
            #[cfg(feature = "secure")]
            identity: None,
            #[cfg(feature = "secure")]
            trust: None,
            #[cfg(feature = "secure")]
            security: Security::default(),
            #[cfg(feature = "secure")]
            key_log: None,
            #[cfg(feature = "secure")]
            proofs: ProofOptions::default(),
        }
    }

    /// Sets the nickname that peers see, 1 to 99 bytes. The default is the user's name. Deployed programs
    /// accept only 20.
    #[must_use]
    pub fn nickname(mut self, nickname: impl Into<String>) -> Self {
        self.nickname = Some(nickname.into());
        self
    }

    /// Sets the address on which to listen for conversations. The default is every address of this host and
    /// any free TCP port.
    #[must_use]
    pub fn listen(mut self, address: TcpAddress) -> Self {
        self.listen = address;
        self
    }

    /// Sets the node of the address's domain. By default it is looked up.
    #[must_use]
    pub fn node(mut self, node: impl Into<NodeAddress>) -> Self {
        self.node = Some(node.into());
        self
    }

    /// Sets the directory in which to look up the node. The default is the system's hosts file and name
    /// servers.
    #[must_use]
    pub fn directory(mut self, directory: NodeDirectory) -> Self {
        self.directory = Some(directory);
        self
    }

    /// Sets the published IP address, which peers connect to.
    ///
    /// The default is the address on which the agent listens or, if that is every address, this host's
    /// address on the route to the node.
    #[must_use]
    pub fn advertise(mut self, ip: HostIp) -> Self {
        self.advertise = Some(ip);
        self
    }

    /// Sets whether to register without the domain (protocol.md §7, row 2). Some nodes refuse the full form.
    #[must_use]
    pub fn bare_user(mut self, bare: bool) -> Self {
        self.bare_user = bare;
        self
    }

    /// Sets the number of attempts of a request and their interval. The default is the protocol's: 5
    /// attempts, 1000 ms apart. An interval of more than a minute becomes a minute.
    #[must_use]
    pub fn schedule(mut self, schedule: RequestSchedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Sets the interval at which the registration is refreshed. The default is [`DEFAULT_REFRESH`].
    ///
    /// A refresh is a `PR` that changes nothing while the registration holds. A node that restarts has nobody
    /// online, so its users cannot be found for up to this interval. The registration is also refreshed just
    /// before the first two messages of a location request, and when the answer is that there is no such user
    /// or that the user is offline, but once an interval of the schedule at most. Less than [`RETRY`] becomes
    /// [`RETRY`], and more than a day becomes a day. With `None` it is never refreshed.
    ///
    /// [`RETRY`]: crate::RETRY
    #[must_use]
    pub fn refresh(mut self, every: Option<Duration>) -> Self {
        self.refresh = every;
        self
    }

    /// Sets the shortest time between two frames. The default is 20 ms. Deployed programs read one TCP
    /// segment as one frame, and lose what follows in the same segment or crash on it. Use less only for
    /// peers that are known to read a stream. More than a minute becomes a minute.
    #[must_use]
    pub fn pace(mut self, pace: Duration) -> Self {
        self.pace = pace.min(LONGEST);
        self
    }

    /// Sets the pace at which a peer is read. The default is as fast as the program takes its lines.
    ///
    /// [`Intake::OF_PEOPLE`] is for programs that show or keep what peers say: a peer that says more has to
    /// wait, and after 30 s its conversation is the first to give way to another caller. After this side has
    /// hung up, everything is read at once.
    #[must_use]
    pub fn intake(mut self, intake: Option<Intake>) -> Self {
        self.intake = intake;
        self
    }

    /// Sets the limit of conversations at a time: the default is 1, and 0 counts as 1. When it is reached,
    /// every caller and asker is answered that the user is busy, unless a conversation gives way.
    ///
    /// A conversation that a caller began gives way to one from an IP address that has at least two fewer, if
    /// it is more than 30 s old and the user has said nothing for longest in it. Otherwise one gives way that
    /// has been silent for [`AgentBuilder::idle`]. It ends with
    /// [`ConversationError::GaveWay`](crate::ConversationError::GaveWay).
    #[must_use]
    pub fn conversations(mut self, conversations: usize) -> Self {
        self.conversations = conversations.max(1);
        self
    }

    /// Sets the silence of both sides after which the conversation of a caller gives way to a new caller, if
    /// there is room for no other. The default is [`DEFAULT_IDLE`]. With `None` it never does for that
    /// reason.
    ///
    /// Empty lines do not count. A conversation that this user began never gives way.
    ///
    /// [`DEFAULT_IDLE`]: crate::DEFAULT_IDLE
    #[must_use]
    pub fn idle(mut self, idle: Option<Duration>) -> Self {
        self.idle = idle;
        self
    }

    /// Sets the only ranges in which agents are called. The default is everywhere, and so are none.
    ///
    /// The callee chooses its address, so it could send a bot to a service that only the bot's network
    /// reaches. A loopback address is never called unless the node is at one as well.
    #[must_use]
    pub fn dial(mut self, ranges: Vec<AddressRange>) -> Self {
        self.dial = ranges;
        self
    }

    /// Sets which users may call. The default is everybody. [`Agent::set_admission`] changes it.
    #[must_use]
    pub fn admission(mut self, admission: Admission) -> Self {
        self.admission = admission;
        self
    }

    /// Sets a tap that receives every PLUMI datagram and PMI frame, sent or received, and the keys of every
    /// handshake. Frames are shown as they are inside of the encryption.
    ///
    /// It starts with the first `PR`, even if the registration fails. By default there is none. See
    /// [`traffic`](crate::traffic()).
    #[must_use]
    pub fn traffic(mut self, tap: TrafficTap) -> Self {
        self.tap = Some(tap);
        self
    }

    /// Sets the runtime on which the agent's tasks run. The default is the one that [`AgentBuilder::start`]
    /// is called on.
    ///
    /// Lets `start` be called from a thread without a runtime. The runtime needs timers and IO, and has to be
    /// driven: one for the current thread works only while something blocks on it.
    #[must_use]
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Finds the node, listens for conversations and registers. After an error nothing is left running.
    ///
    /// An agent has two sockets and one for each conversation. It opens another for a moment every 3 s, to
    /// learn this host's address.
    ///
    /// # Errors
    /// [`StartError`].
    ///
    /// # Panics
    /// If it is called outside of a tokio runtime, and [`AgentBuilder::runtime`] was not called.
    ///
    /// # Cancel safety
    /// Cancel safe. If the node has not answered yet, the user is deregistered in the background.
    pub async fn start(self) -> Result<(Agent, Events), StartError> {
        self.start_unless(future::pending(), Duration::ZERO).await
    }

    /// [`AgentBuilder::start`], until `interrupted` is ready. Then, if the node may have received the
    /// registration, the user is deregistered by [`Agent::shutdown_within`] `limit`.
    ///
    /// # Errors
    /// [`StartError`], which is [`StartError::Interrupted`] in that case.
    ///
    /// # Panics
    /// As [`AgentBuilder::start`].
    ///
    /// # Cancel safety
    /// As for [`AgentBuilder::start`].
    pub async fn start_unless(
        mut self,
        interrupted: impl Future<Output = ()>,
        limit: Duration,
    ) -> Result<(Agent, Events), StartError> {
        let runtime = self.runtime.take().unwrap_or_else(Handle::current);
        let mut interrupted = pin!(interrupted);
        let mut preparing = AbortOnDrop(runtime.spawn(self.prepare(runtime.clone())));
        let (agent, events, open) = tokio::select! {
            // An error: the runtime ends.
            agent = &mut preparing.0 => agent.unwrap_or(Err(StartError::Ended))?,
            () = &mut interrupted => return Err(StartError::Interrupted),
        };
        let registered = tokio::select! {
            registered = agent.register(open) => registered,
            () = &mut interrupted => {
                // An error is expected here: the user may not be registered.
                _ = agent.shutdown_within(limit).await;
                return Err(StartError::Interrupted);
            }
        };
        if registered.is_err() {
            agent.let_callers_go().await;
        }
        registered.map(|()| (agent, events))
    }

    /// Creates an agent that is not registered yet. Callers wait until it is; if it never is, they are
    /// disconnected in order.
    async fn prepare(self, runtime: Handle) -> Result<(Agent, Events, oneshot::Sender<()>), StartError> {
        let user = self.address.user();
        let nickname = self.nickname.as_deref().unwrap_or(user.as_str());
        let nickname = Nickname::new(nickname).map_err(StartError::Nickname)?;
        #[cfg(feature = "secure")]
        let protection = self.protection()?;
        #[cfg(feature = "secure")]
        let offers_tls = protection.offers_tls();
        #[cfg(not(feature = "secure"))]
        let offers_tls = false;
        let (nodes, search) = self.find_nodes().await?;
        let (own, node) = first_way(&nodes)?;
        let tap = self.tap.clone();
        let link = NodeLink::open(self.address, tap.clone()).await.map_err(StartError::Socket)?;
        #[cfg(feature = "secure")]
        let (proofs, prover) = self.proofs(&link, own).await.map_err(StartError::Socket)?;
        #[cfg(not(feature = "secure"))]
        let proofs = None;
        let address = self.listen;
        let cannot_listen = |error| no_socket(error, |error| StartError::Listen { address, error });
        // No await from here to the task that answers callers: a listener that is dropped resets them.
        let listener = listener::bind(self.listen).map_err(cannot_listen)?;
        let port = listener.local_addr().map_err(cannot_listen)?.port();
        let listening = Some(*self.listen.ip()).filter(|ip| !ip.is_unspecified());
        let named = self.advertise.or(listening);
        let ip = named.unwrap_or(own);
        if named.is_none() && self.node.is_none() {
            warn_of_loopback(self.address, node, ip);
        }
        let listening = MiSocketAddress::new(TcpAddress::new(ip, port)).expect("a bound port is not 0");

        let mut client = LumiClient::new(ClientSettings {
            address: self.address,
            bare: self.bare_user,
            node,
            listening,
            schedule: self.schedule,
            refresh: self.refresh,
            finds_node: search.is_some(),
            offers_tls,
            proofs,
        });
        if search.is_some() {
            client.handle_found(time::Instant::now().into_std(), &nodes);
        }
        client.set_admission(self.admission);
        let (events_sender, events) = mpsc::channel(MAX_EVENTS);
        let slots = Slots::new(self.conversations, self.idle);
        let network = Network {
            link,
            way: Way::new(own),
            publishes_own: named.is_none(),
            search,
            #[cfg(feature = "secure")]
            prover,
        };
        let driver = Driver::start(network, client, slots.clone(), events_sender.clone());
        let shutdown = Shutdown::new();
        let weak_tap = tap.as_ref().map(TrafficTap::downgrade);
        let outstanding = Arc::default();
        let options = ConversationOptions {
            pace: self.pace,
            intake: self.intake,
            outstanding: Arc::clone(&outstanding),
            shutdown: shutdown.watch(),
            tap,
        };
        let acceptor = Acceptor::new(
            nickname.clone(),
            options,
            slots.clone(),
            events_sender,
            driver.clone(),
            #[cfg(feature = "secure")]
            protection.clone(),
        );
        let (open, opened) = oneshot::channel();
        tokio::spawn(listener::listen(listener, acceptor, opened));
        let agent = Agent::new(Inner {
            address: self.address,
            nickname,
            driver,
            runtime,
            slots,
            calls: Arc::new(Semaphore::new(dial::most_calls(self.conversations))),
            pace: self.pace,
            intake: self.intake,
            dialling: Dialling::within(self.dial),
            #[cfg(feature = "secure")]
            repeats_after: self.schedule.bounded().interval,
            outstanding,
            shutdown,
            #[cfg(feature = "secure")]
            protection,
            tap: weak_tap,
        });
        Ok((agent, Events(events), open))
    }

    /// Returns the possible addresses of the node, at least one, and the search for it if it is silent later.
    async fn find_nodes(&self) -> Result<(Vec<NodeAddress>, Option<Search>), StartError> {
        if let Some(node) = self.node {
            return Ok((vec![node], None));
        }
        let domain = self.address.domain();
        let failed = |error| StartError::Domain { domain, error };
        let directory = match &self.directory {
            Some(directory) => directory.clone(),
            None => NodeDirectory::builder().build().map_err(|_| failed(LookupError::NoAnswer))?,
        };
        let found = directory.find(&domain).await.map_err(failed)?;
        let nodes = found.addresses().map(|at| at.address).collect();
        Ok((nodes, Some(Search::new(directory, domain))))
    }
}

/// Returns the first of `nodes` that this host has a way to, with this host's address on it.
fn first_way(nodes: &[NodeAddress]) -> Result<(HostIp, NodeAddress), StartError> {
    let way_to = |&node| {
        let unreachable = |error| StartError::Unreachable { node, error };
        node_link::route_to(node).map_err(|error| no_socket(error, unreachable))
    };
    let mut ways = nodes.iter().map(way_to);
    let first = ways.next().expect("a domain that was found has an address");
    first.or_else(|error| ways.find_map(Result::ok).ok_or(error))
}

/// Warns if `address` is published at loopback, though others may look for the domain.
///
/// Debian writes a line such as `127.0.1.1 PC-c` for the host's own name.
fn warn_of_loopback(address: MiAddress, node: NodeAddress, ip: HostIp) {
    let domain = address.domain();
    let is_for_others = domain.as_str() != "localhost" && domain.as_str().parse::<HostIp>().is_err();
    if ip.is_loopback() && is_for_others {
        warn!(
            "only programs on this host can call {address}: {domain} is at {node} here, so {ip} is published; \
             advertise another address, or correct the line of {domain} in the hosts file"
        );
    }
}

/// A task that nobody waits for ends.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Distinguishes a process that may open no more files from other reasons.
fn no_socket(error: io::Error, other: impl FnOnce(io::Error) -> StartError) -> StartError {
    match error.raw_os_error() {
        Some(EMFILE | ENFILE) => StartError::Socket(error),
        _ => other(error),
    }
}

/// The process has as many open files as it may (POSIX; the same number on all systems with these sockets).
const EMFILE: i32 = 24;

/// The system has as many open files as it may.
const ENFILE: i32 = 23;

/// The longest time that [`AgentBuilder::schedule`] and [`AgentBuilder::pace`] accept.
const LONGEST: Duration = Duration::from_secs(60);

/// Ten times the pace that was seen to be enough.
const DEFAULT_PACE: Duration = Duration::from_millis(20);
