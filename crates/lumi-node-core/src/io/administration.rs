//! The server's end of the administrator's handle. It decides nothing: the node does, and this carries out what
//! the node asks for, one command at a time.

use std::future;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::roster_file::{RosterFile, RosterFileError};
use crate::administrator::{AdminError, AdminRequest, Administrator, AnswerSender, ServerSettings};
use crate::state::admin::{AdminCommand, AdminId, AdminReply, NotRead, NotSaved, RosterChange};
use crate::state::roster::Roster;
use crate::state::status::ServerStatus;

/// The requests of administrators, and the roster's file.
#[derive(Debug)]
pub(super) struct Administration {
    requests: mpsc::Receiver<AdminRequest>,
    status_requests: mpsc::Receiver<oneshot::Sender<ServerStatus>>,
    /// Only the worker thread locks this.
    file: Arc<Mutex<RosterFile>>,
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
    failure: Option<RosterFileError>,
    /// Makes the file that was read the one that is written from now on.
    taken: Option<oneshot::Sender<()>>,
}

/// The work of the worker thread, which waits for the disk.
#[derive(Debug)]
enum Work {
    Save(Done<()>),
    Read(Done<Roster>),
}

type Done<T> = oneshot::Receiver<Result<T, RosterFileError>>;

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
    pub(super) fn new(file: RosterFile) -> (Self, Administrator) {
        let (requests_sender, requests) = mpsc::channel(MAX_REQUESTS);
        let (status_sender, status_requests) = mpsc::channel(MAX_REQUESTS);
        let file = Arc::new(Mutex::new(file));
        let administration = Self { requests, status_requests, file, commands: 0, current: None };
        let administrator = Administrator { requests: requests_sender, status_requests: status_sender };
        (administration, administrator)
    }

    /// Waits for the next event. The next command comes after the answer to the previous one. Cancel safe.
    /// Never ready once every [`Administrator`] is gone.
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
        let Some(current) = self.current.as_mut().filter(|current| current.id == id) else { return };
        let file = Arc::clone(&self.file);
        let done = start(move |done| {
            let saved = file.lock().unwrap_or_else(PoisonError::into_inner).apply(&change);
            // The server may have ended.
            _ = done.send(saved);
        });
        current.work = Some(Work::Save(done));
    }

    /// Begins to read the roster.
    pub(super) fn read(&mut self, id: AdminId) {
        let Some(current) = self.current.as_mut().filter(|current| current.id == id) else { return };
        let file = Arc::clone(&self.file);
        let (taken, is_taken) = oneshot::channel();
        current.taken = Some(taken);
        let done = start(move |done| {
            // Locked until the node has decided, so that the next change meets the file that holds by then.
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            match file.reopen() {
                Ok((read, roster)) => {
                    _ = done.send(Ok(roster));
                    if is_taken.blocking_recv().is_ok() {
                        *file = read;
                    }
                }
                Err(error) => _ = done.send(Err(error)),
            }
        });
        current.work = Some(Work::Read(done));
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
                let saved = done.await.unwrap_or(Err(RosterFileError::Lost));
                AdminEvent::Saved(
                    id,
                    saved.map_err(|error| {
                        *failure = Some(error);
                        NotSaved
                    }),
                )
            }
            Some(Work::Read(done)) => {
                let read = done.await.unwrap_or(Err(RosterFileError::Lost));
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
fn outcome(reply: AdminReply, failure: Option<RosterFileError>) -> Result<AdminReply, AdminError> {
    let failure = failure.unwrap_or(RosterFileError::Lost);
    Err(match reply {
        AdminReply::Refused(refusal) => refusal.into(),
        AdminReply::NotTaken(refusal) => refusal.into(),
        AdminReply::NotSaved => AdminError::NotSaved(failure),
        AdminReply::NotRead => AdminError::NotRead(failure),
        reply => return Ok(reply),
    })
}

/// Does `work` on its own thread. Unlike a thread of the runtime, it does not hold up the end of the process.
fn start<T: Send + 'static>(
    work: impl FnOnce(oneshot::Sender<Result<T, RosterFileError>>) + Send + 'static,
) -> Done<T> {
    let (sender, done) = oneshot::channel();
    if let Err(error) = thread::Builder::new().name("roster".into()).spawn(move || work(sender)) {
        // The sender is dropped, which the server sees.
        warn!(%error, "cannot start a thread");
    }
    done
}

/// The limit of requests that wait for the server. Beyond it, the administrator waits.
const MAX_REQUESTS: usize = 16;

#[cfg(test)]
mod tests;
