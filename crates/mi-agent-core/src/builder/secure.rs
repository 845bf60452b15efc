//! Setting up the encryption of conversations.

use std::sync::Arc;

use super::AgentBuilder;
use crate::error::StartError;
use crate::identity::Identity;
use crate::io::protection::Protection;
use crate::io::tls::Tls;
use crate::key_log::KeyLog;
use crate::pin::{MemoryTrust, TrustStore};
use crate::security::Security;

impl AgentBuilder {
    /// Sets the identity of the user: conversations with agents that have one as well are encrypted, and both
    /// prove their keys. By default there is none, and everything is plain.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Sets the place where the keys of other users are kept. The default is [`MemoryTrust`], which is
    /// forgotten with the agent.
    #[must_use]
    pub fn trust(mut self, store: impl TrustStore + 'static) -> Self {
        self.trust = Some(Arc::new(store));
        self
    }

    /// Sets the least protection that conversations must have, in both directions. The default is
    /// [`Security::Offer`]. A higher level needs an identity.
    #[must_use]
    pub fn security(mut self, security: Security) -> Self {
        self.security = security;
        self
    }

    /// Sets a log that receives the keys of every encrypted conversation, for programs that read captures. By
    /// default there is none.
    #[must_use]
    pub fn key_log(mut self, log: KeyLog) -> Self {
        self.key_log = Some(log);
        self
    }

    /// Returns the protection of the conversations.
    pub(super) fn protection(&self) -> Result<Protection, StartError> {
        if self.security > Security::Offer && self.identity.is_none() {
            return Err(StartError::NoIdentity(self.security));
        }
        let own = self.identity.as_ref().map(|identity| {
            (Tls::new(identity.secret(), &self.address, self.key_log.clone()), identity.public_key())
        });
        let trust = self.trust.clone().unwrap_or_else(|| Arc::new(MemoryTrust::default()));
        Ok(Protection::new(self.address, self.security, own, trust))
    }
}
