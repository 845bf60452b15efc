//! The task that owns an agent's way to its node and drives its [`LumiClient`].

use std::collections::HashMap;
use std::future;
use std::io;
use std::net::SocketAddrV4;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use plumi_proto::MiAddress;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time;
use tracing::{debug, info, warn};

use super::node_socket::{Counts, MessageCounts, NodeSocket};
use crate::error::RefreshError;
use crate::event::Event;
use crate::state::admission::{Admission, Refusal};
use crate::state::client::LumiClient;
use crate::state::output::{LossReason, LumiOutput, RegistrationChange};
use crate::state::request::{LumiAnswer, LumiRequest, RequestId, RequestSchedule};

/// The way to the driver's task. The task ends when the last of these is gone, or when the user has been
/// deregistered; before it ends, it deregisters a user who is registered.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    commands: mpsc::Sender<Command>,
    /// For what does not wait until there is room for another request: the end.
    urgent: mpsc::Sender<Command>,
    /// How the deregistration ended, for who asks for it once more.
    deregistered: Arc<OnceLock<LumiAnswer>>,
    counts: Arc<Counts>,
    admission: watch::Sender<Admission>,
}

enum Command {
    Request(LumiRequest, Option<RequestSchedule>, oneshot::Sender<LumiAnswer>),
    TakeCaller(oneshot::Sender<Caller>),
}

/// What is known of who calls.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    /// Who asked for the user just before, see [`LumiClient::take_asker`].
    pub(crate) address: Option<MiAddress>,
    /// Why it may not call, if so.
    pub(crate) refusal: Option<Refusal>,
}

/// The driver's task has ended.
#[derive(Debug)]
pub(crate) struct Ended;

impl Driver {
    /// Starts the task. While `slots` has no permit left, the user is busy.
    pub(crate) fn start(
        socket: NodeSocket,
        client: LumiClient,
        slots: Arc<Semaphore>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let (commands, receiver) = mpsc::channel(MAX_COMMANDS);
        let (urgent, urgent_receiver) = mpsc::channel(MAX_COMMANDS);
        let deregistered = Arc::default();
        let counts = socket.counts();
        // The client has what holds at the beginning.
        let (admission, new_admission) = watch::channel(Admission::default());
        let task = Task {
            socket,
            client,
            slots,
            admission: new_admission,
            waiting: HashMap::new(),
            deregistered: Arc::clone(&deregistered),
            loss: None,
            told_loss: None,
        };
        tokio::spawn(task.run(receiver, urgent_receiver, events));
        Self { commands, urgent, deregistered, counts, admission }
    }

    /// How many messages have passed.
    pub(crate) fn messages(&self) -> MessageCounts {
        self.counts.now()
    }

    /// Carries out a request, by a schedule of its own if there is one, and waits for how it ends.
    pub(crate) async fn request(
        &self,
        request: LumiRequest,
        schedule: Option<RequestSchedule>,
    ) -> Result<LumiAnswer, Ended> {
        let (sender, answer) = oneshot::channel();
        let way = if request == LumiRequest::Deregister { &self.urgent } else { &self.commands };
        // A command that the task has not taken is dropped with it, and so is its sender.
        _ = way.send(Command::Request(request, schedule, sender)).await;
        match (answer.await, self.deregistered.get()) {
            (Ok(answer), _) => Ok(answer),
            (Err(_), Some(&answer)) if request == LumiRequest::Deregister => Ok(answer),
            (Err(_), _) => Err(Ended),
        }
    }

    /// Who calls now, most likely, and whether it may. An agent that has ended knows nothing.
    pub(crate) async fn take_caller(&self) -> Caller {
        let (sender, caller) = oneshot::channel();
        // A caller does not wait for requests of this agent. If the task has ended, so has the sender.
        _ = self.urgent.send(Command::TakeCaller(sender)).await;
        caller.await.unwrap_or_default()
    }

    /// Who may call from the next question on.
    pub(crate) fn set_admission(&self, admission: Admission) {
        self.admission.send_replace(admission);
    }
}

struct Task {
    socket: NodeSocket,
    client: LumiClient,
    slots: Arc<Semaphore>,
    /// Who may call, once that has changed.
    admission: watch::Receiver<Admission>,
    waiting: HashMap<RequestId, oneshot::Sender<LumiAnswer>>,
    deregistered: Arc<OnceLock<LumiAnswer>>,
    /// Why the user is registered no longer.
    loss: Option<LossReason>,
    /// What the program knows of it. While its events are full, changes take each other's place.
    told_loss: Option<LossReason>,
}

impl Task {
    async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut urgent: mpsc::Receiver<Command>,
        events: mpsc::Sender<Event>,
    ) {
        let mut buffer = vec![0; usize::from(u16::MAX)];
        let (mut is_ending, mut is_held) = (false, true);
        while !(is_ending && self.client.is_idle()) {
            let timeout = self.client.poll_timeout();
            let timeout = async move {
                match timeout {
                    Some(at) => time::sleep_until(at.into()).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                received = self.socket.receive(&mut buffer) => match received {
                    Ok((length, from)) => self.receive(from, &buffer[..length]),
                    Err(error) => self.receive_failed(&error).await,
                },
                command = next(&mut commands, &mut urgent, self.client.has_room()), if is_held => match command {
                    // Whoever deregisters once more, perhaps in more of a hurry, hears of it with the first.
                    Some(Command::Request(request, ..)) if is_ending && request != LumiRequest::Deregister => {}
                    Some(Command::Request(request, schedule, answer)) => {
                        let id = self.client.request(now(), request, schedule);
                        self.waiting.insert(id, answer);
                        is_ending |= request == LumiRequest::Deregister;
                    }
                    // Whoever asked may have gone.
                    Some(Command::TakeCaller(answer)) => _ = answer.send(self.take_caller()),
                    None => {
                        is_held = false;
                        if !is_ending && self.client.may_be_registered() {
                            self.client.request(now(), LumiRequest::Deregister, None);
                        }
                        is_ending = true;
                    }
                },
                room = events.reserve(), if self.loss != self.told_loss => {
                    self.told_loss = self.loss;
                    // A program that dropped its events does not want to know.
                    if let Ok(room) = room {
                        room.send(self.registration_event());
                    }
                }
                () = timeout => self.client.handle_timeout(now()),
            }
            self.drain(&events).await;
        }
    }

    fn registration_event(&self) -> Event {
        match self.loss {
            Some(LossReason::NoSuchUser) => Event::RegistrationLost { reason: RefreshError::NoSuchUser },
            Some(LossReason::NoAnswer) => {
                Event::RegistrationLost { reason: RefreshError::NoAnswer { node: self.socket.node() } }
            }
            None => Event::RegistrationRegained,
        }
    }

    fn receive(&mut self, from: SocketAddrV4, datagram: &[u8]) {
        self.take_admission();
        // Closed slots: the agent ends, and has stopped to listen.
        self.client.set_busy(self.slots.is_closed() || self.slots.available_permits() == 0);
        self.client.handle_datagram(now(), from, datagram);
    }

    fn take_caller(&mut self) -> Caller {
        self.take_admission();
        let address = self.client.take_asker(now());
        Caller { address, refusal: self.client.refusal(address.as_ref()) }
    }

    fn take_admission(&mut self) {
        if self.admission.has_changed().unwrap_or(false) {
            self.client.set_admission(self.admission.borrow_and_update().clone());
        }
    }

    async fn receive_failed(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::ConnectionRefused {
            // The node's port is closed, perhaps only now: one try is lost, the others stand.
            return debug!(node = %self.socket.node(), "nobody listens at the node's address");
        }
        warn!(%error, "cannot receive");
        time::sleep(ERROR_PAUSE).await;
    }

    async fn drain(&mut self, events: &mpsc::Sender<Event>) {
        while let Some(output) = self.client.poll_output() {
            match output {
                LumiOutput::Transmit(message) => {
                    if let Err(error) = self.socket.send(&message.encode()).await {
                        debug!(node = %self.socket.node(), %error, "cannot send");
                    }
                }
                LumiOutput::Done(id, answer) => {
                    if matches!(answer, LumiAnswer::Deregister(_)) {
                        // The first outcome is the one that counts.
                        _ = self.deregistered.set(answer);
                    }
                    if let Some(waiting) = self.waiting.remove(&id) {
                        // Whoever asked may have gone.
                        _ = waiting.send(answer);
                    }
                }
                LumiOutput::Missed { from, reason } => {
                    // Nobody need read it; then it is lost.
                    _ = events.try_send(Event::Missed { from, reason });
                }
                LumiOutput::Registration(RegistrationChange::Lost(reason)) => {
                    info!(node = %self.socket.node(), ?reason, "the registration is lost");
                    self.loss = Some(reason);
                }
                LumiOutput::Registration(RegistrationChange::Regained) => {
                    info!(node = %self.socket.node(), "registered again");
                    self.loss = None;
                }
            }
        }
    }
}

/// The next command; `None` when nobody can give any more. Cancel safe.
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

/// The clock of the state machine: tokio's, which tests can hold.
fn now() -> Instant {
    time::Instant::now().into_std()
}

/// Commands that wait for the task; who has more waits to hand them over.
const MAX_COMMANDS: usize = 16;

/// After an error of the socket, so that one that lasts does not take all of a processor.
const ERROR_PAUSE: Duration = Duration::from_millis(10);
