//! The task that delivers the messages of an outbox.
//!
//! It waits for everything at once: commands, the store, tries, conversations, time. [`OutboxState`] decides.

mod clock;
mod store;
mod talks;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use plumi_proto::MiAddress;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{self, MissedTickBehavior};

pub use self::clock::OutboxClock;
use self::store::{Save, Stores};
use self::talks::{Step, Steps};
use crate::agent::Agent;
use crate::conversation::Conversation;
use crate::outbox_store::{Changes, LeaveError, MAX_OUTBOX_EVENTS, OutboxEvent, OutboxStore};
use crate::state::outbox::{
    Finished, ItemId, ItemState, OutboxItem, OutboxOutput, OutboxState, OutboxTime, Written, may_put,
};

/// A request to the task.
#[derive(Debug)]
pub(crate) enum Command {
    Put(OutboxItem, Answer),
    Resend(ItemId, Answer),
    Forget(ItemId, Answer),
    List(oneshot::Sender<Vec<OutboxItem>>),
    Retry,
    Sign(MiAddress),
    Registered(bool),
}

type Answer = oneshot::Sender<Result<(), LeaveError>>;

/// What the task consists of.
pub(crate) struct Parts {
    pub(crate) agent: Agent,
    pub(crate) store: Box<dyn OutboxStore>,
    pub(crate) state: OutboxState,
    pub(crate) clock: OutboxClock,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: mpsc::Sender<OutboxEvent>,
    pub(crate) time_of: TimeOf,
}

/// Words the time of a message, seen from another time.
pub(crate) type TimeOf = fn(OutboxTime, OutboxTime) -> String;

struct Task {
    agent: Agent,
    state: OutboxState,
    clock: OutboxClock,
    stores: Stores,
    steps: Steps,
    /// The conversations in which messages are sent.
    talks: HashMap<MiAddress, Conversation>,
    /// The number of tries so far, and the last one of each user.
    tried: u64,
    tries: HashMap<MiAddress, u64>,
    /// The events that the program has not read.
    unread: VecDeque<OutboxEvent>,
    time_of: TimeOf,
}

/// Delivers until the last handle of the outbox is dropped, or the agent ends.
pub(crate) async fn run(parts: Parts) {
    let Parts { agent, store, state, clock, mut commands, events, time_of } = parts;
    let (stores, steps) = (Stores::new(store), FuturesUnordered::new());
    let (talks, tries, unread) = Default::default();
    let mut task = Task { agent, state, clock, stores, steps, talks, tried: 0, tries, unread, time_of };
    if task.agent.is_registered() {
        task.state.handle_registered(clock.now());
    }
    let mut looks = time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        task.carry_out();
        let pause = task.state.poll_timeout().map_or(LOOK, |due| (due - clock.now()).min(LOOK));
        let may_go_on = task.unread.len() < MAX_OUTBOX_EVENTS;
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => task.command(command),
                None => return,
            },
            room = events.reserve(), if !task.unread.is_empty() => match (room, task.unread.pop_front()) {
                (Ok(room), Some(event)) => room.send(event),
                // The program does not read events.
                _ => task.unread.clear(),
            },
            done = task.stores.next() => task.stored(done),
            Some(step) = task.steps.next(), if may_go_on && !task.steps.is_empty() => task.step(step),
            _ = looks.tick() => task.stores.look(),
            () = time::sleep(pause), if may_go_on => task.state.handle_timeout(clock.now()),
            () = task.agent.closed() => return,
        }
    }
}

impl Task {
    fn command(&mut self, command: Command) {
        let now = self.clock.now();
        match command {
            Command::Put(item, answer) => {
                match may_put(&self.agent.address(), self.state.items(), &item.to, &item.text) {
                    Ok(()) => self.stores.save(Save { item, answer: Some(answer), is_new: true }),
                    Err(error) => _ = answer.send(Err(error.into())),
                }
            }
            Command::Resend(id, answer) => {
                _ = answer.send(self.state.resend(now, id).map_err(LeaveError::from));
            }
            Command::Forget(id, answer) => {
                _ = answer.send(self.state.forget(now, id).map_err(LeaveError::from));
            }
            Command::List(answer) => _ = answer.send(self.state.items().cloned().collect()),
            Command::Retry => self.state.handle_retry(now),
            Command::Sign(user) => self.state.handle_sign_of_life(now, user),
            Command::Registered(true) => self.state.handle_registered(now),
            Command::Registered(false) => self.state.handle_unregistered(),
        }
    }

    /// Handles what the store has done.
    fn stored(&mut self, done: store::Done) {
        let now = self.clock.now();
        match done {
            store::Done::Looked(Changes { items, is_retry }) => {
                items.into_iter().for_each(|item| self.state.handle_changed(now, item));
                if is_retry {
                    self.state.handle_retry(now);
                }
            }
            store::Done::Saved(Save { item, answer, is_new }, result) => {
                let is_saved = result.is_ok();
                if item.state == ItemState::Trying {
                    self.state.handle_saved(item.to, item.id, is_saved);
                }
                let result = match result {
                    Ok(()) if is_new => {
                        self.state.put(now, item);
                        Ok(())
                    }
                    Ok(()) => Ok(()),
                    // Another program has changed it. The change is looked at before the next try.
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                        self.stores.look();
                        Ok(())
                    }
                    Err(error) => {
                        let error = Arc::new(error);
                        let event = io::Error::new(error.kind(), Arc::clone(&error));
                        self.unread.push_back(OutboxEvent::NotStored { item, error: event });
                        Err(LeaveError::NotStored(error))
                    }
                };
                if let Some(answer) = answer {
                    _ = answer.send(result);
                }
            }
        }
    }

    fn step(&mut self, step: Step) {
        let now = self.clock.now();
        match step {
            Step::Failed(user, number, tried) if self.tries.get(&user) == Some(&number) => {
                self.tries.remove(&user);
                let knows_peer = self.agent.knows_key_of(&user);
                self.state.handle_failed(now, user, tried, knows_peer);
            }
            // It has failed or begun before that.
            Step::Failed(..) => {}
            Step::Begun(user, conversation) => {
                self.tries.remove(&user);
                let level = conversation.peer().security.level();
                if self.state.handle_begun(now, user, level) {
                    self.talks.insert(user, conversation);
                } else {
                    self.steps.push(talks::let_go(conversation));
                }
            }
            Step::Written(user, id, written) => self.state.handle_written(now, user, id, written),
            Step::Spoke(user, conversation, said) => {
                self.steps.push(talks::over(conversation.ending(), user));
                self.unread.push_back(OutboxEvent::Talk { conversation, said });
            }
            Step::Over(user, finished) => self.state.handle_finished(now, user, finished),
            Step::Nothing => {}
        }
    }

    /// Carries out what the state wants.
    fn carry_out(&mut self) {
        while let Some(output) = self.state.poll_output() {
            match output {
                OutboxOutput::Try(user) => {
                    self.tried += 1;
                    self.tries.insert(user, self.tried);
                    self.steps.push(talks::try_once(self.agent.clone(), user, self.tried));
                    self.steps.push(talks::patience(user, self.tried));
                }
                OutboxOutput::Save(item) => self.stores.save(Save { item, answer: None, is_new: false }),
                OutboxOutput::Write(item) => match self.talks.get(&item.to) {
                    Some(conversation) => {
                        let now = self.clock.now();
                        let lines = item.lines(now, |at| (self.time_of)(at, now));
                        self.steps.push(talks::write(conversation, &item, lines));
                    }
                    None => self.state.handle_written(self.clock.now(), item.to, item.id, Written::Nothing),
                },
                OutboxOutput::Finish(user) => match self.talks.remove(&user) {
                    Some(conversation) => self.steps.push(talks::finish(conversation, user)),
                    None => self.state.handle_finished(self.clock.now(), user, Finished::Broken),
                },
                OutboxOutput::Report(item) => self.unread.push_back(OutboxEvent::Changed(item)),
            }
        }
    }
}

/// The longest wait before the store is looked at again for changes by other programs, and the clock for a sleep of
/// the host.
const LOOK: Duration = Duration::from_secs(5);
