//! The task of a [`Driver`](super::Driver): it waits for messages, commands and times, and does what the
//! client says.

use std::collections::HashMap;
use std::future;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use plumi_proto::{Message, MiAddress, MiSocketAddress, NodeAddress, RegisterCode};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time;
use tracing::{debug, info, warn};

#[cfg(feature = "secure")]
use super::super::prover::Prover;
use super::super::slot::Slots;
use super::super::way::Search;
use super::{Caller, Command, Network, Place, capacity};
use crate::error::{RefreshError, SystemError};
use crate::event::Event;
use crate::state::admission::Admission;
use crate::state::client::{LumiClient, Whereabouts};
use crate::state::output::{LossReason, LumiOutput, RegistrationChange};
use crate::state::request::{LumiAnswer, LumiRequest, RequestId};

/// The state of the task.
pub(super) struct Task {
    pub(super) network: Network,
    pub(super) place: watch::Sender<Place>,
    /// The whereabouts that the program knows.
    pub(super) told_at: Option<Whereabouts>,
    pub(super) unsent: Option<SystemError>,
    pub(super) client: LumiClient,
    pub(super) slots: Slots,
    /// The admission, once it has changed.
    pub(super) admission: watch::Receiver<Admission>,
    /// Set while somebody looks at the state of the registration.
    pub(super) watched: watch::Receiver<bool>,
    /// Changes when a caller begins to encrypt.
    #[cfg(feature = "secure")]
    pub(super) encrypted: watch::Receiver<()>,
    pub(super) asked_again: watch::Receiver<()>,
    pub(super) waiting: HashMap<RequestId, oneshot::Sender<LumiAnswer>>,
    pub(super) deregistered: Arc<OnceLock<LumiAnswer>>,
    pub(super) is_registered: Arc<AtomicBool>,
    pub(super) stays_registered: Arc<AtomicBool>,
    /// The reason why the registration is lost.
    pub(super) loss: Option<LossReason>,
    /// The loss that was reported to the program. While its events are full, only the latest change is kept.
    pub(super) told_loss: Option<LossReason>,
}

impl Task {
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut urgent: mpsc::Receiver<Command>,
        events: mpsc::Sender<Event>,
    ) {
        let mut datagram = Vec::new();
        let (mut is_ending, mut is_held) = (false, true);
        while !(is_ending && self.client.is_idle()) {
            let timeout = self.client.poll_timeout();
            let timeout = async move {
                match timeout {
                    Some(at) => time::sleep_until(at.into()).await,
                    None => future::pending().await,
                }
            };
            let has_news = self.has_news();
            let Network { link, way, search, .. } = &mut self.network;
            tokio::select! {
                received = link.receive(&mut datagram, |from| self.client.is_node(from)) => match received {
                    Ok(from) => self.receive(from, &datagram, &events),
                    Err(error) => receive_failed(self.client.node(), &error).await,
                },
                () = way.next_look() => { self.look_at_way(); }
                nodes = next_found(search) => self.client.handle_found(now(), &nodes),
                command = next(&mut commands, &mut urgent, self.client.has_room()), if is_held => match command {
                    // A second deregistration, perhaps a hurried one, ends with the first.
                    Some(Command::Request(request, ..)) if is_ending && request != LumiRequest::Deregister => {}
                    Some(Command::Request(LumiRequest::Locate(_), _, answer)) if answer.is_closed() => {}
                    Some(Command::Request(request, schedule, answer)) => {
                        let id = self.client.request(now(), request, schedule);
                        self.waiting.insert(id, answer);
                        is_ending |= request == LumiRequest::Deregister;
                    }
                    Some(Command::GivenUp) => self.give_up(),
                    Some(Command::Leave) => break,
                    // The caller may have gone.
                    Some(Command::TakeCaller(known, answer)) => _ = answer.send(self.take_caller(known)),
                    #[cfg(feature = "secure")]
                    Some(Command::Refusal(candidates, answer)) => {
                        self.take_admission();
                        _ = answer.send(self.client.refusal(&candidates));
                    }
                    None => {
                        is_held = false;
                        let stays_registered = self.stays_registered.load(Ordering::Relaxed);
                        if !is_ending && !stays_registered && self.client.may_be_registered() {
                            self.client.request(now(), LumiRequest::Deregister, None);
                        }
                        is_ending = true;
                    }
                },
                room = events.reserve(), if has_news => {
                    let news = self.take_news();
                    // An error: the program dropped its events, so it does not want to know.
                    if let Ok(room) = room {
                        room.send(news);
                    }
                }
                Ok(()) = self.watched.changed(), if is_held => {
                    let is_watched = *self.watched.borrow_and_update();
                    self.client.set_watched(is_watched);
                }
                Ok(()) = self.asked_again.changed(), if is_held => self.client.register_again(now()),
                () = timeout => self.client.handle_timeout(now()),
            }
            self.drain(&events).await;
        }
    }

    fn has_news(&self) -> bool {
        self.loss != self.told_loss || self.loss.is_none() && self.client.registered_at() != self.told_at
    }

    fn take_news(&mut self) -> Event {
        if self.loss == self.told_loss
            && let Some(whereabouts) = self.client.registered_at()
        {
            self.told_at = Some(whereabouts);
            return Event::Moved(whereabouts);
        }
        self.told_loss = self.loss;
        match self.loss {
            Some(LossReason::NoSuchUser) => Event::RegistrationLost { reason: RefreshError::NoSuchUser },
            Some(LossReason::KeyNotKnown) => Event::RegistrationLost { reason: RefreshError::KeyNotKnown },
            Some(LossReason::SeenElsewhere(elsewhere)) => {
                Event::RegistrationLost { reason: RefreshError::SeenElsewhere(elsewhere) }
            }
            Some(LossReason::NoAnswer) => {
                let reason = RefreshError::NoAnswer { node: self.client.node(), unsent: self.unsent };
                Event::RegistrationLost { reason }
            }
            None => Event::RegistrationRegained,
        }
    }

    /// Looks whether this host has moved. If it has, the user registers from the new address.
    fn look_at_way(&mut self) -> bool {
        let has_moved = self.publish_way();
        if has_moved {
            self.client.handle_moved(now());
        }
        has_moved
    }

    /// Has callers told this host's address on the way to the node. Returns whether there is another way than
    /// before.
    fn publish_way(&mut self) -> bool {
        let Network { way, publishes_own, .. } = &mut self.network;
        let Some(ip) = way.look(self.client.node()) else { return false };
        self.client.set_own_ip(ip);
        if *publishes_own {
            self.client.set_listening(MiSocketAddress { ip, ..self.client.listening() });
        }
        true
    }

    fn receive(&mut self, from: NodeAddress, datagram: &[u8], events: &mpsc::Sender<Event>) {
        self.take_admission();
        self.client.set_busy(capacity(&self.slots, events).is_busy());
        self.take_encrypted();
        // A challenge for the address that this host had a moment ago would look as if somebody relayed.
        let is_challenge = Message::decode(datagram).is_ok_and(|message| message.challenge().is_some());
        if is_challenge && self.look_at_way() {
            return;
        }
        self.client.handle_datagram(now(), from, datagram);
    }

    fn take_caller(&mut self, known: Option<MiAddress>) -> Caller {
        self.take_admission();
        self.take_encrypted();
        let candidates = match known {
            Some(caller) => {
                self.client.take_known_caller(&caller);
                vec![caller]
            }
            None => self.client.take_askers(now()),
        };
        let refusal = self.client.refusal(&candidates);
        Caller { candidates, refusal }
    }

    /// Gives up location requests if nobody waits for the results, so that they keep no room from others.
    fn give_up(&mut self) {
        for (&id, _) in self.waiting.iter().filter(|(_, answer)| answer.is_closed()) {
            self.client.give_up(id);
        }
        // A deregistration goes on, and its result is kept.
        self.waiting.retain(|_, answer| !answer.is_closed());
    }

    fn take_admission(&mut self) {
        if self.admission.has_changed().unwrap_or(false) {
            self.client.set_admission(self.admission.borrow_and_update().clone());
        }
    }

    /// Passes on that a caller begins to encrypt. Until its nickname comes, its question has not been taken.
    fn take_encrypted(&mut self) {
        #[cfg(feature = "secure")]
        if self.encrypted.has_changed().unwrap_or(false) {
            self.encrypted.mark_unchanged();
            self.client.handle_encrypted_call(now());
        }
    }

    fn set_registered(&self, is_registered: bool) {
        self.is_registered.store(is_registered, Ordering::Relaxed);
    }

    async fn send(&mut self, node: NodeAddress, message: &[u8]) {
        // Another one of its addresses may be reached from another address of this host.
        if node != self.place.borrow().node {
            self.publish_way();
        }
        let sent = self.network.link.send(node, message).await;
        self.unsent = sent.as_ref().err().and_then(SystemError::of);
        if let Err(error) = sent {
            debug!(%node, %error, "cannot send");
            self.network.way.look_soon();
        }
        self.publish_place();
    }

    fn publish_place(&self) {
        let place =
            Place { node: self.client.node(), listening: self.client.listening(), unsent: self.unsent };
        self.place.send_if_modified(|before| mem::replace(before, place) != place);
    }

    async fn drain(&mut self, events: &mpsc::Sender<Event>) {
        // A program that hears how its request ended asks for the place.
        self.publish_place();
        while let Some(output) = self.client.poll_output() {
            match output {
                LumiOutput::Transmit(message) => self.send(self.client.node(), &message.encode()).await,
                #[cfg(feature = "secure")]
                LumiOutput::Prove { node, verb, challenge } => {
                    if let Some(prover) = &self.network.prover {
                        let proof = prover.prove(verb, &challenge);
                        self.send(node, &proof.encode()).await;
                    }
                }
                #[cfg(feature = "secure")]
                LumiOutput::Proved => {
                    if let Some(prover) = &mut self.network.prover {
                        prover.proved();
                    }
                }
                #[cfg(feature = "secure")]
                LumiOutput::Unproved => {
                    if let Some(since) = self.network.prover.as_mut().and_then(Prover::unproved) {
                        // Dropped if nobody reads the events.
                        _ = events.try_send(Event::Unproved { since });
                    }
                }
                // Nothing can be proved without a key.
                #[cfg(not(feature = "secure"))]
                LumiOutput::Prove { .. } | LumiOutput::Proved | LumiOutput::Unproved => {}
                LumiOutput::FindNode => {
                    if let Some(search) = &mut self.network.search {
                        search.start();
                    }
                }
                LumiOutput::Done(id, answer) => {
                    match answer {
                        LumiAnswer::Register(RegisterCode::Registered) => {
                            self.set_registered(true);
                            self.told_at = self.client.registered_at();
                        }
                        LumiAnswer::Deregister(_) => self.set_registered(false),
                        LumiAnswer::None => debug!(node = %self.client.node(), "the node gives no answer"),
                        _ => {}
                    }
                    if matches!(answer, LumiAnswer::Deregister(_)) {
                        // The first result counts.
                        _ = self.deregistered.set(answer);
                    }
                    if let Some(waiting) = self.waiting.remove(&id) {
                        // The caller may have gone.
                        _ = waiting.send(answer);
                    }
                }
                LumiOutput::Missed { from, reason } => {
                    // Dropped if nobody reads the events.
                    _ = events.try_send(Event::Missed { from, reason });
                }
                LumiOutput::Registration(RegistrationChange::Lost(reason)) => {
                    info!(node = %self.client.node(), ?reason, "the registration is lost");
                    self.loss = Some(reason);
                    self.set_registered(false);
                }
                LumiOutput::Registration(RegistrationChange::Regained) => {
                    info!(node = %self.client.node(), "registered again");
                    self.loss = None;
                    self.set_registered(true);
                }
            }
        }
    }
}

/// The runtime may end before the agent, which is over with its task.
impl Drop for Task {
    fn drop(&mut self) {
        self.slots.close();
    }
}

async fn receive_failed(node: NodeAddress, error: &io::Error) {
    warn!(
        "cannot receive from node {node}, so the agent tries again: {error}; if it lasts, start the agent again"
    );
    time::sleep(ERROR_PAUSE).await;
}

/// Waits for what a look-up of the node has found. Cancel safe.
async fn next_found(search: &mut Option<Search>) -> Vec<NodeAddress> {
    match search {
        Some(search) => search.next_found().await,
        None => future::pending().await,
    }
}

/// Returns the next command, or `None` when every handle is gone. Cancel safe.
async fn next(
    commands: &mut mpsc::Receiver<Command>,
    urgent: &mut mpsc::Receiver<Command>,
    has_room: bool,
) -> Option<Command> {
    tokio::select! {
        biased;
        Some(command) = commands.recv(), if has_room => Some(command),
        command = urgent.recv() => command,
    }
}

/// Reads the clock of the state machine: tokio's, which tests can pause.
fn now() -> Instant {
    time::Instant::now().into_std()
}

/// The pause after a socket error. Without it, a lasting error would use up a processor.
const ERROR_PAUSE: Duration = Duration::from_millis(10);
