//! Setting up the proofs of registrations (protocol.md §12).

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;

use lumi_proof::Code as InvitationCode;
use plumi_proto::HostIp;
use tokio::{task, time};
use tracing::warn;

use super::AgentBuilder;
use crate::error::{EnrolError, StartError};
use crate::io::enrolment::{self, Enrolled};
use crate::io::enrolment_file::{Enrolment, EnrolmentFile};
use crate::io::node_link::NodeLink;
use crate::io::prover::Prover;
use crate::key::PublicKey;
use crate::pin::Day;
use crate::state::client_settings::ProofSettings;
use crate::state::enrolling::{EnrolEnd, Enrolling};
use crate::state::source::ExpectedSource;

/// The settings of proofs.
#[derive(Clone, Debug, Default)]
pub(super) struct ProofOptions {
    pub(super) file: Option<EnrolmentFile>,
    is_behind_nat: bool,
    accepts_unproved: bool,
}

impl AgentBuilder {
    /// Sets the file that remembers whether the node knows the user's key. By default that is forgotten with
    /// the agent.
    ///
    /// An agent with an [identity](AgentBuilder::identity) proves its registration to a node that asks for
    /// it. If it is remembered to have done so, it asks for a challenge at once, and
    /// [`Event::Unproved`](crate::Event::Unproved) reports a node that stopped asking for proofs.
    #[must_use]
    pub fn enrolment(mut self, file: EnrolmentFile) -> Self {
        self.proofs.file = Some(file);
        self
    }

    /// Sets whether the node may see this agent at any address. By default it has to see the local address of
    /// the route to the node, or the one of [`AgentBuilder::advertise`]: otherwise somebody may relay, and
    /// nothing is proved.
    #[must_use]
    pub fn behind_nat(mut self, is_behind_nat: bool) -> Self {
        self.proofs.is_behind_nat = is_behind_nat;
        self
    }

    /// Sets whether the user accepts that a node stops asking for proofs.
    #[must_use]
    pub fn accept_unproved(mut self, accepts: bool) -> Self {
        self.proofs.accepts_unproved = accepts;
        self
    }

    /// Enrols the identity at the node by the code of an invitation. The user is not registered by that.
    ///
    /// The node's answer is kept in the file of [`AgentBuilder::enrolment`]. The agent that is started
    /// afterwards proves its registration.
    ///
    /// # Errors
    /// [`EnrolError`].
    ///
    /// # Panics
    /// If it is called outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// Cancel safe. The node may have taken the key nevertheless; the same code then works again for some
    /// minutes.
    pub async fn enrol(&self, code: InvitationCode) -> Result<Enrolment, EnrolError> {
        let identity = self.identity.as_ref().ok_or(EnrolError::NoIdentity)?;
        let (nodes, _) = self.find_nodes().await?;
        // Nothing needs to be sent if there is no way to the node.
        super::first_way(&nodes)?;
        let link = NodeLink::open(self.address, self.tap.clone()).await.map_err(StartError::Socket)?;
        let (key, now) = (*identity.public_key().as_bytes(), time::Instant::now().into_std());
        let enrolling = Enrolling::begin(now, self.address, code, key, nodes, self.schedule);
        let Enrolled { end, node, unsent } = enrolment::carry_out(&link, enrolling).await;
        let node_key = match end {
            EnrolEnd::Taken(key) => PublicKey::from_bytes(key),
            EnrolEnd::NotTaken => return Err(EnrolError::NotTaken),
            EnrolEnd::NotSupported => return Err(EnrolError::NotSupported),
            EnrolEnd::Silent => return Err(StartError::NoAnswer { node, unsent }.into()),
        };
        let enrolment = Enrolment::of_node(node_key, Day::today());
        self.remember(enrolment).await;
        Ok(enrolment)
    }

    /// Keeps an enrolment. Without it, the agent asks for a challenge once it is refused.
    async fn remember(&self, enrolment: Enrolment) {
        let Some(file) = self.proofs.file.clone() else { return };
        let address = self.address;
        let written = task::spawn_blocking(move || file.write(&address, enrolment)).await;
        if let Ok(Err(error)) = written {
            warn!(
                "it is not kept that {address} has enrolled: {error}; the agent proves its registration all the same"
            );
        }
    }

    /// Returns how the client proves, and what signs for it, if the user has a key. `own` is this host's
    /// address on the way to the node.
    pub(super) async fn proofs(
        &self,
        link: &NodeLink,
        own: HostIp,
    ) -> io::Result<(Option<ProofSettings>, Option<Prover>)> {
        let Some(identity) = self.identity.clone().filter(|_| !self.bare_user) else {
            return Ok((None, None));
        };
        let ProofOptions { file, is_behind_nat, accepts_unproved } = self.proofs.clone();
        let enrolment = match &file {
            Some(file) => {
                let (file, address) = (file.clone(), self.address);
                let read = task::spawn_blocking(move || file.read(&address)).await;
                // An error of the task: the runtime ends.
                read.unwrap_or(Ok(None)).unwrap_or_else(|error| {
                    warn!(
                        "nobody knows whether the node of {} wants a proof, so it is not asked for a challenge first: \
                         {error}",
                        self.address
                    );
                    None
                })
            }
            None => None,
        };
        let source = ExpectedSource {
            ip: self.advertise.unwrap_or(own),
            port: link.port()?,
            is_any_port: self.advertise.is_some(),
        };
        let seed = RandomState::new().build_hasher().finish();
        let mut settings = ProofSettings::new((!is_behind_nat).then_some(source), seed);
        settings.is_enrolled = enrolment.is_some();
        let prover = Prover::new(self.address, identity, file, enrolment, accepts_unproved);
        Ok((Some(settings), Some(prover)))
    }
}
