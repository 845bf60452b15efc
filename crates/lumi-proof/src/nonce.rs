//! Nonces that a node finds again without having kept them.

use std::fmt;

use plumi_proto::{MiAddress, Nonce, UdpAddress};
use ring::hmac::{HMAC_SHA256, Key, sign};

use crate::text::{Text, first};

/// The secret of a node from which its nonces follow. Each start of a node has another one.
#[derive(Clone)]
pub struct NonceSecret(Key);

impl NonceSecret {
    /// Creates the secret of these random bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(Key::new(HMAC_SHA256, secret))
    }

    /// Returns the nonce of a challenge to `address` at `source`.
    ///
    /// `epoch` counts the times in which a nonce is valid, and `n` the proofs of the user that were accepted:
    /// each accepted proof makes all other nonces of the user invalid.
    pub fn nonce(&self, epoch: u64, n: u64, address: &MiAddress, source: UdpAddress) -> Nonce {
        // The numbers and the source have a fixed length, so no two inputs have the same bytes.
        let text = Text::new(&epoch.to_be_bytes())
            .and(&n.to_be_bytes())
            .and_address(address)
            .and(&source.ip().octets())
            .and(&source.port().to_be_bytes());
        Nonce::new(first(sign(&self.0, &text).as_ref()))
    }
}

/// Shows nothing of the secret.
impl fmt::Debug for NonceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceSecret")
    }
}
