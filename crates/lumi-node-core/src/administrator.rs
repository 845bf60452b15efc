//! The administrator's handle of a running server.

use lumi_dns::NodeDirectory;
use plumi_proto::UserName;
use tokio::sync::{mpsc, oneshot};

use crate::io::roster_file::RosterFileError;
use crate::state::admin::{AdminCommand, AdminRefusal, AdminReply, ReloadRefusal, UserStatus};
use crate::state::settings::NodeSettings;
use crate::state::status::ServerStatus;

/// Reads the status of a running [`Server`](crate::Server), and lists and changes the users of its domain.
/// Commands are carried out one after the other.
#[derive(Clone, Debug)]
pub struct Administrator {
    pub(crate) requests: mpsc::Sender<AdminRequest>,
    pub(crate) status_requests: mpsc::Sender<oneshot::Sender<ServerStatus>>,
}

impl Administrator {
    /// Adds a user to the domain, offline. When this returns `Ok`, the change is in the roster's file.
    ///
    /// # Errors
    /// [`AdminError`].
    ///
    /// # Cancel safety
    /// If this is dropped before it is ready, the change is made or not. [`Administrator::list`] shows which.
    pub async fn add_user(&self, user: UserName) -> Result<(), AdminError> {
        self.ask(AdminCommand::AddUser(user), None).await.map(drop)
    }

    /// Removes a user from the domain, and disconnects the user if online. When this returns `Ok`, the change
    /// is in the roster's file.
    ///
    /// # Errors
    /// [`AdminError`].
    ///
    /// # Cancel safety
    /// If this is dropped before it is ready, the change is made or not. [`Administrator::list`] shows which.
    pub async fn remove_user(&self, user: UserName) -> Result<(), AdminError> {
        self.ask(AdminCommand::RemoveUser(user), None).await.map(drop)
    }

    /// Returns the users of the domain, sorted by name.
    ///
    /// # Errors
    /// [`AdminError::NodeGone`].
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is changed.
    pub async fn list(&self) -> Result<Vec<UserStatus>, AdminError> {
        match self.ask(AdminCommand::List, None).await? {
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
    ///
    /// # Cancel safety
    /// If this is dropped before it is ready, all of the change is made or nothing.
    pub async fn reload(&self, settings: Option<ServerSettings>) -> Result<usize, AdminError> {
        match self.ask(AdminCommand::Reload, settings).await? {
            AdminReply::Reloaded(users) => Ok(users),
            reply => unreachable!("a reload is not answered by {reply:?}"),
        }
    }

    /// Returns a snapshot of the server. The server answers at once, even while a change is being saved. An
    /// answer therefore shows that the server's task is running, and a missing answer that it is not.
    ///
    /// # Errors
    /// [`AdminError::NodeGone`].
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is changed.
    pub async fn status(&self) -> Result<ServerStatus, AdminError> {
        let (answer, answered) = oneshot::channel();
        self.status_requests.send(answer).await.map_err(|_| AdminError::NodeGone)?;
        answered.await.map_err(|_| AdminError::NodeGone)
    }

    async fn ask(
        &self,
        command: AdminCommand,
        settings: Option<ServerSettings>,
    ) -> Result<AdminReply, AdminError> {
        let (answer, answered) = oneshot::channel();
        let request = AdminRequest { command, settings, answer };
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

/// A request to the server.
#[derive(Debug)]
pub(crate) struct AdminRequest {
    pub(crate) command: AdminCommand,
    /// The settings that take effect together with a roster that is read again.
    pub(crate) settings: Option<ServerSettings>,
    pub(crate) answer: AnswerSender,
}

pub(crate) type AnswerSender = oneshot::Sender<Result<AdminReply, AdminError>>;
