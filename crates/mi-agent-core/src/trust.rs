//! The operations of an agent on the keys of other users.

use std::io;

use plumi_proto::MiAddress;

use crate::agent::Agent;
use crate::io::connection::now;
use crate::key::{KeyWords, PublicKey};
use crate::pin::{Day, Pin};
use crate::state::trust::{TrustError, accept, verify};

impl Agent {
    /// Returns the key that others meet, if the agent has an identity.
    pub fn public_key(&self) -> Option<PublicKey> {
        self.protection().own_key()
    }

    /// Returns the keys that are known of `address`.
    ///
    /// # Errors
    /// [`TrustStore::pins`](crate::TrustStore::pins).
    pub fn pins(&self, address: &MiAddress) -> io::Result<Vec<Pin>> {
        self.protection().trust().pins(address)
    }

    /// Trusts the key that answered this agent's last call to `address` and was refused. It takes the place
    /// of keys that nobody verified. Returns it.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn trust(&self, address: &MiAddress) -> Result<PublicKey, KeyError> {
        let protection = self.protection();
        let key = protection.guard().refused_key(address).ok_or(KeyError::NothingRefused)?;
        self.change(address, |pins, today| accept(pins, key, today))?;
        protection.guard().trusted(address);
        Ok(key)
    }

    /// Returns the key with which somebody called as `address` last and was refused, because another one is
    /// known.
    pub fn refused_caller_key(&self, address: &MiAddress) -> Option<PublicKey> {
        self.protection().guard().refused_caller_key(address)
    }

    /// Trusts the key of `address` that has these words: a refused one, one that is known, or that of a
    /// caller. From then on it counts as verified. Returns it.
    ///
    /// This takes some 9 ms for each of these keys.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn verify(&self, address: &MiAddress, words: &KeyWords) -> Result<PublicKey, KeyError> {
        let protection = self.protection();
        let known = protection.trust().pins(address).map_err(KeyError::Store)?;
        let mut keys: Vec<_> = {
            let guard = protection.guard();
            let keys = [guard.refused_key(address), guard.claimed_key(address)];
            keys.into_iter().chain([guard.refused_caller_key(address)]).flatten().collect()
        };
        keys.extend(known.iter().map(|pin| pin.key));
        let mut differs_at = None;
        for key in keys {
            match KeyWords::of(address, &key).differs_at(words) {
                None => {
                    self.change(address, |pins, today| verify(pins, key, today))?;
                    protection.guard().trusted(address);
                    return Ok(key);
                }
                // The key with the most words alike is the one that was meant.
                Some(at) => differs_at = differs_at.max(Some(at)),
            }
        }
        Err(differs_at.map_or(KeyError::NoKey, |at| KeyError::Differs { at }))
    }

    /// Permits one plain conversation with `address` within 10 minutes, whatever is known of its key and
    /// whatever the level is: the next call of either side.
    pub fn permit_plain(&self, address: MiAddress) {
        self.protection().guard().permit_plain(now(), address);
    }

    fn change(
        &self,
        address: &MiAddress,
        change: impl Fn(&mut Vec<Pin>, Day) -> Result<(), TrustError>,
    ) -> Result<(), KeyError> {
        let today = Day::today();
        let mut changed = Ok(());
        let stored = self.protection().trust().change(address, &mut |pins| changed = change(pins, today));
        stored.map_err(KeyError::Store)?;
        changed.map_err(KeyError::Trust)
    }
}

/// The reason why a key is not trusted. Continues "the key of joya@cc.com is not trusted: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No call of this run met a key that was refused.
    #[error("no key of it was refused since this agent started")]
    NothingRefused,
    /// No key of the user was met.
    #[error("no key of it is known: call it first")]
    NoKey,
    /// The words are those of another key.
    #[error("word {at} is another one")]
    Differs {
        /// The place of the first word that differs, from 1 on.
        at: usize,
    },
    /// The keys that are known forbid it.
    #[error(transparent)]
    Trust(TrustError),
    /// The keys cannot be read or kept.
    #[error("the keys that are known cannot be read or kept")]
    Store(#[source] io::Error),
}
