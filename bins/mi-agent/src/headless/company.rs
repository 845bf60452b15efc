//! The other programs of this host that use the address of a `send`.

use std::time::Duration;

use mi_agent_core::{Agent, AgentBuilder, DeregisterError};
use plumi_proto::MiAddress;
use tokio::time;

use crate::guests::Visit;
use crate::store::folder::DataFolder;
use crate::store::lock::{OtherAgent, SenderLock};

/// The locks of an address, as one `send` sees them.
///
/// The last `PR` counts at a node. A chat or `listen` of the address registers again after this `send`, which
/// then must not deregister. Several `send`s deregister each for itself; the node refuses those that are not
/// registered any more.
pub(super) struct Company {
    folder: Option<DataFolder>,
    /// `None` if nothing can be locked.
    senders: Option<SenderLock>,
    /// The chat or `listen` that ran at the start.
    visit: Option<Visit>,
}

impl Company {
    /// Looks for others, and warns of a chat or `listen` of the address `from`. Cancel safe.
    pub(super) async fn join(from: &MiAddress) -> Self {
        let folder = DataFolder::of(from);
        let visit = visit(folder.as_ref()).await;
        if let Some(visit) = &visit {
            let other = OtherAgent { own: *from, pid: visit.pid() };
            tracing::warn!("{other}; it cannot be called until this is sent");
        }
        let senders = folder.as_ref().and_then(|folder| SenderLock::share(folder).ok());
        Self { folder, senders, visit }
    }

    /// Returns the builder for this company: the name is taken over only to ask for somebody.
    pub(super) fn builder(&self, builder: AgentBuilder, refresh: Option<Duration>) -> AgentBuilder {
        match (&self.visit, refresh) {
            (Some(_), Some(_)) => builder.refresh(Some(A_DAY)),
            _ => builder,
        }
    }

    /// Ends `agent` after its conversations. Deregisters it unless another agent of the user goes on.
    ///
    /// # Errors
    /// Those of the deregistration, unless the user is registered by somebody else in this company.
    pub(super) async fn leave(&mut self, agent: &Agent) -> Result<(), DeregisterError> {
        // The chat of the start may be gone, and another one may have come.
        for _ in 0..2 {
            if self.visit.is_none() {
                self.visit = visit(self.folder.as_ref()).await;
            }
            let Some(visit) = &mut self.visit else { break };
            let goes_on = visit.end().await;
            self.visit = None;
            if goes_on {
                agent.stay_registered();
                break;
            }
        }
        let had_others = self.has_others().await;
        let deregistered = agent.shutdown().await;
        if deregistered == Err(DeregisterError::NoSuchUser) && (had_others || self.has_others().await) {
            return Ok(());
        }
        deregistered
    }

    /// Does the same as [`Company::leave`], but within `limit`, whatever others do, and a quarter of it more.
    ///
    /// # Errors
    /// Those of the deregistration.
    pub(super) async fn leave_within(
        &mut self,
        agent: &Agent,
        limit: Duration,
    ) -> Result<(), DeregisterError> {
        if let Some(visit) = &mut self.visit
            && time::timeout(limit / 4, visit.end()).await.unwrap_or(true)
        {
            agent.stay_registered();
        }
        agent.shutdown_within(limit).await
    }

    async fn has_others(&self) -> bool {
        self.senders.as_ref().is_some_and(SenderLock::is_shared)
            || visit(self.folder.as_ref()).await.is_some()
    }
}

async fn visit(folder: Option<&DataFolder>) -> Option<Visit> {
    match folder {
        Some(folder) => Visit::begin(folder).await,
        None => None,
    }
}

/// The longest interval between refreshes. A shorter one would take the name from the chat again and again.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
