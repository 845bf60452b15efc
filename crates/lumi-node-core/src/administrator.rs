//! The handles of a running server.

use std::error::Error;
#[cfg(feature = "proof")]
use std::sync::Arc;

use lumi_dns::NodeDirectory;
use plumi_proto::UserName;
use tokio::sync::{mpsc, oneshot};

use crate::state::admin::{
    AdminCommand, AdminRefusal, AdminReply, ReloadRefusal, Reloaded, RosterChange, UserStatus,
};
use crate::state::binding::Binding;
#[cfg(feature = "proof")]
use crate::state::enrolment::{CredentialState, Enrolled};
#[cfg(feature = "proof")]
use crate::state::keys::{Keys, PublicKey};
use crate::state::settings::NodeSettings;
use crate::state::status::ServerStatus;

/// Reads the status of a running [`Server`](crate::Server) and the users of its domain, and reports changes
/// of its roster that were made elsewhere. Cheap to clone.
///
/// Commands are carried out one after the other, those of an [`Administrator`] included. They wait while the
/// server does not run yet.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    pub(crate) requests: mpsc::Sender<AdminRequest>,
    pub(crate) status_requests: mpsc::Sender<oneshot::Sender<ServerStatus>>,
}

impl ServerHandle {
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
                // This does not happen in the node's task, which would serve nobody meanwhile.
                users.sort_unstable_by_key(|status| status.user);
                Ok(users)
            }
            reply => unreachable!("a list is answered by users, not by {reply:?}"),
        }
    }

    /// Returns the registrations of the users, in no order. A program that keeps them can give them to the
    /// node of its next start, see [`Node::restore`](crate::Node::restore).
    ///
    /// # Errors
    /// [`AdminError::NodeGone`].
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is changed.
    pub async fn bindings(&self) -> Result<Vec<Binding>, AdminError> {
        match self.ask(AdminCommand::ListBindings, None).await? {
            AdminReply::Bindings(bindings) => Ok(bindings),
            reply => unreachable!("bindings are not answered by {reply:?}"),
        }
    }

    /// Makes a change of the roster that was made elsewhere, for example in a database. It takes effect and
    /// is not saved. A change that has been made already is no error.
    ///
    /// # Errors
    /// [`AdminError::Refused`] if the user's address would be too long; [`AdminError::NodeGone`].
    ///
    /// # Cancel safety
    /// If this is dropped before it is ready, the change is made or not. [`ServerHandle::list`] shows which.
    pub async fn roster_changed(&self, change: RosterChange) -> Result<(), AdminError> {
        self.ask(AdminCommand::RosterChanged(change), None).await.map(drop)
    }

    /// Replaces the keys of all users, see [`Node::handle_keys`](crate::Node::handle_keys).
    ///
    /// # Errors
    /// [`AdminError::NodeGone`].
    ///
    /// # Cancel safety
    /// If this is dropped before it is ready, the keys are taken or not.
    #[cfg(feature = "proof")]
    pub async fn keys_changed(&self, keys: Arc<Keys>) -> Result<(), AdminError> {
        self.ask(AdminCommand::KeysChanged(keys), None).await.map(drop)
    }

    /// Takes the keys and invitations as they are on the disk, see
    /// [`Node::handle_credentials`](crate::Node::handle_credentials).
    ///
    /// # Errors
    /// [`AdminError::NodeGone`].
    ///
    /// # Cancel safety
    /// If this is dropped before it is ready, they are taken or not.
    #[cfg(feature = "proof")]
    pub async fn credentials_changed(&self, state: CredentialState) -> Result<(), AdminError> {
        self.ask(AdminCommand::CredentialsChanged(Arc::new(state), Vec::new()), None).await.map(drop)
    }

    /// Has saved enrolments answered. Blocks until the server has taken them over.
    #[cfg(feature = "proof")]
    pub(crate) fn enrolled(&self, enrolled: Vec<Enrolled>, state: CredentialState) -> Result<(), AdminError> {
        let (answer, answered) = oneshot::channel();
        let command = AdminCommand::CredentialsChanged(Arc::new(state), enrolled);
        let request = AdminRequest { command, settings: None, answer };
        self.requests.blocking_send(request).map_err(|_| AdminError::NodeGone)?;
        answered.blocking_recv().map_err(|_| AdminError::NodeGone)?.map(drop)
    }

    /// Returns the keys that have proved something since the node was started, sorted by user.
    ///
    /// # Errors
    /// [`AdminError::NodeGone`].
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is changed.
    #[cfg(feature = "proof")]
    pub async fn proven_keys(&self) -> Result<Vec<(UserName, PublicKey)>, AdminError> {
        match self.ask(AdminCommand::ListProvenKeys, None).await? {
            AdminReply::ProvenKeys(mut proven) => {
                proven.sort_unstable();
                Ok(proven)
            }
            reply => unreachable!("proven keys are not answered by {reply:?}"),
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

/// A [`ServerHandle`] that also changes the roster where it is kept: in a
/// [`RosterStore`](crate::RosterStore).
#[derive(Clone, Debug)]
pub struct Administrator {
    pub(crate) handle: ServerHandle,
}

impl Administrator {
    /// Returns the handle for everything that needs no store.
    pub fn handle(&self) -> &ServerHandle {
        &self.handle
    }

    /// Adds a user to the domain, offline. When this returns `Ok`, the store has the change.
    ///
    /// # Errors
    /// [`AdminError`].
    ///
    /// # Cancel safety
    /// If this is dropped before it is ready, the change is made or not. [`Administrator::list`] shows which.
    pub async fn add_user(&self, user: UserName) -> Result<(), AdminError> {
        self.handle.ask(AdminCommand::AddUser(user), None).await.map(drop)
    }

    /// Removes a user from the domain, and disconnects the user if online. When this returns `Ok`, the store
    /// has the change.
    ///
    /// # Errors
    /// [`AdminError`].
    ///
    /// # Cancel safety
    /// If this is dropped before it is ready, the change is made or not. [`Administrator::list`] shows which.
    pub async fn remove_user(&self, user: UserName) -> Result<(), AdminError> {
        self.handle.ask(AdminCommand::RemoveUser(user), None).await.map(drop)
    }

    /// Reads the roster from the store again, and applies `settings` if there are any. Users that were
    /// removed from it are disconnected, new users are offline, and nobody else is affected. Returns which
    /// they are. When this returns an error, nothing has changed.
    ///
    /// # Errors
    /// [`AdminError::NotRead`], [`AdminError::NotTaken`], [`AdminError::NodeGone`].
    ///
    /// # Cancel safety
    /// If this is dropped before it is ready, all of the change is made or nothing.
    pub async fn reload(&self, settings: Option<ServerSettings>) -> Result<Reloaded, AdminError> {
        match self.handle.ask(AdminCommand::Reload, settings).await? {
            AdminReply::Reloaded(reloaded) => Ok(reloaded),
            reply => unreachable!("a reload is not answered by {reply:?}"),
        }
    }

    /// Returns the users of the domain, see [`ServerHandle::list`].
    ///
    /// # Errors
    /// [`AdminError::NodeGone`].
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is changed.
    pub async fn list(&self) -> Result<Vec<UserStatus>, AdminError> {
        self.handle.list().await
    }

    /// Returns a snapshot of the server, see [`ServerHandle::status`].
    ///
    /// # Errors
    /// [`AdminError::NodeGone`].
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is changed.
    pub async fn status(&self) -> Result<ServerStatus, AdminError> {
        self.handle.status().await
    }
}

impl From<Administrator> for ServerHandle {
    fn from(administrator: Administrator) -> Self {
        administrator.handle
    }
}

/// The settings that can change while a server runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerSettings {
    /// The settings of its node.
    pub node: NodeSettings,
    /// The directory in which other nodes are found. The answers of the previous one are forgotten.
    pub directory: NodeDirectory,
}

impl ServerSettings {
    /// The settings of a node, and the directory in which it finds others.
    pub fn new(node: NodeSettings, directory: NodeDirectory) -> Self {
        Self { node, directory }
    }
}

/// The reason why an administrator's command was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The node rejects it.
    #[error(transparent)]
    Refused(#[from] AdminRefusal),
    /// The store could not save the change, so it was not made. The source is the store's error.
    #[error("nothing has changed")]
    NotSaved(#[source] Box<dyn Error + Send + Sync>),
    /// The store could not read the roster. The users are as they were. The source is the store's error.
    #[error("nothing has changed")]
    NotRead(#[source] Box<dyn Error + Send + Sync>),
    /// The roster in the store cannot replace the old one.
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
