//! Signatures that prove a registration.

use std::fmt;

use plumi_proto::{Challenge, KEY_LENGTH, MiAddress, Proof, Verb};
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::handle::handle;
use crate::text::{Text, first};

/// A public key of Ed25519, as RFC 8032 encodes it.
pub type PublicKeyBytes = [u8; KEY_LENGTH];

/// Returns the text that a proof signs. A program that has its key elsewhere signs it there.
pub fn signed_text(verb: Verb, address: &MiAddress, challenge: &Challenge) -> Text {
    Text::new(b"lumi-proof-1\0")
        .and(&[verb.letter(), 0])
        .and_address(address)
        .and(b"\0")
        .and(&challenge.nonce.text())
        .and(b"\0")
        .and(&challenge.seen_text())
}

/// Returns whether `proof` is one of `address` for this challenge, by the owner of `key`.
///
/// The hint and the handle of the proof are not looked at. This takes some 60 µs.
pub fn verify(key: &PublicKeyBytes, address: &MiAddress, challenge: &Challenge, proof: &Proof) -> bool {
    let text = signed_text(proof.verb, address, challenge);
    UnparsedPublicKey::new(&ED25519, key).verify(&text, &proof.signature).is_ok()
}

/// Returns the first 8 bytes of SHA-256 of a key, by which a saved registration names it.
pub fn key_tag(key: &PublicKeyBytes) -> [u8; 8] {
    first(digest(&SHA256, key).as_ref())
}

/// A secret key of Ed25519, for programs that have it in memory.
pub struct Signer(Ed25519KeyPair);

impl Signer {
    /// Creates the key of a seed of RFC 8032, which is 32 random bytes.
    ///
    /// # Errors
    /// [`BadSeed`], which does not happen with 32 bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, BadSeed> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|_| BadSeed)
    }

    /// Returns the public key.
    pub fn public_key(&self) -> PublicKeyBytes {
        first(self.0.public_key().as_ref())
    }

    /// Returns the proof of `address` for `challenge`.
    pub fn prove(&self, verb: Verb, address: &MiAddress, challenge: &Challenge) -> Proof {
        let signature = self.0.sign(&signed_text(verb, address, challenge));
        let signature = *signature.as_ref().first_chunk().expect("a signature has 64 bytes");
        Proof { verb, hint: challenge.nonce.hint(), handle: handle(address), signature }
    }
}

/// Shows the public key alone.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({:02x?})", self.public_key())
    }
}

/// A seed is not the one of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the seed of a key")]
pub struct BadSeed;
