//! The server's end of the administrator's handle. It decides nothing: the node does, and this carries out
//! what the node asks for, one command at a time.

use std::future;

use tokio::sync::{mpsc, oneshot};

use super::roster_store::{Done, NoThread, Store, StoreError};
use crate::administrator::{AdminError, AdminRequest, AnswerSender, ServerHandle, ServerSettings};
use crate::state::admin::{AdminCommand, AdminId, AdminReply, NotRead, NotSaved, RosterChange};
use crate::state::roster::Roster;
use crate::state::status::ServerStatus;

/// The requests of administrators, and the store of the roster.
#[derive(Debug)]
pub(super) struct Administration {
    requests: mpsc::Receiver<AdminRequest>,
    status_requests: mpsc::Receiver<oneshot::Sender<ServerStatus>>,
    store: Option<Store>,
    /// The number of commands so far.
    commands: u64,
    current: Option<Current>,
}

/// The command under way: everything about it that the node does not need to know.
#[derive(Debug)]
struct Current {
    id: AdminId,
    answer: AnswerSender,
    settings: Option<ServerSettings>,
    work: Option<Work>,
    /// The reason why the work failed.
    failure: Option<StoreError>,
    /// Lets the store know that the node has taken over the roster that was read.
    taken: Option<oneshot::Sender<()>>,
}

/// The work of the store, which may block.
#[derive(Debug)]
enum Work {
    Save(Done<()>),
    Read(Done<Roster>),
}

/// An event for the server.
#[derive(Debug)]
pub(super) enum AdminEvent {
    /// Handle this command.
    Asked(AdminId, AdminCommand),
    /// The change of the roster was saved, or not.
    Saved(AdminId, Result<(), NotSaved>),
    /// The roster was read, or not.
    Read(AdminId, Result<Roster, NotRead>),
    /// Answer with the server's status.
    StatusAsked(oneshot::Sender<ServerStatus>),
}

impl Administration {
    pub(super) fn new() -> (Self, ServerHandle) {
        let (requests_sender, requests) = mpsc::channel(MAX_REQUESTS);
        let (status_sender, status_requests) = mpsc::channel(MAX_REQUESTS);
        let administration = Self { requests, status_requests, store: None, commands: 0, current: None };
        (administration, ServerHandle { requests: requests_sender, status_requests: status_sender })
    }

    /// Keeps the roster in `store` from now on.
    pub(super) fn keep_in(&mut self, store: Store) {
        self.store = Some(store);
    }

    /// Waits for the next event. The next command comes after the answer to the previous one. Cancel safe.
    /// Never ready once every [`ServerHandle`] is gone.
    pub(super) async fn next_event(&mut self) -> AdminEvent {
        let Self { requests, status_requests, commands, current, .. } = self;
        let next = async {
            match current {
                Some(current) => current.worked().await,
                None => match requests.recv().await {
                    Some(AdminRequest { command, settings, answer }) => {
                        *commands += 1;
                        let id = AdminId(*commands);
                        *current =
                            Some(Current { id, answer, settings, work: None, failure: None, taken: None });
                        AdminEvent::Asked(id, command)
                    }
                    None => future::pending().await,
                },
            }
        };
        tokio::select! {
            event = next => event,
            Some(answer) = status_requests.recv() => AdminEvent::StatusAsked(answer),
        }
    }

    /// Returns whether a change of the roster is being saved.
    pub(super) fn is_saving(&self) -> bool {
        matches!(self.current, Some(Current { work: Some(Work::Save(_)), .. }))
    }

    /// Begins to save a change of the roster.
    pub(super) fn save(&mut self, id: AdminId, change: RosterChange) {
        // No change is asked for if there is no store.
        if let (Some(current), Some(store)) = (self.current.as_mut(), &self.store)
            && current.id == id
        {
            current.work = Some(Work::Save(store.save(change)));
        }
    }

    /// Begins to read the roster.
    pub(super) fn read(&mut self, id: AdminId) {
        if let (Some(current), Some(store)) = (self.current.as_mut(), &self.store)
            && current.id == id
        {
            let (done, taken) = store.read();
            (current.work, current.taken) = (Some(Work::Read(done)), Some(taken));
        }
    }

    /// Answers the command. Returns the settings that take effect.
    pub(super) fn answer(&mut self, id: AdminId, reply: AdminReply) -> Option<ServerSettings> {
        let current = self.current.take_if(|current| current.id == id)?;
        let is_reloaded = matches!(reply, AdminReply::Reloaded(_));
        if let Some(taken) = current.taken.filter(|_| is_reloaded) {
            _ = taken.send(());
        }
        // The administrator may have gone, but the change is made all the same.
        _ = current.answer.send(outcome(reply, current.failure));
        current.settings.filter(|_| is_reloaded)
    }
}

impl Current {
    /// Waits for the work. Cancel safe.
    async fn worked(&mut self) -> AdminEvent {
        let (id, failure) = (self.id, &mut self.failure);
        let event = match &mut self.work {
            Some(Work::Save(done)) => {
                let saved = done.await.unwrap_or(Err(NoThread.into()));
                AdminEvent::Saved(
                    id,
                    saved.map_err(|error| {
                        *failure = Some(error);
                        NotSaved
                    }),
                )
            }
            Some(Work::Read(done)) => {
                let read = done.await.unwrap_or(Err(NoThread.into()));
                AdminEvent::Read(
                    id,
                    read.map_err(|error| {
                        *failure = Some(error);
                        NotRead
                    }),
                )
            }
            None => future::pending().await,
        };
        self.work = None;
        event
    }
}

/// Puts the reason to the node's verdict.
fn outcome(reply: AdminReply, failure: Option<StoreError>) -> Result<AdminReply, AdminError> {
    let failure = failure.unwrap_or_else(|| NoThread.into());
    Err(match reply {
        AdminReply::Refused(refusal) => refusal.into(),
        AdminReply::NotTaken(refusal) => refusal.into(),
        AdminReply::NotSaved => AdminError::NotSaved(failure),
        AdminReply::NotRead => AdminError::NotRead(failure),
        reply => return Ok(reply),
    })
}

/// The limit of requests that wait for the server. Beyond it, the administrator waits.
const MAX_REQUESTS: usize = 16;

#[cfg(test)]
mod tests;
