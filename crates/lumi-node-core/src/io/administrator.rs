//! The administrator's handle, and the server's end of it.

use std::future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lumi_dns::NodeDirectory;
use plumi_proto::UserName;
use tokio::sync::{mpsc, oneshot};
use tokio::time;
use tracing::warn;

use super::roster_file::{RosterFile, RosterFileError};
use crate::state::admin::{AdminCommand, AdminRefusal, AdminReply, ReloadRefusal, RosterChange, UserStatus};
use crate::state::node::Node;
use crate::state::roster::Roster;
use crate::state::settings::NodeSettings;
use crate::state::status::ServerStatus;

/// Reads the status of a running [`Server`](crate::Server), and lists and changes the users of its domain.
/// Commands are carried out one after the other.
#[derive(Clone, Debug)]
pub struct Administrator {
    requests: mpsc::Sender<AdminRequest>,
    status_requests: mpsc::Sender<oneshot::Sender<ServerStatus>>,
}

impl Administrator {
    /// Adds a user to the domain, offline. When this returns `Ok`, the change is in the roster's file.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn register(&self, user: UserName) -> Result<(), AdminError> {
        self.ask(AdminCommand::Register(user)).await.map(drop)
    }

    /// Removes a user from the domain, and disconnects the user if online. When this returns `Ok`, the change
    /// is in the roster's file.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn deregister(&self, user: UserName) -> Result<(), AdminError> {
        self.ask(AdminCommand::Deregister(user)).await.map(drop)
    }

    /// Returns the users of the domain, sorted by name.
    ///
    /// # Errors
    /// [`AdminError::NodeGone`].
    pub async fn list(&self) -> Result<Vec<UserStatus>, AdminError> {
        match self.ask(AdminCommand::List).await? {
            AdminReply::Users(mut users) => {
                // Not in the node's task, which would serve nobody meanwhile.
                users.sort_unstable_by_key(|status| status.user);
                Ok(users)
            }
            reply => unreachable!("a list is answered by users, not by {reply:?}"),
        }
    }

    /// Reloads the roster's file, and applies `settings` if there are any. Users who are not in the file any
    /// more are disconnected, new users are offline, and nobody else is affected. Returns the number of
    /// users. When this returns an error, nothing has changed.
    ///
    /// # Errors
    /// [`AdminError::NotRead`], [`AdminError::NotTaken`], [`AdminError::NodeGone`].
    pub async fn reload(&self, settings: Option<ServerSettings>) -> Result<usize, AdminError> {
        let (answer, answered) = oneshot::channel();
        self.send(AdminRequest::Reload(settings, answer), answered).await
    }

    /// Returns a snapshot of the server. The server answers at once, even while a change is being saved. An
    /// answer therefore shows that the server's task is running, and a missing answer that it is not.
    ///
    /// # Errors
    /// [`AdminError::NodeGone`].
    pub async fn status(&self) -> Result<ServerStatus, AdminError> {
        let (answer, answered) = oneshot::channel();
        self.status_requests.send(answer).await.map_err(|_| AdminError::NodeGone)?;
        answered.await.map_err(|_| AdminError::NodeGone)
    }

    async fn ask(&self, command: AdminCommand) -> Result<AdminReply, AdminError> {
        let (answer, answered) = oneshot::channel();
        self.send(AdminRequest::Command(command, answer), answered).await
    }

    async fn send<T>(
        &self,
        request: AdminRequest,
        answered: oneshot::Receiver<Result<T, AdminError>>,
    ) -> Result<T, AdminError> {
        self.requests.send(request).await.map_err(|_| AdminError::NodeGone)?;
        answered.await.map_err(|_| AdminError::NodeGone)?
    }
}

/// The settings that can change while a server runs.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The settings of its node.
    pub node: NodeSettings,
    /// The directory in which other nodes are found. The answers of the previous one are forgotten.
    pub directory: NodeDirectory,
}

/// The reason why an administrator's command was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The node rejects it.
    #[error(transparent)]
    Refused(#[from] AdminRefusal),
    /// The change could not be saved, so it was not made.
    #[error("nothing has changed")]
    NotSaved(#[source] RosterFileError),
    /// The roster's file cannot be read, or has an error. The users are as they were.
    #[error("nothing has changed")]
    NotRead(#[source] RosterFileError),
    /// The roster in the file cannot replace the old one.
    #[error(transparent)]
    NotTaken(#[from] ReloadRefusal),
    /// The node has ended.
    #[error("the node has ended")]
    NodeGone,
}

/// A request to the server, with the channel for its answer.
#[derive(Debug)]
pub(super) enum AdminRequest {
    Command(AdminCommand, Answer<AdminReply>),
    Reload(Option<ServerSettings>, Answer<usize>),
}

type Answer<T> = oneshot::Sender<Result<T, AdminError>>;

/// The server's end: one request at a time, each change on the disk before it holds and is confirmed.
#[derive(Debug)]
pub(super) struct Administration {
    requests: mpsc::Receiver<AdminRequest>,
    status_requests: mpsc::Receiver<oneshot::Sender<ServerStatus>>,
    /// Only the worker thread locks this.
    file: Arc<Mutex<RosterFile>>,
    work: Option<Work>,
}

/// The work of the worker thread, which waits for the disk.
#[derive(Debug)]
enum Work {
    Save(RosterChange, Answer<AdminReply>, Done<()>),
    Read(Option<ServerSettings>, Answer<usize>, Done<(RosterFile, Roster)>),
}

type Done<T> = oneshot::Receiver<Result<T, RosterFileError>>;

/// An event to pass to [`Administration::handle`].
pub(super) enum AdminEvent {
    Asked(AdminRequest),
    AskedHow(oneshot::Sender<ServerStatus>),
    Saved(Result<(), RosterFileError>),
    Read(Result<(RosterFile, Roster), RosterFileError>),
}

/// An effect that [`Administration::handle`] asks of the server.
#[derive(Debug)]
pub(super) enum AdminOutput {
    /// Answer with the server's status.
    Tell(oneshot::Sender<ServerStatus>),
    /// Apply these settings.
    Set(ServerSettings),
}

impl Administration {
    pub(super) fn new(file: RosterFile) -> (Self, Administrator) {
        let (sender, requests) = mpsc::channel(MAX_REQUESTS);
        let (status_sender, status_requests) = mpsc::channel(MAX_REQUESTS);
        let file = Arc::new(Mutex::new(file));
        let administration = Self { requests, status_requests, file, work: None };
        (administration, Administrator { requests: sender, status_requests: status_sender })
    }

    /// Cancel safe. Never ready once every [`Administrator`] is gone.
    pub(super) async fn next_event(&mut self) -> AdminEvent {
        let Self { requests, status_requests, work, .. } = self;
        let next = async {
            match work {
                Some(Work::Save(.., done)) => {
                    AdminEvent::Saved(done.await.unwrap_or(Err(RosterFileError::Lost)))
                }
                Some(Work::Read(.., done)) => {
                    AdminEvent::Read(done.await.unwrap_or(Err(RosterFileError::Lost)))
                }
                None => match requests.recv().await {
                    Some(request) => AdminEvent::Asked(request),
                    None => future::pending().await,
                },
            }
        };
        tokio::select! {
            event = next => event,
            Some(answer) = status_requests.recv() => AdminEvent::AskedHow(answer),
        }
    }

    /// Handles `event`, and returns the effect that only the server can carry out.
    #[must_use]
    pub(super) fn handle(&mut self, now: Instant, node: &mut Node, event: AdminEvent) -> Option<AdminOutput> {
        // The administrator may have gone, but the change is made all the same.
        match event {
            AdminEvent::Asked(AdminRequest::Command(command, answer)) => {
                match node.handle_admin(now, command) {
                    AdminReply::Save(change) => {
                        let done = self.start(move |file| file.apply(&change));
                        self.work = Some(Work::Save(change, answer, done));
                    }
                    AdminReply::Refused(refusal) => _ = answer.send(Err(refusal.into())),
                    reply @ AdminReply::Users(_) => _ = answer.send(Ok(reply)),
                }
            }
            AdminEvent::Asked(AdminRequest::Reload(settings, answer)) => {
                let done = self.start(|file| file.reopen());
                self.work = Some(Work::Read(settings, answer, done));
            }
            AdminEvent::AskedHow(answer) => return Some(AdminOutput::Tell(answer)),
            AdminEvent::Saved(saved) => {
                let Some(Work::Save(change, answer, _)) = self.work.take() else { return None };
                if saved.is_ok() {
                    node.handle_roster_saved(change);
                }
                let reply = saved.map(|()| AdminReply::Save(change)).map_err(AdminError::NotSaved);
                _ = answer.send(reply);
            }
            AdminEvent::Read(read) => {
                let Some(Work::Read(settings, answer, _)) = self.work.take() else { return None };
                let taken = read.map_err(AdminError::NotRead).and_then(|(file, roster)| {
                    let users = roster.len();
                    node.handle_roster_reloaded(roster)?;
                    *lock(&self.file) = file;
                    Ok(users)
                });
                let settings = settings.filter(|_| taken.is_ok());
                _ = answer.send(taken);
                return settings.map(AdminOutput::Set);
            }
        }
        None
    }

    /// Waits for the change that is being saved, if any, for [`SAVE_PATIENCE`] at most.
    pub(super) async fn finish(&mut self, now: Instant, node: &mut Node) {
        let finished = async {
            while matches!(self.work, Some(Work::Save(..))) {
                let event = self.next_event().await;
                // Requests for the status are not answered any more.
                _ = self.handle(now, node, event);
            }
        };
        match time::timeout(SAVE_PATIENCE, finished).await {
            Ok(()) => {}
            Err(_) => warn!(
                waited = ?SAVE_PATIENCE,
                "ending while the roster is being saved: its file is whole, with the last change or without"
            ),
        }
    }

    /// Does `work` on its own thread. Unlike a thread of the runtime, it does not hold up the end of the
    /// process.
    fn start<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut RosterFile) -> Result<T, RosterFileError> + Send + 'static,
    ) -> Done<T> {
        let (sender, done) = oneshot::channel();
        let file = Arc::clone(&self.file);
        let work = move || {
            let result = work(&mut lock(&file));
            // The server may have ended.
            _ = sender.send(result);
        };
        if let Err(error) = thread::Builder::new().name("roster".into()).spawn(work) {
            // The sender is dropped, which the server sees.
            warn!(%error, "cannot start a thread");
        }
        done
    }
}

fn lock(file: &Mutex<RosterFile>) -> MutexGuard<'_, RosterFile> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The limit of requests that wait for the server. Beyond it, the administrator waits.
const MAX_REQUESTS: usize = 16;

/// The time that the end of a server waits for the roster to be saved: many times what a working disk takes,
/// and less than the time after which a service manager kills a service.
const SAVE_PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
