//! Messages that are delivered once their receivers are there.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use plumi_proto::MiAddress;
use tokio::sync::{mpsc, oneshot};

use crate::agent::Agent;
use crate::event::Event;
use crate::io::outbox::{Command, OutboxClock, Parts, run};
use crate::state::outbox::{ItemId, OutboxItem, OutboxState, OutboxTime};

use crate::outbox_store::{LeaveError, MAX_OUTBOX_EVENTS, OutboxEvent, OutboxStore};

/// How an outbox delivers.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OutboxOptions {
    /// A receiver is asked for on signs of life only: each question tells the receiver's node who looks for whom.
    pub is_quiet: bool,
    /// Words the time at which a message was written, for a receiver who gets it late. The second time is now.
    pub time_of: fn(OutboxTime, OutboxTime) -> String,
}

impl Default for OutboxOptions {
    /// By timer too, and the time of day in UTC.
    fn default() -> Self {
        let time_of = |at: OutboxTime, _| {
            let minutes = at.0 / 60_000;
            format!("{:02}:{:02} UTC", minutes / 60 % 24, minutes % 60)
        };
        Self { is_quiet: false, time_of }
    }
}

impl OutboxOptions {
    /// Sets [`OutboxOptions::is_quiet`].
    #[must_use]
    pub fn quiet(self, is_quiet: bool) -> Self {
        Self { is_quiet, ..self }
    }

    /// Sets [`OutboxOptions::time_of`].
    #[must_use]
    pub fn time_of(self, time_of: fn(OutboxTime, OutboxTime) -> String) -> Self {
        Self { time_of, ..self }
    }
}

/// Messages that wait until their receivers are there. Cheap to clone.
///
/// A task on the agent's runtime delivers them, in order for each receiver, and at most once: a message that was
/// being sent when the connection broke, or the program ended, is [unsure](crate::ItemState::Unsure) and not sent
/// again by itself. It asks where a receiver is by a slow timer, and sooner on each sign of life, for which it needs
/// the events of the agent: pass them to [`Outbox::note`].
///
/// The task ends with the last handle, or with its agent. What is under way then ends in order.
#[derive(Clone, Debug)]
pub struct Outbox {
    clock: OutboxClock,
    commands: mpsc::Sender<Command>,
}

/// The events of an outbox, in their order. While [`MAX_OUTBOX_EVENTS`] wait to be read, nothing is delivered.
#[derive(Debug)]
pub struct OutboxEvents(mpsc::Receiver<OutboxEvent>);

impl OutboxEvents {
    /// Returns the next event, or `None` once the outbox has ended.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<OutboxEvent> {
        self.0.recv().await
    }
}

impl Stream for OutboxEvents {
    type Item = OutboxEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<OutboxEvent>> {
        self.0.poll_recv(cx)
    }
}

impl Outbox {
    /// Opens the outbox of the agent's user.
    ///
    /// # Errors
    /// Those of the store.
    ///
    /// # Cancel safety
    /// If it is dropped, the outbox is not opened, or ends at once.
    pub async fn open(
        agent: &Agent,
        store: impl OutboxStore,
        options: OutboxOptions,
    ) -> io::Result<(Self, OutboxEvents)> {
        let OutboxOptions { is_quiet, time_of } = options;
        let mut store = Box::new(store);
        let runtime = agent.runtime().clone();
        let opened = runtime.spawn_blocking(move || store.load().map(|stored| (store, stored))).await;
        let (store, stored) = opened.map_err(io::Error::other)??;
        let clock = OutboxClock::starting_at(stored.last_change);
        let state = OutboxState::new(agent.address(), is_quiet, stored.items);
        let (commands, received) = mpsc::channel(MAX_COMMANDS);
        let (events, reported) = mpsc::channel(MAX_OUTBOX_EVENTS);
        let parts = Parts { agent: agent.clone(), store, state, clock, commands: received, events, time_of };
        runtime.spawn(run(parts));
        Ok((Self { clock, commands }, OutboxEvents(reported)))
    }

    /// Leaves a message, which is stored when this returns. Returns it with its id.
    ///
    /// # Errors
    /// [`LeaveError`].
    ///
    /// # Cancel safety
    /// The message may be left although this was dropped.
    pub async fn leave(&self, to: MiAddress, text: &str, keep: Duration) -> Result<OutboxItem, LeaveError> {
        self.put(self.draft(to, text.to_owned(), keep)).await
    }

    /// Makes a message that was written now, for [`Outbox::put`].
    pub fn draft(&self, to: MiAddress, text: String, keep: Duration) -> OutboxItem {
        OutboxItem::new(to, text, self.clock.now(), keep)
    }

    /// Does the same as [`Outbox::leave`] with a message that is made already.
    ///
    /// # Errors
    /// [`LeaveError`].
    ///
    /// # Cancel safety
    /// As for [`Outbox::leave`].
    pub async fn put(&self, item: OutboxItem) -> Result<OutboxItem, LeaveError> {
        self.ask(|answer| Command::Put(item.clone(), answer)).await?;
        Ok(item)
    }

    /// Sends a message again that may have arrived, or could not be delivered.
    ///
    /// # Errors
    /// [`LeaveError`].
    ///
    /// # Cancel safety
    /// It may be done although this was dropped.
    pub async fn resend(&self, id: ItemId) -> Result<(), LeaveError> {
        self.ask(|answer| Command::Resend(id, answer)).await
    }

    /// Drops a message.
    ///
    /// # Errors
    /// [`LeaveError`].
    ///
    /// # Cancel safety
    /// It may be done although this was dropped.
    pub async fn forget(&self, id: ItemId) -> Result<(), LeaveError> {
        self.ask(|answer| Command::Forget(id, answer)).await
    }

    /// Returns every message that waits, those for one user in the order in which they were written.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn items(&self) -> Vec<OutboxItem> {
        let (answer, items) = oneshot::channel();
        _ = self.commands.send(Command::List(answer)).await;
        items.await.unwrap_or_default()
    }

    /// Tries everybody for whom something waits.
    pub fn retry(&self) {
        // A full queue has tries before it.
        _ = self.commands.try_send(Command::Retry);
    }

    /// Notes the signs of life in an event of the agent, and whether it is registered.
    pub fn note(&self, event: &Event) {
        match event {
            Event::Incoming(incoming) => {
                let peer = incoming.peer();
                peer.address.iter().chain(&peer.candidates).for_each(|user| self.note_user(*user));
            }
            Event::Missed { from, .. } => self.note_user(*from),
            Event::Refused { address: Some(user), .. } => self.note_user(*user),
            Event::RegistrationRegained | Event::Moved(_) => {
                _ = self.commands.try_send(Command::Registered(true));
            }
            Event::RegistrationLost { .. } => _ = self.commands.try_send(Command::Registered(false)),
            _ => {}
        }
    }

    /// Notes that this user is there.
    pub fn note_user(&self, user: MiAddress) {
        // One sign among many that is lost delays a delivery until the next one.
        _ = self.commands.try_send(Command::Sign(user));
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), LeaveError>>) -> Command,
    ) -> Result<(), LeaveError> {
        let (answer, answered) = oneshot::channel();
        _ = self.commands.send(command(answer)).await;
        answered.await.unwrap_or(Err(LeaveError::Ended))
    }
}

/// The limit of commands that wait.
const MAX_COMMANDS: usize = 64;
