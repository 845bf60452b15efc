//! The protection that a conversation has.

#[cfg(feature = "secure")]
use crate::key::PublicKey;
use crate::security::Security;
#[cfg(feature = "secure")]
use crate::state::trust::Trust;

/// The protection of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerSecurity {
    /// Anybody on the way can read and change it.
    Plain {
        /// A key is known of the peer, and the peer did not show it. The peer may be somebody else.
        lacks_key: bool,
    },
    /// It is encrypted, and the peer proved to have this key.
    #[cfg(feature = "secure")]
    Tls {
        /// The key.
        key: PublicKey,
        /// The belief that it is the peer's.
        trust: Trust,
    },
}

impl PeerSecurity {
    /// Returns the highest level that this protection is enough for.
    pub fn level(&self) -> Security {
        match self {
            Self::Plain { .. } => Security::Offer,
            #[cfg(feature = "secure")]
            Self::Tls { trust, .. } => match trust {
                Trust::New => Security::Encrypted,
                Trust::Known(_) => Security::Known,
                Trust::Introduced => Security::Introduced,
                Trust::Verified(_) => Security::Verified,
            },
        }
    }
}
