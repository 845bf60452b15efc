//! The handle of a running agent.

use std::net::{SocketAddr, SocketAddrV4};
use std::num::{NonZeroU8, NonZeroUsize};
use std::sync::Arc;

use mi_proto::Nickname;
use plumi_proto::{DeregisterCode, LocateOutcome, MiAddress, MiSocketAddress};
use tokio::sync::{Semaphore, watch};
use tokio::time;

use crate::builder::AgentBuilder;
use crate::conversation::Conversation;
use crate::error::{CallError, DeregisterError, LocateError};
use crate::io::connection::{Connection, LINGER};
use crate::io::driver::{Driver, Ended};
use crate::io::talk::{self, Terms};
use crate::state::client::{LumiAnswer, LumiRequest};

/// A registered user who can call and be called. Cheap to clone.
///
/// It ends with [`Agent::shutdown`]. When the last clone is dropped instead, it deregisters in the background
/// for as long as the runtime lives.
#[derive(Clone, Debug)]
pub struct Agent(Arc<Inner>);

/// What the clones share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) address: MiAddress,
    pub(crate) nickname: Nickname,
    pub(crate) node: SocketAddrV4,
    pub(crate) listening: MiSocketAddress,
    pub(crate) driver: Driver,
    /// One permit for each of the `conversations` there may be.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) conversations: NonZeroUsize,
    pub(crate) terms: Terms,
    /// Once it changes or is dropped, conversations end and nobody is let in.
    pub(crate) closing: watch::Sender<bool>,
}

impl Agent {
    /// Sets up the agent of the user at `address`.
    pub fn builder(address: MiAddress) -> AgentBuilder {
        AgentBuilder::new(address)
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The user's address.
    pub fn address(&self) -> MiAddress {
        self.0.address
    }

    /// The node that the user is registered at.
    pub fn node(&self) -> SocketAddrV4 {
        self.0.node
    }

    /// Where others are told to connect for a conversation.
    pub fn listening(&self) -> MiSocketAddress {
        self.0.listening
    }

    /// Asks where a user is, without calling.
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
        // Somebody may have called meanwhile.
        let slot = Arc::clone(&self.0.slots).try_acquire_owned().map_err(|_| CallError::Engaged)?;
        let remote = SocketAddr::V4(found.into());
        let (connection, nickname) = Connection::call(remote, &self.0.nickname)
            .await
            .map_err(|error| CallError::NotAccepted { to: *to, error })?;
        Ok(talk::start(connection, nickname, Some(*to), self.0.terms.clone(), slot))
    }

    /// Ends the conversations in order, then deregisters. Whatever it returns, the agent has ended.
    ///
    /// # Errors
    /// [`DeregisterError`]: the node may still have the user as online.
    pub async fn shutdown(&self) -> Result<(), DeregisterError> {
        self.end(None).await
    }

    /// [`Agent::shutdown`] in a hurry: asks the node at most `attempts` times.
    ///
    /// # Errors
    /// [`DeregisterError`].
    pub async fn shutdown_within(&self, attempts: NonZeroU8) -> Result<(), DeregisterError> {
        self.end(Some(attempts)).await
    }

    async fn end(&self, attempts: Option<NonZeroU8>) -> Result<(), DeregisterError> {
        self.0.closing.send_replace(true);
        let conversations = u32::try_from(self.0.conversations.get()).unwrap_or(u32::MAX);
        // A peer that neither reads nor closes must not keep the user registered.
        _ = time::timeout(2 * LINGER, self.0.slots.acquire_many(conversations)).await;
        match self.0.driver.request(LumiRequest::Deregister, attempts).await {
            Ok(LumiAnswer::Deregister(DeregisterCode::Deregistered)) => Ok(()),
            Ok(LumiAnswer::Deregister(DeregisterCode::NoSuchUser)) => Err(DeregisterError::NoSuchUser),
            Ok(_) => Err(DeregisterError::NoAnswer { node: self.0.node }),
            Err(Ended) => Err(DeregisterError::Ended),
        }
    }
}
