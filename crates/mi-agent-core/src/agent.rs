//! The handle of a running agent.

use std::num::NonZeroU8;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use mi_proto::Nickname;
use plumi_proto::{
    DeregisterCode, LocateOutcome, MiAddress, MiSocketAddress, NodeAddress, RegisterCode, TcpAddress,
};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, TryAcquireError, oneshot};
use tokio::time;
use tracing::{info, warn};

use crate::builder::AgentBuilder;
use crate::conversation::Conversation;
use crate::error::{CallError, DeregisterError, LocateError, StartError};
#[cfg(feature = "secure")]
use crate::io::connection::now;
use crate::io::dial::Dial;
use crate::io::driver::{Driver, Ended, Place};
use crate::io::node_link::MessageCounts;
#[cfg(feature = "secure")]
use crate::io::protection::Protection;
use crate::io::shutdown::Shutdown;
use crate::io::slot::Slots;
use crate::io::talk::ConversationOptions;
use crate::state::admission::Admission;
use crate::state::conversation_times::LINGER;
use crate::state::dialling::Dialling;
use crate::state::intake::Intake;
use crate::state::outgoing_lines::MAX_HANDED_OVER;
use crate::state::request::{LumiAnswer, LumiRequest, RequestSchedule};
#[cfg(feature = "secure")]
use crate::state::tls_offers::REPEATED_WITHIN;
#[cfg(feature = "secure")]
use crate::state::trust::NotSecure;
use crate::traffic::WeakTap;

/// The agent of a registered user, which can call and be called. Cheap to clone.
///
/// Its tasks run on one runtime: the one on which it was started, or that of [`AgentBuilder::runtime`]. Its
/// methods can be called from any thread and awaited by any executor, while that runtime is driven.
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
    pub(crate) driver: Driver,
    /// The runtime of all tasks.
    pub(crate) runtime: Handle,
    pub(crate) slots: Slots,
    /// One permit for each call that may have a connection, in a conversation or while it ends.
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) pace: Duration,
    pub(crate) intake: Option<Intake>,
    pub(crate) dialling: Dialling,
    /// The time after which a question to the node is repeated.
    #[cfg(feature = "secure")]
    pub(crate) repeats_after: Duration,
    /// The number of frames of all conversations that are handed over and not written.
    pub(crate) outstanding: Arc<AtomicUsize>,
    /// The signal that ends conversations and refuses calls: when the shutdown begins, or when this is
    /// dropped.
    pub(crate) shutdown: Shutdown,
    #[cfg(feature = "secure")]
    pub(crate) protection: Protection,
    /// Weak, because the traffic ends with the agent's tasks, even while handles are left.
    pub(crate) tap: Option<WeakTap>,
}

/// The place of a user's agent.
struct Found {
    at: MiSocketAddress,
    /// The agent takes encrypted calls.
    #[cfg(feature = "secure")]
    offers_tls: bool,
    /// It was asked more than once.
    #[cfg(feature = "secure")]
    was_repeated: bool,
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

    /// Returns the node that the agent asks now.
    ///
    /// It changes if the node is silent and its domain leads elsewhere, but not after [`AgentBuilder::node`].
    pub fn node(&self) -> NodeAddress {
        self.0.driver.place().node
    }

    /// Returns the address at which peers connect for a conversation now. It changes with this host's
    /// address, as [`Event::Moved`](crate::Event::Moved) reports.
    pub fn listening(&self) -> MiSocketAddress {
        self.0.driver.place().listening
    }

    /// Returns the number of PLUMI messages so far: the lines of its message log.
    pub fn messages(&self) -> MessageCounts {
        self.0.driver.messages()
    }

    /// Returns whether the user is registered, as far as the agent can tell.
    pub fn is_registered(&self) -> bool {
        self.0.driver.is_registered()
    }

    /// Returns the number of conversations, with callers that wait for a decision and calls that have not
    /// begun.
    pub fn conversations(&self) -> usize {
        self.0.slots.taken()
    }

    /// Returns whether the agent ends or has ended: [`Agent::shutdown`] was called, or its runtime has ended.
    pub fn is_closed(&self) -> bool {
        self.0.slots.is_closed()
    }

    /// Waits until the agent has deregistered, or has given up to.
    ///
    /// After [`Agent::shutdown`] its conversations are over by then; after [`Agent::shutdown_within`] they
    /// may still be ending.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn closed(&self) {
        self.0.driver.ended().await;
    }

    /// Sets which users may call, from the next question on. Conversations that have begun go on.
    pub fn set_admission(&self, admission: Admission) {
        self.0.driver.set_admission(admission);
    }

    /// Sets whether somebody looks at the state of the registration, such as on a screen. The default is
    /// nobody.
    ///
    /// While somebody does, the registration is refreshed whenever the node has been silent for 15 s, so a
    /// restart of the node shows sooner. [`AgentBuilder::refresh`] with `None` still means never.
    pub fn set_watched(&self, is_watched: bool) {
        self.0.driver.set_watched(is_watched);
    }

    /// Registers again, because another agent of the user has registered meanwhile, and is done.
    ///
    /// A `PR` is sent at once, or a second after the last one, even if [`AgentBuilder::refresh`] is `None`. A
    /// loss of the registration is reported as [`Event::RegistrationLost`](crate::Event::RegistrationLost).
    pub fn register_again(&self) {
        self.0.driver.register_again();
    }

    /// Leaves the user registered when this agent ends, because another agent of the user goes on.
    ///
    /// [`Agent::shutdown`] and [`Agent::shutdown_within`] only end the conversations then. It cannot be taken
    /// back.
    pub fn stay_registered(&self) {
        self.0.driver.stay_registered();
    }

    #[cfg(feature = "outbox")]
    pub(crate) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    /// Returns whether a key of that user is known, so that the user's program is one like this.
    #[cfg(feature = "outbox")]
    pub(crate) fn knows_key_of(&self, user: &MiAddress) -> bool {
        #[cfg(feature = "secure")]
        return self.0.protection.knows_key_of(user);
        #[cfg(not(feature = "secure"))]
        {
            _ = user;
            false
        }
    }

    #[cfg(feature = "secure")]
    pub(crate) fn protection(&self) -> &Protection {
        &self.0.protection
    }

    /// Locates a user without calling.
    ///
    /// Do so only to call: some deployed agents that were located are deaf until somebody calls them
    /// (protocol.md §7, row 22).
    ///
    /// # Errors
    /// [`LocateError`].
    ///
    /// # Cancel safety
    /// Cancel safe. The question goes on, and its answer is dropped.
    pub async fn locate(&self, to: MiAddress) -> Result<MiSocketAddress, LocateError> {
        self.find(to, None).await.map(|found| found.at)
    }

    /// Locates a user, by a schedule of its own or by that of the agent.
    async fn find(&self, to: MiAddress, schedule: Option<RequestSchedule>) -> Result<Found, LocateError> {
        #[cfg(feature = "secure")]
        let asked = now();
        match self.0.driver.request(LumiRequest::Locate(to), schedule).await {
            Ok(LumiAnswer::Locate { outcome: LocateOutcome::Found(at), offers_tls }) => {
                #[cfg(not(feature = "secure"))]
                let _ = offers_tls;
                Ok(Found {
                    at: self.0.dialling.check(self.node(), at)?,
                    #[cfg(feature = "secure")]
                    offers_tls,
                    #[cfg(feature = "secure")]
                    was_repeated: now() >= asked + self.0.repeats_after,
                })
            }
            Ok(LumiAnswer::Locate { outcome: LocateOutcome::Busy, .. }) => Err(LocateError::Busy),
            Ok(LumiAnswer::Locate { outcome: LocateOutcome::NoSuchUser, .. }) => Err(LocateError::NoSuchUser),
            Ok(LumiAnswer::Locate { outcome: LocateOutcome::Offline, .. }) => Err(LocateError::Offline),
            Ok(LumiAnswer::PeerSilent) => Err(LocateError::PeerSilent { node: self.node() }),
            Ok(LumiAnswer::Malformed(error)) => Err(LocateError::Malformed(error)),
            Ok(_) => {
                let Place { node, unsent, .. } = self.0.driver.place();
                Err(LocateError::NoAnswer { node, unsent })
            }
            Err(Ended) => Err(LocateError::Ended),
        }
    }

    /// Begins a conversation with a user: locates, connects, exchanges nicknames.
    ///
    /// The connections of calls that came to nothing take up to some seconds to end in order. While there are
    /// 64 of them, the next calls wait, in their order.
    ///
    /// If its answer is lost, a callee answers the repeated question without an offer of encryption, as if it
    /// had none. If that would make the call fail, the call is made once more, after 5 s.
    ///
    /// # Errors
    /// [`CallError`].
    ///
    /// # Cancel safety
    /// Cancel safe. The agent is free for another conversation at once. A connection that was begun ends in
    /// order in the background.
    pub async fn call(&self, to: MiAddress) -> Result<Conversation, CallError> {
        self.call_by(to, None).await
    }

    /// Does the same as [`Agent::call`], and asks where the user is by a schedule of its own.
    pub(crate) async fn call_by(
        &self,
        to: MiAddress,
        schedule: Option<RequestSchedule>,
    ) -> Result<Conversation, CallError> {
        if to == self.0.address {
            return Err(CallError::Yourself);
        }
        if self.is_closed() {
            return Err(CallError::Locate(LocateError::Ended));
        }
        if !self.0.slots.has_free() {
            return Err(CallError::Engaged);
        }
        let found = self.find(to, schedule).await?;
        let called = self.dial(to, &found).await;
        #[cfg(feature = "secure")]
        if found.was_repeated
            && let Err(CallError::NotSecure(NotSecure::HasKey | NotSecure::CannotEncrypt(_))) = called
        {
            self.let_offers_be_forgotten().await;
            let found = self.find(to, schedule).await?;
            return self.dial(to, &found).await;
        }
        called
    }

    /// Waits until callees have forgotten which offers they made, or the agent ends. The timer is on the
    /// agent's runtime, because the program may have none.
    #[cfg(feature = "secure")]
    async fn let_offers_be_forgotten(&self) {
        let mut shutdown = self.0.shutdown.watch();
        let waiting = self.0.runtime.spawn(async move {
            tokio::select! {
                () = time::sleep(REPEATED_WITHIN) => {}
                () = shutdown.begun() => {}
            }
        });
        // An error: the runtime ends.
        _ = waiting.await;
    }

    /// Begins a conversation with the agent that was found: connects, exchanges nicknames.
    async fn dial(&self, to: MiAddress, found: &Found) -> Result<Conversation, CallError> {
        // Another user may have called meanwhile.
        let slot = self.0.slots.try_take().map_err(|error| match error {
            TryAcquireError::NoPermits => CallError::Engaged,
            TryAcquireError::Closed => CallError::Locate(LocateError::Ended),
        })?;
        // If this is cancelled, even when the conversation has begun and nobody has it.
        let free_on_drop = slot.free_on_drop();
        let place = Arc::clone(&self.0.calls).acquire_owned().await;
        let place = place.map_err(|_| CallError::Locate(LocateError::Ended))?;
        let (sender, called) = oneshot::channel();
        let at = found.at;
        let dial = Dial {
            found: at,
            #[cfg(feature = "secure")]
            offers_tls: found.offers_tls,
            #[cfg(feature = "secure")]
            protection: self.0.protection.clone(),
            to,
            nickname: self.0.nickname.clone(),
            options: self.options(),
            slot,
        };
        self.0.runtime.spawn(async move {
            dial.run(sender).await;
            drop(place);
        });
        // An error: the runtime ends.
        let called = called.await.unwrap_or(Err(CallError::Locate(LocateError::Ended)));
        free_on_drop.keep();
        if let Err(CallError::NotAccepted { error, .. }) = &called {
            info!(%to, %at, %error, "the call is not accepted");
            let at = *TcpAddress::from(at).ip();
            if at.is_loopback() && !TcpAddress::from(self.listening()).ip().is_loopback() {
                warn!(
                    "the agent of {to} published {at}, which leads to this host; it has to advertise another address"
                );
            }
        }
        called
    }

    /// Ends the conversations in order, after everything was sent, and deregisters. The agent has ended even
    /// if this returns an error.
    ///
    /// It takes up to 5 s by the default schedule if the node does not answer. Before that it waits until the
    /// conversations have ended. The limit of that wait is the pace for each frame that was handed over, or
    /// for 64 frames if there are fewer, and 4 s for peers that do not end.
    ///
    /// # Errors
    /// [`DeregisterError`]: the node may still have the user as online.
    ///
    /// # Cancel safety
    /// Cancel safe. The shutdown goes on. A second call returns the same result.
    pub async fn shutdown(&self) -> Result<(), DeregisterError> {
        let agent = self.clone();
        self.finish(async move {
            agent.stop(false);
            let frames = agent.0.outstanding.load(Ordering::Relaxed).max(MAX_HANDED_OVER);
            let frames = u32::try_from(frames).unwrap_or(u32::MAX);
            agent.0.shutdown.ended(agent.0.pace.saturating_mul(frames) + 2 * LINGER).await;
            agent.deregister(None).await
        })
        .await
    }

    /// [`Agent::shutdown`] in a hurry, for a program that has to end: returns within `limit`, whatever the
    /// node and the peers do. The node is asked at once, and again after half of `limit`, but after a minute
    /// at most. Conversations end meanwhile; lines that wait to be sent are dropped.
    ///
    /// # Errors
    /// [`DeregisterError`].
    ///
    /// # Cancel safety
    /// As for [`Agent::shutdown`].
    pub async fn shutdown_within(&self, limit: Duration) -> Result<(), DeregisterError> {
        let agent = self.clone();
        self.finish(async move {
            agent.stop(true);
            let schedule = RequestSchedule { attempts: HURRIED_ATTEMPTS, interval: limit / 2 };
            let deregistered = async {
                let deregistered = time::timeout(limit, agent.deregister(Some(schedule))).await;
                deregistered.unwrap_or_else(|_| Err(agent.not_deregistered()))
            };
            tokio::join!(deregistered, agent.0.shutdown.ended(limit)).0
        })
        .await
    }

    /// Runs the end of the agent on its runtime, because it needs its timers.
    async fn finish(
        &self,
        end: impl Future<Output = Result<(), DeregisterError>> + Send + 'static,
    ) -> Result<(), DeregisterError> {
        let mut end = Box::pin(end);
        let ended = {
            let _runtime = self.0.runtime.enter();
            // The node is asked at once, even if the program never looks at this again.
            (&mut end).now_or_never()
        };
        match ended {
            Some(ended) => ended,
            None => self.0.runtime.spawn(end).await.unwrap_or(Err(DeregisterError::Ended)),
        }
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
            Ok(LumiAnswer::NotAdmitted) => Err(StartError::NotAdmitted),
            Ok(LumiAnswer::KeyNotKnown) => Err(StartError::KeyNotKnown),
            Ok(LumiAnswer::SeenElsewhere(elsewhere)) => Err(StartError::SeenElsewhere(elsewhere)),
            _ => {
                let Place { node, unsent, .. } = self.0.driver.place();
                Err(StartError::NoAnswer { node, unsent })
            }
        }
    }

    /// Ends the connections of all callers so far, in order.
    pub(crate) async fn let_callers_go(&self) {
        self.stop(false);
        let agent = self.clone();
        let ended = self.0.runtime.spawn(async move { agent.0.shutdown.ended(2 * LINGER).await });
        // An error: the runtime ends.
        _ = ended.await;
    }

    fn stop(&self, hurried: bool) {
        self.0.slots.close();
        self.0.calls.close();
        self.0.shutdown.begin(hurried);
    }

    async fn deregister(&self, schedule: Option<RequestSchedule>) -> Result<(), DeregisterError> {
        if self.0.driver.stays_registered() {
            self.0.driver.leave().await;
            return Ok(());
        }
        match self.0.driver.request(LumiRequest::Deregister, schedule).await {
            Ok(LumiAnswer::Deregister(DeregisterCode::Deregistered)) => Ok(()),
            Ok(LumiAnswer::Deregister(DeregisterCode::NoSuchUser)) => Err(DeregisterError::NoSuchUser),
            Ok(LumiAnswer::SeenElsewhere(elsewhere)) => Err(DeregisterError::SeenElsewhere(elsewhere)),
            Ok(_) => Err(self.not_deregistered()),
            Err(Ended) => Err(DeregisterError::Ended),
        }
    }

    fn not_deregistered(&self) -> DeregisterError {
        let Place { node, unsent, .. } = self.0.driver.place();
        DeregisterError::NoAnswer { node, unsent }
    }

    fn options(&self) -> ConversationOptions {
        let tap = self.0.tap.as_ref().and_then(WeakTap::upgrade);
        let outstanding = Arc::clone(&self.0.outstanding);
        let (pace, intake) = (self.0.pace, self.0.intake);
        ConversationOptions { pace, intake, outstanding, shutdown: self.0.shutdown.watch(), tap }
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
