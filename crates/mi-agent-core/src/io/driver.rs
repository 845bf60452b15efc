//! The handle of the task that owns an agent's link to its node and drives its [`LumiClient`].

mod task;

use std::collections::HashMap;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use plumi_proto::{MiAddress, MiSocketAddress, NodeAddress};
use tokio::sync::{mpsc, oneshot, watch};

use self::task::Task;
use super::node_link::{Counts, MessageCounts, NodeLink};
#[cfg(feature = "secure")]
use super::prover::Prover;
use super::slot::Slots;
use super::way::{Search, Way};
use crate::error::SystemError;
use crate::event::Event;
use crate::state::acceptor::Capacity;
use crate::state::admission::{Admission, Refusal};
use crate::state::client::LumiClient;
use crate::state::request::{LumiAnswer, LumiRequest, RequestSchedule};

/// A handle of the driver's task. The task ends when the last handle is dropped, or when the user has been
/// deregistered. Before it ends, it deregisters a registered user.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    commands: mpsc::Sender<Command>,
    /// The queue of commands that must not wait until there is room for another request.
    urgent: mpsc::Sender<Command>,
    /// The result of the deregistration, kept for a repeated request.
    deregistered: Arc<OnceLock<LumiAnswer>>,
    counts: Arc<Counts>,
    is_registered: Arc<AtomicBool>,
    /// Set if the user stays registered when the task ends.
    stays_registered: Arc<AtomicBool>,
    admission: watch::Sender<Admission>,
    is_watched: watch::Sender<bool>,
    /// Changes when a caller begins to encrypt.
    #[cfg(feature = "secure")]
    encrypts: watch::Sender<()>,
    /// Changes when the user has to be registered again.
    again: watch::Sender<()>,
    place: watch::Receiver<Place>,
}

/// The place of an agent in the network now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) node: NodeAddress,
    pub(crate) listening: MiSocketAddress,
    /// The reason why the last message to the node could not be sent, if it could not.
    pub(crate) unsent: Option<SystemError>,
}

/// The sockets of an agent and what it knows about the network.
pub(crate) struct Network {
    pub(crate) link: NodeLink,
    pub(crate) way: Way,
    /// Set if callers get this host's address on the way to the node, and not one that the program named.
    pub(crate) publishes_own: bool,
    /// `None` if the program named the node.
    pub(crate) search: Option<Search>,
    /// `None` if the user has no key, or registers without a domain.
    #[cfg(feature = "secure")]
    pub(crate) prover: Option<Prover>,
}

enum Command {
    Request(LumiRequest, Option<RequestSchedule>, oneshot::Sender<LumiAnswer>),
    TakeCaller(Option<MiAddress>, oneshot::Sender<Caller>),
    #[cfg(feature = "secure")]
    Refusal(Vec<MiAddress>, oneshot::Sender<Option<Refusal>>),
    /// Some request may have been given up by the program.
    GivenUp,
    /// The task ends without a deregistration.
    Leave,
}

/// Has the task look for requests that were given up, when it is dropped.
struct GiveUpOnDrop<'a>(Option<&'a mpsc::Sender<Command>>);

impl GiveUpOnDrop<'_> {
    /// The request has its result.
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for GiveUpOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(urgent) = self.0 {
            // A full queue wakes the task as well.
            _ = urgent.try_send(Command::GivenUp);
        }
    }
}

/// Information about a caller.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    /// The users that the caller may be, see [`LumiClient::take_askers`].
    pub(crate) candidates: Vec<MiAddress>,
    /// The reason why the caller may not call, if there is one.
    pub(crate) refusal: Option<Refusal>,
}

/// The driver's task has ended.
#[derive(Debug)]
pub(crate) struct Ended;

impl Driver {
    /// Starts the task. The user is busy while none of `slots` can be had.
    pub(crate) fn start(
        network: Network,
        client: LumiClient,
        slots: Slots,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let (commands, receiver) = mpsc::channel(MAX_COMMANDS);
        let (urgent, urgent_receiver) = mpsc::channel(MAX_COMMANDS);
        let deregistered = Arc::default();
        let counts = network.link.counts();
        let is_registered = Arc::default();
        let stays_registered = Arc::default();
        // The client already has the first admission.
        let (admission, new_admission) = watch::channel(Admission::default());
        let (is_watched, watched) = watch::channel(false);
        #[cfg(feature = "secure")]
        let (encrypts, encrypted) = watch::channel(());
        let (again, asked_again) = watch::channel(());
        let place = Place { node: client.node(), listening: client.listening(), unsent: None };
        let (place_sender, place_receiver) = watch::channel(place);
        let task = Task {
            network,
            place: place_sender,
            told_at: None,
            unsent: None,
            client,
            slots,
            admission: new_admission,
            watched,
            #[cfg(feature = "secure")]
            encrypted,
            asked_again,
            waiting: HashMap::new(),
            deregistered: Arc::clone(&deregistered),
            is_registered: Arc::clone(&is_registered),
            stays_registered: Arc::clone(&stays_registered),
            loss: None,
            told_loss: None,
        };
        tokio::spawn(task.run(receiver, urgent_receiver, events));
        let place = place_receiver;
        Self {
            commands,
            urgent,
            deregistered,
            counts,
            is_registered,
            stays_registered,
            admission,
            is_watched,
            #[cfg(feature = "secure")]
            encrypts,
            again,
            place,
        }
    }

    /// Returns the number of messages sent and received.
    pub(crate) fn messages(&self) -> MessageCounts {
        self.counts.now()
    }

    /// Returns the place of the agent now, or at its end.
    pub(crate) fn place(&self) -> Place {
        *self.place.borrow()
    }

    /// Returns whether the user is registered, as far as the task can tell.
    pub(crate) fn is_registered(&self) -> bool {
        self.is_registered.load(Ordering::Relaxed) && !self.commands.is_closed()
    }

    /// Waits until the task has ended.
    pub(crate) async fn ended(&self) {
        self.commands.closed().await;
    }

    /// Carries out a request, on its own schedule if it has one, and waits for its result.
    pub(crate) async fn request(
        &self,
        request: LumiRequest,
        schedule: Option<RequestSchedule>,
    ) -> Result<LumiAnswer, Ended> {
        let (sender, answer) = oneshot::channel();
        let way = if request == LumiRequest::Deregister { &self.urgent } else { &self.commands };
        let give_up = GiveUpOnDrop(Some(&self.urgent));
        // If the task ends first, it drops the command and the sender in it.
        _ = way.send(Command::Request(request, schedule, sender)).await;
        let answer = answer.await;
        give_up.keep();
        match (answer, self.deregistered.get()) {
            (Ok(answer), _) => Ok(answer),
            (Err(_), Some(&answer)) if request == LumiRequest::Deregister => Ok(answer),
            (Err(_), _) => Err(Ended),
        }
    }

    /// Returns the users that the caller most likely is, or the `known` one, and whether that one may call.
    /// Unknown if the task has ended.
    pub(crate) async fn take_caller(&self, known: Option<MiAddress>) -> Caller {
        let (sender, caller) = oneshot::channel();
        // A caller does not wait for this agent's requests. If the task has ended, the sender is dropped.
        _ = self.urgent.send(Command::TakeCaller(known, sender)).await;
        caller.await.unwrap_or_default()
    }

    /// Returns the reason why a caller that is one of `candidates` may not call, if there is one.
    #[cfg(feature = "secure")]
    pub(crate) async fn refusal(&self, candidates: Vec<MiAddress>) -> Option<Refusal> {
        let (sender, refusal) = oneshot::channel();
        _ = self.urgent.send(Command::Refusal(candidates, sender)).await;
        refusal.await.unwrap_or_default()
    }

    /// Sets which users may call, from the next question on.
    pub(crate) fn set_admission(&self, admission: Admission) {
        self.admission.send_replace(admission);
    }

    /// Sets whether somebody looks at the state of the registration.
    pub(crate) fn set_watched(&self, is_watched: bool) {
        self.is_watched.send_if_modified(|before| mem::replace(before, is_watched) != is_watched);
    }

    /// Records that a caller begins to encrypt, before the next question is answered.
    #[cfg(feature = "secure")]
    pub(crate) fn encrypted_call(&self) {
        self.encrypts.send_replace(());
    }

    /// Registers a registered user again.
    pub(crate) fn register_again(&self) {
        self.again.send_replace(());
    }

    /// Leaves the user registered when the task ends.
    pub(crate) fn stay_registered(&self) {
        self.stays_registered.store(true, Ordering::Relaxed);
    }

    /// Returns whether the user stays registered when the task ends.
    pub(crate) fn stays_registered(&self) -> bool {
        self.stays_registered.load(Ordering::Relaxed)
    }

    /// Ends the task without deregistering the user.
    pub(crate) async fn leave(&self) {
        // An error: it has ended.
        _ = self.urgent.send(Command::Leave).await;
        self.ended().await;
    }
}

/// Returns what is left for another caller. Closed slots: the agent is ending and no longer listens.
pub(super) fn capacity(slots: &Slots, events: &mpsc::Sender<Event>) -> Capacity {
    Capacity {
        ends: slots.is_closed(),
        has_slot: slots.has_free() || slots.can_give_way(),
        is_heard: !events.is_closed() && events.capacity() > 0,
    }
}

/// The limit of commands that wait for the task. Beyond it, callers wait.
const MAX_COMMANDS: usize = 16;
