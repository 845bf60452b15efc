//! The protection that conversations must have.

use std::fmt;
use std::str::FromStr;

/// The least protection that a conversation must have, the lowest level first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Security {
    /// Nothing is encrypted, and known keys are ignored.
    Off,
    /// A conversation is encrypted if the peer can, and plain otherwise. A peer with a known key has to show
    /// it.
    #[default]
    Offer,
    /// Every conversation is encrypted, if only with a key that nobody knows.
    Encrypted,
    /// The key is known from an earlier call, or better.
    Known,
    /// The node of the peer's domain introduced the key, or the words were compared.
    Introduced,
    /// The words were compared.
    Verified,
}

impl Security {
    /// Every level, the lowest first.
    pub const ALL: [Self; 6] =
        [Self::Off, Self::Offer, Self::Encrypted, Self::Known, Self::Introduced, Self::Verified];

    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Offer => "offer",
            Self::Encrypted => "encrypted",
            Self::Known => "known",
            Self::Introduced => "introduced",
            Self::Verified => "verified",
        }
    }
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Security {
    type Err = SecurityError;

    fn from_str(text: &str) -> Result<Self, SecurityError> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or(SecurityError)
    }
}

/// A text is not a level of security.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is none of off, offer, encrypted, known, introduced and verified")]
pub struct SecurityError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_words() {
        for security in Security::ALL {
            assert_eq!(security.to_string().parse(), Ok(security));
        }
        assert_eq!("Offer".parse::<Security>(), Err(SecurityError));
        assert_eq!(Security::default(), Security::Offer);
    }
}
