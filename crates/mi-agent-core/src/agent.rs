//! The handle of a running agent.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::num::NonZeroU8;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use mi_proto::Nickname;
use plumi_proto::{DeregisterCode, LocateOutcome, MiAddress, MiSocketAddress, RegisterCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};
use tokio::time;
use tracing::info;

use crate::builder::AgentBuilder;
use crate::conversation::Conversation;
use crate::error::{CallError, DeregisterError, LocateError, StartError};
use crate::io::connection::{Connection, LINGER, within};
use crate::io::driver::{Driver, Ended};
use crate::io::node_link::MessageCounts;
use crate::io::shutdown::Shutdown;
use crate::io::talk::{self, ConversationOptions, MAX_OUTGOING};
use crate::state::admission::Admission;
use crate::state::request::{LumiAnswer, LumiRequest, RequestSchedule};
use crate::traffic::WeakTap;

/// The agent of a registered user, which can call and be called. Cheap to clone.
///
/// End it with [`Agent::shutdown`]. If the last clone is dropped instead, its conversations end and it
/// deregisters in the background, while the runtime lives.
#[derive(Clone, Debug)]
pub struct Agent(Arc<Inner>);

/// The state that the clones share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) address: MiAddress,
    pub(crate) nickname: Nickname,
    pub(crate) node: SocketAddrV4,
    pub(crate) listening: MiSocketAddress,
    pub(crate) driver: Driver,
    /// One permit for each conversation that the agent may have.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) pace: Duration,
    /// The signal that ends conversations and refuses calls: when the shutdown begins, or when this is
    /// dropped.
    pub(crate) shutdown: Shutdown,
    /// Weak, because the traffic ends with the agent's tasks, even while handles are left.
    pub(crate) tap: Option<WeakTap>,
}

impl Agent {
    /// Sets up the agent of the user at `address`.
    pub fn builder(address: MiAddress) -> AgentBuilder {
        AgentBuilder::new(address)
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Returns the user's address.
    pub fn address(&self) -> MiAddress {
        self.0.address
    }

    /// Returns the node at which the user is registered.
    pub fn node(&self) -> SocketAddrV4 {
        self.0.node
    }

    /// Returns the address at which peers connect for a conversation.
    pub fn listening(&self) -> MiSocketAddress {
        self.0.listening
    }

    /// Returns the number of PLUMI messages so far: the lines of its message log.
    pub fn messages(&self) -> MessageCounts {
        self.0.driver.messages()
    }

    /// Sets which users may call, from the next question on. Conversations that have begun go on.
    pub fn set_admission(&self, admission: Admission) {
        self.0.driver.set_admission(admission);
    }

    /// Locates a user without calling.
    ///
    /// # Errors
    /// [`LocateError`].
    pub async fn locate(&self, to: &MiAddress) -> Result<MiSocketAddress, LocateError> {
        match self.0.driver.request(LumiRequest::Locate(*to), None).await {
            Ok(LumiAnswer::Locate(LocateOutcome::Found(found))) => {
                let ip = found.ip;
                if ip.octets()[0] == 0 || ip.is_multicast() || ip.is_broadcast() {
                    return Err(LocateError::Unusable(found));
                }
                Ok(found)
            }
            Ok(LumiAnswer::Locate(LocateOutcome::Busy)) => Err(LocateError::Busy),
            Ok(LumiAnswer::Locate(LocateOutcome::NoSuchUser)) => Err(LocateError::NoSuchUser),
            Ok(LumiAnswer::Locate(LocateOutcome::Offline)) => Err(LocateError::Offline),
            Ok(LumiAnswer::Malformed(error)) => Err(LocateError::Malformed(error)),
            Ok(_) => Err(LocateError::NoAnswer { node: self.0.node }),
            Err(Ended) => Err(LocateError::Ended),
        }
    }

    /// Begins a conversation with a user: locates, connects, exchanges nicknames.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(&self, to: &MiAddress) -> Result<Conversation, CallError> {
        if *to == self.0.address {
            return Err(CallError::Yourself);
        }
        if self.0.slots.available_permits() == 0 {
            return Err(CallError::Engaged);
        }
        let found = self.locate(to).await?;
        // Another user may have called meanwhile.
        let slot = Arc::clone(&self.0.slots).try_acquire_owned().map_err(|error| match error {
            TryAcquireError::NoPermits => CallError::Engaged,
            TryAcquireError::Closed => CallError::Locate(LocateError::Ended),
        })?;
        // This runs in its own task: if the call is cancelled, its connection still ends in order.
        let (sender, called) = oneshot::channel();
        tokio::spawn(dial(found, *to, self.0.nickname.clone(), self.options(), slot, sender));
        called.await.unwrap_or_else(|_| Err(io::Error::other("the agent ends"))).map_err(|error| {
            info!(%to, at = %found, %error, "the call is not accepted");
            CallError::NotAccepted { to: *to, error }
        })
    }

    /// Ends the conversations in order, after everything was sent, and deregisters. The agent has ended even
    /// if this returns an error. It can be cancelled and called again, and then returns the same result.
    ///
    /// # Errors
    /// [`DeregisterError`]: the node may still have the user as online.
    pub async fn shutdown(&self) -> Result<(), DeregisterError> {
        self.stop(false);
        self.0.shutdown.ended(self.0.pace * MAX_OUTGOING + 2 * LINGER).await;
        self.deregister(None).await
    }

    /// [`Agent::shutdown`] in a hurry, for a program that has to end: returns within `limit`, whatever the
    /// node and the peers do. The node is asked at once, and again after half of `limit`. Conversations end
    /// meanwhile; lines that wait to be sent are dropped.
    ///
    /// # Errors
    /// [`DeregisterError`].
    pub async fn shutdown_within(&self, limit: Duration) -> Result<(), DeregisterError> {
        self.stop(true);
        let schedule = RequestSchedule { attempts: HURRIED_ATTEMPTS, interval: limit / 2 };
        let deregistered = async {
            let deregistered = time::timeout(limit, self.deregister(Some(schedule))).await;
            deregistered.unwrap_or(Err(DeregisterError::NoAnswer { node: self.0.node }))
        };
        let (deregistered, ()) = tokio::join!(deregistered, self.0.shutdown.ended(limit));
        deregistered
    }

    /// Registers an agent that is being started, and then sends `open`, which lets callers in.
    pub(crate) async fn register(&self, open: oneshot::Sender<()>) -> Result<(), StartError> {
        match self.0.driver.request(LumiRequest::Register, None).await {
            Ok(LumiAnswer::Register(RegisterCode::Registered)) => {
                // The receiving task lives as long as this agent.
                _ = open.send(());
                Ok(())
            }
            Ok(LumiAnswer::Register(RegisterCode::NoSuchUser)) => Err(StartError::NoSuchUser),
            _ => Err(StartError::NoAnswer { node: self.0.node }),
        }
    }

    /// Ends the connections of all callers so far, in order.
    pub(crate) async fn let_callers_go(&self) {
        self.stop(false);
        self.0.shutdown.ended(2 * LINGER).await;
    }

    fn stop(&self, hurried: bool) {
        self.0.slots.close();
        self.0.shutdown.begin(hurried);
    }

    async fn deregister(&self, schedule: Option<RequestSchedule>) -> Result<(), DeregisterError> {
        match self.0.driver.request(LumiRequest::Deregister, schedule).await {
            Ok(LumiAnswer::Deregister(DeregisterCode::Deregistered)) => Ok(()),
            Ok(LumiAnswer::Deregister(DeregisterCode::NoSuchUser)) => Err(DeregisterError::NoSuchUser),
            Ok(_) => Err(DeregisterError::NoAnswer { node: self.0.node }),
            Err(Ended) => Err(DeregisterError::Ended),
        }
    }

    fn options(&self) -> ConversationOptions {
        let tap = self.0.tap.as_ref().and_then(WeakTap::upgrade);
        ConversationOptions { pace: self.0.pace, shutdown: self.0.shutdown.watch(), tap }
    }
}

/// Begins a conversation with the agent at `found`. If the caller has gone meanwhile, the conversation
/// ends at once and in order.
async fn dial(
    found: MiSocketAddress,
    to: MiAddress,
    nickname: Nickname,
    mut options: ConversationOptions,
    slot: OwnedSemaphorePermit,
    called: oneshot::Sender<io::Result<Conversation>>,
) {
    let mut opening = pin!(Connection::open(SocketAddr::V4(found.into()), options.tap.clone()));
    let opened = tokio::select! {
        opened = &mut opening => opened,
        // The callee may already have the connection, and some programs end if a connection closes without a
        // nickname.
        () = options.shutdown.begun() => within(LAST_CHANCE, opening).await.and_then(|opened| opened),
    };
    let mut connection = match opened {
        Ok(connection) => connection,
        Err(error) => return drop(called.send(Err(error))),
    };
    let greeted = connection.greet(&nickname, options.shutdown.ends()).await;
    match greeted {
        Ok(peer) => drop(called.send(Ok(talk::start(connection, peer, Some(to), options, slot)))),
        Err(error) => {
            _ = called.send(Err(error));
            connection.close().await;
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The listener ends with this. From now on, every asker is answered that the user is busy.
        self.slots.close();
    }
}

/// The number of attempts to deregister in a hurry.
const HURRIED_ATTEMPTS: NonZeroU8 = NonZeroU8::new(2).expect("is not 0");

/// The time that a connection has to open once the agent ends. The kernel reports an open one at once.
const LAST_CHANCE: Duration = Duration::from_millis(100);
