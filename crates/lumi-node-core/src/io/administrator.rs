//! The administrator's way into a running node, from both of its ends.

use std::future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use plumi_proto::UserName;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{self, JoinError, JoinHandle};

use super::roster_file::{RosterFile, RosterFileError};
use crate::state::admin::{AdminCommand, AdminRefusal, AdminReply, RosterChange, UserStatus};
use crate::state::node::Node;

/// Asks a running [`Server`](crate::Server) to change or to list the users of its domain. Commands are carried
/// out one after the other.
#[derive(Clone, Debug)]
pub struct Administrator {
    requests: mpsc::Sender<AdminRequest>,
}

impl Administrator {
    /// The user belongs to the domain from now on, offline. When this returns `Ok`, it is in the roster's file.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn register(&self, user: UserName) -> Result<(), AdminError> {
        self.ask(AdminCommand::Register(user)).await.map(drop)
    }

    /// The user belongs to the domain no longer, and is cut off if online. When this returns `Ok`, it is in
    /// the roster's file.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn deregister(&self, user: UserName) -> Result<(), AdminError> {
        self.ask(AdminCommand::Deregister(user)).await.map(drop)
    }

    /// The users of the domain, by name.
    ///
    /// # Errors
    /// [`AdminError::NodeGone`].
    pub async fn list(&self) -> Result<Vec<UserStatus>, AdminError> {
        match self.ask(AdminCommand::List).await? {
            AdminReply::Users(users) => Ok(users),
            reply => unreachable!("a list is answered by users, not by {reply:?}"),
        }
    }

    async fn ask(&self, command: AdminCommand) -> Result<AdminReply, AdminError> {
        let (answer, answered) = oneshot::channel();
        let request = AdminRequest { command, answer };
        self.requests.send(request).await.map_err(|_| AdminError::NodeGone)?;
        answered.await.map_err(|_| AdminError::NodeGone)?
    }
}

/// Why an administrator's command was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The node refuses it.
    #[error(transparent)]
    Refused(#[from] AdminRefusal),
    /// The change could not be saved, so it was not made.
    #[error("nothing has changed")]
    NotSaved(#[source] RosterFileError),
    /// The node has ended.
    #[error("the node has ended")]
    NodeGone,
}

/// A command on its way to the server.
#[derive(Debug)]
pub(super) struct AdminRequest {
    command: AdminCommand,
    answer: oneshot::Sender<Result<AdminReply, AdminError>>,
}

impl AdminRequest {
    fn reply(self, reply: Result<AdminReply, AdminError>) {
        // Who asked may have gone; the change stands all the same.
        _ = self.answer.send(reply);
    }
}

/// The server's end: one command at a time, each change on the disk before it holds and is confirmed.
#[derive(Debug)]
pub(super) struct Administration {
    requests: mpsc::Receiver<AdminRequest>,
    /// Locked by the one task that saves.
    file: Arc<Mutex<RosterFile>>,
    saving: Option<Saving>,
}

/// A change on its way to the disk, which may take long: it has a thread of its own.
#[derive(Debug)]
struct Saving {
    change: RosterChange,
    request: AdminRequest,
    task: JoinHandle<Result<(), RosterFileError>>,
}

/// What the server has to pass on to [`Administration::handle`].
pub(super) enum AdminEvent {
    Asked(AdminRequest),
    Saved(Result<Result<(), RosterFileError>, JoinError>),
}

impl Administration {
    pub(super) fn new(file: RosterFile) -> (Self, Administrator) {
        let (sender, requests) = mpsc::channel(MAX_REQUESTS);
        let administration = Self { requests, file: Arc::new(Mutex::new(file)), saving: None };
        (administration, Administrator { requests: sender })
    }

    /// Cancel safe. Never ready once every [`Administrator`] is gone.
    pub(super) async fn next_event(&mut self) -> AdminEvent {
        if let Some(saving) = &mut self.saving {
            return AdminEvent::Saved((&mut saving.task).await);
        }
        match self.requests.recv().await {
            Some(request) => AdminEvent::Asked(request),
            None => future::pending().await,
        }
    }

    pub(super) fn handle(&mut self, now: Instant, node: &mut Node, event: AdminEvent) {
        match event {
            AdminEvent::Asked(request) => match node.handle_admin(now, request.command) {
                AdminReply::Save(change) => {
                    let file = Arc::clone(&self.file);
                    let task = task::spawn_blocking(move || {
                        file.lock().unwrap_or_else(PoisonError::into_inner).apply(&change)
                    });
                    self.saving = Some(Saving { change, request, task });
                }
                AdminReply::Refused(refusal) => request.reply(Err(refusal.into())),
                reply @ AdminReply::Users(_) => request.reply(Ok(reply)),
            },
            AdminEvent::Saved(saved) => {
                let Some(Saving { change, request, .. }) = self.saving.take() else { return };
                request.reply(match saved {
                    Ok(Ok(())) => {
                        node.handle_roster_saved(change);
                        Ok(AdminReply::Save(change))
                    }
                    Ok(Err(error)) => Err(AdminError::NotSaved(error)),
                    Err(_) => Err(AdminError::NotSaved(RosterFileError::Lost)),
                });
            }
        }
    }

    /// Waits for the change that is being saved, if any.
    pub(super) async fn finish(&mut self, now: Instant, node: &mut Node) {
        if self.saving.is_some() {
            let event = self.next_event().await;
            self.handle(now, node, event);
        }
    }
}

/// Commands that wait for the node; who has more waits to hand them over.
const MAX_REQUESTS: usize = 16;
